"""An answer as bytes: what was checked is what is written, in every format."""

import csv
import io
import json
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.blend import Piece, blend
from provider.parts import MixedTypes
from provider.serialise import FORMATS, UnknownFormat, serialise
from registry.cells import UnwritableColumn, json_text, write_rows
from registry.frame import Frame

SECONDS = Frame(time="ts", unit="s")
TEXT = Frame(time="ts")

ALL_TYPES = pa.table(
    {
        "ts": pa.array([0, 60, 120], pa.int64()),
        "i": pa.array([1, None, 2**63 - 1], pa.int64()),
        "f": pa.array([1.0, float("nan"), None]),
        "g": pa.array([1e-7, 1e300, -0.0]),
        "s": pa.array(['say "hi"', "{x},\n", None]),
        "u": pa.array(["é", "\u2028", "\x1f"]).dictionary_encode(),
        "b": pa.array([True, None, False]),
        "d": pa.array([Decimal("1.50"), None, Decimal("-2.00")], pa.decimal128(5, 2)),
        "t": pa.array([0, None, 1], pa.timestamp("ms", "Asia/Seoul")),
        "day": pa.array([date(2025, 1, 1), None, None]),
        "l": pa.array([[1, 2], None, []], pa.list_(pa.int64())),
        "o": pa.array([{"x": 1, "y": None}, None, {"x": None, "y": "z"}]),
        'odd {name} "q"': pa.array([1, 2, 3]),
    }
)


def answer(*tables, frame=SECONDS):
    return blend([Piece(str(n), table) for n, table in enumerate(tables)], frame)


def test_json_is_the_rows_as_the_check_saw_them():
    blended = answer(ALL_TYPES)
    expected = "[" + ",".join(json_text(row) for row in write_rows(ALL_TYPES, SECONDS)) + "]"
    assert serialise(blended, "json").decode() == expected


def test_ndjson_is_one_row_a_line():
    blended = answer(ALL_TYPES)
    lines = serialise(blended, "ndjson").decode().split("\n")
    assert lines.pop() == ""
    assert lines == [json_text(row) for row in write_rows(ALL_TYPES, SECONDS)]


cells = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(),
    pa.string(): st.text(),
    pa.bool_(): st.booleans(),
}


@given(st.data(), st.sampled_from(list(cells)), st.booleans())
def test_a_column_is_written_cell_by_cell_as_the_check_saw_it(data, kind, encoded):
    values = data.draw(st.lists(st.none() | cells[kind], max_size=8))
    column = pa.array(values, kind)
    if encoded and kind != pa.bool_():
        column = column.dictionary_encode()
    table = pa.table({"ts": pa.array(range(len(values)), pa.int64()), "v": column})
    written = serialise(answer(table), "ndjson").decode()
    assert written == "".join(json_text(row) + "\n" for row in write_rows(table, SECONDS))


def test_times_follow_the_schema():
    table = pa.table({"ts": pa.array([0, 60_000], pa.timestamp("ms", "Asia/Seoul"))})
    assert serialise(answer(table, frame=SECONDS), "json") == b'[{"ts":0},{"ts":60}]'
    assert serialise(answer(table, frame=TEXT), "json") == (
        b'[{"ts":"1970-01-01T00:00:00Z"},{"ts":"1970-01-01T00:01:00Z"}]'
    )


def test_csv_has_a_header_and_quotes_what_needs_it():
    rows = list(csv.reader(io.StringIO(serialise(answer(ALL_TYPES), "csv").decode(), newline="")))
    assert rows[0] == ALL_TYPES.column_names
    first, second, third = (dict(zip(rows[0], row, strict=True)) for row in rows[1:])
    assert first["s"] == 'say "hi"'
    assert second["s"] == "{x},\n"
    assert (first["f"], second["f"], third["f"]) == ("1.0", "", "")
    assert (first["d"], first["l"], first["o"]) == ("1.50", "[1,2]", '{"x":1,"y":null}')
    assert (first["t"], first["b"], third["i"]) == ("1970-01-01T00:00:00Z", "true", str(2**63 - 1))


@pytest.mark.parametrize("name", ["arrow", "parquet"])
def test_arrow_formats_keep_types_and_carry_metadata(name):
    data = serialise(answer(ALL_TYPES), name, {"seamless.version": "3"})
    if name == "arrow":
        table = pa.ipc.open_stream(data).read_all()
    else:
        table = pq.read_table(pa.BufferReader(data))
    assert table.schema.metadata[b"seamless.version"] == b"3"
    assert table.schema.field("d").type == pa.decimal128(5, 2)
    assert table.schema.field("t").type == pa.timestamp("ms", "Asia/Seoul")
    plain = table.replace_schema_metadata(None).drop_columns(["f"])
    assert plain.equals(ALL_TYPES.drop_columns(["f"]))


@pytest.fixture
def mixed():
    return answer(
        pa.table({"ts": [0, 120], "v": [1, 3]}),
        pa.table({"ts": [60], "v": ["x"], "extra": [True]}),
    )


@pytest.mark.parametrize("name", ["arrow", "parquet"])
def test_types_that_do_not_mix_are_refused_where_a_column_has_one_type(mixed, name):
    with pytest.raises(MixedTypes) as caught:
        serialise(mixed, name)
    assert caught.value.columns == ("v", "extra")


def test_text_formats_write_each_row_with_its_own_types_in_the_answer_s_order(mixed):
    assert json.loads(serialise(mixed, "json")) == [
        {"ts": 0, "v": 1},
        {"ts": 60, "v": "x", "extra": True},
        {"ts": 120, "v": 3},
    ]
    assert serialise(mixed, "csv") == b"ts,v,extra\r\n0,1,\r\n60,x,true\r\n120,3,\r\n"


def test_an_answer_without_rows_is_still_an_answer():
    empty = answer(ALL_TYPES.slice(0, 0))
    assert serialise(empty, "json") == b"[]"
    assert serialise(empty, "ndjson") == b""
    assert serialise(empty, "csv").startswith(b"ts,i,f")
    assert pa.ipc.open_stream(serialise(empty, "arrow")).read_all().num_rows == 0
    assert serialise(answer(), "json") == b"[]"
    assert serialise(answer(), "csv") == b""


def test_rows_without_columns_are_empty_objects():
    blended = answer(pa.table({"ts": [0, 60]})).select([])
    assert serialise(blended, "json") == b"[{},{}]"


def test_a_column_without_a_json_form_is_refused_in_text_formats():
    blended = answer(pa.table({"ts": [0], "v": [b"x"]}))
    with pytest.raises(UnwritableColumn, match="'v'"):
        serialise(blended, "json")


def test_an_unknown_format_is_refused_with_the_known_ones():
    with pytest.raises(UnknownFormat, match="json, columns, ndjson, csv, arrow, parquet"):
        serialise(answer(), "xml")


def test_content_types():
    assert {name: item.content_type for name, item in FORMATS.items()} == {
        "json": "application/json",
        "columns": "application/json",
        "ndjson": "application/x-ndjson",
        "csv": "text/csv; header=present",
        "arrow": "application/vnd.apache.arrow.stream",
        "parquet": "application/vnd.apache.parquet",
    }
