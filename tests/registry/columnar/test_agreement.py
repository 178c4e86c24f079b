"""Promise 3: the column check and `is_valid` agree on every row, and on where it fails."""

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from registry.cells import write_rows
from registry.columnar import FrameVerdict, compile_schema
from registry.frame import frame_of
from registry.validity import InvalidSchema, check_schema, is_valid, iter_findings
from tests.registry.columnar.drawing import (
    FACTORS,
    NUMBERS,
    OLDER,
    of_type,
    older_schemas,
    schemas_2020,
    tables,
)

CALM = settings(suppress_health_check=list(HealthCheck), deadline=None)


def assert_agreement(schema: Any, table: pa.Table) -> None:
    verdict = compile_schema(schema).check(table)
    rows = write_rows(table, frame_of(schema))
    assert verdict.row_valid.tolist() == [is_valid(schema, row) for row in rows]
    assert verdict.valid is all(verdict.row_valid.tolist())
    expected = {
        (number, finding.instance_pointer, finding.keyword, finding.schema_pointer)
        for number, row in enumerate(rows)
        for finding in iter_findings(schema, row)
    }
    shown = findings_of(verdict)
    assert shown <= expected
    assert {(row, *keyword) for row, _, *keyword in shown} == {
        (row, *keyword) for row, _, *keyword in expected
    }


def findings_of(verdict: FrameVerdict) -> set[tuple[int, str, str, str]]:
    """What is shown of the violations: in a table of so few rows, one finding of each row."""
    found = set()
    for violation in verdict.violations:
        assert violation.count == len(violation.samples)
        for sample in violation.samples:
            place = violation.keyword, violation.schema_pointer
            found.add((sample.row, sample.instance_pointer, *place))
    return found


@CALM
@given(schemas_2020(), tables())
def test_the_check_agrees_with_the_reference_on_every_row_and_every_finding(
    schema: Any, table: pa.Table
) -> None:
    try:
        check_schema(schema)
    except InvalidSchema:
        assume(False)
    assert_agreement(schema, table)


@pytest.mark.parametrize("draft", OLDER)
@CALM
@given(data=st.data(), table=tables())
def test_the_check_agrees_with_the_reference_in_the_older_drafts(
    draft: str, data: st.DataObject, table: pa.Table
) -> None:
    schema = data.draw(older_schemas(draft))
    try:
        check_schema(schema)
    except InvalidSchema:
        assume(False)
    assert_agreement(schema, table)


