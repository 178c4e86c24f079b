"""Bundles and their releases."""

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from registry.admin.panels import Panel, brief, link, moment
from registry.admin.readonly import ReadOnlyAdmin
from registry.models import Bundle, Release


@admin.register(Bundle)
class BundleAdmin(ReadOnlyAdmin):
    list_display = ("named", "owner_team", "n_subjects", "newest_release", "gate_policy")
    list_filter = ("owner_team", "gate_policy")
    list_select_related = ("owner_team", "gate_policy")
    search_fields = ("name", "description")
    ordering = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Bundle]:
        found: QuerySet[Bundle] = super().get_queryset(request)
        return found.annotate(
            members_count=Count("members", distinct=True), newest=Max("releases__number")
        )

    @display(description="Bundle", header=True, ordering="name")
    def named(self, bundle: Bundle) -> Sequence[str]:
        return bundle.name, bundle.description

    @display(description="Subjects", ordering="members_count")
    def n_subjects(self, bundle: Bundle) -> int:
        return bundle.members_count  # type: ignore[attr-defined]

    @display(description="Newest release", ordering="newest", empty_value="none yet")
    def newest_release(self, bundle: Bundle) -> int | None:
        return bundle.newest  # type: ignore[attr-defined]

    def panels(self, request: HttpRequest, obj: Bundle) -> Sequence[Panel]:
        return (
            Panel(
                title="Subjects",
                headers=("Subject", "Compatibility"),
                rows=[(link(s), s.compatibility) for s in obj.subjects.order_by("name")],
            ),
            Panel(
                title="Releases",
                headers=("Release", "Fingerprint", "Cut"),
                rows=[
                    (link(r, str(r.number)), brief(r.fingerprint), moment(r.created_at))
                    for r in obj.releases.order_by("-number")
                ],
            ),
        )


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin):
    list_display = ("about", "n_members", "created")
    list_filter = ("bundle",)
    list_select_related = ("bundle",)
    search_fields = ("bundle__name", "fingerprint")
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Release]:
        found: QuerySet[Release] = super().get_queryset(request)
        return found.annotate(members_count=Count("members"))

    @display(description="Release", header=True, ordering="pk")
    def about(self, release: Release) -> Sequence[str]:
        return f"{release.bundle} {release.number}", brief(release.fingerprint)

    @display(description="Members", ordering="members_count")
    def n_members(self, release: Release) -> int:
        return release.members_count  # type: ignore[attr-defined]

    @display(description="Cut", ordering="created_at")
    def created(self, release: Release) -> str:
        return moment(release.created_at)

    def panels(self, request: HttpRequest, obj: Release) -> Sequence[Panel]:
        members = obj.members.select_related("subject", "version__subject")
        rollouts = obj.rollouts.select_related("consumer", "release__bundle").order_by("-pk")
        return (
            Panel(
                title="Members",
                headers=("Subject", "Version", "Resolved fingerprint"),
                rows=[
                    (
                        link(m.subject),
                        link(m.version, str(m.version.number)),
                        m.version.resolved_fingerprint,
                    )
                    for m in members
                ],
            ),
            Panel(
                title="Rollouts",
                headers=("Rollout", "Started", "Ended"),
                rows=[(link(r), moment(r.started_at), moment(r.ended_at)) for r in rollouts],
            ),
        )
