"""How backfill jobs stand: what a reader says of them in its answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.lease_state import ACTIVE_JOB_STATES, ShardState
from coordinator.models import BackfillJob, BackfillShard


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """A job's state, and the codes of its shards that ended without their bars."""

    job_id: int
    state: str
    violations: tuple[str, ...]

    @property
    def is_running(self) -> bool:
        return self.state in ACTIVE_JOB_STATES


def outcomes_of(job_ids: Sequence[int]) -> list[JobOutcome]:
    """Two queries, however many jobs; none for none."""
    if not job_ids:
        return []
    failed: dict[int, list[str]] = {}
    shards = BackfillShard.objects.filter(job__in=job_ids, state=ShardState.VIOLATION)
    for job_id, code in shards.order_by("pk").values_list("job_id", "violation"):
        failed.setdefault(job_id, []).append(code)
    states = BackfillJob.objects.filter(pk__in=job_ids).order_by("pk").values_list("pk", "state")
    return [JobOutcome(pk, state, tuple(failed.get(pk, ()))) for pk, state in states]
