"""Keeping a lease of `coordinator.client` for as long as the work takes."""

import threading
import time
from collections.abc import Callable
from types import TracebackType

import structlog

from coordinator.client import BackfillCoordinator, CoordinatorUnreachable, Lease, LeaseLost

MARGIN = 0.1  # of a lease: counted as over that much before it is

log = structlog.get_logger("seamless.backfill")


class Renewing:
    """Renews every third of `lease.lease_ms` in a thread, until the block is left.

        with Renewing(coordinator, lease) as kept:
            for chunk in chunks:
                kept.raise_if_lost()
                ...
        coordinator.complete(lease)

    Leaving raises LeaseLost where the lease was lost meanwhile, unless another exception is on its
    way. A service that cannot be reached is no loss yet: the lease runs on until its own end, by
    this process's monotonic clock, counted from when the last renewal was sent.
    """

    def __init__(
        self,
        coordinator: BackfillCoordinator,
        lease: Lease,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if lease.lease_ms <= 0:
            raise ValueError("a lease can be renewed only if it says for how long (lease_ms)")
        self.lease = lease
        self._coordinator = coordinator
        self._clock = clock
        self._seconds = lease.lease_ms / 1000
        self._covered_until = clock() + self._seconds * (1 - MARGIN)
        self._lost = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-renewal", daemon=True)

    @property
    def is_lost(self) -> bool:
        return self._lost.is_set() or self._clock() > self._covered_until

    def raise_if_lost(self) -> None:
        if self.is_lost:
            raise LeaseLost(self.lease.key)

    def __enter__(self) -> "Renewing":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()
        if error is None:
            self.raise_if_lost()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds / 3):
            sent = self._clock()
            try:
                self.lease = self._coordinator.renew(self.lease)
            except LeaseLost:
                self._lost.set()
                log.warning("seamless.coordinator.lease_lost", lease_key=self.lease.key)
                return
            except CoordinatorUnreachable:  # logged by the client; tried again soon
                continue
            self._covered_until = sent + self._seconds * (1 - MARGIN)
