"""The table that others write to, whatever its columns are."""

from collections.abc import Collection, Mapping
from decimal import Decimal

import pyarrow as pa

from provider.stores.protocol import StoreUnreadable
from provider.stores.questdb_wire import QuestDB, quoted
from provider.stores.ranges import rows_in_range
from provider.timeline import PER_SECOND

_SMALLEST, _LARGEST = -(2**63) + 1, 2**63 - 1
_TYPES: Mapping[str, pa.DataType] = {
    "BOOLEAN": pa.bool_(),
    "BYTE": pa.int8(),
    "SHORT": pa.int16(),
    "INT": pa.int32(),
    "LONG": pa.int64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "CHAR": pa.string(),
    "STRING": pa.string(),
    "VARCHAR": pa.string(),
    "SYMBOL": pa.string(),
    "UUID": pa.string(),
    "IPv4": pa.string(),
    # Asked for as ticks: the wire would cut what is finer than a microsecond.
    "DATE": pa.timestamp("ms", "UTC"),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
    "TIMESTAMP_NS": pa.timestamp("ns", "UTC"),
}
_INTEGERS = ("BYTE", "SHORT", "INT", "LONG")
_AS_TEXT = ("UUID", "IPv4", "CHAR")


def read_others(
    server: QuestDB,
    table: str,
    span: tuple[int, int],
    time: str | None,
    unit: str | None,
    columns: Collection[str] | None,
    seconds: float | None,
) -> pa.Table | None:
    """The rows in the closed span, and those without a time; None where there is no such table.

    Rows are in the order of their bar times, as QuestDB keeps them.
    """
    types = server.columns(table)
    if not types:
        return None
    wanted = [name for name in types if columns is None or name in columns]
    pushed_down = _condition(time, types.get(time or ""), unit, *span)
    by_hand = time is not None and time in types and pushed_down is None
    read = list(dict.fromkeys([*wanted, *([time] if by_hand and time else [])]))
    order = f" ORDER BY {quoted(time)}" if time in types and time else ""
    chosen = ", ".join(_expression(name, types[name]) for name in read) or "1"
    where = f" WHERE {pushed_down}" if pushed_down else ""
    rows = server.query(f"SELECT {chosen} FROM {quoted(table)}{where}{order}", seconds=seconds)
    cells = list(zip(*rows, strict=True)) if rows else [()] * max(1, len(read))
    if not read:
        return pa.table({"_": pa.nulls(len(rows))}).select([])
    found = pa.table(
        {name: _array(types[name], values) for name, values in zip(read, cells, strict=True)}
    )
    if by_hand and time:
        found = rows_in_range(found, time, unit, *span)
    return found.select(wanted)


def _expression(name: str, kind: str) -> str:
    if kind.startswith("DECIMAL"):
        return quoted(name)
    if kind not in _TYPES:
        raise StoreUnreadable(
            f"the column {name!r} has the type {kind}, which cannot be read; "
            "cast it in a view and name the view as the node's table",
            column=name,
        )
    if pa.types.is_timestamp(_TYPES[kind]):
        return f"cast({quoted(name)} AS long) AS {quoted(name)}"
    if kind in _AS_TEXT:
        return f"cast({quoted(name)} AS varchar) AS {quoted(name)}"
    return quoted(name)


def _array(kind: str, cells: tuple[object, ...]) -> pa.Array:
    if kind.startswith("DECIMAL"):
        exact = [None if cell is None else Decimal(str(cell)) for cell in cells]
        return pa.array(exact)
    wanted = _TYPES[kind]
    if pa.types.is_timestamp(wanted):
        return pa.array(cells, pa.int64()).view(wanted)
    return pa.array(cells, wanted)


def _condition(
    time: str | None, kind: str | None, unit: str | None, start: int, end: int
) -> str | None:
    """Which rows are read, where QuestDB can tell by itself; None where it cannot."""
    if time is None or kind is None:
        return None
    if kind in _INTEGERS and unit is not None:
        per_second = PER_SECOND[unit]
    elif kind in _TYPES and pa.types.is_timestamp(_TYPES[kind]):
        per_second = PER_SECOND[_TYPES[kind].unit]
    else:
        return None
    first = max(_SMALLEST, min(_LARGEST, start * per_second))
    last = max(_SMALLEST, min(_LARGEST, end * per_second))
    name = quoted(time)
    if kind in _INTEGERS:
        return f"({name} IS NULL OR ({name} >= {first} AND {name} <= {last}))"
    return (
        f"({name} IS NULL OR ({name} >= cast({first}L AS {kind.lower()})"
        f" AND {name} <= cast({last}L AS {kind.lower()})))"
    )
