"""Pieces of one answer, blended: one row per series and time, in time order, exact in every type.

Pieces come in precedence order, later over earlier. What is wrong *inside* a piece (rows out of
order, doubled, off the grid, without a readable time) is marked before the pieces meet, so that
blending hides nothing; that one piece overrides another is only noted.

Rows whose columns have different types are kept in different parts. Parts are joined, after each
was checked, only where a type holds both exactly.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from pyarrow import types

from coordinator.coverage import Bools, Int64s
from coordinator.grid import Grid
from provider.parts import (
    MixedTypes,
    Part,
    all_times,
    differing_columns,
    join_parts,
    take_rows,
)
from provider.timeline import Key, SeriesIndex, Times, by_series, outgoing, read_times
from registry.frame import Frame


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one origin (a file, a segment, a live tail), as they were read."""

    source: str
    table: pa.Table


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Rows that something was noticed about: series number and epoch second (None: unknown)."""

    series: Int64s
    seconds: Int64s | None

    def __len__(self) -> int:
        return len(self.series)


@dataclass(frozen=True, slots=True, eq=False)
class Blended:
    """The rows of an answer.

    `keys[n]` are the key values of series n, the expected series first. `unreadable` are the rows
    whose time cannot be read: they are checked, and not part of the answer. `marks` has an entry
    per flag; `sources` names the pieces by their numbers, `untimed` those without a time column.
    """

    frame: Frame
    keys: Sequence[Key]
    parts: Sequence[Part]
    unreadable: Sequence[Part]
    marks: Mapping[str, Marks]
    untimed: Sequence[str] = ()
    sources: Sequence[str] = ()

    @property
    def rows(self) -> int:
        return sum(part.table.num_rows for part in self.parts)

    def bounds(self) -> tuple[int, int] | None:
        """The first and the last epoch second of the rows; None without rows."""
        seconds = [part.times.seconds for part in self.parts if part.table.num_rows]
        if not seconds:
            return None
        return int(min(part[0] for part in seconds)), int(max(part[-1] for part in seconds))

    def joined(self) -> "Blended":
        """The same rows in as few parts as exact types allow (one, as a rule)."""
        joined: list[Part] = []
        for part in self.parts:
            for position, earlier in enumerate(joined):
                if (both := join_parts(earlier, part)) is not None:
                    joined[position] = both
                    break
            else:
                joined.append(part)
        return replace(self, parts=joined)

    def table(self) -> pa.Table:
        """The answer as one table; raises MixedTypes where there is none that is exact."""
        parts = self.joined().parts
        if len(parts) > 1:
            raise MixedTypes(differing_columns([part.table.schema for part in parts]))
        return parts[0].table if parts else pa.table({})

    def select(self, columns: Collection[str]) -> "Blended":
        """Only these columns, in the order they have; the rows stay."""
        parts = [
            replace(part, table=part.table.select(_named(part.table, columns)))
            for part in self.parts
        ]
        return replace(self, parts=parts)

    def only(self, series: Collection[int]) -> "Blended":
        """Only the rows of these series numbers."""
        wanted = np.array(sorted(series), np.int64)
        return self._keep(lambda part: np.isin(part.series, wanted))

    def slice(self, offset: int, length: int) -> "Blended":
        """The `length` rows from position `offset` on."""
        ranks = _ranks([part.places for part in self.parts])
        keep = iter([(rank >= offset) & (rank < offset + length) for rank in ranks])
        return self._keep(lambda part: next(keep))

    def _keep(self, chosen: Callable[[Part], Bools]) -> "Blended":
        return replace(
            self, parts=[take_rows(part, np.flatnonzero(chosen(part))) for part in self.parts]
        )


@dataclass(frozen=True, slots=True, eq=False)
class ReadPiece:
    """A piece with the series and times of its rows."""

    source: str
    table: pa.Table
    series: Int64s
    times: Times


@dataclass(frozen=True, slots=True, eq=False)
class ReadPieces:
    """The pieces of one answer, whose times and keys were read once for all who look at them."""

    index: SeriesIndex
    read: Sequence[ReadPiece]

    @property
    def rows(self) -> int:
        return sum(piece.table.num_rows for piece in self.read)

    def between(self, first: int | None, before: int | None) -> "ReadPieces":
        """The rows of `first <= time < before` (None: no bound), in epoch seconds.

        Rows without a readable time belong to what has no first bound.
        """
        return replace(self, read=[_between(piece, first, before) for piece in self.read])


def _between(piece: ReadPiece, first: int | None, before: int | None) -> ReadPiece:
    seconds = piece.times.seconds
    inside = np.ones(len(seconds), np.bool_)
    if first is not None:
        inside &= piece.times.readable & (seconds >= first)
    if before is not None:
        inside &= ~piece.times.readable | (seconds < before)
    if inside.all():
        return piece
    rows = np.flatnonzero(inside)
    return replace(
        piece,
        table=piece.table.take(rows),
        series=piece.series[rows],
        times=piece.times.take(rows),
    )


def read_pieces(pieces: Sequence[Piece], frame: Frame, expected: Sequence[Key] = ()) -> ReadPieces:
    index = SeriesIndex(frame.key, expected)
    return ReadPieces(index, [_read(piece, frame, index) for piece in pieces])


def blend(
    pieces: Sequence[Piece] | ReadPieces,
    frame: Frame,
    *,
    grid: Grid | None = None,
    expected: Sequence[Key] = (),
) -> Blended:
    """One row per series and time: the last of the last piece that has one.

    Marks (flag: rows): `unsorted` (earlier than the row before it in its series), `duplicate_ts`
    (dropped: the same piece has the time again), `off_grid`, `invalid_timestamp` (dropped),
    `overlap` (dropped: a later piece has the time), `ts_cast` and `ts_timezone_normalized`
    (converted, losslessly). Rows without a time column (`frame.time` None) stay as they come.
    Pieces that were read already are read for this frame and these expected keys.
    """
    given = pieces if isinstance(pieces, ReadPieces) else read_pieces(pieces, frame, expected)
    index, read = given.index, given.read
    if frame.time is None:
        return Blended(
            frame,
            index.keys,
            _in_parts(read, _all_rows(read), frame),
            (),
            {},
            sources=[piece.source for piece in read],
        )
    winners, collisions = _winners(read, _ranked(index.keys, len(expected)))
    return Blended(
        frame=frame,
        keys=index.keys,
        parts=_in_parts(read, winners, frame),
        unreadable=_unreadable(read),
        marks=_marks(read, frame, grid) | collisions,
        untimed=[p.source for p in read if frame.time not in p.table.column_names],
        sources=[piece.source for piece in read],
    )


def _read(piece: Piece, frame: Frame, index: SeriesIndex) -> ReadPiece:
    table = piece.table
    series = index.number_rows(table)
    if frame.time is None or frame.time not in table.column_names:
        times = read_times(pa.chunked_array([pa.nulls(table.num_rows)]), None)
    else:
        times = read_times(table.column(frame.time), frame.unit)
    return ReadPiece(piece.source, table, series, times)


# --- which rows win -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows of several pieces in some order: which piece, and which row of it."""

    piece: Int64s
    row: Int64s

    def take(self, order: Int64s | Bools) -> "_Rows":
        return _Rows(self.piece[order], self.row[order])


