"""Any accepted table as an Arrow table in layouts that Arrow's own functions know."""

from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import types

from registry.cells import refuse_unwritable
from registry.cells.writing import list_bounds


def as_table(table: Any) -> Any:
    """A table from a table, a record batch or a pandas frame, without a copy where that can be.

    String views and decimals of 32 or 64 bits, for which Arrow has few functions yet, are cast
    without loss. Raises `registry.cells.DuplicateColumn` and `registry.cells.UnwritableColumn`.
    """
    arrow = _arrow(table)
    for index, kind in _casts(arrow.schema):
        chunks = [_laid_out(chunk, kind) for chunk in arrow.column(index).chunks]
        column = pa.chunked_array(chunks, kind)
        arrow = arrow.set_column(index, arrow.field(index).name, column)
    return arrow


def _laid_out(array: Any, kind: Any) -> Any:
    """The array as `kind`, which `_common` gave of its type.

    Nested arrays are put together anew: Arrow's own cast of a slice of one takes the slice twice
    of a child whose type stays, and reads beyond its end (pyarrow 26).
    """
    if array.type == kind:
        return array
    if not (types.is_nested(kind) or types.is_dictionary(kind)):
        return array.cast(kind)
    if types.is_dictionary(kind):
        values = _laid_out(array.dictionary, kind.value_type)
        return pa.DictionaryArray.from_arrays(array.indices, values, ordered=kind.ordered)
    mask = array.is_null()
    if types.is_struct(kind):
        children = [_laid_out(array.field(index), field.type) for index, field in enumerate(kind)]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=mask)
    starts, ends = list_bounds(array)
    first, last = (int(starts[0]), int(ends[-1])) if len(starts) else (0, 0)
    items = _laid_out(array.values.slice(first, last - first), kind.value_type)
    if types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(items, type=kind, mask=mask)
    large = types.is_large_list(kind)
    offsets = pa.array(np.append(starts, last) - first, pa.int64() if large else pa.int32())
    made = pa.LargeListArray if large else pa.ListArray
    return made.from_arrays(offsets, items, type=kind, mask=mask)


@lru_cache(maxsize=256)
def _casts(schema: Any) -> tuple[tuple[int, Any], ...]:
    """The columns to cast, each with its new type; tables of one shape come again and again."""
    refuse_unwritable(schema)
    common = ((index, _common(field.type)) for index, field in enumerate(schema))
    return tuple((index, kind) for index, kind in common if kind != schema.field(index).type)


def _arrow(table: Any) -> Any:
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    return pa.Table.from_pandas(table, preserve_index=False)


def _common(kind: Any) -> Any:
    if types.is_string_view(kind):
        return pa.large_string()
    if types.is_decimal32(kind) or types.is_decimal64(kind):
        return pa.decimal128(kind.precision, kind.scale)
    if not (types.is_nested(kind) or types.is_dictionary(kind)):
        return kind
    if types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _common(kind.value_type), kind.ordered)
    if types.is_struct(kind):
        return pa.struct([field.with_type(_common(field.type)) for field in kind])
    value = kind.value_field.with_type(_common(kind.value_type))
    if types.is_fixed_size_list(kind):
        return pa.list_(value, kind.list_size)
    return pa.large_list(value) if types.is_large_list(kind) else pa.list_(value)
