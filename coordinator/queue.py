"""Telling the workers that there is something to do.

What stands on the queue is a ticket without a name on it: its worker claims the shard that is next
by then, so a reader's shard passes thousands that were queued before it. Tickets may be lost or
doubled; the shard rows are what must be done.
"""

from datetime import timedelta

import structlog
from celery import current_app
from kombu.exceptions import KombuError, OperationalError
from redis import RedisError

from coordinator.leases import live_leases

RUN_SHARD = "coordinator.tasks.run_shard"
MOST_TICKETS = 200
_LONGEST_DELAY = 30.0  # what a worker holds back is lost with it

log = structlog.get_logger("seamless.backfill")


def tickets_waiting() -> int | None:
    """How many messages wait on the queue; None with Redis away."""
    prefix = current_app.conf.broker_transport_options.get("global_keyprefix", "")
    return live_leases().length_of(prefix + current_app.conf.task_default_queue)


def announce(shards: int, *, delay: timedelta = timedelta(0)) -> int:
    """Put a ticket for each of so many shards on the queue, 200 at most, and return how many.

    Never raises. With Redis away nothing is put: the reconciler puts them later, and a requester
    who cannot wait runs its shards itself.
    """
    leases = live_leases()
    if shards < 1 or not leases.is_reachable():
        return 0
    countdown = min(delay.total_seconds(), _LONGEST_DELAY) or None
    put = 0
    try:
        with current_app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
            with current_app.amqp.Producer(connection) as producer:
                for _ in range(min(shards, MOST_TICKETS)):
                    current_app.send_task(
                        RUN_SHARD,
                        countdown=countdown,
                        producer=producer,
                        retry=False,
                        ignore_result=True,
                    )
                    put += 1
    except (KombuError, OperationalError, RedisError, OSError) as error:
        leases.report_failure(error)
        log.warning("seamless.backfill.queue_unreachable", error=str(error), put=put)
    return put
