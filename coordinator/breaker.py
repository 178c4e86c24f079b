"""A circuit breaker: after a failure, a dependency is asked again only now and then."""

import threading
import time
from collections.abc import Callable


class CircuitBreaker:
    """Open after one failure, then one try per `cooldown` seconds; closed after `recover_after`
    successes in a row. Shared by the threads of a process.
    """

    def __init__(
        self,
        *,
        cooldown: float = 1.0,
        recover_after: int = 3,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cooldown = cooldown
        self._recover_after = recover_after
        self._clock = clock
        self._lock = threading.Lock()
        self._successes = recover_after
        self._not_before = 0.0

    @property
    def is_closed(self) -> bool:
        return self._successes >= self._recover_after

    def allows(self) -> bool:
        """Whether to try now; while open, the one who is allowed starts the next cooldown."""
        with self._lock:
            if self.is_closed:
                return True
            now = self._clock()
            if now < self._not_before:
                return False
            self._not_before = now + self._cooldown
            return True

    def succeeded(self) -> bool:
        """Count a success; whether it closed the breaker."""
        with self._lock:
            was_closed = self.is_closed
            self._successes = min(self._successes + 1, self._recover_after)
            self._not_before = 0.0
            return self.is_closed and not was_closed

    def failed(self) -> bool:
        """Open; whether it was closed before."""
        with self._lock:
            was_closed = self.is_closed
            self._successes = 0
            self._not_before = self._clock() + self._cooldown
            return was_closed
