"""Subjects and their schema versions."""

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import truncatechars
from unfold.decorators import display

from registry.admin.panels import STATE_COLOURS, Panel, brief, label, link, moment, pretty_json
from registry.admin.readonly import ReadOnlyAdmin
from registry.models import ProposalState, SchemaVersion, Subject

OPEN = (ProposalState.DRAFT, ProposalState.IN_REVIEW)


@admin.register(Subject)
class SubjectAdmin(ReadOnlyAdmin):
    list_display = ("named", "owner_team", "compatibility", "versions", "needs")
    list_filter = (("owner_team", admin.RelatedOnlyFieldListFilter), "compatibility")
    list_select_related = ("owner_team",)
    search_fields = ("name", "description")
    ordering = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subject]:
        found: QuerySet[Subject] = super().get_queryset(request)
        return found.annotate(n_versions=Count("versions"))

    @display(description="Subject", header=True, ordering="name")
    def named(self, subject: Subject) -> Sequence[str]:
        return subject.name, truncatechars(subject.description, 80)

    @display(description="Versions", ordering="n_versions")
    def versions(self, subject: Subject) -> int:
        return subject.n_versions  # type: ignore[attr-defined]

    @display(description="Approvals needed", ordering="required_approvals")
    def needs(self, subject: Subject) -> int:
        return subject.required_approvals

    def panels(self, request: HttpRequest, obj: Subject) -> Sequence[Panel]:
        versions = obj.versions.select_related("subject", "content").order_by("-number")
        waiting = obj.proposals.filter(state__in=OPEN).select_related("subject", "author")
        return (
            Panel(
                title="Versions",
                headers=("Version", "State", "Fingerprint", "Approved"),
                rows=[
                    (
                        link(v, str(v.number)),
                        label(v.state),
                        brief(v.content.fingerprint),
                        moment(v.created_at),
                    )
                    for v in versions
                ],
            ),
            Panel(
                title="Open proposals",
                headers=("Proposal", "State", "Author", "Since"),
                rows=[
                    (link(p, str(p.pk)), label(p.state), str(p.author), moment(p.created_at))
                    for p in waiting.order_by("pk")
                ],
            ),
        )


@admin.register(SchemaVersion)
class SchemaVersionAdmin(ReadOnlyAdmin):
    list_display = ("about", "state_label", "content_id", "created")
    list_filter = ("state", ("subject__owner_team", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("subject", "content")
    search_fields = ("subject__name", "content__fingerprint", "resolved_fingerprint")
    ordering = ("subject__name", "-number")
    fields = (
        "subject",
        "number",
        "state",
        "schema_id",
        "fingerprint",
        "resolved_fingerprint",
        "proposal",
        "created_at",
    )
    readonly_fields = ("schema_id", "fingerprint")

    @display(description="Version", header=True, ordering="subject__name")
    def about(self, version: SchemaVersion) -> Sequence[str]:
        return f"{version.subject} {version.number}", brief(version.content.fingerprint)

    @display(description="State", label=STATE_COLOURS, ordering="state")
    def state_label(self, version: SchemaVersion) -> tuple[str, str]:
        return version.state, version.get_state_display()

    @display(description="Created", ordering="created_at")
    def created(self, version: SchemaVersion) -> str:
        return moment(version.created_at)

    @display(description="Schema id")
    def schema_id(self, version: SchemaVersion) -> int:
        return version.content_id

    @display(description="Fingerprint")
    def fingerprint(self, version: SchemaVersion) -> str:
        return version.content.fingerprint

    def panels(self, request: HttpRequest, obj: SchemaVersion) -> Sequence[Panel]:
        return (Panel(title="Schema", code=pretty_json(obj.content.document)),)
