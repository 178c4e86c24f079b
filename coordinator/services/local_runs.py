"""A requester that runs the shards it waits for itself, under the same fence as any worker."""

import os
import socket
import threading
import time
from collections.abc import Sequence

import structlog
from django.db import connection
from django.db.models import Sum

from coordinator.lease_state import ShardState
from coordinator.mode import Mode, coordinator_mode
from coordinator.models import BackfillShard
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.progress import Ranges, have_ended, unfinished_in, wait_for
from coordinator.services.reconciling import reconcile
from coordinator.services.running import run_shard

POLL_SECONDS = 0.1
PICKUP_SECONDS = 2.0
MAX_RUNNERS = 4

log = structlog.get_logger("seamless.backfill")

_runners = threading.BoundedSemaphore(MAX_RUNNERS)


def finish_jobs(job_ids: Sequence[int], deadline: float, ranges: Ranges = ()) -> bool:
    """Wait for the jobs (for these ranges of them) while workers run them, and run them here when
    nobody does; whether all ended before `deadline` (`time.monotonic()`).

    Nobody does: Redis is away, or no shard of them was touched for two seconds.
    """
    while not have_ended(job_ids, ranges):
        if time.monotonic() >= deadline:
            return False
        if coordinator_mode() is not Mode.FULL:
            return run_pending_here(job_ids, deadline, ranges)
        before = _traces(job_ids)
        if wait_for(job_ids, min(deadline, time.monotonic() + PICKUP_SECONDS), ranges):
            return True
        if _traces(job_ids) == before and not _is_being_run(job_ids):
            log.warning("seamless.backfill.nobody_runs", job_ids=list(job_ids))
            return run_pending_here(job_ids, deadline, ranges)
    return True


def run_pending_here(job_ids: Sequence[int], deadline: float, ranges: Ranges = ()) -> bool:
    """Run what is claimable of these jobs in this process until `have_ended`; whether that was
    before `deadline`.

    The work is done by a thread (four per process at most), so that a source that hangs costs the
    caller no more than the deadline; the thread then goes on alone, under its leases.
    """
    if _runners.acquire(blocking=False):
        threading.Thread(
            target=_run_all, args=(list(job_ids), ranges), name="backfill-here", daemon=True
        ).start()
    return wait_for(job_ids, deadline, ranges)


def _run_all(job_ids: list[int], ranges: Ranges) -> None:
    holder = f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"
    try:
        while not have_ended(job_ids, ranges):
            claim = claim_shard(holder=holder, now=database_now(), job_ids=job_ids)
            if claim is not None:
                run_shard(claim=claim)
            elif unfinished_in(job_ids).exists():  # in backoff, or held by one who may die
                reconcile(now=database_now())
                time.sleep(POLL_SECONDS)
            else:
                break
    except Exception:
        log.exception("seamless.backfill.background_failed", job_ids=job_ids)
    finally:
        connection.close()
        _runners.release()


def _is_being_run(job_ids: Sequence[int]) -> bool:
    return BackfillShard.objects.filter(
        job__in=job_ids, state=ShardState.LEASED, expires_at__gte=database_now()
    ).exists()


def _traces(job_ids: Sequence[int]) -> int:
    """A number that rises with every claim, so that two equal ones mean that nobody came."""
    return BackfillShard.objects.filter(job__in=job_ids).aggregate(n=Sum("epoch"))["n"] or 0
