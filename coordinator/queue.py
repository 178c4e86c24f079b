"""Telling the workers that there is something to do. A hint: the shard row is what must be done."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from celery import current_app
from kombu.exceptions import KombuError, OperationalError
from redis import RedisError

from coordinator.leases import live_leases

RUN_SHARD = "coordinator.tasks.run_shard"

log = structlog.get_logger("seamless.backfill")


@dataclass(frozen=True, slots=True)
class ShardHint:
    shard_id: int
    epoch: int


def announce(hints: Sequence[ShardHint]) -> int:
    """Put one task per shard on the queue and return how many were put; never raises.

    With Redis away nothing is put: the reconciler finds the shards again, and a requester who
    cannot wait runs them itself.
    """
    leases = live_leases()
    if not hints or not leases.is_reachable():
        return 0
    put = 0
    try:
        with current_app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
            with current_app.amqp.Producer(connection) as producer:
                for hint in hints:
                    current_app.send_task(
                        RUN_SHARD,
                        kwargs={"shard_id": hint.shard_id, "epoch_hint": hint.epoch},
                        producer=producer,
                        retry=False,
                        ignore_result=True,
                    )
                    put += 1
    except (KombuError, OperationalError, RedisError, OSError) as error:
        leases.report_failure(error)
        log.warning("seamless.backfill.queue_unreachable", error=str(error), put=put)
    return put
