"""Every worker process reconciles by itself: the death of beat, or of any worker, costs nothing.

A thread in each child of the pool, started after the fork. The round itself is taken in the
database, so many threads make no more rounds than one.
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
from coordinator.services import reconciling
from coordinator.services.database_clock import database_now

log = structlog.get_logger("seamless.backfill")


class OwnRounds:
    """Asks for the reconciler's round now and then, until it is stopped."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        by = f"{socket.gethostname()}:{os.getpid()}"
        # Not all at the same moment, wherever the processes were forked together.
        while not self._stopped.wait(reconcile_every().total_seconds() * random.uniform(0.5, 1)):
            try:
                reconciling.reconcile_when_due(now=database_now(), by=by)
            except Exception as error:  # the database away, say: the next round may fare better
                log.warning("seamless.backfill.reconciler_failed", error=str(error))
            finally:
                connection.close()


_rounds: OwnRounds | None = None


@signals.worker_process_init.connect
def _begin(**_: Any) -> None:
    global _rounds
    _rounds = OwnRounds()
    _rounds.start()


@signals.worker_process_shutdown.connect
def _end(**_: Any) -> None:
    if _rounds is not None:
        _rounds.stop()
