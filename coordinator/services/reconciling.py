"""Driving every unfinished shard on, from the database alone. Harmless if run twice at once."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from coordinator import counters
from coordinator.configuration import lease_times, quarantine_kept, reconcile_every
from coordinator.lease_state import ShardState
from coordinator.models import BackfillShard
from coordinator.queue import MOST_TICKETS, announce, tickets_waiting
from coordinator.services.claiming import claimable_shards
from coordinator.services.failing import mark_failed
from coordinator.services.finishing import close_finished_jobs
from coordinator.services.idempotency import forget_old_requests
from coordinator.services.limits import EVERY_SOURCE, closed_sources, source_wait
from coordinator.services.quarantine import forget_old_rows
from coordinator.services.rounds import take_round
from coordinator.services.waiters import dismiss_late

BATCH = 200
TIDY_EVERY = timedelta(hours=1)

log = structlog.get_logger("seamless.backfill")


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Leases reaped, waiters dismissed, tickets put on the queue, jobs ended in one round."""

    reaped: int = 0
    dismissed: int = 0
    requeued: int = 0
    closed: int = 0


def reconcile_when_due(*, now: datetime, by: str) -> Reconciled | None:
    """One round, unless somebody has had it just now: None then."""
    if not take_round(name="reconcile", every=reconcile_every(), now=now, by=by):
        return None
    done = reconcile(now=now)
    if take_round(name="tidy", every=TIDY_EVERY, now=now, by=by):
        forget_old_requests(now=now)
        forget_old_rows(now=now, kept_for=quarantine_kept())
    return done


def reconcile(*, now: datetime) -> Reconciled:
    """One round: reap expired leases, dismiss readers whose time is over, end finished jobs, and
    put on the queue what is due.

    Each step in transactions of its own, none of which holds one shard while it waits for another.
    """
    done = Reconciled(
        reaped=_reap(now),
        dismissed=dismiss_late(now=now),
        closed=len(close_finished_jobs(now=now)),
        requeued=_requeue(now),
    )
    counters.REQUEUED.inc(done.requeued)
    if done != Reconciled():
        log.info("seamless.backfill.reconciled", **asdict(done))
    return done


def pass_ticket_on(*, source: str, now: datetime) -> int:
    """Put one ticket back for the one that was used, while there is something to claim.

    So a long job needs no more tickets than workers, and a source with a limit is gone on with
    at its pace instead of the reconciler's.
    """
    due, closed = claimable_shards(now), closed_sources(now)
    if not closed:
        return announce(1) if due.exists() else 0
    if EVERY_SOURCE not in closed and due.exclude(job__source__in=closed).exists():
        return announce(1)
    return announce(1, delay=source_wait(source, now)) if due.exists() else 0


def _reap(now: datetime) -> int:
    expired = BackfillShard.objects.filter(state=ShardState.LEASED, expires_at__lt=now)
    found = expired.order_by("expires_at").values_list("pk", flat=True)[:BATCH]
    return sum(_reap_one(pk, now) for pk in found)


def _reap_one(shard_id: int, now: datetime) -> bool:
    """A row that is locked is in mid-commit: never stolen, seen again next time."""
    with transaction.atomic():
        shard = (
            BackfillShard.objects.filter(pk=shard_id, state=ShardState.LEASED, expires_at__lt=now)
            .select_for_update(skip_locked=True)
            .first()
        )
        if shard is None or shard.expires_at is None:
            return False
        reason = f"LeaseExpired: {shard.holder} went silent"
        last_sign = shard.expires_at - lease_times().ttl  # a lease's life was wait enough
        mark_failed(shard_id=shard.pk, epoch=shard.epoch, reason=reason, now=now, since=last_sign)
    counters.LEASE_EXPIRED.labels("reaped").inc()
    return True


def _requeue(now: datetime) -> int:
    """Tickets for what is due, less those that wait already; lost ones are so made up for."""
    closed = closed_sources(now)
    if EVERY_SOURCE in closed:
        return 0
    due = claimable_shards(now).exclude(job__source__in=closed)
    wanted = len(due.values_list("pk")[:MOST_TICKETS])
    if not wanted:
        return 0
    waiting = tickets_waiting()
    return 0 if waiting is None else announce(wanted - waiting)
