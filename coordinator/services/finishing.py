"""How jobs end: by themselves with a certificate or a list of violations, or cancelled."""

from datetime import datetime

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet

from coordinator import counters
from coordinator.lease_state import (
    ACTIVE_JOB_STATES,
    UNFINISHED_SHARD_STATES,
    JobState,
    ShardState,
    ViolationCode,
    cancelled,
    job_outcome,
)
from coordinator.models import BackfillJob
from coordinator.recovery import job_event, tell_hooks
from coordinator.services.certifying import certificate_of
from coordinator.services.job_rows import (
    JobHasEnded,
    jobs_with_context,
    locked_job,
    require_operator,
)
from coordinator.services.shard_rows import SYSTEM, store_all
from registry.actors import Actor
from registry.services.actions import audited_action
from registry.services.audit import record


def close_finished_jobs(*, now: datetime, job_ids: list[int] | None = None) -> list[int]:
    """End every active job (of these) whose shards have all ended, or whose failure budget is
    spent; the ids of those it ended.

    In a transaction of its own, after the shard's: two last shards do not see each other.
    """
    active = BackfillJob.objects.filter(state__in=ACTIVE_JOB_STATES)
    if job_ids is not None:
        active = active.filter(pk__in=job_ids)
    for pk in _over_budget(active).values_list("pk", flat=True):
        _end_over_budget(pk, now)
    finished = active.exclude(shards__state__in=UNFINISHED_SHARD_STATES)
    return [pk for pk in finished.values_list("pk", flat=True) if _close(pk, now)]


def cancel_job(*, actor: Actor, job_id: int, reason: str, now: datetime) -> None:
    """End a job at once: after this no result of it commits, whoever still works on it.

    Shards already done stay done; the others end `violation(cancelled)`. Raises NoSuchJob,
    NotAllowed and JobHasEnded.
    """
    with audited_action(
        "backfill.job.cancel",
        actor=actor,
        object_type="backfill_job",
        object_id=job_id,
        now=now,
        reason=reason,
    ) as entry:
        job = locked_job(job_id)
        require_operator(actor, job.node)
        if job.state not in ACTIVE_JOB_STATES:
            raise JobHasEnded(f"Backfill job {job_id} is {job.state}; it cannot be cancelled.")
        entry.before = {"state": job.state}
        ended = _end_unfinished(job, ViolationCode.CANCELLED, reason, now)
        _end(job, JobState.CANCELLED, now)
        entry.after = {"state": JobState.CANCELLED, "shards_ended": ended}


def _close(job_id: int, now: datetime) -> bool:
    with transaction.atomic():
        job = jobs_with_context().select_for_update(of=("self",)).get(pk=job_id)
        states = job.shards.values_list("state", flat=True).distinct()
        outcome = job_outcome(ShardState(state) for state in states)
        if outcome is None or job.state not in ACTIVE_JOB_STATES:
            return False
        _end(job, outcome, now)
        certificate = certificate_of(job)
        record(
            actor=Actor.system(SYSTEM),
            action="backfill.certificate" if outcome is JobState.DONE else "backfill.violation",
            object_type="backfill_job",
            object_id=str(job_id),
            now=now,
            after=certificate,
        )
        tell_hooks("completed", job_event(job, outcome, certificate))
    return True


def _over_budget(active: QuerySet[BackfillJob]) -> QuerySet[BackfillJob]:
    violations = Count("shards", filter=Q(shards__state=ShardState.VIOLATION))
    limited = active.filter(failure_budget__isnull=False).annotate(violations=violations)
    return limited.filter(violations__gt=F("failure_budget"))


def _end_over_budget(job_id: int, now: datetime) -> None:
    """End what is left of a job that fails too much; `_close` then writes its report."""
    with transaction.atomic():
        job = locked_job(job_id)
        if not _over_budget(BackfillJob.objects.filter(pk=job_id)).exists():
            return
        why = f"more than {job.failure_budget} shards of the job ended as violations"
        ended = _end_unfinished(job, ViolationCode.FAILURE_BUDGET, why, now)
        record(
            actor=Actor.system(SYSTEM),
            action="backfill.job.stop",
            object_type="backfill_job",
            object_id=str(job_id),
            now=now,
            reason=why,
            after={"shards_ended": ended},
        )


def _end(job: BackfillJob, state: JobState, now: datetime) -> None:
    job.state, job.ended_at = state, now
    job.save(update_fields=["state", "ended_at"])
    if state is JobState.DONE:
        latency = counters.GAP_REPAIR_MS.labels(job.node.node_id, str(job.interval))
        latency.observe((now - job.created_at).total_seconds() * 1000)


def _end_unfinished(job: BackfillJob, code: ViolationCode, reason: str, now: datetime) -> int:
    """End every unfinished shard, fenced off by a new epoch; how many."""
    unfinished = job.shards.filter(state__in=UNFINISHED_SHARD_STATES)
    return store_all(unfinished, cancelled, violation=code, last_error=reason, done_at=now)
