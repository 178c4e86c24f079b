"""Rows that were set aside."""

from collections.abc import Collection, Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.paginator import InfinitePaginator

from coordinator.models import (
    Quarantine,
)
from coordinator.services.database_clock import database_now
from coordinator.services.quarantine import quarantined_row, release_quarantine
from registry.admin.access import AUDIT_READERS
from registry.admin.decisions import DecisionAdmin, ReasonForm, decision
from registry.admin.panels import Panel, moment, pretty_json
from registry.request_context import actor_of


class ReleasedFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("kept", "Kept"), ("released", "Released")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Quarantine]
    ) -> QuerySet[Quarantine]:
        if self.value() is None:
            return queryset
        return queryset.filter(released_at__isnull=self.value() == "kept")


@admin.register(Quarantine)
class QuarantineAdmin(DecisionAdmin):
    """What was found in a row that was set aside, and the row without its sensitive values."""

    viewers = AUDIT_READERS
    of_node = "shard__job__node"
    paginator = InfinitePaginator
    show_full_result_count = False
    list_display = ("about", "state_label", "epoch", "created")
    list_filter = (ReleasedFilter,)
    list_select_related = ("shard__job__node",)
    search_fields = ("shard__job__node__node_id",)
    ordering = ("-pk",)
    fields = ("shard", "epoch", "created_at", "released_at", "released_by")
    actions_detail = ("release",)

    @display(description="Row", header=True, ordering="pk")
    def about(self, row: Quarantine) -> Sequence[str]:
        return f"{row.pk} · {row.shard.job.node}", f"shard {row.shard_id}"

    @display(description="State", label={"kept": "warning", "released": "success"})
    def state_label(self, row: Quarantine) -> str:
        return "kept" if row.released_at is None else "released"

    @display(description="Set aside", ordering="created_at")
    def created(self, row: Quarantine) -> str:
        return moment(row.created_at)

    def panels(self, request: HttpRequest, obj: Quarantine) -> Sequence[Panel]:
        seen = quarantined_row(actor=actor_of(request), row_id=obj.pk)
        return (
            Panel(title="Diagnostics", code=pretty_json(obj.diagnostics)),
            Panel(title="Row", code=pretty_json(seen.row)),
        )

    def offered(self, obj: Quarantine) -> Collection[str]:
        return ("release",) if obj.released_at is None else ()

    @decision(
        "Do the shard of this row again",
        "After what was wrong has been put right: judged by the latest schema version.",
        ReasonForm,
        submit="Release",
        icon="lock_open",
        variant=ActionVariant.PRIMARY,
        button="Release",
    )
    def release(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        row = self.object_or_404(request, object_id)
        return self.decide(
            request,
            row,
            lambda actor, _: release_quarantine(
                actor=actor, row_id=row.pk, reason=form.cleaned_data["reason"], now=database_now()
            ),
            lambda made: f"The shard is done again, in job {made.job_ids[0]}.",
        )
