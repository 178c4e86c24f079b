"""Keeping a lease while its handler works, in a thread beside it."""

import threading
import time
from types import TracebackType

import structlog
from django.db import DatabaseError, InterfaceError, connection

from coordinator import counters
from coordinator.configuration import lease_times
from coordinator.lease_state import StaleLease
from coordinator.leases import LeaseAnswer, live_leases
from coordinator.ports import CancelSignal
from coordinator.services.claiming import Claim, renew_claim
from coordinator.services.database_clock import database_now

log = structlog.get_logger("seamless.backfill")


class Heartbeat:
    """Renews every third of the TTL, in Redis and then in the database, while progress moves.

    *Lost* stops the handler at once. *Unreachable* goes on until the last renewal that did reach
    the database no longer covers us. A handler that stands still is left to its successor.
    Leave the block before the fenced commit: the row lock takes over from there.
    """

    def __init__(self, claim: Claim, signal: CancelSignal) -> None:
        self._claim = claim
        self._signal = signal
        self._times = lease_times()
        self._stopped = threading.Event()
        self._began = self._sent = time.monotonic()
        self._thread = threading.Thread(
            target=self._run, name=f"lease-{claim.shard_id}.{claim.epoch}", daemon=True
        )

    def __enter__(self) -> "Heartbeat":
        if self._hold() is LeaseAnswer.LOST:
            self._signal.set("another holder has the live lease")
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

    def _run(self) -> None:
        planned = time.monotonic() + self._times.renew_every
        try:
            while not self._stopped.wait(max(0.0, planned - time.monotonic())):
                counters.RENEWAL_LATE_SECONDS.observe(max(0.0, time.monotonic() - planned))
                if reason := self._beat():
                    log.warning("seamless.backfill.lease_given_up", reason=reason, **self._names())
                    self._signal.set(reason)
                    return
                planned += self._times.renew_every
        finally:
            connection.close()

    def _beat(self) -> str:
        """Renew once; why to stop, or "" to go on."""
        sent = time.monotonic()
        if self._signal.seconds_still() > self._times.progress_timeout:
            return "the handler no longer moves"
        if sent - self._began > self._times.longest_hold:
            return "the lease has reached its longest age"
        if self._hold() is LeaseAnswer.LOST:
            return "another holder has the live lease"
        try:
            renew_claim(claim=self._claim, now=database_now())
            self._sent = sent
        except StaleLease as lost:
            return str(lost)
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            if time.monotonic() - self._sent > self._times.usable:
                return f"the database could not be reached in time: {error}"
        return ""

    def _hold(self) -> LeaseAnswer:
        claim = self._claim
        return live_leases().hold(
            claim.lease_key,
            epoch=claim.epoch,
            holder=claim.holder,
            ttl_seconds=self._times.ttl_seconds,
        )

    def _names(self) -> dict[str, object]:
        task = self._claim.task
        return {
            "node_id": task.node_id,
            "interval": task.interval,
            "start": task.range.start,
            "end": task.range.end,
            "request_id": self._claim.request_id,
        }
