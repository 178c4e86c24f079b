"""How backfill jobs stand: what a reader says of them in its answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.coverage import CoverageRange
from coordinator.lease_state import UNFINISHED_SHARD_STATES, ShardState
from coordinator.models import BackfillJob, BackfillShard


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """A job's state, and of its shards in a range: how many are left to do, and the codes of those
    that ended without their bars.
    """

    job_id: int
    state: str
    violations: tuple[str, ...]
    unfinished: int = 0

    @property
    def is_running(self) -> bool:
        return self.unfinished > 0


def outcomes_of(job_ids: Sequence[int], *, within: CoverageRange | None = None) -> list[JobOutcome]:
    """Two queries, however many jobs; none for none. `within`: what becomes of other bars of a job
    is nothing to a reader of this range.
    """
    if not job_ids:
        return []
    watched = (ShardState.VIOLATION, *UNFINISHED_SHARD_STATES)
    shards = BackfillShard.objects.filter(job__in=job_ids, state__in=watched)
    if within is not None:
        shards = shards.filter(range_start__lte=within.end, range_end__gte=within.start)
    failed: dict[int, list[str]] = {}
    unfinished: dict[int, int] = {}
    rows = shards.order_by("pk").values_list("job_id", "state", "violation")
    for job_id, state, code in rows:
        if state == ShardState.VIOLATION:
            failed.setdefault(job_id, []).append(code)
        else:
            unfinished[job_id] = unfinished.get(job_id, 0) + 1
    states = BackfillJob.objects.filter(pk__in=job_ids).order_by("pk").values_list("pk", "state")
    return [
        JobOutcome(pk, state, tuple(failed.get(pk, ())), unfinished.get(pk, 0))
        for pk, state in states
    ]
