"""Bundles and their releases."""

from collections.abc import Collection, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from registry.admin.decisions import DecisionAdmin, decision
from registry.admin.forms import BundleForm, NewBundleForm, listed
from registry.admin.panels import Panel, brief, link, moment
from registry.admin.readonly import ReadOnlyAdmin
from registry.models import Bundle, Release
from registry.request_context import actor_of
from registry.services import releases
from registry.services.comparisons import compare_releases
from registry.services.visibility import visible


@admin.register(Bundle)
class BundleAdmin(DecisionAdmin):
    list_display = ("named", "owner_team", "n_subjects", "newest_release", "gate_policy")
    list_filter = (("owner_team", admin.RelatedOnlyFieldListFilter), "gate_policy")
    list_select_related = ("owner_team", "gate_policy")
    search_fields = ("name", "description")
    ordering = ("name",)
    actions_list = ("make_bundle",)
    actions_detail = ("cut", "alter")

    def offered(self, obj: Bundle) -> Collection[str]:
        return self.actions_detail

    @decision(
        "Add a bundle",
        "A named set of subjects; its first release is cut at once.",
        NewBundleForm,
        submit="Add",
        icon="add",
    )
    def make_bundle(self, request: HttpRequest, form: NewBundleForm) -> HttpResponse:
        return self.make(
            request,
            lambda actor, now: releases.create_bundle(
                actor=actor,
                now=now,
                **form.given() | {"subjects": listed(form.cleaned_data["subjects"])},
            ),
            lambda bundle: f"{bundle.name} is there.",
        )

    @decision(
        "Change",
        "Other members make another release. What is left empty stays as it is.",
        BundleForm,
        icon="edit",
    )
    def alter(self, request: HttpRequest, form: BundleForm, object_id: str) -> HttpResponse:
        obj = self.object_or_404(request, object_id)
        given = form.cleaned_data
        return self.decide(
            request,
            obj,
            lambda actor, now: releases.change_bundle(
                actor=actor,
                name=obj.name,
                now=now,
                **form.given() | {"add": listed(given["add"]), "remove": listed(given["remove"])},
            ),
            lambda _: f"{obj.name} is changed.",
        )

    @decision(
        "Cut a release",
        "The newest approved versions of the members; if nothing changed, the release there "
        "is. Subscribers get it as a canary.",
        BaseDialogForm,
        submit="Cut",
        icon="content_cut",
        variant=ActionVariant.PRIMARY,
    )
    def cut(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        bundle = self.object_or_404(request, object_id)
        return self.decide(
            request,
            bundle,
            lambda actor, now: releases.cut_release(actor=actor, name=bundle.name, now=now),
            lambda release: f"The release of this moment is {release.number}.",
        )

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
    list_filter = (("bundle", admin.RelatedOnlyFieldListFilter),)
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
        rollouts = visible(
            actor_of(request), obj.rollouts.select_related("consumer", "release__bundle")
        ).order_by("-pk")
        return (
            *_comparison(obj),
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


def _comparison(release: Release) -> Sequence[Panel]:
    """What it has over the release before it."""
    before = release.bundle.releases.filter(number__lt=release.number).order_by("-number").first()
    if before is None:
        return ()
    found = compare_releases(before, release)
    rows: list[Sequence[Any]] = [
        ("added", name, "", number) for name, number in found.added.items()
    ]
    rows += [("removed", name, number, "") for name, number in found.removed.items()]
    rows += [(_pointers(one.changes), one.subject, one.before, one.after) for one in found.changed]
    return (
        Panel(
            title=f"Against release {before.number}",
            headers=("Change", "Subject", "Version before", "Version now"),
            rows=rows,
        ),
    )


def _pointers(changes: Sequence[dict[str, Any]]) -> str:
    return ", ".join(one["new_pointer"] or one["old_pointer"] for one in changes)
