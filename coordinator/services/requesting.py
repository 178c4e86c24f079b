"""Asking for missing bars: what is already being fetched is shared, only the rest is new."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from coordinator.configuration import shard_bars
from coordinator.coverage import CoverageRange, Pair, merge_coverage, subtract
from coordinator.failure_budget import NO_BUDGET, FailureBudget
from coordinator.lease_state import (
    ACTIVE_JOB_STATES,
    cut_shards,
    lease_key,
    queue_rank,
)
from coordinator.models import BackfillJob, BackfillShard
from coordinator.origins import Origin, settings_of
from coordinator.queue import announce
from coordinator.services.expectations import expected_in
from coordinator.services.job_rows import lock_node
from coordinator.services.waiters import attach
from coordinator.source_names import source_name
from registry.actors import Actor
from registry.errors import InvalidInput
from registry.models import Node, SchemaVersion
from registry.services.audit import record
from registry.spans import current_traceparent

MAX_RANGES = 1_000
MAX_SHARDS = 20_000


class BackfillTooLarge(InvalidInput):
    code = "backfill_too_large"


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """What a request created and what it joined; it is fulfilled when its ranges have ended there.

    `waiters` are what it waits with: `waiters.detach` gives them up.
    """

    created: tuple[int, ...]
    joined: tuple[int, ...]
    waiters: tuple[int, ...] = ()
    ranges: tuple[CoverageRange, ...] = ()

    @property
    def job_ids(self) -> list[int]:
        return [*self.joined, *self.created]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: closed ranges in epoch seconds, on the grid, and how to go about it.

    `failure_budget`: how many shards of a job may end as violations before the rest is given up.
    """

    node: Node
    missing: Sequence[Pair]
    bound_version: SchemaVersion
    priority: int = 0
    newest_first: bool = False
    failure_budget: FailureBudget = NO_BUDGET
    origin: str = Origin.SOURCE


def request_backfill(
    *,
    actor: Actor,
    node: Node,
    missing: Iterable[Pair],
    bound_version: SchemaVersion,
    now: datetime,
    requested_by: str,
    wanted_now: bool = False,
    wanted_until: datetime | None = None,
    priority: int = 0,
    world: str = "",
    origin: Origin = Origin.SOURCE,
) -> BackfillRequest:
    """Make sure that active jobs cover the missing ranges: closed, in epoch seconds, on the grid.

    Jobs that already cover a part are joined; only the rest becomes new jobs, one per range, cut
    into shards. `wanted_now` (a reader waits) raises the shards it waits on, also in a paused job,
    until the reader detaches or `wanted_until` (the end of its budget) has passed.
    Raises InvalidInput for ranges off the grid, a version of another subject, or too much at once.
    """
    wish = Wish(node, tuple(missing), bound_version, priority, origin=origin)
    with transaction.atomic():
        lock_node(node.pk)
        return carry_out(
            outline_of(wish),
            actor=actor,
            now=now,
            requested_by=requested_by,
            world=world,
            wanted_until=_until(wanted_until, now) if wanted_now else None,
        )


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job to be made: its range and its shards, each with the bars expected in it."""

    range: CoverageRange
    shards: tuple[tuple[CoverageRange, int], ...]

    @property
    def expected_bars(self) -> int:
        return sum(bars for _, bars in self.shards)


@dataclass(frozen=True, slots=True)
class Outline:
    """What a wish comes to right now: jobs to join, jobs to make, ranges that need neither."""

    wish: Wish
    ranges: tuple[CoverageRange, ...]
    joined: tuple[BackfillJob, ...]
    new: tuple[PlannedJob, ...]
    empty: tuple[CoverageRange, ...]

    @property
    def shards(self) -> int:
        return sum(len(job.shards) for job in self.new)

    def place_of(self, shard: CoverageRange) -> int:
        """Its place among the shards of this wish, in bars from the first or from the last."""
        wish = self.wish
        first, last = self.ranges[0].start, self.ranges[-1].end
        distance = last - shard.start if wish.newest_first else shard.start - first
        return distance // wish.node.interval


def outline_of(wish: Wish) -> Outline:
    """What is being fetched already and what is new. Changes nothing.

    Only what holds the node's row can carry it out: what a second request finds uncovered stays
    uncovered until it has made its jobs. Raises InvalidInput and BackfillTooLarge.
    """
    node = wish.node
    ranges = _checked(node, wish.missing, wish.bound_version)
    line = BackfillJob.objects.filter(
        node=node,
        interval=node.interval,
        bound_version=wish.bound_version,
        state__in=ACTIVE_JOB_STATES,
    )
    joined = _overlapping(line, ranges)
    rest = subtract(ranges, [job.range for job in joined], node.interval)
    planned = [PlannedJob(part, tuple(_planned_shards(node, part))) for part in rest]
    _refuse_too_many(sum(len(job.shards) for job in planned))
    return Outline(
        wish=wish,
        ranges=tuple(ranges),
        joined=tuple(joined),
        new=tuple(job for job in planned if job.shards),
        empty=tuple(job.range for job in planned if not job.shards),
    )


def carry_out(
    outline: Outline,
    *,
    actor: Actor,
    now: datetime,
    requested_by: str,
    world: str = "",
    wanted_until: datetime | None = None,
) -> BackfillRequest:
    """Make the jobs of an outline, in the transaction that holds the node's row."""
    created = [_create(outline, job, actor, now, requested_by, world) for job in outline.new]
    jobs = [*outline.joined, *created]
    waiters, raised = (
        attach(jobs, outline.ranges, until=wanted_until, now=now) if wanted_until else ((), 0)
    )
    request = BackfillRequest(
        created=tuple(job.pk for job in created),
        joined=tuple(job.pk for job in outline.joined),
        waiters=waiters,
        ranges=outline.ranges,
    )
    if created or raised:
        _record(actor, outline.wish.node, request, created, raised, now)
    if created:
        transaction.on_commit(partial(announce, outline.shards), robust=True)
    return request


