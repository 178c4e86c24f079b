"""Which records a request wrote, so that its answer can say how far they are sealed."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_collected: ContextVar[list[int] | None] = ContextVar("audit_records", default=None)


@contextmanager
def collecting() -> Iterator[list[int]]:
    """The ids of the records that are written meanwhile, in their order."""
    ids: list[int] = []
    before = _collected.set(ids)
    try:
        yield ids
    finally:
        _collected.reset(before)


def collect(event_id: int) -> None:
    if (ids := _collected.get()) is not None:
        ids.append(event_id)
