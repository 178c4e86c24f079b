"""A node's bars in QuestDB: a table that others write to, and beside it what backfills wrote.

`<table>__segments` holds the rows of segments, deduplicated by (bar time, segment, row), so that a
request that is sent twice counts once. `<table>__segment_list` says which segments there are, what
columns each had and how many rows; its row is written when all rows of the segment can be read, and
a reader asks it before it looks. A segment's name holds the epoch, and our database knows which
name is committed: a late writer's rows are in the table and in no answer.

QuestDB deletes no rows: a segment that was discarded leaves the list, and its rows stay until an
operator drops them (`docs/how-to/questdb.md`).
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from provider.blend import Piece
from provider.stores.protocol import SEGMENT_SOURCE, SegmentExists, StoreUnreadable
from provider.stores.questdb_columns import (
    HeldColumn,
    columns_of,
    given_back,
    held_column,
    schema_text,
)
from provider.stores.questdb_lines import bodies
from provider.stores.questdb_others import read_others
from provider.stores.questdb_wire import QuestDB, Rows, literal, questdb_at, quoted
from provider.stores.segments import (
    StagedRows,
    checked_segment_name,
    checksum_of,
    one_plain_array,
    segment_name,
)
from provider.timeline import read_times

ROWS_IN_A_REQUEST = 50_000
SEGMENTS_IN_A_QUERY = 200

_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}", re.ASCII)
_LATEST_SECOND = 253_402_300_799  # 9999-12-31: the last that QuestDB takes
_CREATE_SEGMENTS = (
    "CREATE TABLE IF NOT EXISTS {table} (seamless_segment SYMBOL CAPACITY 4096,"
    " seamless_row LONG, seamless_second LONG, seamless_later BOOLEAN, seamless_time TIMESTAMP)"
    " TIMESTAMP(seamless_time) PARTITION BY MONTH WAL"
    " DEDUP UPSERT KEYS(seamless_time, seamless_segment, seamless_row)"
)
_CREATE_LIST = (
    "CREATE TABLE IF NOT EXISTS {table} (name SYMBOL CAPACITY 4096, tag VARCHAR, columns VARCHAR,"
    " checksum VARCHAR, row_count LONG, untimed LONG, there BOOLEAN, staged_at LONG, at TIMESTAMP)"
    " TIMESTAMP(at) PARTITION BY YEAR WAL DEDUP UPSERT KEYS(at, name)"
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A segment as the list has it. `tag`: what marks its rows, another one for other rows."""

    name: str
    tag: str
    columns: Sequence[HeldColumn]
    checksum: str
    rows: int
    untimed: int
    staged_at: float


@dataclass(frozen=True, slots=True)
class Filing:
    """Where rows go: our own columns, microseconds of the designated time, how many have none."""

    columns: Sequence[tuple[str, pa.Array]]
    times: NDArray[np.int64]
    untimed: int


