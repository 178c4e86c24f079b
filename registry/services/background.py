"""One task every so often, on a daemon thread of this process: never in the way of a request."""

import atexit
import os
from collections.abc import Callable
from threading import Event, Lock, Thread

import structlog
from django.db import close_old_connections, connections

logger = structlog.get_logger("seamless.schema")


class Rounds:
    """Runs `task` each `seconds()`, from the first `start` on; after a fork, from the next one.

    A round that fails is logged and the next one tries again. With 0 seconds there is no thread:
    whoever hands in work then does it at once.
    """

    def __init__(self, name: str, task: Callable[[], None], seconds: Callable[[], float]) -> None:
        self._name, self._task, self._seconds = name, task, seconds
        self._lock = Lock()
        self._stop = Event()
        self._thread: Thread | None = None
        os.register_at_fork(after_in_child=self._forget_thread)

    def start(self) -> None:
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is not None:
                return
            self._stop = Event()
            self._thread = Thread(
                target=self._run, args=(self._stop,), name=self._name, daemon=True
            )
            self._thread.start()
            atexit.register(self.finish)

    def stop(self) -> None:
        """End the thread; it starts again with the next `start`."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            thread.join(timeout=10)
            atexit.unregister(self.finish)

    def finish(self) -> None:
        """At the end of the process: what is left to do is done once more."""
        self.stop()
        self._round()

    def _forget_thread(self) -> None:
        """In a forked child the thread is not there; its lock may be held by nobody."""
        self._lock, self._stop, self._thread = Lock(), Event(), None

    def _run(self, stop: Event) -> None:
        try:
            while not stop.wait(self._seconds()):
                close_old_connections()
                self._round()
        finally:
            connections.close_all()

    def _round(self) -> None:
        try:
            self._task()
        except Exception:
            logger.exception("background.failed", task=self._name)
