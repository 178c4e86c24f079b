"""How a job is getting on, for those who watch: its pace, its leases, its shards as a heat map."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.db.models import Sum

from coordinator.lease_state import ShardState
from coordinator.models import BackfillJob, BackfillShard
from coordinator.services.progress import JobProgress

RECENTLY = timedelta(seconds=60)
MOST_CELLS = 400
# What a cell of several shards shows: the state that most wants to be seen.
_LOUDEST = (
    ShardState.VIOLATION,
    ShardState.FAILED,
    ShardState.LEASED,
    ShardState.PENDING,
    ShardState.DONE,
)


@dataclass(frozen=True, slots=True)
class Pace:
    """Bars committed per second lately, and when the rest will be done at that (None: unknown)."""

    bars_per_second: float
    eta_seconds: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """Neighbouring shards of a heat map: the loudest of their states, the share that is done."""

    start: int
    end: int
    state: ShardState
    shards: int
    ratio: float
    attempts: int
    epoch: int


def pace_of(seen: JobProgress, now: datetime) -> Pace:
    """From the shards that were done within the last minute."""
    since = now - RECENTLY
    begun = BackfillJob.objects.values_list("created_at", flat=True).get(pk=seen.job_id)
    done = BackfillShard.objects.filter(
        job=seen.job_id, state=ShardState.DONE, done_at__gt=since, done_at__lte=now
    )
    bars = done.aggregate(bars=Sum("expected_bars"))["bars"] or 0
    seconds = (now - max(since, begun)).total_seconds()
    rate = bars / seconds if seconds > 0 else 0.0
    left = seen.open_bars
    if left == 0 or seen.has_ended:
        return Pace(rate, 0.0)
    return Pace(rate, left / rate if rate > 0 else None)


def live_leases_of(job_id: int, *, limit: int = 50) -> Sequence[BackfillShard]:
    """The shards that somebody holds, the one that expires first on top."""
    held = BackfillShard.objects.filter(job=job_id, state=ShardState.LEASED)
    return list(held.order_by("expires_at")[:limit])


def heat_map(job_id: int, *, most_cells: int = MOST_CELLS) -> list[Cell]:
    """The shards in the order of time, in at most so many cells of equally many shards."""
    shards: list[Any] = list(
        BackfillShard.objects.filter(job=job_id)
        .order_by("range_start")
        .values_list(
            "range_start", "range_end", "state", "expected_bars", "attempts", "epoch", named=True
        )
    )
    size = max(1, -(-len(shards) // most_cells))
    numbered = groupby(enumerate(shards), key=lambda pair: pair[0] // size)
    return [_cell([shard for _, shard in group]) for _, group in numbered]


def _cell(shards: Sequence[Any]) -> Cell:
    states = {ShardState(shard.state) for shard in shards}
    done = sum(shard.expected_bars for shard in shards if shard.state == ShardState.DONE)
    return Cell(
        start=shards[0].range_start,
        end=shards[-1].range_end,
        state=next(state for state in _LOUDEST if state in states),
        shards=len(shards),
        ratio=done / sum(shard.expected_bars for shard in shards),
        attempts=max(shard.attempts for shard in shards),
        epoch=max(shard.epoch for shard in shards),
    )
