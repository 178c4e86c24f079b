"""What backfills refused: the ranges a strict read must not step over in silence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coordinator.coverage import CoverageRange, Window
from coordinator.lease_state import ShardState, ViolationCode
from coordinator.models import BackfillShard
from registry.models import Node


@dataclass(frozen=True, slots=True)
class RefusedRange:
    """A range whose rows broke the schema they were bound to, with what was found."""

    range: CoverageRange
    bound_version_id: int
    diagnostics: Sequence[dict[str, Any]]


def refused_ranges(*, node: Node, window: Window) -> list[RefusedRange]:
    """The node's schema refusals inside the window that no later backfill has made good."""
    shards = BackfillShard.objects.filter(
        job__node=node, range_start__lte=window.end, range_end__gte=window.start
    ).select_related("job")
    done = list(shards.filter(state=ShardState.DONE).values_list("pk", "range_start", "range_end"))
    refused = shards.filter(
        state=ShardState.VIOLATION, violation=ViolationCode.SCHEMA_REFUSED
    ).order_by("range_start", "pk")
    return [
        RefusedRange(shard.range, shard.job.bound_version_id, shard.diagnostics)
        for shard in refused
        if not any(
            pk > shard.pk and start <= shard.range_start and shard.range_end <= end
            for pk, start, end in done
        )
    ]
