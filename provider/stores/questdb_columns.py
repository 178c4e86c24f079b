"""Columns of Arrow in QuestDB and back, without losing a value.

QuestDB's types cannot say everything that a cell can: a boolean is never null, a double neither
infinite nor NaN, a name of a column knows no case. So a column of a segment is held as one of these
kinds, under a name made from its own and the kind:

- `n`, not at all: no cell has a value;
- `i`, LONG: integers up to 64 bits signed, and timestamps and dates as their ticks;
- `d`, DOUBLE: finite floats;
- `s`, VARCHAR: text;
- `x`, VARCHAR: all else, each cell as the Arrow stream of one value in base64: slow, and exact.

Its Arrow type is kept beside the segment and given back.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]{0,60}", re.ASCII)
_NO_LONG = -(2**63)  # QuestDB's null


@dataclass(frozen=True, slots=True)
class HeldColumn:
    """How a column lies in the table: `name` as the rows have it, `held` as the table has it."""

    name: str
    kind: str
    type: pa.DataType

    @property
    def held(self) -> str:
        plain = _PLAIN_NAME.fullmatch(self.name)
        base = self.name if plain else f"c{hashlib.sha256(self.name.encode()).hexdigest()[:16]}"
        return f"{base}__{self.kind}"


def held_column(name: str, values: pa.Array) -> tuple[HeldColumn, pa.Array]:
    """The column and its values as int64, float64 or text."""
    kind = values.type
    if values.null_count == len(values):
        return HeldColumn(name, "n", kind), values
    if (types.is_integer(kind) and kind != pa.uint64()) or _has_ticks(kind):
        ticks = _ticks(values)
        smallest = pc.min(ticks).as_py()
        if smallest is None or smallest > _NO_LONG:
            return HeldColumn(name, "i", kind), ticks
    if types.is_floating(kind):
        wide = values.cast(pa.float64())
        if pc.all(pc.is_finite(wide)).as_py() in (True, None):
            return HeldColumn(name, "d", kind), wide
    if types.is_string(kind) or types.is_large_string(kind):
        return HeldColumn(name, "s", kind), values.cast(pa.large_string())
    cells = [_encode(values, row) for row in range(len(values))]
    return HeldColumn(name, "x", kind), pa.array(cells, pa.large_string())


def given_back(column: HeldColumn, cells: Sequence[object]) -> pa.Array:
    """The values that `held_column` was given, from what a query answered."""
    if column.kind == "x":
        return _decode(column.type, cells)
    if column.kind == "i" and _has_ticks(column.type):
        return _of_ticks(pa.array(cells, pa.int64()), column.type)
    if column.kind == "d":
        return pa.array(cells, pa.float64()).cast(column.type)
    return pa.array(cells, column.type)


def _has_ticks(kind: pa.DataType) -> bool:
    return bool(types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind))


def _ticks(values: pa.Array) -> pa.Array:
    if types.is_integer(values.type):
        return values.cast(pa.int64())
    narrow = pa.int32() if values.type.bit_width == 32 else pa.int64()
    return values.view(narrow).cast(pa.int64())


def _of_ticks(ticks: pa.Array, kind: pa.DataType) -> pa.Array:
    narrow = pa.int32() if kind.bit_width == 32 else pa.int64()
    return ticks.cast(narrow).view(kind)


def _encode(values: pa.Array, row: int) -> str | None:
    if not values[row].is_valid:
        return None
    sink = pa.BufferOutputStream()
    # `take` copies the one cell; a slice would write the buffers of the whole column.
    batch = pa.record_batch([values.take(pa.array([row]))], ["x"])
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return base64.b64encode(sink.getvalue()).decode()


def _decode(kind: pa.DataType, cells: Sequence[object]) -> pa.Array:
    decoded = [
        pa.nulls(1, kind) if cell is None else _cell(base64.b64decode(str(cell))) for cell in cells
    ]
    return pa.concat_arrays(decoded) if decoded else pa.array([], kind)


def _cell(stream: bytes) -> pa.Array:
    with pa.ipc.open_stream(stream) as reader:
        return reader.read_all().column(0).combine_chunks()


def schema_text(columns: list[HeldColumn]) -> str:
    """The columns of a segment as one text: an Arrow schema in base64, with the kinds in it."""
    fields = [pa.field(one.name, one.type, metadata={"kind": one.kind}) for one in columns]
    return base64.b64encode(pa.schema(fields).serialize().to_pybytes()).decode()


def columns_of(text: str) -> list[HeldColumn]:
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
    return [
        HeldColumn(field.name, field.metadata[b"kind"].decode(), field.type) for field in schema
    ]
