"""The tables that hold the segments of one node in PostgreSQL: made, widened, listed, emptied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import adbc_driver_postgresql.dbapi as postgres
import pyarrow as pa
from psycopg import sql

from provider.stores.postgres_partitions import month_partitions
from provider.stores.postgres_types import Column, as_read, as_stored, column_type
from provider.stores.protocol import StoreUnreadable
from provider.stores.segments import StagedRows

SEGMENT = "seamless_segment"
LONGEST_NAME = 63  # bytes of an identifier; PostgreSQL cuts what is longer, silently
_CREATE = (
    "CREATE TABLE {segments} ({segment} text NOT NULL, {columns}) PARTITION BY RANGE ({time})",
    "CREATE TABLE {rest} PARTITION OF {segments} DEFAULT",
    "CREATE INDEX ON {segments} ({segment}, {time})",
    "CREATE TABLE {list} (name text PRIMARY KEY, columns text[] NOT NULL, checksum text NOT NULL,"
    " row_count bigint NOT NULL, staged_at timestamptz NOT NULL DEFAULT clock_timestamp())",
)


@dataclass(frozen=True, slots=True)
class Listed:
    """What the list says of a segment: the columns its rows had, those without any value too."""

    checksum: str
    columns: list[str]


@dataclass(frozen=True, slots=True)
class SegmentTables:
    """`name` is the table that others write to, `time` its column of bar times.

    Each method runs in the caller's transaction, on the caller's cursor.
    """

    schema: str | None
    name: str
    time: str | None
    unit: str | None

    @property
    def segments(self) -> str:
        return f"{self.name}__segments"

    @property
    def list(self) -> str:
        return f"{self.name}__segment_list"

    def address(self, name: str) -> sql.Identifier:
        return sql.Identifier(name) if self.schema is None else sql.Identifier(self.schema, name)

    def columns(self, cursor: postgres.Cursor, table: str) -> dict[str, Column]:
        """The columns of a table by name; none where there is no such table."""
        query = sql.SQL(
            "SELECT attname::text, typname::text, atttypmod::int4, typtype::text"
            " FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid"
            " WHERE attrelid = to_regclass({}) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        ).format(self.address(table).as_string(None))
        return {row[0]: Column(*row) for row in rows_of(cursor, query)}

    def listed(self, cursor: postgres.Cursor, names: Sequence[str]) -> dict[str, Listed]:
        if not self.columns(cursor, self.list):
            return {}
        query = sql.SQL("SELECT name, checksum, columns FROM {} WHERE name = ANY({})").format(
            self.address(self.list), list(names)
        )
        return {name: Listed(*rest) for name, *rest in rows_of(cursor, query)}

    def fit(self, cursor: postgres.Cursor, table: pa.Table) -> pa.Table:
        """The rows in the types of the segments' table, which is made or widened to hold them.

        A column without any value has no type yet and stays out. Raises StoreUnreadable.
        """
        self._refuse_columns(table)
        self._make_room(cursor, table)
        held = self.columns(cursor, self.segments)
        run(cursor, sql.SQL("SELECT * FROM {} LIMIT 0").format(self.address(self.segments)))
        empty = cursor.fetch_arrow_table()
        return pa.table(
            {
                name: as_stored(held[name], table.column(name), _arrow_type(held[name], empty))
                for name in table.column_names
                if name in held
            }
        )

    def _refuse_columns(self, table: pa.Table) -> None:
        if self.time not in table.column_names or table.field(self.time).type == pa.null():
            raise StoreUnreadable(
                f"the rows have no times in {self.time!r}, by which this store orders them",
                column=self.time,
            )
        for name in table.column_names:
            if name == SEGMENT or not 0 < len(name.encode()) <= LONGEST_NAME:
                raise StoreUnreadable(
                    f"{name!r} cannot be a column of this store: it is the store's own, empty, or "
                    f"longer than {LONGEST_NAME} bytes",
                    column=name,
                )

    def _make_room(self, cursor: postgres.Cursor, table: pa.Table) -> None:
        others, held = self.columns(cursor, self.name), self.columns(cursor, self.segments)
        typed = [field for field in table.schema if field.type != pa.null()]
        if not held:
            self._create(cursor, typed, others)
            return
        for field in typed:
            if field.name not in held:
                add = sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
                    self.address(self.segments),
                    sql.Identifier(field.name),
                    _declared(field, others),
                )
                run(cursor, add)

    def _create(
        self, cursor: postgres.Cursor, fields: Sequence[pa.Field], others: Mapping[str, Column]
    ) -> None:
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(field.name), _declared(field, others))
            for field in fields
        )
        names = {
            "segments": self.address(self.segments),
            "rest": self.address(f"{self.segments}_rest"),
            "list": self.address(self.list),
            "segment": sql.Identifier(SEGMENT),
            "time": sql.Identifier(self.time or ""),
            "columns": columns,
        }
        for statement in _CREATE:
            run(cursor, sql.SQL(statement).format(**names))

    def write(
        self, cursor: postgres.Cursor, staged: StagedRows, rows: pa.Table, had: Sequence[str]
    ) -> None:
        """Write fitted rows; `had` are the columns they came with."""
        self._make_partitions(cursor, rows)
        named = rows.append_column(SEGMENT, pa.array([staged.name] * rows.num_rows, pa.string()))
        cursor.adbc_ingest(self.segments, named, mode="append", db_schema_name=self.schema or None)
        listed = sql.SQL(
            "INSERT INTO {} (name, columns, checksum, row_count) VALUES ({}, {}::text[], {}, {})"
        ).format(
            self.address(self.list),
            staged.name,
            [*had],
            staged.checksum,
            staged.rows,
        )
        run(cursor, listed)

    def _make_partitions(self, cursor: postgres.Cursor, rows: pa.Table) -> None:
        assert self.time is not None
        for suffix, lower, upper in month_partitions(rows.column(self.time), self.unit):
            run(
                cursor,
                sql.SQL(
                    "CREATE TABLE IF NOT EXISTS {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})"
                ).format(
                    self.address(f"{self.segments}_{suffix}"),
                    self.address(self.segments),
                    lower,
                    upper,
                ),
            )

    def delete(self, cursor: postgres.Cursor, names: Sequence[str]) -> None:
        if not names:
            return
        for table, column in ((self.segments, SEGMENT), (self.list, "name")):
            run(
                cursor,
                sql.SQL("DELETE FROM {} WHERE {} = ANY({})").format(
                    self.address(table), sql.Identifier(column), list(names)
                ),
            )


def run(cursor: postgres.Cursor, query: sql.Composable) -> None:
    cursor.execute(query.as_string(None))


def rows_of(cursor: postgres.Cursor, query: sql.Composable) -> list[tuple[Any, ...]]:
    run(cursor, query)
    return list(cursor.fetchall())


def _declared(field: pa.Field, others: Mapping[str, Column]) -> sql.SQL:
    """The type of a new column: as in the table of others where it has one, else by its values."""
    other = others.get(field.name)
    return sql.SQL(column_type(field.name, field.type) if other is None else other.declaration)


def _arrow_type(column: Column, empty: pa.Table) -> pa.DataType:
    return as_read(column, empty.column(column.name)).type
