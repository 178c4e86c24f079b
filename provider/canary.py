"""Work that happens after the answer: canary checks in a bounded pool, shed when it is full.

A canary never delays or changes the response it mirrors; one that finds no free place is counted
as unchecked, so that a gate can see how much it did not see.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

import structlog
from django.conf import settings
from django.db import close_old_connections

logger = structlog.get_logger("seamless.schema")


class AfterResponse:
    """At most `places` tasks wait or run; 0 threads runs each at once, in the caller."""

    def __init__(self, threads: int, places: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "canary") if threads else None
        self._places = BoundedSemaphore(places) if threads else None

    def submit(self, task: Callable[[], None]) -> bool:
        """Whether the task was taken."""
        if self._pool is None or self._places is None:
            _guarded(task)
            return True
        if not self._places.acquire(blocking=False):
            return False
        self._pool.submit(self._run, task)
        return True

    def _run(self, task: Callable[[], None]) -> None:
        try:
            _guarded(task)
        finally:
            self._places.release()  # type: ignore[union-attr]
            close_old_connections()


def _guarded(task: Callable[[], None]) -> None:
    try:
        task()
    except Exception:
        logger.exception("schema.canary_failed")


_pool: AfterResponse | None = None


def after_response(task: Callable[[], None]) -> bool:
    """Run the task behind the answer, in this process's pool (made on first use, after a fork)."""
    global _pool
    if _pool is None:
        _pool = AfterResponse(settings.SEAMLESS_CANARY_THREADS, settings.SEAMLESS_CANARY_PLACES)
    return _pool.submit(task)