class QuestDBStore:
    """The table `table` of the server at `url`; `time` and `unit` are as the schema declares.

    Raises ValueError for what is no table name. Nothing is created before the first `stage`.
    """

    def __init__(self, url: str, table: str, *, time: str | None, unit: str | None) -> None:
        if not _TABLE.fullmatch(table):
            raise ValueError(f"{table!r} is not a table: use letters, digits and _")
        self._server: QuestDB = questdb_at(url)
        self._table = table
        self._segments = f"{table}__segments"
        self._list = f"{table}__segment_list"
        self._time = time
        self._unit = unit

    def read(
        self,
        start: int,
        end: int,
        committed: Sequence[str],
        *,
        columns: Collection[str] | None = None,
        seconds: float | None = None,
    ) -> list[Piece]:
        for name in committed:
            checked_segment_name(name)
        pieces = self._segment_pieces(start, end, committed, columns, seconds)
        others = read_others(
            self._server, self._table, (start, end), self._time, self._unit, columns, seconds
        )
        if others is not None:
            pieces.append(Piece(self._table, others))
        return [piece for piece in pieces if piece.table.num_rows]

    def version(self, committed: Sequence[str], *, now: float) -> str | None:
        """The transaction that readers see of the others' table; None where it keeps none."""
        found = self._server.query(
            f"SELECT writerTxn, sequencerTxn FROM wal_tables() WHERE name = {literal(self._table)}"
        )
        if not found and self._server.columns(self._table):
            return None
        seen = [*found, *committed]
        return hashlib.sha256(repr(seen).encode()).hexdigest()

    def stage(self, table: pa.Table, shard_id: int | str, epoch: int) -> StagedRows:
        name = segment_name(shard_id, epoch)
        rows = pa.table([one_plain_array(column) for column in table.columns], table.column_names)
        staged = StagedRows(name, checksum_of(rows), rows.num_rows)
        self._server.query(_CREATE_SEGMENTS.format(table=quoted(self._segments)))
        self._server.query(_CREATE_LIST.format(table=quoted(self._list)))
        earlier = self._listed([name]).get(name)
        if earlier is None:
            self._write(staged, rows)
        elif earlier.checksum != staged.checksum:
            raise SegmentExists(name)
        return staged

    def discard(self, name: str) -> None:
        checked_segment_name(name)
        found = self._listed([name]).get(name) if self._server.columns(self._list) else None
        if found is not None:
            self._list_segment(found, there=False)

    def sweep(self, committed: Collection[str], *, before: float) -> list[str]:
        if not self._server.columns(self._list):
            return []
        found = self._list_where("there")
        old = [one for one in found if one.name not in committed and one.staged_at < before]
        for one in old:
            self._list_segment(one, there=False)
        return sorted(one.name for one in old)

    # --- writing ----------------------------------------------------------------------------------

    def _write(self, staged: StagedRows, rows: pa.Table) -> None:
        arrays = [column.chunk(0) for column in rows.columns]
        held = [held_column(*pair) for pair in zip(rows.column_names, arrays, strict=True)]
        filing = self._filing(rows)
        tag = f"{staged.name}~{staged.checksum[-16:]}"
        fields = [*filing.columns]
        fields += [(column.held, values) for column, values in held if column.kind != "n"]
        head = f"{self._segments},seamless_segment={tag}"
        self._server.write(bodies(head, fields, pa.array(filing.times), rows=ROWS_IN_A_REQUEST))
        self._server.wait_until_applied(self._segments)
        self._expect_rows(tag, filing.times)
        columns = [column for column, _ in held]
        listed = Listed(
            staged.name, tag, columns, staged.checksum, staged.rows, filing.untimed, 0.0
        )
        self._list_segment(listed, there=True)

    def _filing(self, rows: pa.Table) -> Filing:
        """A row is filed under the second of its bar time, as far as QuestDB has it.

        One without a readable time is filed under the first. The second itself is sent where that
        may be another one: at the first and the last that QuestDB has.
        """
        count = rows.num_rows
        seconds, later = np.zeros(count, np.int64), np.zeros(count, np.bool_)
        timed = np.zeros(count, np.bool_)
        if self._time in rows.column_names:
            times = read_times(rows.column(self._time), self._unit)
            seconds, later, timed = times.seconds, times.nanos > 0, times.readable
        filed = np.clip(np.where(timed, seconds, 0), 0, _LATEST_SECOND)
        told = timed & ((filed == 0) | (filed == _LATEST_SECOND))
        columns = [
            ("seamless_row", pa.array(np.arange(count))),
            ("seamless_second", pa.array(seconds, mask=~told)),
            ("seamless_later", pa.array(later, mask=~later)),  # a flag that is not sent is false
        ]
        sent = [one for one in columns if one[1].null_count < count]
        return Filing(sent, filed * 1_000_000, int(count - timed.sum()))

    def _expect_rows(self, tag: str, times: NDArray[np.int64]) -> None:
        if not len(times):
            return
        ((count,),) = self._server.query(
            f"SELECT count() FROM {quoted(self._segments)} WHERE seamless_segment = {literal(tag)}"
            f" AND seamless_time BETWEEN {times.min()} AND {times.max()}"
        )
        if count != len(times):
            raise StoreUnreadable(f"QuestDB shows {count} of the {len(times)} rows of {tag!r}")

    def _list_segment(self, listed: Listed, *, there: bool) -> None:
        """Written over the wire: one row, there for every reader when this returns."""
        self._server.query(
            f"INSERT INTO {quoted(self._list)} VALUES ({literal(listed.name)},"
            f" {literal(listed.tag)}, {literal(schema_text(list(listed.columns)))},"
            f" {literal(listed.checksum)}, {listed.rows}, {listed.untimed}, {str(there).lower()},"
            " cast(now() AS long), 0)"
        )
        self._server.wait_until_applied(self._list)

    # --- reading ----------------------------------------------------------------------------------

    def _listed(self, names: Sequence[str]) -> Mapping[str, Listed]:
        found: dict[str, Listed] = {}
        for some in _portions(names):
            within = ", ".join(literal(name) for name in some)
            found |= {one.name: one for one in self._list_where(f"there AND name IN ({within})")}
        return found

    def _list_where(self, condition: str) -> list[Listed]:
        rows = self._server.query(
            "SELECT name, tag, columns, checksum, row_count, untimed, staged_at"
            f" FROM {quoted(self._list)} WHERE {condition}"
        )
        return [
            Listed(name, tag, columns_of(columns), checksum, count, untimed, staged_at / 1e6)
            for name, tag, columns, checksum, count, untimed, staged_at in rows
        ]

    def _segment_pieces(
        self,
        start: int,
        end: int,
        committed: Sequence[str],
        columns: Collection[str] | None,
        seconds: float | None,
    ) -> list[Piece]:
        if not committed:
            return []
        listed = self._listed(committed) if self._server.columns(self._list) else {}
        if gone := sorted(set(committed) - set(listed)):
            raise StoreUnreadable(
                f"the segment {gone[0]!r} is committed and not in {self._list}; "
                "restore the table, or reprocess the range",
                segment=gone[0],
            )
        tables: dict[str, pa.Table] = {}
        for same in _alike(list(listed.values())):
            for some in _portions(same):
                tables |= self._rows_of(some, start, end, columns, seconds)
        return [Piece(f"{SEGMENT_SOURCE}/{name}", tables[name]) for name in committed]

    def _rows_of(
        self,
        segments: Sequence[Listed],
        start: int,
        end: int,
        columns: Collection[str] | None,
        seconds: float | None,
    ) -> dict[str, pa.Table]:
        """The rows in the range of segments with the same columns."""
        wanted = [one for one in segments[0].columns if columns is None or one.name in columns]
        asked = [one.held for one in wanted if one.kind != "n"]
        names = [*(["seamless_segment"] if len(segments) > 1 else []), "seamless_row", *asked]
        within = ", ".join(literal(one.tag) for one in segments)
        query = (
            f"SELECT {', '.join(map(quoted, names))} FROM {quoted(self._segments)}"
            f" WHERE seamless_segment IN ({within}) AND {{}}"
        )
        rows = self._server.query(query.format(_timed(start, end)), seconds=seconds)
        if any(one.untimed for one in segments):
            untimed = "seamless_time = 0 AND seamless_second IS NULL"
            rows += self._server.query(query.format(untimed), seconds=seconds)
        return _by_segment(segments, wanted, rows)


