"""What a store of bars promises, whatever it is made of; `provider.stores.suite` checks it.

A store holds the rows of one node: those that others write, and *segments*, which a backfill
stages. A segment is read only when its name is among the committed ones, which our database knows,
so a row becomes visible with the transaction that names its segment, and not before.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

import pyarrow as pa

from provider.blend import Piece
from registry.errors import Conflict, Unavailable

SEGMENT_SOURCE = "segments"
"""A piece read from a segment is named `segments/<name of the segment>`."""


class StoreUnreadable(Unavailable):
    """The store is away, damaged, or holds what it should not; the sentence says which."""

    code = "store_unreadable"
    title = "Storage unreadable"


class SegmentExists(Conflict):
    """Another segment of this shard and epoch was staged already; segments never change."""

    code = "segment_exists"
    title = "Segment exists"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the segment {name!r} exists with other rows; stage under a new epoch", segment=name
        )


class Staged(Protocol):
    """A segment that nobody reads until its name is committed; `checksum` names its content."""

    @property
    def name(self) -> str: ...

    @property
    def checksum(self) -> str: ...

    @property
    def rows(self) -> int: ...


class Readable(Protocol):
    """Rows of one node. Safe to use from many threads and processes."""

    def read(
        self,
        start: int,
        end: int,
        committed: Sequence[str],
        *,
        columns: Collection[str] | None = None,
        seconds: float | None = None,
    ) -> list[Piece]:
        """The rows in the closed [start, end] epoch seconds, in pieces of rising precedence.

        First the `committed` segments in the order given, then what others wrote. Rows whose time
        cannot be read belong to every range. `columns` limits what is read to those that are
        there. A store that can stop a read does so after `seconds`. Raises StoreUnreadable, also
        where a committed segment is gone; ValueError for what cannot be a segment's name.
        """
        ...

    def version(self, committed: Sequence[str], *, now: float) -> str | None:
        """A text that is another one whenever `read` could find other rows.

        None where the store cannot tell, for instance because a write and this question lie too
        close together for its clock. `now` is in epoch seconds. Raises StoreUnreadable.
        """
        ...


class Store(Readable, Protocol):
    """The rows of one node, and its segments."""

    def stage(self, table: pa.Table, shard_id: int | str, epoch: int) -> Staged:
        """Write a segment, durably and whole, where no reader looks until it is committed.

        Staging the same rows again is allowed. Raises SegmentExists where the name is taken, and
        StoreUnreadable.
        """
        ...

    def discard(self, name: str) -> None:
        """Remove a segment that will never be committed; one that is gone already is fine."""
        ...

    def sweep(self, committed: Collection[str], *, before: float) -> list[str]:
        """Remove what was left behind: segments not committed and last written before `before`.

        `before` is in epoch seconds: leave time for what is staged but not yet published. Returns
        the names that were removed, sorted.
        """
        ...
