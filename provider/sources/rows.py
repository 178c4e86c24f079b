"""From what an upstream sends to typed rows of the range that was asked for."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from coordinator.coverage import CoverageRange
from provider.sources.settings import InvalidSourceSettings
from provider.stores.ranges import rows_in_range

_DECIMAL = re.compile(r"decimal\((\d{1,2}), ?(\d{1,2})\)")
_TYPES: Mapping[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "timestamp[s]": pa.timestamp("s", "UTC"),
    "timestamp[ms]": pa.timestamp("ms", "UTC"),
    "timestamp[us]": pa.timestamp("us", "UTC"),
    "timestamp[ns]": pa.timestamp("ns", "UTC"),
}


class WrongRows(ValueError):
    """The upstream sent what cannot be the rows that were agreed; the sentence says where."""


def read_types(settings: Any) -> dict[str, pa.DataType]:
    """`{"close": "float64", …}` of a source's settings."""
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise InvalidSourceSettings("types", 'must be an object: {"column": "type"}')
    found = {}
    for column, name in settings.items():
        decimal = _DECIMAL.fullmatch(str(name))
        if decimal:
            found[column] = pa.decimal128(int(decimal[1]), int(decimal[2]))
        elif name in _TYPES:
            found[column] = _TYPES[name]
        else:
            known = ", ".join([*_TYPES, "decimal(P,S)"])
            raise InvalidSourceSettings(
                "types", f"gives {column!r} the type {name!r}; there are {known}"
            )
    return found


def table_of(
    records: Sequence[Mapping[str, Any]], types: Mapping[str, pa.DataType], where: str
) -> pa.Table:
    """Records as columns; one without a declared type takes the type that all its cells have.

    A cell is never bent into a type: "1.5" is no number and 1 is no text. Raises WrongRows.
    """
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise WrongRows(f"{where}: row {number} is {type(record).__name__}, not an object")
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {
        name: _column([record.get(name) for record in records], types.get(name), name, where)
        for name in [*names, *(name for name in types if name not in names and not records)]
    }
    return pa.table(columns)


def _column(cells: list[Any], kind: pa.DataType | None, name: str, where: str) -> pa.Array:
    text_for_time = kind is not None and pa.types.is_timestamp(kind)
    try:
        if text_for_time and any(isinstance(cell, str) for cell in cells):
            return pa.array(cells, pa.string()).cast(kind)
        if kind is not None and pa.types.is_floating(kind):
            return pa.array(cells, kind) if all(map(_is_number, cells)) else _refused(cells)
        return pa.array(cells, kind)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        first = str(error).splitlines()[0]
        raise WrongRows(f"{where}: the column {name!r} cannot be read: {first}") from error


def _is_number(cell: Any) -> bool:
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))


def _refused(cells: list[Any]) -> pa.Array:
    odd = next(cell for cell in cells if not _is_number(cell))
    raise TypeError(f"{str(odd)[:40]!r} is no number")


def renamed(table: pa.Table, names: Mapping[str, str]) -> pa.Table:
    """`names` is ours to theirs; columns that it does not name keep their names."""
    ours = {theirs: mine for mine, theirs in names.items()}
    return table.rename_columns([ours.get(name, name) for name in table.column_names])


def joined(pages: Sequence[pa.Table], where: str) -> pa.Table:
    """Pages one after the other; raises WrongRows where a column has two types."""
    filled = [page for page in pages if page.num_rows]
    try:
        return pa.concat_tables(filled or pages[:1], promote_options="default")
    except pa.ArrowException as error:
        first = str(error).splitlines()[0]
        raise WrongRows(f"{where}: two pages have different types: {first}") from error


def cleaned(table: pa.Table, time: str, unit: str | None, span: CoverageRange) -> pa.Table:
    """Rows of the range, each once: a page that was sent twice says nothing new.

    Rows of one time that differ stay: which of them is true is not ours to say.
    """
    if time in table.column_names:
        table = rows_in_range(table, time, unit, span.start, span.end)
    return without_repeated_rows(table)


def without_repeated_rows(table: pa.Table) -> pa.Table:
    """Without rows that are equal in every cell to one before."""
    if not table.num_rows or any(pa.types.is_nested(field.type) for field in table.schema):
        return table
    numbered = table.append_column("__row", pa.array(range(table.num_rows), pa.int64()))
    first = numbered.group_by(table.column_names).aggregate([("__row", "min")])
    return table.take(first.column("__row_min").combine_chunks().sort())


def pointed(document: Any, pointer: str, where: str) -> Any:
    """What a JSON pointer (RFC 6901) leads to in a page. Raises WrongRows."""
    found = document
    for part in _parts(pointer):
        try:
            found = found[int(part)] if isinstance(found, list) else found[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise WrongRows(f"{where}: there is nothing at {pointer!r}") from None
    return found


def _parts(pointer: str) -> Iterable[str]:
    return (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
