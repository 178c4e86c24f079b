"""Every worker process reconciles by itself: the death of beat, or of any worker, costs nothing.

A thread in each child of the pool, started after the fork. The round itself is taken in the
database, so many threads make no more rounds than one. With Redis away no ticket comes, and the
thread runs shards itself; a Redis that has lost what it held makes a round due at once.
"""

import os
import random
import socket
import threading
from typing import Any

import structlog
from celery import signals
from django.db import connection

from coordinator.configuration import reconcile_every
from coordinator.health import redis_settings
from coordinator.leases import live_leases
from coordinator.mode import Mode, coordinator_mode
from coordinator.services import reconciling, running
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now

log = structlog.get_logger("seamless.backfill")


class OwnRounds:
    """Asks for the reconciler's round now and then, until it is stopped."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._generation: str | None = None
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        # Not all at the same moment, wherever the processes were forked together.
        while not self._stopped.wait(reconcile_every().total_seconds() * random.uniform(0.5, 1)):
            try:
                self._round()
            except Exception as error:  # the database away, say: the next round may fare better
                log.warning("seamless.backfill.reconciler_failed", error=str(error))
            finally:
                connection.close()

    def _round(self) -> None:
        by = f"{socket.gethostname()}:{os.getpid()}"
        if self._redis_is_another():
            log.warning("seamless.coordinator.generation_changed")
            reconciling.reconcile(now=database_now())
        else:
            reconciling.reconcile_when_due(now=database_now(), by=by)
        while coordinator_mode() is Mode.DEGRADED and not self._stopped.is_set():
            claim = claim_shard(holder=f"{by}:rounds", now=database_now())
            if claim is None:
                break
            running.run_shard(claim=claim)

    def _redis_is_another(self) -> bool:
        before, now = self._generation, live_leases().generation()
        self._generation = now or before
        return None not in (before, now) and before != now


_rounds: OwnRounds | None = None


@signals.worker_ready.connect
def _warn_of_redis(**_: Any) -> None:
    """Once, in the worker's parent: what a queue's Redis should be set to, where it is not."""
    finding = redis_settings()
    if finding.state != "ok":
        log.warning("seamless.coordinator.redis_settings", found=finding.detail, fix=finding.fix)


@signals.worker_process_init.connect
def _begin(**_: Any) -> None:
    global _rounds
    _rounds = OwnRounds()
    _rounds.start()


@signals.worker_process_shutdown.connect
def _end(**_: Any) -> None:
    if _rounds is not None:
        _rounds.stop()
