"""Reading a shard under its row lock and writing its lease back by compare-and-set."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.db.models import BigIntegerField, F, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast

from coordinator.lease_state import RANK_PER_PRIORITY, ShardLease
from coordinator.models import BackfillShard

SYSTEM = "coordinator"


def shards_with_context() -> QuerySet[BackfillShard]:
    """Shards with what their log lines and claims name."""
    return BackfillShard.objects.select_related("job__node__subject", "job__bound_version")


def locked_shard(shard_id: int) -> BackfillShard:
    """The shard, its row held until the transaction ends (SQLite: the transaction is the lock)."""
    return shards_with_context().select_for_update(of=("self",)).get(pk=shard_id)


def store_lease(shard_id: int, before: ShardLease, after: ShardLease, **fields: Any) -> bool:
    """Write `after` where the row still has the state and epoch of `before`; whether it had."""
    unchanged = BackfillShard.objects.filter(pk=shard_id, state=before.state, epoch=before.epoch)
    return unchanged.update(**asdict(after), **fields) == 1


def store_all(
    shards: QuerySet[BackfillShard], change: Callable[[ShardLease], ShardLease], **fields: Any
) -> int:
    """Apply a change of the lease rules that raises the epoch by one to many shards in one UPDATE.

    The change must treat all of them alike, but for epoch and attempts: those are taken from what
    it does to a probe.
    """
    probe = change(ShardLease(epoch=0, attempts=1))
    lease = asdict(probe) | {
        "epoch": F("epoch") + probe.epoch,
        "attempts": F("attempts") * probe.attempts,
    }
    return shards.update(**lease, **fields)


def moved_rank(*, to: Any) -> Combinable:
    """The rank of a shard whose priority becomes `to`: a number or an expression."""
    points = Cast(to - F("priority"), BigIntegerField())  # a product of small integers is small
    return F("rank") - points * RANK_PER_PRIORITY
