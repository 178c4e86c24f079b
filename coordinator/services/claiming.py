"""Getting and keeping the right to run a shard."""

from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from coordinator import counters
from coordinator.configuration import lease_times, retry_policy
from coordinator.coverage import CoverageRange
from coordinator.lease_state import (
    UNFINISHED_SHARD_STATES,
    JobState,
    ShardLease,
    ShardState,
    StaleLease,
    claimed,
    lease_key,
    renewed,
)
from coordinator.models import BackfillJob, BackfillShard
from coordinator.ports import ShardTask
from coordinator.services.limits import (
    EVERY_SOURCE,
    SourceClosed,
    closed_sources,
    take_place,
)
from coordinator.services.shard_rows import SYSTEM, locked_shard, shards_with_context, store_lease
from registry.actors import Actor
from registry.models import Node
from registry.services.audit import record

log = structlog.get_logger("seamless.backfill")


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run one shard, until `expires_at` unless renewed, fenced by `epoch`."""

    task: ShardTask
    epoch: int
    attempt: int
    holder: str
    expires_at: datetime
    lease_key: str
    node: Node
    is_first_of_job: bool
    request_id: str
    traceparent: str
    world: str
    source: str

    @property
    def shard_id(self) -> int:
        return self.task.shard_id

    @property
    def job_id(self) -> int:
        return self.task.job_id

    @property
    def range(self) -> CoverageRange:
        return self.task.range


def claim_shard(
    *,
    holder: str,
    now: datetime,
    shard_id: int | None = None,
    job_ids: list[int] | None = None,
) -> Claim | None:
    """Lease the next claimable shard (of these jobs, or this one), or None where there is none.

    First come, first served, priority being a head start (`lease_state.queue_rank`); sources at
    their limit are passed over. The epoch rises by one with every claim. A shard that another
    transaction is about to commit or claim is passed over, never waited for.
    """
    candidates = claimable_shards(now)
    if shard_id is not None:
        candidates = candidates.filter(pk=shard_id)
    if job_ids is not None:
        candidates = candidates.filter(job_id__in=job_ids)
    closed: set[str] = set()
    while EVERY_SOURCE not in closed:
        open_ones = candidates.exclude(job__source__in=closed) if closed else candidates
        if _looking_locks() and not open_ones.exists():
            return None
        try:
            granted = _grant(open_ones, holder, now)
        except SourceClosed as full:  # only now is it worth asking which others are
            counters.RL_DROPPED.labels(full.name).inc()
            closed |= closed_sources(now) | {full.name}
            continue
        return None if granted is None else _told(*granted, now=now)
    return None


def _looking_locks() -> bool:
    """On SQLite a transaction is the write lock: nobody takes it only to find nothing to do."""
    return not connection.features.has_select_for_update


def _grant(
    candidates: QuerySet[BackfillShard], holder: str, now: datetime
) -> tuple[Claim, ShardLease] | None:
    """Lease the first candidate: the claim, and the lease that was before it."""
    with transaction.atomic():
        shard = candidates.select_for_update(of=("self",), skip_locked=True).first()
        if shard is None:
            return None
        take_place(shard.job.source, now)
        before = shard.lease
        lease = claimed(
            before,
            holder=holder,
            now=now,
            ttl=lease_times().ttl,
            max_attempts=retry_policy().max_attempts,
        )
        if not store_lease(shard.pk, before, lease, leased_at=now):
            return None
        claim = _claim_of(shard, lease.epoch, lease.attempts, holder, now + lease_times().ttl)
        record(
            actor=Actor.system(SYSTEM),
            action="backfill.shard.claim",
            object_type="backfill_shard",
            object_id=str(shard.pk),
            now=now,
            after={"epoch": lease.epoch, "attempt": lease.attempts, "holder": holder},
        )
    return claim, before


def _told(claim: Claim, before: ShardLease, *, now: datetime) -> Claim:
    """The claim, once the job, the metrics and the log know of it."""
    if claim.is_first_of_job:
        # Apart from the claiming transaction: cancelling takes the job's row before the shards'.
        BackfillJob.objects.filter(pk=claim.job_id, state=JobState.PENDING).update(
            state=JobState.RUNNING
        )
    if before.expires_at is not None:
        counters.LEASE_EXPIRED.labels("taken_over").inc()
        counters.TAKEOVER_SECONDS.observe((now - before.expires_at).total_seconds())
    _log_claim(claim)
    return claim


def renew_claim(*, claim: Claim, now: datetime) -> datetime:
    """Move the lease's expiry on, and say to when. Raises StaleLease when it is no longer ours.

    Not audited: a heartbeat decides nothing.
    """
    with transaction.atomic():
        before = locked_shard(claim.shard_id).lease
        lease = renewed(before, epoch=claim.epoch, now=now, ttl=lease_times().ttl)
        if not store_lease(claim.shard_id, before, lease):
            raise StaleLease(claim.epoch, before)
    return now + lease_times().ttl


def claimable_shards(now: datetime) -> QuerySet[BackfillShard]:
    """The query's form of `lease_state.is_claimable`, in claiming order, of jobs that may run."""
    running = Q(job__state__in=[JobState.PENDING, JobState.RUNNING])
    waited_for = Q(job__state=JobState.PAUSED, wanted_now=True)
    due = Q(state__in=[ShardState.PENDING, ShardState.FAILED], next_attempt_at__lte=now)
    expired = Q(state=ShardState.LEASED, expires_at__lt=now)
    return (
        shards_with_context()
        .filter(
            running | waited_for,
            due | expired,
            state__in=UNFINISHED_SHARD_STATES,
            attempts__lt=retry_policy().max_attempts,
        )
        .order_by("rank", "pk")
    )


def _claim_of(
    shard: BackfillShard, epoch: int, attempt: int, holder: str, expires_at: datetime
) -> Claim:
    job = shard.job
    version = job.bound_version_id
    return Claim(
        task=ShardTask(
            shard_id=shard.pk,
            job_id=job.pk,
            node_id=job.node.node_id,
            interval=job.interval,
            range=shard.range,
            bound_version_id=version,
            origin=job.origin,
        ),
        epoch=epoch,
        attempt=attempt,
        holder=holder,
        expires_at=expires_at,
        lease_key=lease_key(job.node.node_id, job.interval, *shard.range, version),
        node=job.node,
        is_first_of_job=job.state == JobState.PENDING,
        request_id=job.request_id,
        traceparent=job.traceparent,
        world=job.world,
        source=job.source,
    )


def claim_fields(claim: Claim) -> dict[str, object]:
    """What the coordinator's log events carry."""
    return {
        "coordinator_id": "database",
        "lease_key": claim.lease_key,
        "node_id": claim.task.node_id,
        "interval": claim.task.interval,
        "batch_start": claim.range.start,
        "batch_end": claim.range.end,
        "world": claim.world,
        "requested_as_of": "",
        "worker": claim.holder,
        "epoch": claim.epoch,
        "lease_until_ms": int(claim.expires_at.timestamp() * 1000),
        "request_id": claim.request_id,
    }


def _log_claim(claim: Claim) -> None:
    log.info("seamless.backfill.coordinator_claimed", completion_ratio=0.0, **claim_fields(claim))
