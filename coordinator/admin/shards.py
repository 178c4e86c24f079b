"""Shards, each with its lease."""

from collections.abc import Sequence

from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from coordinator.live_page import STATE_COLOURS, bar_time
from coordinator.models import (
    BackfillShard,
)
from registry.admin.panels import Panel, moment, pretty_json
from registry.admin.readonly import ReadOnlyLogAdmin


@admin.register(BackfillShard)
class BackfillShardAdmin(ReadOnlyLogAdmin):
    of_node = "job__node"
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
