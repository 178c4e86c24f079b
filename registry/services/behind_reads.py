"""The one background thread that writes down what reads leave in memory: once a second, at exit.

A read only adds to a batch. What a flush cannot write is the batch's business (it keeps or sheds
it, and says so); nothing here ever reaches a reader. A forked process starts a thread of its own.
"""

import atexit
import os
import threading
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import close_old_connections, connections

logger = structlog.get_logger("seamless.schema")

LAST_FLUSH_SECONDS = 5.0

Flush = Callable[[], None]

_flushes: list[Flush] = []
_starting = threading.Lock()
_thread: threading.Thread | None = None
_stopped = threading.Event()


def flushed_behind_reads(flush: Flush) -> Flush:
    """Have this function called by the thread."""
    _flushes.append(flush)
    return flush


def wake() -> None:
    """Start the thread on first use; without an interval batches wait for `flush_all`."""
    global _thread
    if _thread is not None or not settings.SEAMLESS_EVIDENCE_SECONDS:
        return
    with _starting:
        if _thread is None:
            _stopped.clear()
            _thread = threading.Thread(target=_run, name="evidence", daemon=True)
            _thread.start()
            atexit.register(stop)


def stop() -> None:
    """End the thread after its last flush."""
    thread = _thread
    _stopped.set()
    if thread is not None:
        thread.join(LAST_FLUSH_SECONDS)


def flush_all() -> None:
    """Write all that waits; a batch that fails does not take the others along."""
    for flush in _flushes:
        try:
            flush()
        except Exception:
            logger.exception("evidence.flush_failed")


def _run() -> None:
    ended = False
    while not ended:
        ended = _stopped.wait(settings.SEAMLESS_EVIDENCE_SECONDS)
        close_old_connections()
        flush_all()
    connections.close_all()


def _forget_thread() -> None:
    """In a forked child the thread is not there; its lock may be held by nobody."""
    global _thread, _starting, _stopped
    _thread, _starting, _stopped = None, threading.Lock(), threading.Event()


os.register_at_fork(after_in_child=_forget_thread)
