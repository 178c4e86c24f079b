"""Driving every unfinished shard on, from the database alone. Harmless if run twice at once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import connection, transaction

from coordinator import counters
from coordinator.lease_state import ShardState
from coordinator.models import BackfillShard
from coordinator.queue import ShardHint, announce
from coordinator.services.claiming import claimable_shards
from coordinator.services.failing import mark_failed
from coordinator.services.finishing import close_finished_jobs

BATCH = 200
REQUEUE_AFTER = timedelta(seconds=30)
_LOCK = 0x5EA1_BACF_1115  # any fixed number: the key of PostgreSQL's advisory lock

log = structlog.get_logger("seamless.backfill")


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What one round did: leases reaped, shards put on the queue, jobs ended."""

    reaped: int = 0
    requeued: int = 0
    closed: int = 0


def reconcile(*, now: datetime) -> Reconciled:
    """One round: reap expired leases, end jobs that are finished, queue shards that are due.

    At most 200 shards a step. Where another process is at it, nothing is done.
    """
    with transaction.atomic():
        if not _take_lock():
            return Reconciled()
        reaped = _reap(now)
        closed = close_finished_jobs(now=now)
        hints = _take_due(now)
    requeued = announce(hints)
    counters.REQUEUED.inc(requeued)
    done = Reconciled(reaped=reaped, requeued=requeued, closed=len(closed))
    if done != Reconciled():
        log.info("seamless.backfill.reconciled", reaped=reaped, requeued=requeued, closed=closed)
    return done


def _take_lock() -> bool:
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _reap(now: datetime) -> int:
    """Rows that are locked are in mid-commit: never stolen, seen again next time."""
    expired = (
        BackfillShard.objects.filter(state=ShardState.LEASED, expires_at__lt=now)
        .order_by("expires_at")
        .select_for_update(skip_locked=True)[:BATCH]
    )
    for shard in expired:
        counters.LEASE_EXPIRED.labels("reaped").inc()
        mark_failed(
            shard_id=shard.pk,
            epoch=shard.epoch,
            reason=f"LeaseExpired: {shard.holder} went silent",
            now=now,
        )
    return len(expired)


def _take_due(now: datetime) -> list[ShardHint]:
    """Shards that are due and not on the queue as far as we know, marked as queued."""
    due = (
        claimable_shards(now)
        .exclude(state=ShardState.LEASED)
        .exclude(queued_at__gt=now - REQUEUE_AFTER)
    )
    hints = [ShardHint(pk, epoch) for pk, epoch in due.values_list("pk", "epoch")[:BATCH]]
    BackfillShard.objects.filter(pk__in=[hint.shard_id for hint in hints]).update(queued_at=now)
    return hints
