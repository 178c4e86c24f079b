"""A node's bars as a table of PostgreSQL, which others may write to.

What a backfill wrote lies beside it in `<table>__segments`: the same columns and the name of the
segment, partitioned by month of the bar time; `<table>__segment_list` says which segments there are
and which columns each had, so that an absent column stays absent. Both are made by the first
`stage`. Rows go in and out as Arrow through binary COPY.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as postgres
import numpy as np
import pyarrow as pa
from psycopg import sql

from provider.blend import Piece
from provider.stores.connections import connections_to
from provider.stores.postgres_tables import SEGMENT, SegmentTables, rows_of, run
from provider.stores.postgres_types import Column, as_read
from provider.stores.protocol import SEGMENT_SOURCE, SegmentExists, StoreUnreadable
from provider.stores.ranges import rows_in_range
from provider.stores.segments import (
    StagedRows,
    checked_segment_name,
    checksum_of,
    segment_name,
)
from provider.timeline import PER_SECOND

_WITHOUT_ZONE = "timezone('UTC', to_timestamp({}))"
_ALL = sql.SQL("true")
STATEMENT_SECONDS = 60.0
_SETTINGS = """
    SELECT set_config('statement_timeout', {}, true), set_config('work_mem', '64MB', true),
           set_config('synchronize_seqscans', 'off', true),
           set_config('max_parallel_workers_per_gather', '0', true)
