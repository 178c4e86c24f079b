"""Reading a shard under its row lock and writing its lease back by compare-and-set."""

from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet

from coordinator.lease_state import ShardLease
from coordinator.models import BackfillShard

SYSTEM = "coordinator"


def shards_with_context() -> QuerySet[BackfillShard]:
    """Shards with what their log lines and claims name."""
    return BackfillShard.objects.select_related("job__node", "job__bound_version")


def locked_shard(shard_id: int) -> BackfillShard:
    """The shard, its row held until the transaction ends (SQLite: the transaction is the lock)."""
    return shards_with_context().select_for_update(of=("self",)).get(pk=shard_id)


def store_lease(shard_id: int, before: ShardLease, after: ShardLease, **fields: Any) -> bool:
    """Write `after` where the row still has the state and epoch of `before`; whether it had."""
    unchanged = BackfillShard.objects.filter(pk=shard_id, state=before.state, epoch=before.epoch)
    return unchanged.update(**asdict(after), **fields) == 1
