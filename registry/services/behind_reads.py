"""What reads leave in memory, written down behind them: once every so often, and at exit.

A read only adds to a batch. What a flush cannot write is the batch's business (it keeps or sheds
it, and says so); nothing here ever reaches a reader.
"""

from collections.abc import Callable

import structlog
from django.conf import settings

from registry.services.background import Rounds

logger = structlog.get_logger("seamless.schema")

Flush = Callable[[], None]

_flushes: list[Flush] = []


def flushed_behind_reads(flush: Flush) -> Flush:
    """Have this function called each round."""
    _flushes.append(flush)
    return flush


def wake() -> None:
    """Start the rounds on first use; without an interval batches wait for `flush_all`."""
    if settings.SEAMLESS_EVIDENCE_SECONDS:
        _rounds.start()


def flush_all() -> None:
    """Write all that waits; a batch that fails does not take the others along."""
    for flush in _flushes:
        try:
            flush()
        except Exception:
            logger.exception("evidence.flush_failed")


def forget() -> None:
    """Start anew, as a process does."""
    _rounds.stop()


_rounds = Rounds("behind-reads", flush_all, lambda: settings.SEAMLESS_EVIDENCE_SECONDS)
