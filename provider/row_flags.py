"""Which rows of an answer were flagged, as a column of the answer."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from coordinator.coverage import Bools, Int64s
from provider.blend import Blended, Marks
from provider.parts import Part
from registry.columnar import compile_schema
from registry.errors import InvalidInput

FLAGS_COLUMN = "seamless_flags"


def with_flags(
    rows: Blended,
    marks: Mapping[str, Marks],
    schema: Mapping[str, Any] | None = None,
    references: Mapping[str, Any] | None = None,
) -> Blended:
    """The rows with a column of lists: the flags of each, sorted, most of them empty.

    `marks` are of the temporal roll-up; `schema` (where a check found something) adds
    `schema_invalid`. A row that took the place of another has the flag of that (`duplicate_ts`,
    `overlap`). Raises InvalidInput where the rows have a column of that name.
    """
    parts = []
    for part in rows.parts:
        if FLAGS_COLUMN in part.table.column_names:
            raise InvalidInput(f"The rows have a column {FLAGS_COLUMN} already.", parameter="flags")
        found = dict(_marked(part, marks)) | {"non_finite": _without_number(part.table)}
        if schema is not None:
            validator = compile_schema(dict(schema), references=references)
            found["schema_invalid"] = ~validator.check(part.table).row_valid
        lists = _lists({flag: found[flag] for flag in sorted(found) if found[flag].any()}, part)
        parts.append(replace(part, table=part.table.append_column(FLAGS_COLUMN, lists)))
    return replace(rows, parts=parts)


def _marked(part: Part, marks: Mapping[str, Marks]) -> Iterator[tuple[str, Bools]]:
    """Marks name bars, by series and second; a bar without a row is nowhere in the part."""
    for flag, mark in marks.items():
        if mark.seconds is not None and len(mark) and part.table.num_rows:
            both = [part.times.seconds, mark.seconds]
            first = min(int(seconds.min()) for seconds in both)
            span = max(int(seconds.max()) for seconds in both) - first + 1
            bars = _numbered(mark.series, mark.seconds - first, span)
            yield flag, np.isin(_numbered(part.series, part.times.seconds - first, span), bars)


def _numbered(series: Int64s, seconds: Int64s, span: int) -> Int64s:
    numbers: Int64s = series * span + seconds
    return numbers


def _without_number(table: pa.Table) -> Bools:
    found = np.zeros(table.num_rows, np.bool_)
    for field in table.schema:
        cells = table.column(field.name)
        if types.is_floating(field.type):
            found |= ~pc.is_finite(cells).fill_null(False).to_numpy()
        elif (types.is_integer(field.type) or types.is_decimal(field.type)) and cells.null_count:
            found |= cells.is_null().to_numpy()
    return found


def _lists(found: Mapping[str, Bools], part: Part) -> pa.Array:
    rows = part.table.num_rows
    matrix = np.zeros((rows, len(found)), np.bool_)
    for number, chosen in enumerate(found.values()):
        matrix[:, number] = chosen
    offsets = np.concatenate(([0], np.cumsum(matrix.sum(axis=1)))).astype(np.int32)
    values = pa.array(list(found), pa.string()).take(pa.array(np.nonzero(matrix)[1]))
    return pa.ListArray.from_arrays(offsets, values)