def _timed(start: int, end: int) -> str:
    """Rows of the closed range; which second a row is of, see `QuestDBStore._filing`."""
    first, last = (max(0, min(_LATEST_SECOND, bound)) * 1_000_000 for bound in (start, end))
    lower, upper = max(start, -(2**62)), min(end, 2**62)
    return (
        f"seamless_time BETWEEN {first} AND {last} AND ("
        f"(seamless_second IS NULL AND seamless_time > 0"
        f" AND NOT (seamless_time = {last} AND seamless_later))"
        f" OR (seamless_second >= {lower} AND (seamless_second < {upper}"
        f" OR (seamless_second = {upper} AND NOT seamless_later))))"
    )


def _by_segment(
    segments: Sequence[Listed], wanted: Sequence[HeldColumn], rows: Rows
) -> dict[str, pa.Table]:
    """From rows of a segment's tag (where there are several), the row's number and what is held."""
    cells = iter(zip(*rows, strict=True))
    which = np.zeros(len(rows), np.int64)
    if len(segments) > 1:
        place = {one.tag: number for number, one in enumerate(segments)}
        which = np.fromiter(map(place.__getitem__, next(cells, ())), np.int64, len(rows))
    numbers = np.array(next(cells, ()), np.int64)
    table = pa.table(
        {
            one.name: given_back(one, [None] * len(rows) if one.kind == "n" else next(cells, ()))
            for one in wanted
        }
    )
    order = np.lexsort((numbers, which))
    if (np.diff(order) < 0).any():
        table, which = table.take(order), which[order]
    bounds = np.searchsorted(which, np.arange(len(segments) + 1))
    return {
        one.name: table.slice(first, until - first)
        for one, (first, until) in zip(segments, pairwise(bounds.tolist()), strict=True)
    }


def _alike(segments: Sequence[Listed]) -> list[list[Listed]]:
    """Groups of segments whose columns are the same, so that one query reads them."""
    groups: dict[tuple[HeldColumn, ...], list[Listed]] = {}
    for one in segments:
        groups.setdefault(tuple(one.columns), []).append(one)
    return list(groups.values())


def _portions(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [
        items[place : place + SEGMENTS_IN_A_QUERY]
        for place in range(0, len(items), SEGMENTS_IN_A_QUERY)
    ]