def _all_rows(read: Sequence[ReadPiece]) -> _Rows:
    sizes = [item.table.num_rows for item in read]
    return _Rows(
        np.repeat(np.arange(len(read)), sizes),
        np.concatenate([np.arange(size) for size in [*sizes, 0]]),
    )


def _winners(read: Sequence[ReadPiece], rank: Int64s) -> tuple[_Rows, dict[str, Marks]]:
    """The rows of the answer in its order, and marks for those they displace."""
    readable = _joined_arrays([item.times.readable for item in read], np.bool_)
    rows = _all_rows(read).take(readable)
    series = _joined_arrays([item.series for item in read], np.int64)[readable]
    seconds = _joined_arrays([item.times.seconds for item in read], np.int64)[readable]
    nanos = _joined_arrays([item.times.nanos for item in read], np.int64)[readable]
    order = _order(seconds, nanos, rank[series])
    if order is not None:
        rows, series, seconds, nanos = rows.take(order), series[order], seconds[order], nanos[order]
    again = (series[1:] == series[:-1]) & (seconds[1:] == seconds[:-1]) & (nanos[1:] == nanos[:-1])
    dropped = np.append(again, False)[: len(series)]
    # The sort is stable, so rows of one piece stand together: the next row says who displaced it.
    in_piece = np.append(rows.piece[1:] == rows.piece[:-1], False)[: len(series)]
    marks = {
        "duplicate_ts": Marks(series[dropped & in_piece], seconds[dropped & in_piece]),
        "overlap": Marks(series[dropped & ~in_piece], seconds[dropped & ~in_piece]),
    }
    return rows.take(~dropped), marks


