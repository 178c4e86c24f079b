"""What an operator does to a job that exists: pause, resume, reorder, do again."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from functools import partial

from django.db import transaction
from django.db.models import F, Q, QuerySet

from coordinator.coverage import merge_coverage
from coordinator.failure_budget import FailureBudget
from coordinator.lease_state import (
    ACTIVE_JOB_STATES,
    PRIORITIES,
    UNFINISHED_SHARD_STATES,
    JobState,
    ShardState,
    queue_rank,
    reopened,
)
from coordinator.models import BackfillJob, BackfillShard
from coordinator.queue import announce
from coordinator.services.job_rows import JobHasEnded, locked_job, require_operator
from coordinator.services.requesting import BackfillRequest, Wish, carry_out, outline_of
from coordinator.services.shard_rows import moved_rank, store_all
from registry.actors import Actor
from registry.errors import Conflict, InvalidInput
from registry.services.actions import audited_action
from registry.services.proposals import latest_version


class Again(StrEnum):
    """Which shards of a job are done again."""

    FAILED = "failed"
    """Those that ended as violations, cancelled ones included."""

    MISSING = "missing"
    """Those, and the ones that brought fewer rows than expected bars."""

    ALL = "all"
    """Every one that has ended or is being run."""

    STALE = "stale"
    """Those done under a schema version that is no longer the subject's latest."""


class JobNotInState(Conflict):
    code = "backfill_not_in_state"


class NothingToDoAgain(Conflict):
    code = "nothing_to_reprocess"


class RangeTaken(Conflict):
    code = "range_taken"


def pause_job(*, actor: Actor, job_id: int, now: datetime, reason: str = "") -> BackfillJob:
    """Claim no more shards of the job, but for those a reader waits for; what runs is finished.

    Raises NoSuchJob, NotAllowed, JobHasEnded and JobNotInState.
    """
    return _move(actor, job_id, now, reason, "pause", to=JobState.PAUSED)


def resume_job(*, actor: Actor, job_id: int, now: datetime, reason: str = "") -> BackfillJob:
    """Go on with what is unfinished. Raises as `pause_job`."""
    return _move(actor, job_id, now, reason, "resume", to=JobState.RUNNING)


def change_priority(
    *, actor: Actor, job_id: int, priority: int, now: datetime, reason: str = ""
) -> BackfillJob:
    """Move the unfinished shards of the job in the queue; those a reader waits for stay in front.

    A point of priority is worth 36 seconds of waiting. Raises NoSuchJob, NotAllowed, JobHasEnded
    and InvalidInput.
    """
    with audited_action(
        "backfill.job.priority",
        actor=actor,
        object_type="backfill_job",
        object_id=job_id,
        now=now,
        reason=reason,
    ) as entry:
        job = locked_job(job_id)
        require_operator(actor, job.node)
        check_priority(priority)
        _require_active(job)
        entry.before, entry.after = {"priority": job.priority}, {"priority": priority}
        job.priority = priority
        job.save(update_fields=["priority"])
        job.shards.filter(state__in=UNFINISHED_SHARD_STATES, wanted_now=False).update(
            rank=moved_rank(to=priority), priority=priority
        )
        return job


def reprocess_job(
    *,
    actor: Actor,
    job_id: int,
    again: Again,
    now: datetime,
    newest_first: bool = False,
    reason: str = "",
) -> BackfillRequest:
    """Do shards of a job again: the request that is fulfilled when they have ended once more.

    The same job opens again, each of those shards under its next epoch, so nothing older commits
    after this. `STALE` shards become new jobs, bound to the latest version. Raises NoSuchJob,
    NotAllowed, NothingToDoAgain and RangeTaken.
    """
    with audited_action(
        "backfill.job.reprocess",
        actor=actor,
        object_type="backfill_job",
        object_id=job_id,
        now=now,
        reason=reason,
    ) as entry:
        job = locked_job(job_id)
        require_operator(actor, job.node)
        shards = job.shards.filter(_chosen(again, job))
        if not shards.exists():
            raise NothingToDoAgain(f"Backfill job {job_id} has no shard that is {again}.")
        entry.before = {"state": job.state}
        entry.after = {"again": again, "newest_first": newest_first, "shards": shards.count()}
        if again is Again.STALE:
            return _under_the_latest_version(job, shards, actor, now, newest_first)
        open_again(job, shards, now=now, newest_first=newest_first)
        return BackfillRequest(created=(), joined=(job.pk,))


