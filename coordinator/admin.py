"""Backfills to look at. Nothing is changed here: services decide."""

from collections.abc import Sequence
from datetime import UTC, datetime

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from coordinator.models import BackfillJob, BackfillShard, Quarantine, ServiceLease
from registry.admin.access import AUDIT_READERS
from registry.admin.panels import Panel, label, link, moment, pretty_json
from registry.admin.readonly import ReadOnlyAdmin, ReadOnlyLogAdmin

STATE_COLOURS = {
    "pending": "default",
    "leased": "info",
    "running": "info",
    "paused": "warning",
    "held": "info",
    "done": "success",
    "completed": "success",
    "failed": "warning",
    "violation": "danger",
    "cancelled": "default",
}
SHOWN_SHARDS = 200


@admin.register(BackfillJob)
class BackfillJobAdmin(ReadOnlyLogAdmin):
    list_display = ("about", "state_label", "bars", "expected_bars", "created", "ended")
    list_filter = ("state",)
    list_select_related = ("node", "bound_version__subject")
    search_fields = ("node__node_id", "=lease_key", "requested_by", "=request_id")
    ordering = ("-pk",)

    @display(description="Backfill", header=True, ordering="pk")
    def about(self, job: BackfillJob) -> Sequence[str]:
        return f"{job.pk} · {job.node}", f"{job.bound_version}, for {job.requested_by}"

    @display(description="State", label=STATE_COLOURS, ordering="state")
    def state_label(self, job: BackfillJob) -> str:
        return job.state

    @display(description="Bar times", header=True, ordering="range_start")
    def bars(self, job: BackfillJob) -> Sequence[str]:
        return bar_time(job.range_start), f"to {bar_time(job.range_end)}"

    @display(description="Created", ordering="created_at")
    def created(self, job: BackfillJob) -> str:
        return moment(job.created_at)

    @display(description="Ended", ordering="ended_at")
    def ended(self, job: BackfillJob) -> str:
        return moment(job.ended_at)

    def panels(self, request: HttpRequest, obj: BackfillJob) -> Sequence[Panel]:
        shards = obj.shards.order_by("range_start")[:SHOWN_SHARDS]
        return (
            Panel(
                title=f"Shards (the first {SHOWN_SHARDS})",
                headers=("Shard", "First bar", "Last bar", "State", "Epoch", "Attempts", "Rows"),
                rows=[
                    (
                        link(s, str(s.pk)),
                        bar_time(s.range_start),
                        bar_time(s.range_end),
                        label(s.state, STATE_COLOURS),
                        s.epoch,
                        s.attempts,
                        "" if s.n_rows is None else s.n_rows,
                    )
                    for s in shards
                ],
            ),
        )


@admin.register(BackfillShard)
class BackfillShardAdmin(ReadOnlyLogAdmin):
    list_display = ("about", "state_label", "bars", "epoch", "attempts", "n_rows", "lease_ends")
    list_filter = ("state",)
    list_select_related = ("job__node",)
    search_fields = ("job__node__node_id", "holder", "=violation")
    ordering = ("-pk",)
    exclude = ("diagnostics",)  # in a panel

    @display(description="Shard", header=True, ordering="pk")
    def about(self, shard: BackfillShard) -> Sequence[str]:
        held = f", held by {shard.holder}" if shard.holder else ""
        return f"{shard.pk} · {shard.job.node}", f"job {shard.job_id}{held}"

    @display(description="State", label=STATE_COLOURS, ordering="state")
    def state_label(self, shard: BackfillShard) -> str:
        return shard.state

    @display(description="Bar times", header=True, ordering="range_start")
    def bars(self, shard: BackfillShard) -> Sequence[str]:
        return bar_time(shard.range_start), f"to {bar_time(shard.range_end)}"

    @display(description="Lease ends", ordering="expires_at")
    def lease_ends(self, shard: BackfillShard) -> str:
        return moment(shard.expires_at)

    def panels(self, request: HttpRequest, obj: BackfillShard) -> Sequence[Panel]:
        if not obj.diagnostics:
            return ()
        return (Panel(title="Diagnostics", code=pretty_json(obj.diagnostics)),)


@admin.register(Quarantine)
class QuarantineAdmin(ReadOnlyLogAdmin):
    """What was found in a row that was set aside. The row itself may hold sensitive columns."""

    viewers = AUDIT_READERS
    list_display = ("about", "epoch", "created")
    list_select_related = ("shard__job__node",)
    search_fields = ("shard__job__node__node_id",)
    ordering = ("-pk",)
    fields = ("shard", "epoch", "created_at")

    @display(description="Row", header=True, ordering="pk")
    def about(self, row: Quarantine) -> Sequence[str]:
        return f"{row.pk} · {row.shard.job.node}", f"shard {row.shard_id}"

    @display(description="Set aside", ordering="created_at")
    def created(self, row: Quarantine) -> str:
        return moment(row.created_at)

    def panels(self, request: HttpRequest, obj: Quarantine) -> Sequence[Panel]:
        return (Panel(title="Diagnostics", code=pretty_json(obj.diagnostics)),)


@admin.register(ServiceLease)
class ServiceLeaseAdmin(ReadOnlyAdmin):
    list_display = ("about", "state_label", "epoch", "completion_ratio", "ends")
    list_filter = ("state",)
    search_fields = ("key", "holder")
    ordering = ("-updated_at",)
    exclude = ("token_digest",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServiceLease]:
        found: QuerySet[ServiceLease] = super().get_queryset(request)
        return found.defer("token_digest")

    @display(description="Key", header=True, ordering="key")
    def about(self, lease: ServiceLease) -> Sequence[str]:
        return lease.key, lease.holder

    @display(description="State", label=STATE_COLOURS, ordering="state")
    def state_label(self, lease: ServiceLease) -> str:
        return lease.state

    @display(description="Ends", ordering="expires_at")
    def ends(self, lease: ServiceLease) -> str:
        return moment(lease.expires_at)


def bar_time(seconds: int) -> str:
    return moment(datetime.fromtimestamp(seconds, UTC))
