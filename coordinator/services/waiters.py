"""Readers that wait: they raise the shards they wait on, and only for as long as they do.

A waiter is a row with the end of its budget, so one whose process died counts no more after that.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, Subquery

from coordinator.coverage import CoverageRange
from coordinator.lease_state import UNFINISHED_SHARD_STATES, WANTED_PRIORITY
from coordinator.models import BackfillJob, BackfillShard, BackfillWaiter
from coordinator.services.job_rows import lock_node
from coordinator.services.shard_rows import moved_rank


def attach(
    jobs: Sequence[BackfillJob], ranges: Sequence[CoverageRange], *, until: datetime, now: datetime
) -> tuple[tuple[int, ...], int]:
    """Wait for these ranges of the jobs until then: the waiters made, the shards they raised.

    The caller holds the jobs' node.
    """
    waiters = BackfillWaiter.objects.bulk_create(
        BackfillWaiter(
            job=job,
            range_start=max(start, job.range_start),
            range_end=min(end, job.range_end),
            until=until,
        )
        for job in jobs
        for start, end in ranges
        if start <= job.range_end and job.range_start <= end
    )
    return tuple(waiter.pk for waiter in waiters), _raise([job.pk for job in jobs], now)


def detach(*, waiters: Sequence[int], now: datetime) -> int:
    """Wait no more; how many shards went back to their job's priority, nobody else waiting."""
    return _leave_everywhere(Q(pk__in=waiters), now)


def dismiss_late(*, now: datetime) -> int:
    """Detach every waiter whose budget has ended (its process may be gone)."""
    return _leave_everywhere(Q(until__lte=now), now)


def _leave_everywhere(which: Q, now: datetime) -> int:
    waiters = BackfillWaiter.objects.filter(which)
    nodes: set[int] = set(waiters.values_list("job__node_id", flat=True))
    return sum(_leave(node, which, now) for node in sorted(nodes))


def _leave(node_pk: int, which: Q, now: datetime) -> int:
    with transaction.atomic():
        lock_node(node_pk)
        leaving = BackfillWaiter.objects.filter(which, job__node=node_pk)
        jobs = list(leaving.values_list("job", flat=True).distinct())
        leaving.delete()
        return _lower(jobs, now)


def _raise(job_ids: Sequence[int], now: datetime) -> int:
    shards = BackfillShard.objects.filter(
        _waited_on(now), job__in=job_ids, state__in=UNFINISHED_SHARD_STATES, wanted_now=False
    )
    return shards.update(
        wanted_now=True,
        rank=moved_rank(to=WANTED_PRIORITY),
        priority=WANTED_PRIORITY,
    )


def _lower(job_ids: Sequence[int], now: datetime) -> int:
    own = Subquery(BackfillJob.objects.filter(pk=OuterRef("job")).values("priority"))
    left = BackfillShard.objects.filter(
        ~_waited_on(now), job__in=job_ids, wanted_now=True, state__in=UNFINISHED_SHARD_STATES
    )
    return left.update(
        wanted_now=False,
        rank=moved_rank(to=own),
        priority=own,
    )


def _waited_on(now: datetime) -> Exists:
    return Exists(
        BackfillWaiter.objects.filter(
            job=OuterRef("job"),
            range_start__lte=OuterRef("range_end"),
            range_end__gte=OuterRef("range_start"),
            until__gt=now,
        )
    )
