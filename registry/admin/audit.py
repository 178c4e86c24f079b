"""The audit log: what happened, and under which checkpoint it is sealed."""

from collections.abc import Sequence
from datetime import timedelta

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import display
from unfold.enums import ActionVariant

from registry.admin.access import AUDIT_READERS, may_export_audit
from registry.admin.audit_exports import ExportForm, ask_for_export
from registry.admin.decisions import decision
from registry.admin.panels import STATE_COLOURS, Panel, label, moment, pretty_json
from registry.admin.readonly import ReadOnlyAdmin, ReadOnlyLogAdmin
from registry.audit.events import OUTCOMES
from registry.models import AuditCheckpoint, AuditEvent
from registry.services.audit.searching import with_seals
from registry.services.audit.selecting import mentioning


class OutcomeFilter(admin.SimpleListFilter):
    """From the known outcomes: the log is too long to ask it for distinct values."""

    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(outcome, outcome) for outcome in OUTCOMES]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent]
    ) -> QuerySet[AuditEvent]:
        return queryset.filter(outcome=self.value()) if self.value() else queryset


class SealFilter(admin.SimpleListFilter):
    title = "seal"
    parameter_name = "seal"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("sealed", "sealed"), ("recorded", "only recorded")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent]
    ) -> QuerySet[AuditEvent]:
        if self.value() is None:
            return queryset
        return queryset.filter(sealed__isnull=self.value() == "recorded")


class TimeFilter(admin.SimpleListFilter):
    title = "time"
    parameter_name = "last"
    spans = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(span, f"last {span}") for span in self.spans]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent]
    ) -> QuerySet[AuditEvent]:
        span = self.spans.get(self.value() or "")
        return queryset if span is None else queryset.filter(at__gte=timezone.now() - span)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyLogAdmin):
    viewers = AUDIT_READERS
    list_display = ("what", "who", "outcome_label", "when", "seal")
    list_filter = (OutcomeFilter, SealFilter, TimeFilter)
    actions_list = ("export",)
    search_fields = ("action",)  # shows the box; see get_search_results
    search_help_text = "A whole action, person, object, consumer, request or correlation id."
    ordering = ("-pk",)
    fields = (
        "at",
        "actor_kind",
        "actor_name",
        "object_type",
        "object_name",
        "consumer",
        "request_id",
        "correlation_id",
        "source",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        return with_seals(super().get_queryset(request))

    def has_export_permission(self, request: HttpRequest) -> bool:
        return may_export_audit(request)

    @decision(
        "Export the audit log",
        "Sealed records up to the last checkpoint. Whatever stays empty selects everything.",
        ExportForm,
        submit="Export",
        icon="download",
        variant=ActionVariant.PRIMARY,
        button="Export",
        permission="export",
    )
    def export(self, request: HttpRequest, form: ExportForm) -> HttpResponse:
        return ask_for_export(request, form)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent], search_term: str
    ) -> tuple[QuerySet[AuditEvent], bool]:
        if text := search_term.strip():
            queryset = queryset.filter(pk__in=mentioning(text))
        return queryset, False

    @display(description="Action", header=True)
    def what(self, event: AuditEvent) -> Sequence[str]:
        return event.action, f"{event.object_type} {event.object_name}"

    @display(description="Actor", header=True)
    def who(self, event: AuditEvent) -> Sequence[str]:
        return event.actor_name, f"{event.actor_kind} {event.source}"

    @display(description="Outcome", label=STATE_COLOURS, ordering="outcome")
    def outcome_label(self, event: AuditEvent) -> str:
        return event.outcome

    @display(description="At", ordering="at")
    def when(self, event: AuditEvent) -> str:
        return moment(event.at)

    @display(description="Seal", label=STATE_COLOURS)
    def seal(self, event: AuditEvent) -> tuple[str, str]:
        return _seal(event)

    def panels(self, request: HttpRequest, obj: AuditEvent) -> Sequence[Panel]:
        states = {"Before": obj.before, "After": obj.after}
        return (
            Panel(
                title="At a glance",
                headers=("Action", "Outcome", "Reason", "Seal"),
                rows=[(obj.action, label(obj.outcome), obj.reason, _seal(obj)[1])],
            ),
            *(
                Panel(title=title, code=pretty_json(state))
                for title, state in states.items()
                if state is not None
            ),
            Panel(
                title="What is hashed",
                note=f"Format {obj.payload_format}, RFC 8785; leaf {bytes(obj.leaf).hex()}",
                code=obj.payload_canonical,
            ),
        )


@admin.register(AuditCheckpoint)
class AuditCheckpointAdmin(ReadOnlyAdmin):
    viewers = AUDIT_READERS
    list_display = ("size", "previous_size", "root_hex", "when")
    ordering = ("-size",)
    fields = ("size", "previous_size", "root_hex", "at", "note")
    readonly_fields = ("root_hex",)

    @display(description="Root")
    def root_hex(self, checkpoint: AuditCheckpoint) -> str:
        return bytes(checkpoint.root).hex()

    @display(description="At", ordering="at")
    def when(self, checkpoint: AuditCheckpoint) -> str:
        return moment(checkpoint.at)


def _seal(event: AuditEvent) -> tuple[str, str]:
    """The record's number and the first checkpoint that covers it; or that it waits."""
    sealed = getattr(event, "sealed", None)
    if sealed is None:
        return "recorded", "recorded"
    return "sealed", f"record {sealed.seq} in checkpoint {event.checkpoint}"  # type: ignore[attr-defined]
