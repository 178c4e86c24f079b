"""The fenced commit: the rows of a shard become visible once, or not at all."""

from datetime import datetime

import structlog
from django.db import connection, transaction

from coordinator import counters
from coordinator.configuration import lease_times
from coordinator.lease_state import ShardLease, ShardState, StaleLease, committed
from coordinator.models import BackfillShard
from coordinator.ports import ShardHandler, Staged
from coordinator.recovery import shard_event, tell_hooks
from coordinator.services.claiming import Claim, claim_fields
from coordinator.services.failing import keep_in_quarantine
from coordinator.services.shard_rows import SYSTEM, locked_shard, store_lease
from coordinator.services.transactions import limited_transaction
from registry.actors import Actor
from registry.services.audit import record

log = structlog.get_logger("seamless.backfill")


def publish_shard(*, claim: Claim, handler: ShardHandler, staged: Staged, now: datetime) -> None:
    """Commit the staged rows under the claim's epoch, in one transaction:

    1. the shard is `done`, if it is still leased under this epoch (its row stays locked),
    2. the handler publishes, 3. rows set aside go to quarantine, 4. the audit record is written.

    Raises StaleLease, and publishes nothing, when the claim no longer holds the shard. Any other
    error may have come after the COMMIT had arrived: `has_committed` tells.
    """
    try:
        _commit(claim, handler, staged, now)
    except StaleLease:
        counters.FENCE_REJECTED.inc()
        raise
    log.info("seamless.backfill.coordinator_completed", completion_ratio=1.0, **claim_fields(claim))


def has_committed(claim: Claim) -> bool:
    """Whether the claim's rows were published; waits for a commit that is still on its way."""
    with transaction.atomic():
        shard = BackfillShard.objects.select_for_update().get(pk=claim.shard_id)
        return shard.state == ShardState.DONE and shard.epoch == claim.epoch


def _commit(claim: Claim, handler: ShardHandler, staged: Staged, now: datetime) -> None:
    with limited_transaction(lease_times()):
        _fence(claim, staged, now)
        handler.publish(staged, connection)
        keep_in_quarantine(
            shard_id=claim.shard_id, epoch=claim.epoch, rows=staged.quarantined, now=now
        )
        recovered = claim.attempt > 1
        record(
            actor=Actor.system(SYSTEM),
            action="backfill.shard.commit",
            object_type="backfill_shard",
            object_id=str(claim.shard_id),
            now=now,
            after={
                "epoch": claim.epoch,
                "holder": claim.holder,
                "rows": staged.n_rows,
                "checksum": staged.checksum,
                "quarantined": len(staged.quarantined),
                "recovered": recovered,
            },
        )
        if recovered:
            tell_hooks("recovered", shard_event(locked_shard(claim.shard_id)))


def _fence(claim: Claim, staged: Staged, now: datetime) -> None:
    """The shard made `done`, if the claim still holds it; its row is held. Raises StaleLease."""
    held = ShardLease(ShardState.LEASED, claim.epoch, claim.attempt, claim.holder)
    stored = store_lease(
        claim.shard_id,
        held,
        committed(held, epoch=claim.epoch),
        n_rows=staged.n_rows,
        checksum=staged.checksum,
        last_error="",
        done_at=now,
    )
    if not stored:
        raise StaleLease(claim.epoch, locked_shard(claim.shard_id).lease)
