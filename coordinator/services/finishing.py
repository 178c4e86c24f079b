"""How jobs end: by themselves with a certificate or a list of violations, or cancelled."""

import hashlib
from datetime import datetime
from typing import Any

from django.db import transaction

from coordinator.lease_state import (
    ACTIVE_JOB_STATES,
    UNFINISHED_SHARD_STATES,
    JobState,
    ShardState,
    ViolationCode,
    cancelled,
    job_outcome,
)
from coordinator.models import BackfillJob, BackfillShard
from coordinator.services.shard_rows import SYSTEM, store_lease
from registry.actors import Actor
from registry.canonical import canonicalize
from registry.errors import Conflict, NotFound
from registry.services.audit import record

RANGES_LISTED = 1_000


class NoSuchJob(NotFound):
    code = "no_such_backfill"


class JobHasEnded(Conflict):
    code = "backfill_has_ended"


def close_finished_jobs(*, now: datetime, job_ids: list[int] | None = None) -> list[int]:
    """End every active job (of these) whose shards have all ended; the ids of those it ended.

    In a transaction of its own, after the shard's: two last shards do not see each other.
    """
    jobs = BackfillJob.objects.filter(state__in=ACTIVE_JOB_STATES).exclude(
        shards__state__in=UNFINISHED_SHARD_STATES
    )
    if job_ids is not None:
        jobs = jobs.filter(pk__in=job_ids)
    return [pk for pk in jobs.values_list("pk", flat=True) if _close(pk, now)]


def cancel_job(*, actor: Actor, job_id: int, reason: str, now: datetime) -> None:
    """End a job at once: after this no result of it commits, whoever still works on it.

    Shards already done stay done; the others end `violation(cancelled)`. Raises NoSuchJob and
    JobHasEnded.
    """
    with transaction.atomic():
        job = BackfillJob.objects.select_for_update().filter(pk=job_id).first()
        if job is None:
            raise NoSuchJob(f"There is no backfill job {job_id}.")
        if job.state not in ACTIVE_JOB_STATES:
            raise JobHasEnded(f"Backfill job {job_id} is {job.state}; it cannot be cancelled.")
        unfinished = job.shards.filter(state__in=UNFINISHED_SHARD_STATES).order_by("pk")
        count = 0
        for shard in unfinished.select_for_update():
            count += _cancel_shard(shard, reason, now)
        _end(job, JobState.CANCELLED, now)
        record(
            actor=actor,
            action="backfill.job.cancel",
            object_type="backfill_job",
            object_id=str(job_id),
            now=now,
            reason=reason,
            after={"state": JobState.CANCELLED, "shards_ended": count},
        )


def certificate_of(job: BackfillJob) -> dict[str, Any]:
    """What a finished job states: expected and written bars, a checksum over its ranges, epochs.

    `missing` holds the ranges that ended without rows, each with its error. Both lists stop at
    1,000 entries; the counts and the checksum cover all.
    """
    shards = list(job.shards.order_by("range_start"))
    done = [shard for shard in shards if shard.state == ShardState.DONE]
    missing = [shard for shard in shards if shard.state != ShardState.DONE]
    digest = canonicalize([[shard.range_start, shard.range_end, shard.checksum] for shard in done])
    version = job.bound_version
    return {
        "state": job.state,
        "node_id": job.node.node_id,
        "interval": job.interval,
        "range": list(job.range),
        "schema": {
            "subject": version.subject.name,
            "version": version.number,
            "fingerprint": version.resolved_fingerprint,
        },
        "expected_bars": job.expected_bars,
        "written_bars": sum(shard.n_rows or 0 for shard in done),
        "checksum": f"sha256:{hashlib.sha256(digest).hexdigest()}",
        "shards": len(shards),
        "done": [
            {
                "range": list(shard.range),
                "rows": shard.n_rows,
                "checksum": shard.checksum,
                "epoch": shard.epoch,
            }
            for shard in done[:RANGES_LISTED]
        ],
        "missing": [
            {"range": list(shard.range), "code": shard.violation, "error": shard.last_error}
            for shard in missing[:RANGES_LISTED]
        ],
    }


def _close(job_id: int, now: datetime) -> bool:
    with transaction.atomic():
        jobs = BackfillJob.objects.select_related("node", "bound_version__subject")
        job = jobs.select_for_update(of=("self",)).get(pk=job_id)
        states = job.shards.values_list("state", flat=True).distinct()
        outcome = job_outcome(ShardState(state) for state in states)
        if outcome is None or job.state not in ACTIVE_JOB_STATES:
            return False
        _end(job, outcome, now)
        record(
            actor=Actor.system(SYSTEM),
            action="backfill.certificate" if outcome is JobState.DONE else "backfill.violation",
            object_type="backfill_job",
            object_id=str(job_id),
            now=now,
            after=certificate_of(job),
        )
    return True


def _end(job: BackfillJob, state: JobState, now: datetime) -> None:
    job.state, job.ended_at = state, now
    job.save(update_fields=["state", "ended_at"])


def _cancel_shard(shard: BackfillShard, reason: str, now: datetime) -> bool:
    return store_lease(
        shard.pk,
        shard.lease,
        cancelled(shard.lease),
        violation=ViolationCode.CANCELLED,
        last_error=reason,
        done_at=now,
    )
