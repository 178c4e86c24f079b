"""What backfills of a node have settled lately: asked again, the source would say the same."""

from datetime import datetime

from coordinator.coverage import CoverageRange, Window
from coordinator.lease_state import ShardState, ViolationCode
from coordinator.models import BackfillShard
from registry.models import Node


def settled_since(
    *, node: Node, bound_version_id: int, window: Window, since: datetime
) -> list[CoverageRange]:
    """The ranges of shards that ended after `since` (not cancelled) and touch the window."""
    ended = [ShardState.DONE.value, ShardState.VIOLATION.value]
    shards = BackfillShard.objects.filter(
        job__node=node,
        job__bound_version_id=bound_version_id,
        state__in=ended,
        done_at__gte=since,
        range_start__lte=window.end,
        range_end__gte=window.start,
    ).exclude(violation=ViolationCode.CANCELLED.value)
    ranges = shards.order_by("pk").values_list("range_start", "range_end")
    return [CoverageRange(start, end) for start, end in ranges]