"""
_TABLE = re.compile(r"(?:([A-Za-z_][A-Za-z0-9_]{0,62})\.)?([A-Za-z_][A-Za-z0-9_]{0,40})", re.ASCII)
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
# The first and the last second that PostgreSQL's timestamps hold.
_FIRST_SECOND, _LAST_SECOND = -210_866_803_200, 9_224_318_015_999


class PostgresStore:
    """The table `table` (`name` or `schema.name`) of the database at `url`.

    `time` is the column of the bar times and `unit` what integers in it count, as the schema
    declares. Raises ValueError for what is no table name. Nothing is created before the first
    `stage`.
    """

    def __init__(self, url: str, table: str, *, time: str | None, unit: str | None) -> None:
        found = _TABLE.fullmatch(table)
        if found is None:
            raise ValueError(f"{table!r} is not a table: use letters, digits and _, or schema.name")
        self._connections = connections_to(url)
        schema, name = found.groups()
        self._tables = SegmentTables(schema, name, time, unit)
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
        with self._cursor(seconds) as cursor:
            pieces = self._segment_pieces(cursor, start, end, committed, columns)
            found = self._tables.columns(cursor, self._tables.name)
            if found:
                table = self._select(cursor, self._tables.name, found, start, end, columns, _ALL)
                pieces.append(Piece(self._tables.name, table))
        return [piece for piece in pieces if piece.table.num_rows]

    def version(self, committed: Sequence[str], *, now: float) -> str | None:
        """The database's snapshot: equal ones see equal rows, whoever wrote.

        None for what may hold rows of elsewhere: views and foreign tables.
        """
        with self._cursor(None) as cursor:
            address = self._tables.address(self._tables.name).as_string(None)
            query = sql.SQL(
                "SELECT pg_current_snapshot()::text, COALESCE("
                "(SELECT bool_and(relkind IN ('r', 'p')) FROM pg_class WHERE oid IN"
                " (SELECT to_regclass({0}) UNION SELECT relid"
                " FROM pg_partition_tree(to_regclass({0})))), true)"
            ).format(address)
            ((snapshot, ours),) = rows_of(cursor, query)
        return f"{snapshot} {' '.join(committed)}" if ours else None

    def stage(self, table: pa.Table, shard_id: int | str, epoch: int) -> StagedRows:
        name = segment_name(shard_id, epoch)
        with self._cursor(None) as cursor:
            # One stage of this table at a time: what is created below is then created once.
            lock = sql.SQL("SELECT pg_advisory_xact_lock(hashtext({}))").format(self._tables.name)
            run(cursor, lock)
            rows = self._tables.fit(cursor, table)
            staged = StagedRows(name, checksum_of(rows), rows.num_rows)
            earlier = self._tables.listed(cursor, [name]).get(name)
            if earlier is None:
                self._tables.write(cursor, staged, rows, table.column_names)
            elif earlier.checksum != staged.checksum:
                raise SegmentExists(name)
            cursor.connection.commit()
        return staged

    def discard(self, name: str) -> None:
        checked_segment_name(name)
        with self._cursor(None) as cursor:
            if self._tables.columns(cursor, self._tables.list):
                self._tables.delete(cursor, [name])
                cursor.connection.commit()

    def sweep(self, committed: Collection[str], *, before: float) -> list[str]:
        with self._cursor(None) as cursor:
            if not self._tables.columns(cursor, self._tables.list):
                return []
            old = sql.SQL("SELECT name FROM {} WHERE staged_at < to_timestamp({})").format(
                self._tables.address(self._tables.list), before
            )
            found = [name for (name,) in rows_of(cursor, old)]
            removed = sorted(set(found) - set(committed))
            self._tables.delete(cursor, removed)
            cursor.connection.commit()
        return removed

    # --- reading ----------------------------------------------------------------------------------

    def _segment_pieces(
        self,
        cursor: postgres.Cursor,
        start: int,
        end: int,
        committed: Sequence[str],
        columns: Collection[str] | None,
    ) -> list[Piece]:
        if not committed:
            return []
        listed = self._tables.listed(cursor, committed)
        if gone := sorted(set(committed) - set(listed)):
            raise StoreUnreadable(
                f"the segment {gone[0]!r} is committed and not in {self._tables.segments}; "
                "restore the table, or reprocess the range",
                segment=gone[0],
            )
        found = self._tables.columns(cursor, self._tables.segments)
        wanted = None if columns is None else {*columns, SEGMENT}
        chosen = sql.SQL("{} = ANY({})").format(sql.Identifier(SEGMENT), list(committed))
        table = self._select(cursor, self._tables.segments, found, start, end, wanted, chosen)
        rows = _by_segment(table)
        return [
            Piece(
                f"{SEGMENT_SOURCE}/{name}",
                _with_columns(rows.get(name, table.slice(0, 0)), listed[name].columns, columns),
            )
            for name in committed
        ]

    def _select(
        self,
        cursor: postgres.Cursor,
        table: str,
        found: Mapping[str, Column],
        start: int,
        end: int,
        columns: Collection[str] | None,
        chosen: sql.Composable,
    ) -> pa.Table:
        wanted = [name for name in found if columns is None or name in columns]
        pushed_down = self._condition(found, start, end)
        timed = [self._time] if self._time is not None and self._time in found else []
        read = list(dict.fromkeys([*wanted, *timed]))
        query = sql.SQL("SELECT {} FROM {} WHERE {} AND {}{}").format(
            sql.SQL(", ").join(found[name].expression for name in read),
            self._tables.address(table),
            chosen,
            pushed_down or _ALL,
            sql.SQL("") if pushed_down else self._order(cursor, table, found),
        )
        run(cursor, query)
        answer = cursor.fetch_arrow_table()
        arrays = [as_read(found[name], answer.column(name)) for name in read]
        rows = pa.table(dict(zip(read, arrays, strict=True))) if read else answer
        for time in timed:
            # Where the database cannot tell which rows are in the range, we look at each.
            rows = (
                _in_time_order(rows, time)
                if pushed_down
                else rows_in_range(rows, time, self._unit, start, end)
            )
        return rows.select(wanted)

    def _order(
        self, cursor: postgres.Cursor, table: str, found: Mapping[str, Column]
    ) -> sql.Composable:
        """By time, and rows of one time always the same way: a table by itself has no order."""
        kind = sql.SQL("SELECT relkind::text FROM pg_class WHERE oid = to_regclass({})").format(
            self._tables.address(table).as_string(None)
        )
        ((relkind,),) = rows_of(cursor, kind)
        by = [sql.Identifier(self._time)] if self._time is not None and self._time in found else []
        places = [sql.SQL("tableoid"), sql.SQL("ctid")] if relkind in ("r", "p") else []
        both = [*by, *places]
        return sql.SQL(" ORDER BY {}").format(sql.SQL(", ").join(both)) if both else sql.SQL("")

    def _condition(
        self, found: Mapping[str, Column], start: int, end: int
    ) -> sql.Composable | None:
        """Which rows are read, where the database can tell by itself; None where it cannot."""
        column = found.get(self._time or "")
        if column is None:
            return None
        if column.holds_integers and self._unit is not None:
            per_second = PER_SECOND[self._unit]
            bounds: list[sql.Composable] = [
                sql.SQL("CAST({} AS bigint)").format(
                    max(_SMALLEST, min(_LARGEST, bound * per_second))
                )
                for bound in (start, end)
            ]
            impossible = start * per_second > _LARGEST or end * per_second < _SMALLEST
        elif column.type_name in ("timestamp", "timestamptz"):
            zoned = column.type_name == "timestamptz"
            instant = sql.SQL("to_timestamp({})" if zoned else _WITHOUT_ZONE)
            bounds = [
                instant.format(max(_FIRST_SECOND, min(_LAST_SECOND, bound)))
                for bound in (start, end)
            ]
            impossible = start > _LAST_SECOND or end < _FIRST_SECOND
        else:
            return None
        time = sql.Identifier(column.name)
        if impossible:
            return sql.SQL("{} IS NULL").format(time)
        return sql.SQL("({0} IS NULL OR {0} BETWEEN {1} AND {2})").format(time, *bounds)

    @contextmanager
    def _cursor(self, seconds: float | None) -> Iterator[postgres.Cursor]:
        """A cursor in a transaction of its own; what goes wrong is told without the address."""
        limit = STATEMENT_SECONDS if seconds is None else min(seconds, STATEMENT_SECONDS)
        try:
            with self._connections.borrowed() as connection, connection.cursor() as cursor:
                run(cursor, sql.SQL(_SETTINGS).format(str(int(limit * 1000))))
                yield cursor
        except adbc_driver_manager.Error as error:
            raise StoreUnreadable(
                f"the table {self._tables.name!r} cannot be used: {_reason(error)}",
                table=self._tables.name,
            ) from error


def _in_time_order(rows: pa.Table, time: str) -> pa.Table:
    """By a time that is an integer or a timestamp, without one last; equal ones stay as they were.

    Faster than the server's own sort, and under `_SETTINGS` as definite: every scan yields rows of
    one time as they lie in the table.
    """
    values = rows.column(time)
    times = values.cast(pa.int64()).fill_null(np.iinfo(np.int64).max).to_numpy()
    if (times[1:] >= times[:-1]).all():
        return rows
    return rows.take(np.argsort(times, kind="stable"))


def _by_segment(table: pa.Table) -> dict[str, pa.Table]:
    """The rows of each segment, in their order."""
    if not table.num_rows:
        return {}
    encoded = table.column(SEGMENT).combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()
    if len(encoded.dictionary) > 1:
        order = np.argsort(codes, kind="stable")
        table, codes = table.take(order), codes[order]
    bounds = np.searchsorted(codes, np.arange(len(encoded.dictionary) + 1))
    return {
        name: table.slice(first, last - first)
        for name, first, last in zip(
            encoded.dictionary.to_pylist(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True
        )
    }


def _with_columns(rows: pa.Table, had: Sequence[str], columns: Collection[str] | None) -> pa.Table:
    """A segment's rows with the columns that it had, also one that never held a value."""
    wanted = [column for column in had if columns is None or column in columns]
    for column in wanted:
        if column not in rows.column_names:
            rows = rows.append_column(column, pa.nulls(rows.num_rows))
    return rows.select(wanted)


def _reason(error: adbc_driver_manager.Error) -> str:
    """The server's own sentence; a driver's message may hold the address with its password."""
    found = re.search(r"(?:ERROR|FATAL):\s*(.+)", str(error))
    return found.group(1).strip() if found else type(error).__name__
