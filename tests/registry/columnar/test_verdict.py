"""What a verdict shows, and what it never shows."""

import numpy as np
import pyarrow as pa
import pytest

from registry.columnar import compile_schema, validator
from registry.columnar.verdict import SAMPLES

PRICES = {"properties": {"close": {"type": "number", "minimum": 0}}}


def test_a_valid_table_has_no_violations() -> None:
    verdict = compile_schema(PRICES).check(pa.table({"close": [1.0, 2.5]}))
    assert verdict.valid
    assert verdict.row_valid.dtype == np.bool_
    assert verdict.row_valid.tolist() == [True, True]
    assert verdict.violations == ()


def test_a_table_without_rows_is_valid_whatever_is_missing() -> None:
    verdict = compile_schema({"required": ["a"]}).check(pa.table({"b": pa.array([], pa.int8())}))
    assert verdict.valid
    assert verdict.row_valid.shape == (0,)


def test_rows_without_columns_are_empty_objects() -> None:
    table = pa.table({"a": [1, 2]}).select([])
    assert compile_schema(True).check(table).row_valid.tolist() == [True, True]
    missing = compile_schema({"required": ["a"]}).check(table)
    assert missing.row_valid.tolist() == [False, False]
    assert [(v.column, v.keyword, v.count) for v in missing.violations] == [("a", "required", 2)]


@pytest.mark.parametrize("batch", [7, 1000])
def test_a_violation_counts_all_rows_and_shows_the_first_ten(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validator, "_ROWS", batch)
    close = [-float(row) if row % 2 else 1.0 for row in range(100)]
    verdict = compile_schema(PRICES).check(pa.table({"close": close}))
    assert np.flatnonzero(~verdict.row_valid).tolist() == list(range(1, 100, 2))
    (violation,) = verdict.violations
    place = (violation.column, violation.keyword, violation.schema_pointer)
    assert place == ("close", "minimum", "/properties/close/minimum")
    assert violation.count == 50
    assert violation.sentence == "is less than 0"
    assert [sample.row for sample in violation.samples] == list(range(1, 2 * SAMPLES, 2))
    assert [sample.value for sample in violation.samples] == close[1 : 2 * SAMPLES : 2]
    assert {sample.instance_pointer for sample in violation.samples} == {"/close"}


def test_violations_are_told_apart_by_column_keyword_and_place() -> None:
    schema = {"additionalProperties": {"type": "integer"}, "properties": {"c": {"maximum": 1}}}
    verdict = compile_schema(schema).check(pa.table({"a": ["x"], "b": ["y"], "c": [2]}))
    assert {(v.column, v.keyword, v.schema_pointer) for v in verdict.violations} == {
        ("a", "type", "/additionalProperties/type"),
        ("b", "type", "/additionalProperties/type"),
        ("c", "maximum", "/properties/c/maximum"),
    }


def test_a_row_with_several_bad_items_counts_once_and_shows_its_first() -> None:
    schema = {"properties": {"a": {"items": {"minimum": 0}}}}
    table = pa.table({"a": [[1], [2, -1, -2], None, [-3]]})
    (violation,) = compile_schema(schema).check(table).violations
    assert violation.count == 2
    shown = [(s.row, s.instance_pointer, s.value) for s in violation.samples]
    assert shown == [(1, "/a/1", -1), (3, "/a/0", -3)]


def test_a_finding_about_a_row_never_shows_the_row() -> None:
    schema = {"required": ["gone"], "minProperties": 3, "not": {"required": ["a"]}}
    verdict = compile_schema(schema).check(pa.table({"a": ["secret"]}))
    assert [v.keyword for v in verdict.violations] == ["required", "minProperties", "not"]
    assert [v.column for v in verdict.violations] == ["gone", None, None]
    assert all(sample.value is None for v in verdict.violations for sample in v.samples)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_no_json_under_any_schema(number: float) -> None:
    table = pa.table({"a": [1.0, number], "b": [[{"x": number}], [{"x": 1.0}]]})
    verdict = compile_schema(True).check(table)
    assert verdict.row_valid.tolist() == [False, False]
    assert {(v.column, v.keyword, v.schema_pointer) for v in verdict.violations} == {
        ("a", "json", ""),
        ("b", "json", ""),
    }
    pointers = {s.instance_pointer for v in verdict.violations for s in v.samples}
    assert pointers == {"/a", "/b/0/x"}


def test_a_pandas_frame_is_taken_at_the_edge() -> None:
    frame = pa.table({"close": [1.0, None, -1.0]}).to_pandas()
    allowing = {"properties": {"close": {"type": ["number", "null"], "minimum": 0}}}
    assert compile_schema(allowing).check(frame).row_valid.tolist() == [True, True, False]


def test_a_record_batch_is_taken_as_it_is() -> None:
    batch = pa.record_batch({"close": [1.0, -1.0]})
    assert compile_schema(PRICES).check(batch).row_valid.tolist() == [True, False]


def test_nan_in_a_coded_column_is_found_in_every_chunk() -> None:
    """Arrow loses it where it joins dictionaries of half floats."""
    values = pa.array(np.array([np.nan, 0, 0], np.float16))
    coded = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int32()), values)
    chunks = pa.chunked_array([pa.array([], pa.bool_()), pa.array([True]), pa.array([True] * 2)])
    verdict = compile_schema(True).check(pa.table({"split": chunks, "coded": coded}))
    assert verdict.row_valid.tolist() == [False, True, False]


def test_chunks_of_nested_columns_are_judged_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("Arrow cannot be trusted to join these")

    monkeypatch.setattr(validator.pa, "concat_batches", refuse)
    chunks = pa.chunked_array([[[1.0]], [[-1.0], [2.0]]])
    schema = {"properties": {"x": {"items": {"minimum": 0}}}}
    verdict = compile_schema(schema).check(pa.table({"x": chunks}))
    assert verdict.row_valid.tolist() == [True, False, True]
    assert verdict.violations[0].samples[0].row == 1
