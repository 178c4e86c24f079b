"""Arrow columns and rows as Python values that are JSON: `None`, `bool`, `int`, `float`, `Decimal`,
`str`, `list` and `dict`."""

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, TypeAlias, cast

import numpy as np
import pyarrow as pa
from pyarrow import types

from registry.cells.instants import (
    Unit,
    date_texts,
    date_time_texts,
    instants_as_integers,
    integer_of,
    is_instant,
    ticks,
)
from registry.frame import Frame

Cell: TypeAlias = "bool | int | float | Decimal | str | list[Cell] | dict[str, Cell] | None"


class UnwritableColumn(ValueError):
    """A column whose type has no JSON form here (binary, duration, map, union …)."""

    def __init__(self, column: str, kind: pa.DataType) -> None:
        super().__init__(
            f"column {column!r} has type {kind}, which is not written as JSON; "
            "cast it to a number, a string, a timestamp, a list or a struct first"
        )
        self.column = column
        self.kind = kind


class DuplicateColumn(ValueError):
    """Two columns (or two fields of one struct) of one name: a JSON object holds only one."""

    def __init__(self, names: Sequence[str], where: str = "") -> None:
        inside = f" inside column {where!r}" if where else ""
        super().__init__(
            f"duplicate column names{inside}: {', '.join(map(repr, names))}; "
            "a row is a JSON object, so rename or drop all but one of each"
        )
        self.names = tuple(names)


def write_rows(table: pa.Table | pa.RecordBatch, frame: Frame) -> list[dict[str, Cell]]:
    """One JSON object per row, keys in column order.

    Raises `DuplicateColumn` and `UnwritableColumn`.
    """
    refuse_unwritable(table.schema)
    names = table.schema.names
    if not names:
        return [{} for _ in range(table.num_rows)]
    columns = [
        write_cells(column, unit=cast(Unit | None, frame.unit), is_time=name == frame.time)
        for name, column in zip(names, table.columns, strict=True)
    ]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def write_cells(
    array: pa.Array | pa.ChunkedArray, *, unit: Unit | None = None, is_time: bool = False
) -> list[Cell]:
    """The cells of one column; `is_time` and `unit` say how the frame's time column is written."""
    if isinstance(array, pa.ChunkedArray):
        return [
            cell
            for chunk in array.chunks
            for cell in write_cells(chunk, unit=unit, is_time=is_time)
        ]
    if is_time:
        return _write_time(array, unit)
    return _write(array)


def refuse_unwritable(schema: pa.Schema) -> None:
    """Raise `DuplicateColumn` or `UnwritableColumn` for the first column that cannot be written."""
    _refuse_duplicates(schema.names)
    for field in schema:
        _refuse_type(field.type, field.name)


def _refuse_duplicates(names: Sequence[str], where: str = "") -> None:
    if len(set(names)) != len(names):
        raise DuplicateColumn([name for name, count in Counter(names).items() if count > 1], where)


def _refuse_type(kind: pa.DataType, column: str) -> None:
    if types.is_dictionary(kind) or is_list(kind):
        _refuse_type(kind.value_type, column)
    elif types.is_struct(kind):
        _refuse_duplicates([field.name for field in kind], column)
        for field in kind:
            _refuse_type(field.type, column)
    elif not any(recognise(kind) for recognise, _ in _WRITERS):
        raise UnwritableColumn(column, kind)


def is_list(kind: pa.DataType) -> bool:
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _write(array: pa.Array) -> list[Cell]:
    for recognise, write in _WRITERS:
        if recognise(array.type):
            return write(array)
    raise UnwritableColumn("", array.type)


def _write_time(array: pa.Array, unit: Unit | None) -> list[Cell]:
    if types.is_dictionary(array.type):
        return _write_codes(array, _write_time(array.dictionary, unit))
    if not is_instant(array.type):
        return _write(array)
    if unit is None:
        return _write_date_times(array)
    integers = instants_as_integers(array, unit)
    if integers is not None:
        return _plain(integers)
    return _write_mixed_time(array, unit)


def _write_mixed_time(array: pa.Array, unit: Unit) -> list[Cell]:
    values, stored = ticks(array)
    texts = _write_date_times(array)
    whole = [integer_of(value, stored, unit) for value in values.tolist()]
    return [
        text if text is None or number is None else number
        for text, number in zip(texts, whole, strict=True)
    ]


def _plain(array: pa.Array) -> list[Cell]:
    cells: list[Cell] = array.to_pylist()
    return cells


def _write_half_floats(array: pa.Array) -> list[Cell]:
    return _plain(array.cast(pa.float64()))


def _write_date_times(array: pa.Array) -> list[Cell]:
    values, unit = ticks(array)
    return _with_nulls(array, date_time_texts(values, unit))


def _write_dates(array: pa.Array) -> list[Cell]:
    values, unit = ticks(array)
    return _with_nulls(array, date_texts(values, unit))


def _write_codes(array: pa.Array, values: list[Cell]) -> list[Cell]:
    return [None if code is None else values[code] for code in array.indices.to_pylist()]


def _write_dictionary(array: pa.Array) -> list[Cell]:
    return _write_codes(array, _write(array.dictionary))


def _write_lists(array: pa.Array) -> list[Cell]:
    starts, ends = list_bounds(array)
    low, high = (int(starts.min()), int(ends.max())) if len(starts) else (0, 0)
    items = _write(array.values.slice(low, high - low))
    cells = [items[start - low : end - low] for start, end in zip(starts, ends, strict=True)]
    return _with_nulls(array, cells)


def list_bounds(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Where each list starts and ends in `array.values` (before the offset of a slice is taken)."""
    if types.is_fixed_size_list(array.type):
        size = array.type.list_size
        starts = (np.arange(len(array), dtype=np.int64) + array.offset) * size
        return starts, starts + size
    offsets = np.asarray(array.offsets).astype(np.int64)
    if not len(offsets):
        return offsets, offsets
    return offsets[:-1], offsets[1:]


def _write_structs(array: pa.Array) -> list[Cell]:
    names = [field.name for field in array.type]
    if not names:
        return _with_nulls(array, [{} for _ in range(len(array))])
    columns = [_write(child) for child in array.flatten()]
    cells: list[Cell] = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return _with_nulls(array, cells)


def _with_nulls(array: pa.Array, cells: Sequence[Cell]) -> list[Cell]:
    if not array.null_count:
        return list(cells)
    return [
        None if null else cell
        for null, cell in zip(np.asarray(array.is_null()).tolist(), cells, strict=True)
    ]


_Writer: TypeAlias = tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], list[Cell]]]

_WRITERS: Final[tuple[_Writer, ...]] = (
    (types.is_null, _plain),
    (types.is_boolean, _plain),
    (types.is_integer, _plain),
    (types.is_float16, _write_half_floats),
    (types.is_floating, _plain),
    (types.is_decimal, _plain),
    (types.is_string, _plain),
    (types.is_large_string, _plain),
    (types.is_string_view, _plain),
    (types.is_timestamp, _write_date_times),
    (types.is_date, _write_dates),
    (types.is_dictionary, _write_dictionary),
    (is_list, _write_lists),
    (types.is_struct, _write_structs),
)
