"""What backfills of a node have settled lately: asked again, the source would say the same."""

from datetime import datetime

from django.db.models import QuerySet

from coordinator.coverage import CoverageRange, Window
from coordinator.lease_state import ShardState, ViolationCode
from coordinator.models import BackfillShard
from coordinator.origins import Origin
from registry.models import Node


def settled_since(
    *, node: Node, bound_version_id: int, window: Window, since: datetime
) -> list[CoverageRange]:
    """The ranges of shards that ended after `since` (not cancelled) and touch the window.

    Of those that asked the source: what a live feed did not bring says nothing of it.
    """
    ended = [ShardState.DONE.value, ShardState.VIOLATION.value]
    shards = _ended_since(node, bound_version_id, window, since, Origin.SOURCE)
    return _ranges(shards.filter(state__in=ended).exclude(violation=ViolationCode.CANCELLED.value))


def live_refused_since(
    *, node: Node, bound_version_id: int, window: Window, since: datetime
) -> list[CoverageRange]:
    """The ranges of shards whose live rows the schema has refused after `since`."""
    shards = _ended_since(node, bound_version_id, window, since, Origin.LIVE)
    refused = ViolationCode.SCHEMA_REFUSED.value
    return _ranges(shards.filter(state=ShardState.VIOLATION.value, violation=refused))


def _ended_since(
    node: Node, bound_version_id: int, window: Window, since: datetime, origin: Origin
) -> QuerySet[BackfillShard]:
    return BackfillShard.objects.filter(
        job__node=node,
        job__bound_version_id=bound_version_id,
        job__origin=origin,
        done_at__gte=since,
        range_start__lte=window.end,
        range_end__gte=window.start,
    )


def _ranges(shards: QuerySet[BackfillShard]) -> list[CoverageRange]:
    ranges = shards.order_by("pk").values_list("range_start", "range_end")
    return [CoverageRange(start, end) for start, end in ranges]
