"""Reads that wait for a backfill: never more than half of the web threads, and never for ever."""

import threading

import structlog
from django.db import DatabaseError, InterfaceError

from coordinator.configuration import waiting_reads
from coordinator.services.database_clock import database_now
from coordinator.services.local_runs import finish_jobs
from coordinator.services.requesting import BackfillRequest
from coordinator.services.waiters import detach
from registry.errors import Unavailable

RETRY_AFTER = 2

log = structlog.get_logger("seamless.backfill")


class TooManyWaiting(Unavailable):
    code = "too_many_waiting"
    title = "Too many reads wait"


class _Places:
    """How many threads of this process wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0

    def take(self) -> bool:
        with self._lock:
            if self._taken >= waiting_reads():
                return False
            self._taken += 1
            return True

    def give_back(self) -> None:
        with self._lock:
            self._taken -= 1


_places = _Places()


def finish_request(request: BackfillRequest, deadline: float) -> bool:
    """Wait for the ranges that were requested and then detach, whatever happened; whether all ended
    before `deadline` (`time.monotonic()`).

    Raises TooManyWaiting where half of the web threads wait already: the backfill goes on, and the
    other half keeps answering.
    """
    if not request.job_ids:
        return True
    try:
        if not _places.take():
            raise TooManyWaiting(
                "As many reads wait for backfills as may; the missing bars are being fetched, so "
                "ask again shortly.",
                retry_after=RETRY_AFTER,
                jobs=request.job_ids,
            )
        try:
            return finish_jobs(request.job_ids, deadline, request.ranges)
        finally:
            _places.give_back()
    finally:
        _detach(request)


def _detach(request: BackfillRequest) -> None:
    if not request.waiters:
        return
    try:
        detach(waiters=request.waiters, now=database_now())
    except (DatabaseError, InterfaceError) as error:  # the reconciler does it when the time is over
        log.warning("seamless.backfill.detach_failed", error=str(error))