def _until(given: datetime | None, now: datetime) -> datetime:
    longest = now + timedelta(seconds=settings.SEAMLESS_LONGEST_WAIT_SECONDS)
    return longest if given is None else min(given, longest)


def _checked(node: Node, missing: Iterable[Pair], version: SchemaVersion) -> list[CoverageRange]:
    if version.subject_id != node.subject_id:
        raise InvalidInput(
            f"{version} cannot bind a backfill of {node.node_id}: the node belongs to another "
            "subject."
        )
    ranges = merge_coverage(missing, node.interval)
    for start, end in ranges:
        if (start - node.anchor) % node.interval or (end - start) % node.interval:
            raise InvalidInput(
                f"[{start}, {end}] is off the grid of {node.node_id}: bar times are "
                f"{node.anchor} + k * {node.interval}. Snap the window first."
            )
    if len(ranges) > MAX_RANGES:
        raise BackfillTooLarge(
            f"{len(ranges)} separate gaps are more than the {MAX_RANGES} of one request; ask for "
            "a shorter window.",
            limit=MAX_RANGES,
        )
    return ranges


def _overlapping(line: QuerySet[BackfillJob], ranges: Sequence[CoverageRange]) -> list[BackfillJob]:
    if not ranges:
        return []
    near = line.filter(range_start__lte=ranges[-1].end, range_end__gte=ranges[0].start)
    return [
        job
        for job in near.order_by("pk")
        if any(start <= job.range_end and job.range_start <= end for start, end in ranges)
    ]


def _planned_shards(node: Node, part: CoverageRange) -> list[tuple[CoverageRange, int]]:
    """The pieces in which a bar is expected, each with how many."""
    pieces = cut_shards([part], node.interval, shard_bars())
    counted = ((piece, expected_in(node, piece)) for piece in pieces)
    return [(piece, bars) for piece, bars in counted if bars]


def _refuse_too_many(shards: int) -> None:
    if shards > MAX_SHARDS:
        raise BackfillTooLarge(
            f"The request needs {shards} shards, more than {MAX_SHARDS}; ask for a shorter window.",
            limit=MAX_SHARDS,
        )


def _create(
    outline: Outline,
    planned: PlannedJob,
    actor: Actor,
    now: datetime,
    requested_by: str,
    world: str,
) -> BackfillJob:
    wish, (start, end) = outline.wish, planned.range
    node, version = wish.node, wish.bound_version
    job = BackfillJob.objects.create(
        node=node,
        interval=node.interval,
        bound_version=version,
        range_start=start,
        range_end=end,
        lease_key=lease_key(node.node_id, node.interval, start, end, version.pk),
        priority=wish.priority,
        origin=wish.origin,
        source=source_name(settings_of(node, wish.origin)),
        failure_budget=wish.failure_budget.of(len(planned.shards)),
        expected_bars=planned.expected_bars,
        requested_by=requested_by,
        request_id=actor.request_id,
        traceparent=current_traceparent(),
        world=world,
        created_at=now,
    )
    BackfillShard.objects.bulk_create(
        BackfillShard(
            job=job,
            range_start=piece.start,
            range_end=piece.end,
            expected_bars=bars,
            priority=wish.priority,
            rank=queue_rank(now, wish.priority, outline.place_of(piece)),
            next_attempt_at=now,
        )
        for piece, bars in planned.shards
    )
    return job


def _record(
    actor: Actor,
    node: Node,
    request: BackfillRequest,
    created: Sequence[BackfillJob],
    raised: int,
    now: datetime,
) -> None:
    record(
        actor=actor,
        action="backfill.request",
        object_type="node",
        object_id=node.node_id,
        now=now,
        after={
            "created": [
                {"job": job.pk, "range": list(job.range), "expected_bars": job.expected_bars}
                for job in created
            ],
            "joined": list(request.joined),
            "shards_raised": raised,
        },
    )
