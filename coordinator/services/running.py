"""Running one shard: fetch and stage outside any transaction, then the fenced publish."""

import random
import time
from dataclasses import dataclass
from datetime import timedelta

import structlog
from structlog.contextvars import bound_contextvars

from coordinator.configuration import lease_times, retry_policy
from coordinator.lease_state import ShardState, StaleLease, backoff
from coordinator.leases import live_leases
from coordinator.ports import (
    CancelSignal,
    ShardHandler,
    ShardRefused,
    SourceBusy,
    Staged,
    shard_handler,
)
from coordinator.services.claiming import Claim, claim_fields
from coordinator.services.database_clock import database_now
from coordinator.services.failing import end_refused, hold_back, mark_failed
from coordinator.services.finishing import close_finished_jobs
from coordinator.services.heartbeat import Heartbeat
from coordinator.services.limits import block_source
from coordinator.services.progress import unfinished_in
from coordinator.services.publishing import has_committed, publish_shard
from registry.spans import Attribute, span

SHORTEST_WAIT, LONGEST_WAIT = 1.0, 3_600.0  # seconds of a source's Retry-After

log = structlog.get_logger("seamless.backfill")


@dataclass(frozen=True, slots=True)
class ShardRun:
    """How one run of a shard ended. `state` is None where the lease was lost on the way."""

    shard_id: int
    epoch: int
    state: ShardState | None
    n_rows: int = 0
    error: str = ""


def run_shard(*, claim: Claim, signal: CancelSignal | None = None) -> ShardRun:
    """Do the work of a claim and end it: done, failed (to be tried again) or violation.

    Never raises for what the handler or the lease did wrong. `signal` stops it from outside.
    """
    facts: dict[str, Attribute] = {
        "node_id": claim.task.node_id,
        "backfill.lease_id": claim.lease_key,
        "backfill.epoch": claim.epoch,
    }
    with (
        bound_contextvars(request_id=claim.request_id),
        # The ticket that brought us here may have been anybody's.
        span("seamless.backfill.shard", facts, traceparent=claim.traceparent),
    ):
        log.info("seamless.backfill.attempt", source="fetcher", error="", **_batch(claim))
        run = _run(claim, signal or CancelSignal())
        live_leases().release(claim.lease_key, epoch=claim.epoch, holder=claim.holder)
        # Far cheaper than looking whether the job can be closed, which it rarely can.
        if run.state is ShardState.VIOLATION or not unfinished_in([claim.job_id]).exists():
            close_finished_jobs(now=database_now(), job_ids=[claim.job_id])
        return run


def _run(claim: Claim, signal: CancelSignal) -> ShardRun:
    try:
        handler = shard_handler(claim.node, claim.task.origin)
        with Heartbeat(claim, signal):
            staged = _staged(claim, handler, signal)
    except ShardRefused as refusal:
        return _refused(claim, refusal)
    except SourceBusy as busy:
        return _held_back(claim, busy)
    except Exception as error:  # whatever a handler raises costs one attempt
        return _failed(claim, error)
    return _published(claim, handler, staged)


def _staged(claim: Claim, handler: ShardHandler, signal: CancelSignal) -> Staged:
    signal.raise_if_set()
    table = handler.fetch(claim.range, time.monotonic() + lease_times().shard_seconds, signal)
    signal.progressed()
    signal.raise_if_set()
    staged = handler.stage(table, claim.task, claim.epoch)
    if signal.is_set():
        handler.discard(staged)
        signal.raise_if_set()
    return staged


def _published(claim: Claim, handler: ShardHandler, staged: Staged) -> ShardRun:
    try:
        publish_shard(claim=claim, handler=handler, staged=staged, now=database_now())
    except StaleLease as stale:
        handler.discard(staged)
        log.warning("seamless.backfill.fence_rejected", error=str(stale), **_batch(claim))
        return ShardRun(claim.shard_id, claim.epoch, None, error=str(stale))
    except Exception as error:
        # A connection that broke at COMMIT leaves open whether it arrived; the row tells, and
        # once it is marked failed nothing of ours can still commit.
        run = _failed(claim, error)
        if run.state is not None or not has_committed(claim):
            handler.discard(staged)
            return run
    log.info("seamless.backfill.succeeded", source="fetcher", error="", **_batch(claim))
    return ShardRun(claim.shard_id, claim.epoch, ShardState.DONE, n_rows=staged.n_rows)


def _refused(claim: Claim, refusal: ShardRefused) -> ShardRun:
    _log_failed(claim, str(refusal))
    try:
        end_refused(
            shard_id=claim.shard_id,
            epoch=claim.epoch,
            code=refusal.code,
            diagnostics=refusal.diagnostics,
            quarantined=refusal.quarantined,
            now=database_now(),
        )
    except StaleLease as stale:
        return ShardRun(claim.shard_id, claim.epoch, None, error=str(stale))
    return ShardRun(claim.shard_id, claim.epoch, ShardState.VIOLATION, error=str(refusal))


def _held_back(claim: Claim, busy: SourceBusy) -> ShardRun:
    """Nobody asks the source before it may be asked, and this shard comes again soon after."""
    now = database_now()
    wait = timedelta(seconds=min(max(busy.retry_after, SHORTEST_WAIT), LONGEST_WAIT))
    if claim.source:
        block_source(claim.source, wait=wait, now=now)
    policy = retry_policy()
    jittered = wait + backoff(1, policy, random.random) * policy.jitter
    reason = f"SourceBusy: {busy}"
    held = hold_back(
        shard_id=claim.shard_id, epoch=claim.epoch, wait=jittered, reason=reason, now=now
    )
    return ShardRun(claim.shard_id, claim.epoch, ShardState.FAILED if held else None, error=reason)


def _failed(claim: Claim, error: Exception) -> ShardRun:
    reason = f"{type(error).__name__}: {error}"
    _log_failed(claim, reason)
    state = mark_failed(
        shard_id=claim.shard_id, epoch=claim.epoch, reason=reason, now=database_now()
    )
    return ShardRun(claim.shard_id, claim.epoch, state, error=reason)


def _log_failed(claim: Claim, reason: str) -> None:
    log.warning(
        "seamless.backfill.coordinator_failed",
        completion_ratio=0.0,
        reason=reason,
        **claim_fields(claim),
    )


def _batch(claim: Claim) -> dict[str, object]:
    task = claim.task
    start, end = task.range
    return {
        "batch_id": f"{task.node_id}:{task.interval}:{start}:{end}",
        "attempt": claim.attempt,
        "node_id": task.node_id,
        "interval": task.interval,
        "start": start,
        "end": end,
    }