def _order(seconds: Int64s, nanos: Int64s, rank: Int64s) -> Int64s | None:
    """The stable order by time, then series; None where the rows have it."""
    later = np.diff(seconds)
    finer = np.diff(nanos)
    behind = (later < 0) | ((later == 0) & ((finer < 0) | ((finer == 0) & (np.diff(rank) < 0))))
    return np.lexsort((rank, nanos, seconds)) if behind.any() else None


def _ranked(keys: Sequence[Key], n_expected: int) -> Int64s:
    """Where each series stands among rows of one time: expected ones first, others by their key."""
    others = sorted(range(n_expected, len(keys)), key=lambda n: repr(list(keys[n].values())))
    rank = np.arange(len(keys), dtype=np.int64)
    rank[others] = np.arange(n_expected, len(keys))
    return rank


# --- what is marked -----------------------------------------------------------------------------


def _marks(read: Sequence[ReadPiece], frame: Frame, grid: Grid | None) -> dict[str, Marks]:
    found: dict[str, list[Marks]] = {}
    for item in read:
        for flag, rows in _noticed(item, frame, grid).items():
            seconds = None if flag == "invalid_timestamp" else item.times.seconds[rows]
            found.setdefault(flag, []).append(Marks(item.series[rows], seconds))
    return {flag: _all_marks(marks) for flag, marks in found.items()}


def _noticed(item: ReadPiece, frame: Frame, grid: Grid | None) -> dict[str, Bools]:
    times = item.times
    noticed = {
        "invalid_timestamp": ~times.readable,
        "unsorted": _unsorted(item),
        "ts_timezone_normalized": times.zoned,
    }
    if grid is not None:
        on_grid = grid.holds(times.seconds) & (times.nanos == 0)
        noticed["off_grid"] = times.readable & ~on_grid
    if frame.time in item.table.column_names and _is_cast(
        item.table.schema.field(frame.time).type, frame
    ):
        noticed["ts_cast"] = times.readable
    return noticed


def _is_cast(kind: pa.DataType, frame: Frame) -> bool:
    """Whether times of this type leave as another kind of value."""
    if frame.unit is not None:
        return not types.is_integer(kind)
    return not types.is_timestamp(kind) or kind.tz is None


def _unsorted(item: ReadPiece) -> Bools:
    """The rows that lie before the row that comes before them in their series."""
    out_of_order = np.zeros(len(item.series), np.bool_)
    later = np.diff(item.times.seconds)
    if (later > 0).all() or ((later >= 0).all() and not item.times.nanos.any()):
        return out_of_order
    rows = np.flatnonzero(item.times.readable)
    rows = rows[by_series(item.series[rows])]
    series, seconds, nanos = item.series[rows], item.times.seconds[rows], item.times.nanos[rows]
    later, finer = np.diff(seconds), np.diff(nanos)
    behind = (np.diff(series) == 0) & ((later < 0) | ((later == 0) & (finer < 0)))
    out_of_order[rows[1:][behind]] = True
    return out_of_order


