"""Checked windows that are read again and again, kept in memory.

An entry is found only under everything that decided it: the node's settings, the window, the
version that judged, and what the store said of its data, so that a write of anybody makes it
unreachable. Only complete answers are kept, at most so many bytes of them.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from provider.blend import Blended, Marks
from provider.conformance import ConformanceReport

Key = tuple[object, ...]


class Fingerprint:
    """The name of some rows, made when somebody asks and then kept."""

    def __init__(self, make: Callable[[], str]) -> None:
        self._make: Callable[[], str] | None = make
        self._name = ""
        self._lock = threading.Lock()

    def __str__(self) -> str:
        with self._lock:
            if self._make is not None:
                self._name, self._make = self._make(), None
        return self._name


@dataclass(frozen=True, slots=True, eq=False)
class CheckedWindow:
    """The rows of a window in as few parts as exact types allow, what was found, and their name."""

    rows: Blended
    report: ConformanceReport
    marks: Mapping[str, Marks]
    fingerprint: Fingerprint

    @property
    def is_complete(self) -> bool:
        """No bar is missing, nothing is wrong, and there is something."""
        return self.rows.rows > 0 and self.report.coverage == 1.0 and self.report.is_clean

    @property
    def nbytes(self) -> int:
        return sum(
            part.table.nbytes
            + part.series.nbytes
            + part.places.nbytes
            + part.pieces.nbytes
            + part.times.seconds.nbytes * 3
            for part in self.rows.parts
        )


@dataclass(frozen=True, slots=True)
class _Entry:
    window: CheckedWindow
    nbytes: int
    until: float


class WindowCache:
    """At most `max_bytes` of windows, the least recently read dropped first; 0 keeps nothing."""

    def __init__(
        self, max_bytes: int, seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._now = now
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self.resident_bytes = 0

    def get(self, key: Key) -> CheckedWindow | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if entry.until < self._now():
                self._drop(key)
                return None
            self._entries.move_to_end(key)
            return entry.window

    def put(self, key: Key, window: CheckedWindow) -> None:
        """Keep a window; one that is not complete, or too large, is not kept."""
        size = window.nbytes
        if not window.is_complete or size > self._max_bytes:
            return
        with self._lock:
            if key in self._entries:
                self._drop(key)
            self._entries[key] = _Entry(window, size, self._now() + self._seconds)
            self.resident_bytes += size
            while self.resident_bytes > self._max_bytes:
                self._drop(next(iter(self._entries)))

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self.resident_bytes = 0

    def _drop(self, key: Key) -> None:
        self.resident_bytes -= self._entries.pop(key).nbytes
