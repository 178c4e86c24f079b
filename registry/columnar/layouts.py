"""Any accepted table as an Arrow table in layouts that Arrow's own functions know."""

from functools import lru_cache
from typing import Any

import pyarrow as pa
from pyarrow import types

from registry.cells import refuse_unwritable


def as_table(table: Any) -> Any:
    """A table from a table, a record batch or a pandas frame, without a copy where that can be.

    String views and decimals of 32 or 64 bits, for which Arrow has few functions yet, are cast
    without loss. Raises `registry.cells.DuplicateColumn` and `registry.cells.UnwritableColumn`.
    """
    arrow = _arrow(table)
    for index, kind in _casts(arrow.schema):
        arrow = arrow.set_column(index, arrow.field(index).name, arrow.column(index).cast(kind))
    return arrow


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