def _all_marks(marks: Sequence[Marks]) -> Marks:
    seconds = [mark.seconds for mark in marks if mark.seconds is not None]
    return Marks(
        np.concatenate([mark.series for mark in marks]),
        np.concatenate(seconds) if seconds else None,
    )


# --- parts --------------------------------------------------------------------------------------


def _in_parts(read: Sequence[ReadPiece], rows: _Rows, frame: Frame) -> list[Part]:
    """The rows by the types of their columns, each part in the order of `rows`."""
    groups: dict[object, list[int]] = {}
    for number, item in enumerate(read):
        groups.setdefault(_types_of(item.table, frame.time), []).append(number)
    parts = [_part(read, members, rows, frame) for members in groups.values()]
    # An answer without rows still has columns.
    return [part for part in parts if part.table.num_rows] or parts[:1]


def _types_of(table: pa.Table, time: str | None) -> frozenset[tuple[str, pa.DataType | None]]:
    """The columns and their types, but for the time's, which is converted anyway."""
    return frozenset(
        (field.name, None if field.name == time else field.type) for field in table.schema
    )


def _part(read: Sequence[ReadPiece], members: Sequence[int], rows: _Rows, frame: Frame) -> Part:
    base = np.zeros(len(read), np.int64)
    sizes = [read[number].table.num_rows for number in members]
    base[list(members)] = np.cumsum([0, *sizes[:-1]])
    places = np.arange(len(rows.piece))
    if len(members) < len(read):
        places = np.flatnonzero(np.isin(rows.piece, members))
    chosen = base[rows.piece[places]] + rows.row[places]
    times = all_times([read[number].times for number in members]).take(chosen)
    series = np.concatenate([read[number].series for number in members])[chosen]
    table = _concatenated([read[number].table for number in members], frame.time)
    if not np.array_equal(chosen, np.arange(table.num_rows)):
        table = table.take(chosen)
    return Part(_with_time(table, times, frame), series, times, places, rows.piece[places])


def _concatenated(tables: Sequence[pa.Table], time: str | None) -> pa.Table:
    """Tables of equal types one below the other; the time column, replaced later, as nulls."""
    names = tables[0].column_names
    ordered = [table if table.column_names == names else table.select(names) for table in tables]
    if time in names and len(tables) > 1:
        at = names.index(time)
        ordered = [table.set_column(at, time, pa.nulls(table.num_rows)) for table in ordered]
    return pa.concat_tables([table.replace_schema_metadata(None) for table in ordered])


def _with_time(table: pa.Table, times: Times, frame: Frame) -> pa.Table:
    if frame.time is None or frame.time not in table.column_names:
        return table
    at = table.column_names.index(frame.time)
    return table.set_column(at, frame.time, outgoing(times, frame.unit))


def _unreadable(read: Sequence[ReadPiece]) -> list[Part]:
    """The rows without a readable time, each piece's by themselves, as they were read."""
    parts = []
    for number, item in enumerate(read):
        rows = np.flatnonzero(~item.times.readable)
        if len(rows):
            origin = np.full(len(rows), number, np.int64)
            parts.append(
                Part(item.table.take(rows), item.series[rows], item.times.take(rows), rows, origin)
            )
    return parts


def _joined_arrays(arrays: Sequence[np.ndarray], dtype: type[np.generic]) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype), *arrays])


def _ranks(places: Sequence[Int64s]) -> list[Int64s]:
    """The places, closed up: 0, 1, 2 … over all parts."""
    everything = np.sort(np.concatenate([np.empty(0, np.int64), *places]))
    return [np.searchsorted(everything, part) for part in places]


def _named(table: pa.Table, columns: Collection[str]) -> list[str]:
    return [name for name in table.column_names if name in columns]
