"""Ending an attempt without its rows: again after a backoff, or for good."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from coordinator import counters
from coordinator.configuration import retry_policy
from coordinator.lease_state import (
    ShardState,
    StaleLease,
    ViolationCode,
    failed,
    held_back,
    refused,
)
from coordinator.models import BackfillShard, Quarantine
from coordinator.ports import JSONObject, QuarantinedRow
from coordinator.recovery import shard_event, tell_hooks
from coordinator.services.shard_rows import SYSTEM, locked_shard, store_lease
from registry.actors import Actor
from registry.audit.events import recordable
from registry.services.audit import record

QUARANTINE_LIMIT = 1_000
ERROR_LIMIT = 2_000
MOST_HELD_BACK = 100

log = structlog.get_logger("seamless.backfill")


def mark_failed(
    *, shard_id: int, epoch: int, reason: str, now: datetime, since: datetime | None = None
) -> ShardState | None:
    """Take one attempt back from its holder; None where that epoch no longer holds the shard.

    `since`: when it failed, where that was found out only now; the backoff runs from there.
    Idempotent, so every failure signal may call it: an expiry, a lost child, the holder itself.
    """
    with transaction.atomic():
        shard = locked_shard(shard_id)
        before = shard.lease
        try:
            lease = failed(
                before, epoch=epoch, now=since or now, policy=retry_policy(), draw=random.random
            )
        except StaleLease:
            return None
        ended = lease.state is ShardState.VIOLATION
        error = reason[:ERROR_LIMIT]
        outcome = {"violation": ViolationCode.ATTEMPTS_EXHAUSTED, "done_at": now} if ended else {}
        store_lease(shard_id, before, lease, last_error=error, **outcome)
        _record_failure(shard, lease.state, error, now)
    _log_failure(shard, lease.state, error)
    return lease.state


def end_refused(
    *,
    shard_id: int,
    epoch: int,
    code: str,
    diagnostics: Sequence[JSONObject],
    quarantined: Sequence[QuarantinedRow],
    now: datetime,
) -> None:
    """End the shard `violation`, its rows in quarantine. Raises StaleLease: not ours to end."""
    with transaction.atomic():
        shard = locked_shard(shard_id)
        before = shard.lease
        lease = refused(before, epoch=epoch)
        error = f"{code}: {len(diagnostics)} finding(s) in {len(quarantined)} row(s)"
        store_lease(
            shard_id,
            before,
            lease,
            violation=code,
            last_error=error,
            diagnostics=recordable(diagnostics),
            done_at=now,
        )
        keep_in_quarantine(shard_id=shard_id, epoch=epoch, rows=quarantined, now=now)
        _record_failure(shard, lease.state, error, now)
    _log_failure(shard, lease.state, error)


def keep_in_quarantine(
    *, shard_id: int, epoch: int, rows: Sequence[QuarantinedRow], now: datetime
) -> None:
    """Keep at most the first 1,000 rows of a shard; the findings count all of them."""
    Quarantine.objects.bulk_create(
        Quarantine(
            shard_id=shard_id,
            epoch=epoch,
            row=recordable(kept.row),
            diagnostics=recordable(kept.diagnostics),
            created_at=now,
        )
        for kept in rows[:QUARANTINE_LIMIT]
    )


def hold_back(*, shard_id: int, epoch: int, wait: timedelta, reason: str, now: datetime) -> bool:
    """Give a shard back because its source is busy; whether that epoch held it.

    Costs no attempt, until the source has said so a hundred times: every shard ends some day.
    """
    with transaction.atomic():
        shard = locked_shard(shard_id)
        before = shard.lease
        if shard.held_back >= MOST_HELD_BACK and before.attempts >= retry_policy().max_attempts:
            return mark_failed(shard_id=shard_id, epoch=epoch, reason=reason, now=now) is not None
        try:
            lease = held_back(
                before,
                epoch=epoch,
                now=now,
                wait=wait,
                costs_attempt=shard.held_back >= MOST_HELD_BACK,
            )
        except StaleLease:
            return False
        error = reason[:ERROR_LIMIT]
        store_lease(shard_id, before, lease, last_error=error, held_back=shard.held_back + 1)
        record(
            actor=Actor.system(SYSTEM),
            action="backfill.shard.hold_back",
            object_type="backfill_shard",
            object_id=str(shard_id),
            now=now,
            reason=error,
            after={"epoch": epoch, "source": shard.job.source, "seconds": wait.total_seconds()},
        )
    log.warning("seamless.backfill.held_back", **shard_fields(shard, error))
    return True


def fail_lost_holder(*, holder: str, reason: str, now: datetime) -> ShardState | None:
    """The holder is known to be dead: no need to wait for its lease to expire."""
    held = (
        BackfillShard.objects.filter(state=ShardState.LEASED, holder=holder)
        .values_list("pk", "epoch")
        .first()
    )
    if held is None:
        return None
    counters.LEASE_EXPIRED.labels("worker_lost").inc()
    return mark_failed(shard_id=held[0], epoch=held[1], reason=reason, now=now)


def _record_failure(shard: BackfillShard, state: ShardState, error: str, now: datetime) -> None:
    ended = state is ShardState.VIOLATION
    record(
        actor=Actor.system(SYSTEM),
        action="backfill.shard.violation" if ended else "backfill.shard.fail",
        object_type="backfill_shard",
        object_id=str(shard.pk),
        now=now,
        reason=error,
        after={"epoch": shard.epoch, "attempt": shard.attempts, "holder": shard.holder},
    )
    tell_hooks("violated" if ended else "failed", shard_event(shard, error=error))


def _log_failure(shard: BackfillShard, state: ShardState, error: str) -> None:
    job = shard.job
    ended = state is ShardState.VIOLATION
    counter = counters.FAILURES if ended else counters.RETRIES
    counter.labels(job.node.node_id, str(job.interval)).inc()
    fields = shard_fields(shard, error)
    if ended:
        log.error("seamless.backfill.failed", source="fetcher", **fields)
    else:
        log.warning("seamless.backfill.retry", **fields)


def shard_fields(shard: BackfillShard, error: str = "") -> dict[str, object]:
    """What the batch events carry."""
    job = shard.job
    node_id, interval = job.node.node_id, job.interval
    return {
        "batch_id": f"{node_id}:{interval}:{shard.range_start}:{shard.range_end}",
        "attempt": shard.attempts,
        "node_id": node_id,
        "interval": interval,
        "start": shard.range_start,
        "end": shard.range_end,
        "error": error,
        "request_id": job.request_id,
    }