BOUNDS = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]
KINDS = [pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.decimal128(38, 2)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@CALM
@given(data=st.data())
def test_bounds_and_equality_are_exact_where_numbers_of_different_kinds_meet(
    kind: pa.DataType, data: st.DataObject
) -> None:
    value = data.draw(of_type(kind))
    array = pa.array([value, None], kind)
    near = [value, 0.1, 1] if isinstance(value, Decimal) else [float(value), value, 1]
    limit = data.draw(NUMBERS | st.sampled_from([n for n in near if np.isfinite(float(n))]))
    limit = float(limit) if isinstance(limit, Decimal) else limit
    for keyword in (*BOUNDS, "const"):
        assert_agreement({"properties": {"a": {keyword: limit}}}, pa.table({"a": array}))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@CALM
@given(data=st.data(), factor=FACTORS | st.floats(1e-9, 1e9) | st.integers(1, 2**70))
def test_multiples_are_decimal_for_every_kind_of_number(
    kind: pa.DataType, data: st.DataObject, factor: float
) -> None:
    value = data.draw(of_type(kind))
    times = float(data.draw(st.integers(0, 1000)) * factor)
    values = [value, times] if pa.types.is_floating(kind) and times < 1e38 else [value]
    schema = {"properties": {"a": {"multipleOf": factor}}}
    assert_agreement(schema, pa.table({"a": pa.array(values, kind)}))


@pytest.mark.parametrize("cents", [0.01, 0.1, 0.05, 0.25, 2.5])
def test_a_hundred_thousand_prices_are_multiples_as_the_reference_has_them(cents: float) -> None:
    random = np.random.default_rng(3)
    prices = np.concatenate(
        [
            np.round(random.random(3_000) * 1e4, 2),
            random.random(500) * 1e4,
            random.integers(0, 2**62, 500) * cents,
        ]
    )
    table = pa.table({"a": prices})
    schema = {"properties": {"a": {"multipleOf": cents}}}
    rows = write_rows(table, frame_of(schema))
    judged = compile_schema(schema).check(table).row_valid.tolist()
    assert judged == [is_valid(schema, row) for row in rows]


@pytest.mark.parametrize(
    "pattern",
    ["^[A-Z0-9]{2,4}$", r"^\w+$", r"^\d*$", "^[^a]?$", r"^[\]a-]{3}$", "^[a-z]{2,}$", "^a$"],
)
@CALM
@given(texts=st.lists(st.text("Aa1_]-é\n", max_size=5), max_size=4), large=st.booleans())
@example(texts=["A\n"], large=False)
@example(texts=["AB", "A1"], large=True)
def test_a_pattern_of_one_class_is_judged_as_by_the_reference(
    pattern: str, texts: list[str], large: bool
) -> None:
    array = pa.array([*texts, "pad"], pa.large_string() if large else pa.string())
    schema = {"properties": {"a": {"pattern": pattern}}}
    assert_agreement(schema, pa.table({"a": array.slice(0, len(texts))}))
    assert_agreement(schema, pa.table({"a": array}))


HUGE = "x" * 3_000_000


def test_huge_strings_and_many_small_chunks_are_judged() -> None:
    texts = pa.chunked_array([[HUGE], *[[str(number)] for number in range(300)], [HUGE + "é"]])
    schema = {"properties": {"a": {"maxLength": 3_000_000, "pattern": "^[x0-9]+$"}}}
    verdict = compile_schema(schema).check(pa.table({"a": texts}))
    assert np.flatnonzero(~verdict.row_valid).tolist() == [301]
    assert [(v.keyword, v.count) for v in verdict.violations] == [("maxLength", 1), ("pattern", 1)]


def test_unused_values_of_a_dictionary_condemn_no_row() -> None:
    values = pa.array([f"bad {number}" for number in range(50)] + ["A"])
    codes = pa.array([50, None, 50, 3], pa.int16())
    table = pa.table({"a": pa.DictionaryArray.from_arrays(codes, values)})
    schema = {"properties": {"a": {"pattern": "^A$"}}}
    assert compile_schema(schema).check(table).row_valid.tolist() == [True, True, True, False]
    assert_agreement(schema, table)
    assert_agreement(schema, table.slice(0, 3))


TIMES = st.from_regex(r"\A[0129]{3}[0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\Z")
ENDS = st.sampled_from(["Z", "Z", ".5Z", ".123456Z", "z", ".Z", ".5", "+01:00", "Z\n", ".é5Z", "é"])


@CALM
@given(times=st.lists(st.tuples(TIMES, ENDS).map("".join) | st.none(), min_size=1, max_size=12))
@example(times=["2000-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2023-02-29T00:00:00Z"])
@example(times=["2024-02-29T23:59:59Z", "2024-00-10T00:00:00Z", "2024-01-00T00:00:00Z"])
@example(times=["2016-12-31T23:59:60Z", "2016-12-30T23:59:60Z", "2016-12-31t24:00:00Z"])
def test_date_times_in_text_are_judged_as_by_the_reference(times: list[str | None]) -> None:
    schema = {"properties": {"a": {"format": "date-time"}}}
    assert_agreement(schema, pa.table({"a": pa.array(times, pa.string())}))
    assert_agreement(schema, pa.table({"a": pa.array(times, pa.large_string()).slice(1)}))
