"""Rows as lines of the InfluxDB line protocol, written column by column.

    table,tag=value name=1i,other=0.5,text="a" 1700000000000000

(https://questdb.com/docs/reference/api/ilp/overview/). A null is a field that is not there. The
body of a request is the data buffer of one Arrow array of text: no line is made in Python.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types


def bodies(
    head: str, fields: Sequence[tuple[str, pa.Array]], times: pa.Array, *, rows: int
) -> Iterator[bytes]:
    """Request bodies of at most `rows` lines each.

    `head`: the table and its tags, as written. `fields`: int64, float64, bool or text; the first
    has no null, so that every line has a field. `times`: integers.
    """
    for start in range(0, len(times), rows):
        some = [(name, values.slice(start, rows)) for name, values in fields]
        yield _body(head, some, times.slice(start, rows))


def _body(head: str, fields: Sequence[tuple[str, pa.Array]], times: pa.Array) -> bytes:
    (first_name, first), *others = fields
    parts = [_text(f"{head} {first_name}="), _values(first)]
    for name, values in others:
        written = pc.binary_join_element_wise(
            _text(f",{name}="), _values(values), _text(""), null_handling="skip"
        )
        parts.append(pc.if_else(pc.is_valid(values), written, _text("")))
    parts += [_text(" "), times.cast(pa.large_string()), _text("\n")]
    return _data(pc.binary_join_element_wise(*parts, _text("")))


def _data(lines: pa.Array) -> bytes:
    """The texts one after the other, as they lie in memory."""
    _, offsets, data = lines.buffers()
    places = np.frombuffer(offsets, np.int64, count=len(lines) + 1, offset=8 * lines.offset)
    return bytes(memoryview(data)[places[0] : places[-1]]) if len(lines) else b""


def _values(values: pa.Array) -> pa.Array:
    kind = values.type
    if types.is_int64(kind):
        return pc.binary_join_element_wise(values.cast(pa.large_string()), _text("i"), _text(""))
    if types.is_float64(kind) or types.is_boolean(kind):
        return values.cast(pa.large_string())
    escaped = values
    for character in ("\\", '"', "\n"):
        escaped = pc.replace_substring(escaped, character, f"\\{character}")
    return pc.binary_join_element_wise(_text('"'), escaped, _text('"'), _text(""))


def _text(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())
