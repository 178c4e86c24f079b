"""A port: the stored rows of a node, for judging a candidate by them. The provider fills it in."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import pyarrow as pa

from registry.frame import Frame
from registry.models import Node


class StoredRows(Protocol):
    """What a replay reads: ranges small enough for one shard, and the rows of each."""

    def ranges(self, node: Node, since: int, until: int) -> Sequence[tuple[int, int]]:
        """Closed ranges of epoch seconds that together hold the node's bars in [since, until]."""
        ...

    def tables(
        self, node: Node, frame: Frame, start: int, end: int, *, untimed: bool
    ) -> Iterator[pa.Table]:
        """The rows of the range as a read would check them.

        With `untimed` also those whose time cannot be read, which belong to every range. Raises
        SeamlessError where the store cannot be read.
        """
        ...


class _Nothing:
    """A registry without a provider has no stored rows."""

    def ranges(self, node: Node, since: int, until: int) -> Sequence[tuple[int, int]]:
        return ()

    def tables(
        self, node: Node, frame: Frame, start: int, end: int, *, untimed: bool
    ) -> Iterator[pa.Table]:
        return iter(())


_stored: StoredRows = _Nothing()


def set_stored_rows(stored: StoredRows) -> None:
    global _stored
    _stored = stored


def stored_rows() -> StoredRows:
    return _stored
