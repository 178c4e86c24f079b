"""A checked answer as bytes: JSON, NDJSON, CSV, Arrow IPC stream, Parquet.

The text formats write each cell by `registry.cells`, the same functions that showed it to the
check, and each row with the types of its own part. The Arrow formats need one table.
"""

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from provider.blend import Blended
from provider.parts import Part
from provider.timeline import one_array
from registry.cells import Cell, Unit, json_text, refuse_unwritable, write_cells
from registry.errors import SeamlessError
from registry.frame import Frame

Metadata = Mapping[str, str]

_CUT = "\x1f"
_ENCODE_COLUMN = json.JSONEncoder(ensure_ascii=False, separators=(_CUT, ":")).encode


class UnknownFormat(SeamlessError):
    """Nothing writes the format that was asked for."""

    code = "unknown_format"
    status = 406
    title = "Unknown format"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no format {name!r}; use {', '.join(FORMATS)}", formats=list(FORMATS)
        )


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write an answer. `write` raises `provider.parts.MixedTypes` where it must.

    `compressible`: a content coding makes it smaller.
    """

    name: str
    content_type: str
    write: Callable[[Blended, Metadata], bytes]
    compressible: bool = True


def serialise(blended: Blended, format_name: str, metadata: Metadata | None = None) -> bytes:
    """The rows in one of FORMATS; `metadata` goes into Arrow and Parquet files.

    Raises UnknownFormat, MixedTypes (Arrow and Parquet only), and what `registry.cells` raises for
    columns that have no JSON form (text formats only).
    """
    if format_name not in FORMATS:
        raise UnknownFormat(format_name)
    return FORMATS[format_name].write(blended, metadata or {})


def _json(blended: Blended, metadata: Metadata) -> bytes:
    return b"[" + ",".join(_in_order(blended, _json_rows)).encode() + b"]"


def _columns(blended: Blended, metadata: Metadata) -> bytes:
    """An object of arrays; a column that some rows do not have is null there."""
    names = _column_names(blended)

    def cells(name: str) -> str:
        written = _in_order(blended, lambda part, frame: _cells_or_null(part, name, frame))
        return f"{json_text(name)}:[{','.join(written)}]"

    return ("{" + ",".join(map(cells, names)) + "}").encode()


def _ndjson(blended: Blended, metadata: Metadata) -> bytes:
    return "".join(f"{row}\n" for row in _in_order(blended, _json_rows)).encode()


def _csv(blended: Blended, metadata: Metadata) -> bytes:
    """RFC 4180 with a header; nulls and absent columns are empty, lists and objects JSON text."""
    names = _column_names(blended)

    def rows(part: Part, frame: Frame) -> list[str]:
        columns = [_csv_cells(part, name, frame) for name in names]
        return _csv_lines(zip(*columns, strict=True)) if names else []

    header = _csv_lines([names]) if names else []
    return "".join(header + _in_order(blended, rows)).encode()


def _arrow(blended: Blended, metadata: Metadata) -> bytes:
    table = _with_metadata(blended.table(), metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _parquet(blended: Blended, metadata: Metadata) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(_with_metadata(blended.table(), metadata), sink, compression="zstd")
    return bytes(sink.getvalue())


FORMATS: Mapping[str, Format] = {
    item.name: item
    for item in (
        Format("json", "application/json", _json),
        Format("columns", "application/json", _columns),
        Format("ndjson", "application/x-ndjson", _ndjson),
        Format("csv", "text/csv; header=present", _csv),
        Format("arrow", "application/vnd.apache.arrow.stream", _arrow),
        Format("parquet", "application/vnd.apache.parquet", _parquet, compressible=False),
    )
}


def _with_metadata(table: pa.Table, metadata: Metadata) -> pa.Table:
    return table.replace_schema_metadata(dict(metadata) or None)


def _in_order(blended: Blended, write: Callable[[Part, Frame], Sequence[str]]) -> list[str]:
    """The written rows of all parts in the order of the answer."""
    written = [row for part in blended.parts for row in write(part, blended.frame)]
    if len(blended.parts) <= 1:
        return written
    order = np.argsort(np.concatenate([part.places for part in blended.parts]), kind="stable")
    return [written[position] for position in order.tolist()]


def _column_names(blended: Blended) -> list[str]:
    return list(dict.fromkeys(n for part in blended.parts for n in part.table.column_names))


def _unit(frame: Frame) -> Unit | None:
    return cast("Unit | None", frame.unit)


# --- JSON ---------------------------------------------------------------------------------------


def _json_rows(part: Part, frame: Frame) -> list[str]:
    refuse_unwritable(part.table.schema)
    names = part.table.column_names
    if not names:
        return ["{}"] * part.table.num_rows
    columns = [_json_cells(part, name, frame) for name in names]
    escaped = [json_text(name).replace("{", "{{").replace("}", "}}") for name in names]
    row = "{{" + ",".join(f"{name}:{{}}" for name in escaped) + "}}"
    return [row.format(*cells) for cells in zip(*columns, strict=True)]


def _cells_or_null(part: Part, name: str, frame: Frame) -> list[str]:
    if name not in part.table.column_names:
        return ["null"] * part.table.num_rows
    refuse_unwritable(part.table.select([name]).schema)
    return _json_cells(part, name, frame)


def _json_cells(part: Part, name: str, frame: Frame) -> list[str]:
    array = one_array(part.table.column(name))
    is_time = name == frame.time
    if types.is_dictionary(array.type) and len(array.dictionary) < len(array):
        values = _texts(array.dictionary, is_time, frame)
        return ["null" if code is None else values[code] for code in array.indices.to_pylist()]
    return _texts(array, is_time, frame)


def _texts(array: pa.Array, is_time: bool, frame: Frame) -> list[str]:
    cells = write_cells(array, unit=_unit(frame), is_time=is_time)
    kind = array.type
    if not cells or types.is_nested(kind) or types.is_decimal(kind) or types.is_dictionary(kind):
        return [json_text(cell) for cell in cells]
    # One call for the whole column: JSON text holds no control character, so it can be cut there.
    text = _ENCODE_COLUMN(cells)[1:-1]
    if types.is_floating(kind) and ("N" in text or "I" in text):  # NaN and infinity
        return [json_text(cell) for cell in cells]
    return text.split(_CUT)


# --- CSV ----------------------------------------------------------------------------------------


def _csv_cells(part: Part, name: str, frame: Frame) -> list[str]:
    if name not in part.table.column_names:
        return [""] * part.table.num_rows
    column = part.table.column(name)
    cells = write_cells(column, unit=_unit(frame), is_time=name == frame.time)
    return [_csv_text(cell) for cell in cells]


def _csv_text(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    text = json_text(cell)
    return "" if text == "null" else text


def _csv_lines(rows: Iterable[Sequence[str]]) -> list[str]:
    lines = _Lines()
    csv.writer(lines, lineterminator="\r\n").writerows(rows)
    return lines


class _Lines(list[str]):
    """What a CSV writer writes to: it calls `write` once per row."""

    write = list.append
