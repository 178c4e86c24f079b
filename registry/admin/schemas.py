"""Subjects and their schema versions."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import truncatechars
from unfold.decorators import display
from unfold.enums import ActionVariant

from registry.admin.decisions import DecisionAdmin, ReasonForm, decision
from registry.admin.forms import DeprecationForm, NewSubjectForm, SubjectForm
from registry.admin.panels import STATE_COLOURS, Panel, brief, label, link, moment, pretty_json
from registry.models import ProposalState, SchemaVersion, Subject, VersionState
from registry.services import subjects, versions

DECISIONS: dict[str, tuple[str, ...]] = {
    VersionState.APPROVED: ("deprecate",),
    VersionState.DEPRECATED: ("retire",),
}
OPEN = (ProposalState.DRAFT, ProposalState.IN_REVIEW)


@admin.register(Subject)
class SubjectAdmin(DecisionAdmin):
    list_display = ("named", "owner_team", "compatibility", "versions", "needs")
    list_filter = (("owner_team", admin.RelatedOnlyFieldListFilter), "compatibility")
    list_select_related = ("owner_team",)
    search_fields = ("name", "description")
    ordering = ("name",)
    actions_list = ("make_subject",)
    actions_detail = ("alter",)

    def offered(self, obj: Subject) -> Collection[str]:
        return self.actions_detail

    @decision(
        "Add a subject",
        "A line of schemas, owned by a team of yours.",
        NewSubjectForm,
        submit="Add",
        icon="add",
    )
    def make_subject(self, request: HttpRequest, form: NewSubjectForm) -> HttpResponse:
        return self.make(
            request,
            lambda actor, now: subjects.create_subject(actor=actor, now=now, **form.given()),
            lambda subject: f"{subject.name} is there.",
        )

    @decision("Change", "What is left empty stays as it is.", SubjectForm, icon="edit")
    def alter(self, request: HttpRequest, form: SubjectForm, object_id: str) -> HttpResponse:
        obj = self.object_or_404(request, object_id)
        return self.decide(
            request,
            obj,
            lambda actor, now: subjects.change_subject(
                actor=actor, name=obj.name, now=now, **form.given()
            ),
            lambda _: f"{obj.name} is changed.",
        )

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
class SchemaVersionAdmin(DecisionAdmin):
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
    actions_detail = ("deprecate", "retire")

    def offered(self, obj: SchemaVersion) -> Collection[str]:
        return DECISIONS.get(obj.state, ())

    @decision(
        "Deprecate",
        "Reads under this version say from now on that it goes away, and when.",
        DeprecationForm,
        icon="event_busy",
        variant=ActionVariant.WARNING,
    )
    def deprecate(
        self, request: HttpRequest, form: DeprecationForm, object_id: str
    ) -> HttpResponse:
        obj = self.object_or_404(request, object_id)
        given = form.cleaned_data
        return self.decide(
            request,
            obj,
            lambda actor, now: versions.deprecate_version(
                actor=actor,
                subject=obj.subject.name,
                number=obj.number,
                sunset_at=now + timedelta(days=given["days"]),
                reason=given["reason"],
                now=now,
            ),
            lambda version: f"{version} is deprecated.",
        )

    @decision(
        "Retire",
        "The end of this version. Refused before its sunset, and while a live rollout uses it.",
        ReasonForm,
        icon="block",
        variant=ActionVariant.DANGER,
    )
    def retire(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        obj = self.object_or_404(request, object_id)
        given = form.cleaned_data
        return self.decide(
            request,
            obj,
            lambda actor, now: versions.retire_version(
                actor=actor,
                subject=obj.subject.name,
                number=obj.number,
                reason=given["reason"],
                now=now,
            ),
            lambda version: f"{version} is retired.",
        )

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
