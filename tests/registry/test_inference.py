"""Drafted schemas: admitted as they are, and never narrower than what they were made from."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.admission import admit
from registry.cells import UnwritableColumn
from registry.columnar import compile_schema
from registry.inference import PER_SECOND, Draft, draft_schema, likely_unit
from registry.lint import lint
from registry.tables import Batch, Records, declared_types, read_batches
from registry.validation import FileCheck


def batch(*groups: Any) -> Batch:
    made = []
    for group in groups:
        if isinstance(group, pa.Table):
            made.append(Records(np.arange(1, group.num_rows + 1), group))
        else:
            made.append(Records(np.arange(1, len(group) + 1), documents=tuple(group)))
    return Batch(tuple(made), 1.0)


def drafted(*groups: Any, most_values: int = 0) -> Draft:
    return draft_schema([batch(*groups)], title="rows", most_values=most_values)


SCALARS: Sequence[st.SearchStrategy[pa.Array]] = [
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=4).map(
        lambda values: pa.array(values, pa.int64())
    ),
    st.lists(
        st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=4
    ).map(lambda values: pa.array(values, pa.float64())),
    st.lists(st.none() | st.booleans(), min_size=4, max_size=4).map(
        lambda values: pa.array(values, pa.bool_())
    ),
    st.lists(
        st.none()
        | st.sampled_from(["2020-02-29", "2020-01-01T00:00:00Z", "", "1", "é"])
        | st.text(max_size=5),
        min_size=4,
        max_size=4,
    ).map(lambda values: pa.array(values, pa.string())),
    st.lists(st.none() | st.dates(date(1970, 1, 2)), min_size=4, max_size=4).map(
        lambda values: pa.array(values, pa.date32())
    ),
    st.lists(st.none() | st.datetimes(timezones=st.just(UTC)), min_size=4, max_size=4).map(
        lambda values: pa.array(values, pa.timestamp("us", "UTC"))
    ),
    st.lists(st.none() | st.lists(st.none() | st.integers(0, 9)), min_size=4, max_size=4).map(
        lambda values: pa.array(values, pa.list_(pa.int64()))
    ),
    st.lists(
        st.fixed_dictionaries({"x": st.none() | st.integers(0, 9), "y": st.text(max_size=2)}),
        min_size=4,
        max_size=4,
    ).map(lambda values: pa.array(values, pa.struct({"x": pa.int64(), "y": pa.string()}))),
]
NAMES = st.sampled_from(["ts", "time", "symbol", "a", "b", "price at", "", "é/~"])


@given(st.dictionaries(NAMES, st.one_of(*SCALARS), max_size=5), st.integers(0, 4))
def test_a_drafted_schema_is_admitted_and_accepts_every_row_of_its_table(
    columns: dict[str, pa.Array], most_values: int
) -> None:
    table = pa.table(columns)
    schema = drafted(table, most_values=most_values).schema
    admitted = admit(json.dumps(schema))
    assert compile_schema(admitted.document).check(table).valid


RECORDS = st.lists(
    st.dictionaries(
        st.sampled_from(["ts", "a", "b"]),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(2**60), 2**60)
            | st.text(max_size=3)
            | st.floats(allow_nan=False, allow_infinity=False),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xy"), inner)
            ),
            max_leaves=5,
        ),
    ),
    min_size=1,
    max_size=12,
)


@given(RECORDS)
def test_a_schema_drafted_from_json_lines_accepts_every_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("lines") / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    _accepts_its_own(path)


CELLS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["", "true", "false", "007", "x", "2020-01-01", "2020-01-01T00:00:00Z", "-0"]),
)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8))
def test_a_schema_drafted_from_a_csv_accepts_every_record(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("cells") / "rows.csv"
    path.write_text("ts,a,b\n" + "".join(",".join(row) + "\n" for row in rows))
    _accepts_its_own(path)


def _accepts_its_own(path: Path) -> None:
    draft = draft_schema(
        read_batches(path), title="rows", texts_are_cells=path.suffix == ".csv", most_values=3
    )
    check = FileCheck(admit(json.dumps(draft.schema)).document)
    for found in read_batches(path, declared_types(draft.schema)):
        check.add(found)
    assert (check.records, check.invalid, check.failures) == (draft.records, 0, [])


BARS = pa.table(
    {
        "ts": pa.array([1_600_000_000, 1_600_000_060] * 2, pa.int64()),
        "venue": ["X", "X", "X", "X"],
        "symbol": ["A", "A", "B", "B"],
        "price": [1.5, 2.5, 1.5, None],
    }
)


def test_time_unit_and_key_are_found() -> None:
    draft = drafted(BARS)
    assert draft.schema["x-seamless"] == {"time": "ts", "unit": "s", "key": ["symbol"]}
    assert draft.remarks == ()
    assert draft.schema["required"] == ["ts", "venue", "symbol", "price"]
    assert draft.schema["additionalProperties"] is False
    assert {finding.code for finding in lint(draft.schema)} <= {
        "description_missing",
        "unit_missing",
    }


def test_a_time_that_is_unique_by_itself_needs_no_key() -> None:
    assert drafted(BARS.slice(0, 2)).schema["x-seamless"] == {"time": "ts", "unit": "s"}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC)]),
        pa.array([date(2020, 1, 1), date(2020, 1, 2)]),
        pa.array(["2020-01-01T00:00:00Z", "2020-01-02T00:00:00+09:00"]),
    ],
    ids=lambda column: str(column.type),
)
def test_timestamps_dates_and_date_times_are_times_without_a_unit(column: pa.Array) -> None:
    table = pa.table({"v": [1, 2], "when": column})
    schema = drafted(table).schema
    assert schema["x-seamless"] == {"time": "when"}
    assert schema["properties"]["when"] == {"type": "string", "format": "date-time"}  # type: ignore[index,call-overload]
    assert compile_schema(schema).check(table).valid


def test_a_column_named_like_a_time_wins_over_another() -> None:
    stamps = pa.array([1_600_000_000, 1_600_000_060], pa.int64())
    both = pa.table(
        {"id": pa.array(["2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z"]), "ts": stamps}
    )
    assert drafted(both).schema["x-seamless"]["time"] == "ts"  # type: ignore[index,call-overload]


def test_what_cannot_be_told_is_remarked() -> None:
    assert "no column looks like a time" in drafted(pa.table({"v": [1.5]})).remarks[0]
    twice = pa.concat_tables([BARS, BARS])
    assert "tell all rows apart" in drafted(twice).remarks[0]
    nan = drafted(pa.table({"v": [1.5, float("nan")]}))
    assert "1 values of 'v' are NaN" in nan.remarks[0]


def test_few_texts_become_an_enum_only_where_it_is_asked_for() -> None:
    assert drafted(BARS).schema["properties"]["symbol"] == {"type": "string"}  # type: ignore[index,call-overload]
    asked = drafted(BARS, most_values=2).schema["properties"]
    assert asked["symbol"] == {"enum": ["A", "B"]}  # type: ignore[index,call-overload]


def test_a_property_that_is_absent_somewhere_may_be_null_too() -> None:
    schema = drafted([{"a": 1, "b": "x"}, {"a": 2}]).schema
    assert schema["required"] == ["a"]
    assert schema["properties"]["b"] == {"type": ["string", "null"]}  # type: ignore[index,call-overload]


def test_what_is_no_row_is_refused() -> None:
    with pytest.raises(ValueError, match="is no object"):
        drafted([[1]])
    with pytest.raises(UnwritableColumn):
        drafted(pa.table({"v": pa.array([b"x"])}))


@given(
    st.integers(315_532_800, 4_102_444_799), st.sampled_from(sorted(PER_SECOND)), st.integers(1, 50)
)
def test_the_unit_of_times_from_1980_to_2100_is_known(first: int, unit: str, rows: int) -> None:
    times = (np.full(rows, first) * PER_SECOND[unit]).astype(np.int64)
    assert likely_unit(times) == unit


@pytest.mark.parametrize("values", [[], [1, 2, 3], [-(2**60)], [20200101, 20200102]])
def test_other_integers_are_no_times(values: list[int]) -> None:
    assert likely_unit(np.array(values, np.int64)) is None
