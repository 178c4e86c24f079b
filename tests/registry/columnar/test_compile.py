"""Compiling: what is refused, what is kept, and what the plan says."""

import threading
from typing import Any

import pyarrow as pa
import pytest

from registry.cells import DuplicateColumn, UnwritableColumn
from registry.columnar import Engine, compile_schema
from registry.columnar.builders import BUILDERS
from registry.dialects import DIALECTS, DRAFT7, DRAFT202012
from registry.evaluation.engine import validator_of
from registry.frame import InvalidFrame
from registry.validity import InvalidSchema


def test_an_invalid_schema_is_refused_with_the_pointer() -> None:
    with pytest.raises(InvalidSchema) as error:
        compile_schema({"properties": {"a": {"type": "text"}}})
    assert error.value.pointer == "/properties/a/type"


def test_a_malformed_frame_is_refused() -> None:
    with pytest.raises(InvalidFrame, match="unit"):
        compile_schema({"x-seamless": {"time": "ts", "unit": "h"}})


def test_the_same_content_is_compiled_once_in_any_key_order() -> None:
    first = compile_schema({"type": "object", "required": ["a", "b"]})
    assert compile_schema({"required": ["a", "b"], "type": "object"}) is first
    assert compile_schema({"type": "object", "required": ["a"]}) is not first


def test_the_same_content_with_other_references_is_another_schema() -> None:
    uri = "seamless:///subjects/price/versions/1"
    schema: Any = {"properties": {"a": {"$ref": uri}}}
    table = pa.table({"a": [1]})
    assert compile_schema(schema, references={uri: {"minimum": 1}}).check(table).valid
    assert not compile_schema(schema, references={uri: {"minimum": 2}}).check(table).valid


def test_a_schema_that_changes_after_compiling_changes_no_verdict() -> None:
    schema: Any = {"properties": {"a": {"enum": [1, 2]}}}
    compiled = compile_schema(schema)
    schema["properties"]["a"]["enum"].clear()
    assert compiled.check(pa.table({"a": [1, 3]})).row_valid.tolist() == [True, False]


def test_a_schema_without_a_canonical_form_is_compiled_all_the_same() -> None:
    schema: Any = {"properties": {"a": {"maximum": 2**63 - 2}}}
    table = pa.table({"a": [2**63 - 2, 2**63 - 1]})
    assert compile_schema(schema).check(table).row_valid.tolist() == [True, False]


def test_tables_that_are_no_rows_of_json_objects_are_refused() -> None:
    compiled = compile_schema(True)
    with pytest.raises(DuplicateColumn):
        compiled.check(pa.table([[1], [2]], names=["a", "a"]))
    with pytest.raises(UnwritableColumn):
        compiled.check(pa.table({"a": pa.array([b"x"])}))


def test_threads_share_a_validator() -> None:
    compiled = compile_schema({"properties": {"a": {"minimum": 0, "pattern": "^x"}}})
    tables = [pa.table({"a": [float(n), -1.0] * 500}) for n in range(8)]
    seen: list[bool] = []

    def judge(table: pa.Table) -> None:
        seen.append(compiled.check(table).row_valid.tolist() == [True, False] * 500)

    threads = [threading.Thread(target=judge, args=(table,)) for table in tables]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 8


def engines(schema: Any) -> dict[str, Engine]:
    return {step.pointer: step.engine for step in compile_schema(schema).explain()}


def test_the_plan_says_for_every_keyword_what_it_costs() -> None:
    schema = {
        "title": "a note",
        "required": ["a"],
        "properties": {"a": {"minimum": 0, "pattern": "a", "format": "no format", "then": {}}},
        "allOf": [{"$ref": "#/$defs/b"}],
        "$defs": {"b": {"properties": {"b": {"uniqueItems": True}}}},
        "if": {"required": ["a"]},
        "else": {"maxProperties": 3},
    }
    assert engines(schema) == {
        "/title": Engine.ANNOTATION,
        "/required": Engine.TABLE,
        "/properties": Engine.COLUMN,
        "/properties/a/minimum": Engine.COLUMN,
        "/properties/a/pattern": Engine.DISTINCT,
        "/properties/a/format": Engine.ANNOTATION,
        "/properties/a/then": Engine.ANNOTATION,
        "/allOf": Engine.COLUMN,
        "/allOf/0/$ref": Engine.COLUMN,
        "/allOf/0/$ref/properties": Engine.COLUMN,
        "/allOf/0/$ref/properties/b/uniqueItems": Engine.DISTINCT,
        "/$defs": Engine.ANNOTATION,
        "/if": Engine.COLUMN,
        "/if/required": Engine.TABLE,
        "/else": Engine.COLUMN,
        "/else/maxProperties": Engine.TABLE,
    }


def test_the_plan_of_a_schema_that_only_the_reference_judges_says_so() -> None:
    schema = {"title": "a note", "properties": {"a": {"unevaluatedItems": False}}}
    assert engines(schema) == {
        "/title": Engine.ANNOTATION,
        "/properties": Engine.REFERENCE,
        "/properties/a/unevaluatedItems": Engine.REFERENCE,
    }
    table = pa.table({"a": [[1], []]})
    verdict = compile_schema(schema).check(table)
    assert verdict.row_valid.tolist() == [False, True]
    assert [(v.column, v.keyword, v.count) for v in verdict.violations] == [
        ("a", "unevaluatedItems", 1)
    ]


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_every_keyword_that_the_reference_asserts_has_a_builder(dialect: Any) -> None:
    asserted = set(validator_of({}, dialect, None).VALIDATORS)
    assert asserted - set(BUILDERS[dialect]) == set()


def test_an_annotation_of_one_draft_is_a_keyword_of_another() -> None:
    assert "dependencies" in BUILDERS[DRAFT7]
    assert "dependencies" not in BUILDERS[DRAFT202012]
