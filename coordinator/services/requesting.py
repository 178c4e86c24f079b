"""Asking for missing bars: what is already being fetched is shared, only the rest is new."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import Q, QuerySet

from coordinator.configuration import shard_bars
from coordinator.coverage import CoverageRange, Pair, merge_coverage, subtract
from coordinator.lease_state import (
    ACTIVE_JOB_STATES,
    UNFINISHED_SHARD_STATES,
    cut_shards,
    lease_key,
)
from coordinator.models import BackfillJob, BackfillShard
from coordinator.queue import ShardHint, announce
from coordinator.services.expectations import expected_in
from registry.actors import Actor
from registry.errors import InvalidInput
from registry.models import Node, SchemaVersion
from registry.services.audit import record

MAX_RANGES = 1_000
MAX_SHARDS = 20_000
WANTED_PRIORITY = 100


class BackfillTooLarge(InvalidInput):
    code = "backfill_too_large"


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """What a request created and what it joined; it is fulfilled when all of them have ended."""

    created: tuple[int, ...]
    joined: tuple[int, ...]

    @property
    def job_ids(self) -> list[int]:
        return [*self.joined, *self.created]


def request_backfill(
    *,
    actor: Actor,
    node: Node,
    missing: Iterable[Pair],
    bound_version: SchemaVersion,
    now: datetime,
    requested_by: str,
    wanted_now: bool = False,
    priority: int = 0,
    world: str = "",
) -> BackfillRequest:
    """Make sure that active jobs cover the missing ranges: closed, in epoch seconds, on the grid.

    Jobs that already cover a part are joined; only the rest becomes new jobs, one per range, cut
    into shards. `wanted_now` (a reader waits) raises the shards it waits on, also in a paused job.
    Raises InvalidInput for ranges off the grid, a version of another subject, or too much at once.
    """
    ranges = _checked(node, missing, bound_version)
    line = BackfillJob.objects.filter(
        node=node, interval=node.interval, bound_version=bound_version, state__in=ACTIVE_JOB_STATES
    )
    with transaction.atomic():
        # One request per node at a time: what a second one finds uncovered stays uncovered until
        # it has made its jobs. (SQLite: the transaction is the lock.)
        Node.objects.select_for_update(no_key=True).get(pk=node.pk)
        joined = _overlapping(line, ranges)
        rest = subtract(ranges, [job.range for job in joined], node.interval)
        planned = [(part, _planned_shards(node, part)) for part in rest]
        _refuse_too_many(sum(len(shards) for _, shards in planned))
        created = [
            _create(node, bound_version, part, shards, now, actor, requested_by, priority, world)
            for part, shards in planned
            if shards
        ]
        request = BackfillRequest(
            created=tuple(job.pk for job in created), joined=tuple(job.pk for job in joined)
        )
        raised = _raise_shards(request.job_ids, ranges) if wanted_now else 0
        if created or raised:
            _record(actor, node, request, created, raised, now)
        _announce_after_commit(request.created)
    return request


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
    node: Node,
    version: SchemaVersion,
    part: CoverageRange,
    shards: Sequence[tuple[CoverageRange, int]],
    now: datetime,
    actor: Actor,
    requested_by: str,
    priority: int,
    world: str,
) -> BackfillJob:
    job = BackfillJob.objects.create(
        node=node,
        interval=node.interval,
        bound_version=version,
        range_start=part.start,
        range_end=part.end,
        lease_key=lease_key(node.node_id, node.interval, part.start, part.end, version.pk),
        priority=priority,
        expected_bars=sum(bars for _, bars in shards),
        requested_by=requested_by,
        request_id=actor.request_id,
        world=world,
        created_at=now,
    )
    BackfillShard.objects.bulk_create(
        BackfillShard(
            job=job,
            range_start=piece.start,
            range_end=piece.end,
            expected_bars=bars,
            priority=priority,
            next_attempt_at=now,
            queued_at=now,
        )
        for piece, bars in shards
    )
    return job


def _raise_shards(job_ids: Sequence[int], ranges: Sequence[CoverageRange]) -> int:
    overlapping = Q()
    for start, end in ranges:
        overlapping |= Q(range_start__lte=end, range_end__gte=start)
    waiting = BackfillShard.objects.filter(
        overlapping, job__in=job_ids, state__in=UNFINISHED_SHARD_STATES, wanted_now=False
    )
    return waiting.update(wanted_now=True, priority=WANTED_PRIORITY)


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


def _announce_after_commit(job_ids: Sequence[int]) -> None:
    hints = [
        ShardHint(pk, epoch)
        for pk, epoch in BackfillShard.objects.filter(job__in=job_ids)
        .order_by("pk")
        .values_list("pk", "epoch")
    ]
    if hints:
        transaction.on_commit(partial(announce, hints), robust=True)
