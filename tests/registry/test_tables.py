"""Files as JSON has them: what CSV, Parquet and JSON Lines say, cell by cell."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.cells import write_rows
from registry.frame import Frame
from registry.tables import LINES, UnreadableTable, declared_types, read_batches

NUMBERS = {"n": frozenset({"number"})}


def file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def records(path: Path, types: dict[str, frozenset[str]] | None = None) -> dict[int, Any]:
    """Every record of a file by its number, as JSON."""
    found: dict[int, Any] = {}
    for batch in read_batches(path, types):
        for group in batch.groups:
            rows = list(group.documents)
            if group.table is not None:
                rows = write_rows(group.table, Frame())
            found |= dict(zip(group.numbers.tolist(), rows, strict=True))
    return found


def cells(folder: Path, texts: list[str], kind: str) -> list[Any]:
    path = file(folder, "a.csv", "n,m\n" + "".join(f"{text},\n" for text in texts))
    return [row["n"] for row in records(path, {"n": frozenset({kind})}).values()]


@pytest.mark.parametrize(
    ("kind", "texts", "expected"),
    [
        ("integer", ["1", "-7", "0"], [1, -7, 0]),
        ("integer", ["1", "007", "+1", "1.0", "x"], [1.0, "007", "+1", 1.0, "x"]),
        ("integer", ["999999999999999999", "1"], [999_999_999_999_999_999, 1]),
        ("integer", ["123456789012345678901234567890"], [123_456_789_012_345_678_901_234_567_890]),
        ("number", ["1.5", "2", "3e2"], [1.5, 2.0, 300.0]),
        ("number", ["9007199254740993", "0.5"], [9_007_199_254_740_993, 0.5]),
        ("number", ["NaN", "inf", ".5", "1."], ["NaN", "inf", ".5", "1."]),
        ("boolean", ["true", "false", "True", "1"], [True, False, "True", "1"]),
        ("string", ["1", "true", "x"], ["1", "true", "x"]),
        ("object", ["1"], ["1"]),
    ],
)
def test_a_cell_of_a_csv_is_what_its_column_may_be_or_text(
    tmp_path: Path, kind: str, texts: list[str], expected: list[Any]
) -> None:
    found = cells(tmp_path, texts, kind)
    in_order = sorted(map(repr, expected))
    assert sorted(map(repr, found)) == in_order


def test_records_of_a_csv_keep_their_numbers(tmp_path: Path) -> None:
    path = file(tmp_path, "a.csv", 'n,t\n1,a\nx,"b\nc"\n,\n2,""\n')
    assert records(path, NUMBERS) == {
        1: {"n": 1, "t": "a"},
        2: {"n": "x", "t": "b\nc"},
        3: {"n": None, "t": None},
        4: {"n": 2, "t": ""},
    }


def test_records_of_json_lines_are_numbered_by_line_and_kept_exactly(tmp_path: Path) -> None:
    lines = '{"a":1}\n\n{"a":1.0,"b":[{"c":null}]}\r\n{"a":123456789012345678901}\n[1]\n{}\n"x"'
    found = records(file(tmp_path, "a.jsonl", lines))
    assert found == {
        1: {"a": 1},
        3: {"a": 1.0, "b": [{"c": None}]},
        4: {"a": 123_456_789_012_345_678_901},
        5: [1],
        6: {},
        7: "x",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), JSON), max_size=20))
def test_no_record_of_json_lines_is_changed(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    import json

    path = file(
        tmp_path_factory.mktemp("lines"),
        "a.jsonl",
        "\n".join(json.dumps(row) for row in rows),
    )
    found = records(path)
    as_read = [json.loads(json.dumps(row)) for row in rows]
    assert [repr(found[n]) for n in sorted(found)] == [
        repr({name: row[name] for name in found[n]} if isinstance(row, dict) else row)
        for n, row in zip(sorted(found), as_read, strict=True)
    ]


def test_many_lines_come_in_batches_that_say_how_far_they_are(tmp_path: Path) -> None:
    path = file(tmp_path, "a.jsonl", '{"a":1}\n' * (LINES + 5))
    done = [(sum(len(g.numbers) for g in b.groups), b.done) for b in read_batches(path)]
    assert [n for n, _ in done] == [LINES, 5]
    assert 0 < done[0][1] <= done[1][1] == 1.0


def test_parquet_comes_as_it_is(tmp_path: Path) -> None:
    table = pa.table({"a": [1, None], "s": pa.array(["x", "y"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "a.parquet")
    assert records(tmp_path / "a.parquet") == {1: {"a": 1, "s": "x"}, 2: {"a": None, "s": "y"}}
    pq.write_table(table.slice(0, 0), tmp_path / "b.parquet")
    assert records(tmp_path / "b.parquet") == {}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", "x", "is none of"),
        ("a.csv", "", "Empty"),
        ("a.csv", "a,a\n1,2\n", "names the column 'a' twice"),
        ("a.csv", "a,b\n1\n", "Expected 2 columns"),
        ("a.csv", b"a\n\xff\n", "UTF8"),
        ("a.jsonl", '{"a":1}\n{"a":', "line 2: not JSON"),
        ("a.jsonl", '{"a":1,"a":2}', "line 1 at /a: .* twice"),
        ("a.jsonl", b'{"a":"\xff"}', "line 1: "),
        ("a.jsonl", '{"a":' + "9" * 4001 + "}", "line 1: an integer has more than"),
        ("a.jsonl", "[" * 200 + "]" * 200, "nests deeper"),
        ("a.parquet", "PAR1", "a.parquet: "),
        ("a.parquet", "", "a.parquet: "),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, says: str
) -> None:
    with pytest.raises(UnreadableTable, match=says):
        list(read_batches(file(tmp_path, name, content)))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for suffix in ("csv", "jsonl", "parquet"):
        with pytest.raises(UnreadableTable, match=rf"gone\.{suffix}"):
            list(read_batches(tmp_path / f"gone.{suffix}"))


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        (True, {}),
        ({"properties": {"a": True, "b": {"type": "x"}}}, {"b": {"x"}}),
        ({"properties": {"a": {"type": ["number", "null"]}}}, {"a": {"number", "null"}}),
        ({"properties": {"a": {"enum": [1, None]}}}, {"a": {"number", "null"}}),
        ({"properties": {"a": {"const": True}}}, {"a": {"boolean"}}),
        ({"properties": {"a": {"enum": ["x", []]}}}, {"a": {"string", "object"}}),
    ],
)
def test_what_a_schema_declares_of_its_columns(schema: Any, types: dict[str, set[str]]) -> None:
    assert declared_types(schema) == types