def open_again(
    job: BackfillJob, shards: QuerySet[BackfillShard], *, now: datetime, newest_first: bool = False
) -> int:
    """Reopen these shards of a job that the caller holds; how many. Raises RangeTaken."""
    if job.state not in ACTIVE_JOB_STATES:
        _refuse_overlap(job)
        job.state, job.ended_at = JobState.RUNNING, None
        job.save(update_fields=["state", "ended_at"])
    place = (F("range_start") - job.range_start) / job.interval
    if newest_first:
        place = (job.range_end - F("range_start")) / job.interval
    opened = store_all(
        shards,
        partial(reopened, now=now),
        rank=queue_rank(now, job.priority) + place,
        priority=job.priority,
        wanted_now=False,
        leased_at=None,
        held_back=0,
        n_rows=None,
        checksum="",
        violation="",
        last_error="",
        diagnostics=[],
        done_at=None,
    )
    transaction.on_commit(partial(announce, opened), robust=True)
    return opened


def check_priority(priority: int) -> None:
    """Raises InvalidInput outside of what people may choose."""
    if priority not in PRIORITIES:
        raise InvalidInput(
            f"A priority is {PRIORITIES[0]} to {PRIORITIES[-1]}, not {priority}.",
            parameter="priority",
        )


def _move(
    actor: Actor, job_id: int, now: datetime, reason: str, verb: str, *, to: JobState
) -> BackfillJob:
    with audited_action(
        f"backfill.job.{verb}",
        actor=actor,
        object_type="backfill_job",
        object_id=job_id,
        now=now,
        reason=reason,
    ) as entry:
        job = locked_job(job_id)
        require_operator(actor, job.node)
        _require_active(job)
        if (job.state == JobState.PAUSED) == (to is JobState.PAUSED):
            raise JobNotInState(f"Backfill job {job_id} is {job.state}: nothing to {verb}.")
        entry.before, entry.after = {"state": job.state}, {"state": to}
        job.state = to
        job.save(update_fields=["state"])
        if to is JobState.RUNNING:
            transaction.on_commit(partial(announce, _unfinished(job)), robust=True)
        return job


def _unfinished(job: BackfillJob) -> int:
    return job.shards.filter(state__in=UNFINISHED_SHARD_STATES).count()


def _require_active(job: BackfillJob) -> None:
    if job.state not in ACTIVE_JOB_STATES:
        raise JobHasEnded(
            f"Backfill job {job.pk} is {job.state}; reprocess it to do a part of it again."
        )


def _chosen(again: Again, job: BackfillJob) -> Q:
    violated = Q(state=ShardState.VIOLATION)
    if again is Again.FAILED:
        return violated
    if again is Again.MISSING:
        return violated | Q(state=ShardState.DONE, n_rows__lt=F("expected_bars"))
    if again is Again.ALL:
        ended_or_running: Collection[str] = (
            ShardState.DONE,
            ShardState.VIOLATION,
            ShardState.LEASED,
        )
        return Q(state__in=ended_or_running)
    latest = latest_version(job.node.subject)
    is_stale = latest is not None and latest.pk != job.bound_version_id
    return Q(state=ShardState.DONE) if is_stale else Q(pk__in=())


def _under_the_latest_version(
    job: BackfillJob,
    shards: QuerySet[BackfillShard],
    actor: Actor,
    now: datetime,
    newest_first: bool,
) -> BackfillRequest:
    latest = latest_version(job.node.subject)
    assert latest is not None, "a subject with a bound version has a latest one"
    ranges = merge_coverage(shards.values_list("range_start", "range_end"), job.interval)
    budget = FailureBudget(shards=job.failure_budget)
    wish = Wish(job.node, ranges, latest, job.priority, newest_first, budget, origin=job.origin)
    return carry_out(outline_of(wish), actor=actor, now=now, requested_by=actor.name)


def _refuse_overlap(job: BackfillJob) -> None:
    other = BackfillJob.objects.filter(
        node=job.node_id,
        interval=job.interval,
        bound_version=job.bound_version_id,
        state__in=ACTIVE_JOB_STATES,
        range_start__lte=job.range_end,
        range_end__gte=job.range_start,
    ).first()
    if other is not None:
        raise RangeTaken(
            f"Backfill job {other.pk} is active over a part of job {job.pk}; let it end or cancel "
            "it first.",
            job=other.pk,
        )
