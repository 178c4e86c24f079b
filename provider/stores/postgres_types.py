"""Column types of PostgreSQL and Arrow, each way, without losing a value.

PostgreSQL's `numeric` arrives as text: with a declared precision it becomes that decimal type,
without one the narrowest that holds the values read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import pyarrow as pa
from psycopg import sql
from pyarrow import types

from provider.stores.protocol import StoreUnreadable
from provider.stores.segments import one_plain_array

_NUMBERS = {"int2", "int4", "int8", "float4", "float8", "numeric"}
_PLAIN = _NUMBERS | {"bool", "text", "varchar", "bpchar", "date", "timestamp", "timestamptz"}
_LISTS = frozenset(f"_{name}" for name in _PLAIN - {"numeric"})
_AS_TEXT = frozenset(("uuid", "name"))
_INTEGERS = frozenset(("int2", "int4", "int8"))
_DDL: Sequence[tuple[str, str]] = (
    ("is_boolean", "boolean"),
    ("is_uint64", "numeric(20)"),
    ("is_integer", "bigint"),
    ("is_float32", "real"),
    ("is_floating", "double precision"),
    ("is_string", "text"),
    ("is_large_string", "text"),
    ("is_date", "date"),
)
_HEADER = 4  # of a type modifier: what PostgreSQL adds to (precision << 16 | scale)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table in the catalogue: its type's name, modifier and kind (`e`: an enum)."""

    name: str
    type_name: str
    modifier: int
    kind: str

    @property
    def holds_integers(self) -> bool:
        return self.type_name in _INTEGERS

    @property
    def expression(self) -> sql.Composable:
        """What to select so that the column arrives in a type that can be read."""
        if self.type_name in _PLAIN or self.type_name in _LISTS:
            return sql.Identifier(self.name)
        if self.kind == "e" or self.type_name in _AS_TEXT:
            return sql.SQL("{0}::text AS {0}").format(sql.Identifier(self.name))
        raise StoreUnreadable(
            f"the column {self.name!r} has the type {self.type_name}, which cannot be read; "
            "cast it in a view and name the view as the node's table",
            column=self.name,
        )

    @property
    def declaration(self) -> str:
        """The type of another column that holds what is read from this one."""
        if self.kind == "e" or self.type_name in _AS_TEXT:
            return "text"
        precision = self.precision_and_scale
        return self.type_name if precision is None else "numeric({},{})".format(*precision)

    @property
    def precision_and_scale(self) -> tuple[int, int] | None:
        """Of a `numeric` that declares them."""
        if self.type_name != "numeric" or self.modifier < _HEADER:
            return None
        return (self.modifier - _HEADER) >> 16, (self.modifier - _HEADER) & 0x7FF


def column_type(name: str, kind: pa.DataType) -> str:
    """The type of a new column that holds every value of an Arrow type. Raises StoreUnreadable."""
    if types.is_dictionary(kind):
        return column_type(name, kind.value_type)
    if types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "timestamptz"
    if types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    if types.is_list(kind) or types.is_large_list(kind):
        return f"{column_type(name, kind.value_type)}[]"
    for recognise, declared in _DDL:
        if getattr(types, recognise)(kind):
            return declared
    raise StoreUnreadable(
        f"the column {name!r} has the type {kind}, which this store cannot hold; "
        "keep such a node in a Parquet store",
        column=name,
    )


def as_read(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """A selected column in its exact Arrow type."""
    if column.type_name != "numeric":
        return values
    texts = values.cast(pa.string()) if values.type == pa.string() else _storage(values)
    declared = column.precision_and_scale
    try:
        if declared is not None and 0 <= declared[1] <= declared[0] <= 38:
            return texts.cast(pa.decimal128(*declared))
        return pa.chunked_array([_narrowest(texts.to_pylist())])
    except (pa.ArrowInvalid, InvalidOperation, ValueError):
        raise StoreUnreadable(
            f"the column {column.name!r} holds a number that is not finite or has more digits "
            "than can be read",
            column=column.name,
        ) from None


def _storage(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([chunk.storage for chunk in values.chunks], pa.string())


def _narrowest(texts: Sequence[str | None]) -> pa.Array:
    numbers = [None if text is None else Decimal(text) for text in texts]
    if not all(number is None or number.is_finite() for number in numbers):
        raise ValueError("not finite")
    if all(number is None for number in numbers):
        return pa.nulls(len(numbers), pa.decimal128(38))
    return pa.array(numbers)


def as_stored(column: Column, values: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """New values in the type `kind` that the column arrives in, if none of them changes by it.

    Raises StoreUnreadable.
    """
    name, plain = column.name, one_plain_array(values)
    any_digits = column.type_name == "numeric" and column.precision_and_scale is None
    if any_digits and (types.is_decimal(plain.type) or types.is_integer(plain.type)):
        return plain
    try:
        if types.is_integer(plain.type) and types.is_decimal(kind):
            # Arrow asks for room for every integer of the type, not for the ones that are there.
            plain = plain.cast(pa.decimal256(76, kind.scale))
        return plain.cast(kind, safe=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise StoreUnreadable(
            f"the column {name!r} of the table holds {kind}, and the new rows have {plain.type} "
            f"that does not fit exactly ({str(error).splitlines()[0]}); widen the column of both "
            "tables, or mend the source",
            column=name,
        ) from None
