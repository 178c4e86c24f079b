"""How far jobs are, and waiting for them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet, Sum

from coordinator.coverage import CoverageRange
from coordinator.lease_state import (
    ACTIVE_JOB_STATES,
    UNFINISHED_SHARD_STATES,
    JobState,
    ShardState,
)
from coordinator.models import BackfillJob, BackfillShard
from coordinator.services.job_rows import no_such_job

POLL_SECONDS = 0.1
RANGES_TOLD_APART = 100

Ranges = Sequence[CoverageRange]


@dataclass(frozen=True, slots=True)
class JobProgress:
    """`committed_bars` are the expected bars of shards that are done, `written_bars` the rows they
    brought: a source without data for a bar still ends the shard.
    """

    job_id: int
    state: JobState
    shards: Mapping[ShardState, int]
    committed_bars: int
    expected_bars: int
    written_bars: int
    open_bars: int
    """Expected bars of shards that have not ended."""

    @property
    def ratio(self) -> float:
        return self.committed_bars / self.expected_bars if self.expected_bars else 1.0

    @property
    def has_ended(self) -> bool:
        return self.state not in ACTIVE_JOB_STATES


def progress(job_id: int) -> JobProgress:
    """Counted from the shards, so it cannot drift from them. Raises NoSuchJob."""
    job = BackfillJob.objects.filter(pk=job_id).first()
    if job is None:
        raise no_such_job(job_id)
    groups = {
        ShardState(group["state"]): group
        for group in BackfillShard.objects.filter(job=job_id)
        .values("state")
        .annotate(shards=Count("pk"), bars=Sum("expected_bars"), rows=Sum("n_rows"))
    }
    done = groups.get(ShardState.DONE, {"bars": 0, "rows": 0})
    return JobProgress(
        job_id=job_id,
        state=JobState(job.state),
        shards={state: group["shards"] for state, group in groups.items()},
        committed_bars=done["bars"],
        expected_bars=job.expected_bars,
        written_bars=done["rows"],
        open_bars=sum(
            group["bars"] for state, group in groups.items() if state in UNFINISHED_SHARD_STATES
        ),
    )


def have_ended(job_ids: Sequence[int], ranges: Ranges = ()) -> bool:
    """Whether nothing of the jobs is left to do in these ranges; without ranges, the jobs' end.

    So who joined a long job for a few bars waits for those alone, also where the job is paused.
    """
    if ranges:
        return not unfinished_in(job_ids, ranges).exists()
    return not BackfillJob.objects.filter(pk__in=job_ids, state__in=ACTIVE_JOB_STATES).exists()


def unfinished_in(job_ids: Sequence[int], ranges: Ranges = ()) -> QuerySet[BackfillShard]:
    """The unfinished shards of the jobs that touch the ranges, if any are given (of very many:
    their hull).
    """
    if len(ranges) > RANGES_TOLD_APART:
        ranges = [CoverageRange(min(s for s, _ in ranges), max(e for _, e in ranges))]
    touching = Q()
    for start, end in ranges:
        touching |= Q(range_start__lte=end, range_end__gte=start)
    return BackfillShard.objects.filter(
        touching, job__in=job_ids, state__in=UNFINISHED_SHARD_STATES
    )


def wait_for(job_ids: Sequence[int], deadline: float, ranges: Ranges = ()) -> bool:
    """Wait until `have_ended`, at most until `deadline` (`time.monotonic()`); whether.

    A requester whose time is over just leaves: the work goes on.
    """
    while not have_ended(job_ids, ranges):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(POLL_SECONDS, left))
    return True
