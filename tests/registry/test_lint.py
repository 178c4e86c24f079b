"""Each lint rule fires on its example, names the place and the way out, and is silent beside it."""

from typing import Any

import pytest

from registry.lint import lint

DRAFT7 = "http://json-schema.org/draft-07/schema#"
DRAFT2020 = "https://json-schema.org/draft/2020-12/schema"

FLAWLESS: dict[str, Any] = {
    "$schema": DRAFT2020,
    "description": "A daily bar of one symbol.",
    "type": "object",
    "properties": {
        "time": {"type": "integer", "description": "The session, 00:00 UTC."},
        "symbol": {"type": "string", "description": "The ticker.", "maxLength": 5},
        "close": {"type": "number", "description": "The last price.", "x-unit": "USD"},
        "note": {"type": ["string", "null"], "description": "Why it is odd."},
    },
    "required": ["time", "symbol", "close"],
    "additionalProperties": False,
    "x-seamless": {"time": "time", "unit": "s", "key": ["symbol"]},
}


def found(schema: Any) -> list[tuple[str, str]]:
    return [(finding.code, finding.pointer) for finding in lint(schema)]


def changed(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**FLAWLESS, **changes}.items() if value is not None}


def with_column(column: Any) -> dict[str, Any]:
    described = {"description": "A column.", "x-unit": "1", **column}
    properties = {**FLAWLESS["properties"], "c": described}
    return changed(properties=properties, required=[*FLAWLESS["required"], "c"])


def test_a_flawless_schema_has_no_findings() -> None:
    assert lint(FLAWLESS) == []
    assert lint(True) == []


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (changed(**{"$schema": None}), ("dialect_assumed", "")),
        (changed(**{"x-seamless": None, "properties": {}, "required": []}), ("frame_missing", "")),
        (changed(description=None), ("description_missing", "")),
        (changed(description="  "), ("description_missing", "")),
        (changed(additionalProperties=None), ("open_content_model", "")),
        (changed(additionalProperties={}), ("open_content_model", "")),
        (changed(required=["time", "symbol", "close", "volume"]), ("unsatisfiable", "/required")),
        (changed(additionalProperties={"type": "null"},
                 required=["time", "symbol", "close", "volume"]),
         ("required_not_declared", "/required")),
        (changed(required=["time", "close"]), ("optional_without_null", "/properties/symbol")),
        (changed(propertees={}), ("keyword_misspelt", "/propertees")),
        (changed(dependencies={}), ("keyword_of_another_draft", "/dependencies")),
        (with_column({"maxlength": 3}), ("keyword_misspelt", "/properties/c/maxlength")),
        (with_column({"description": ""}), ("description_missing", "/properties/c")),
        (with_column({"type": "number", "x-unit": ""}), ("unit_missing", "/properties/c")),
        (with_column({"type": ["integer", "null"], "x-unit": 5}),
         ("unit_missing", "/properties/c")),
        (with_column({"type": "string", "maximum": 5}),
         ("keyword_without_effect", "/properties/c/maximum")),
        (with_column({"minContains": 1}), ("keyword_without_effect", "/properties/c/minContains")),
        (with_column({"then": {}}), ("keyword_without_effect", "/properties/c/then")),
        (with_column({"format": "datetime"}), ("format_not_asserted", "/properties/c/format")),
        (with_column({"minimum": 2, "maximum": 1}), ("unsatisfiable", "/properties/c/minimum")),
        (with_column({"exclusiveMinimum": 1, "maximum": 1}),
         ("unsatisfiable", "/properties/c/exclusiveMinimum")),
        (with_column({"minLength": 2, "maxLength": 1}),
         ("unsatisfiable", "/properties/c/minLength")),
        (with_column({"type": "string", "const": 1}), ("unsatisfiable", "/properties/c/const")),
        (with_column({"type": "string", "enum": [1, None]}),
         ("unsatisfiable", "/properties/c/enum")),
        (with_column({"type": "string", "enum": ["a", None]}),
         ("value_never_allowed", "/properties/c/enum/1")),
        (with_column({"type": "integer", "enum": [1, 1.5]}),
         ("value_never_allowed", "/properties/c/enum/1")),
        (with_column({"enum": []}), ("unsatisfiable", "/properties/c/enum")),
        (with_column({"type": "string", "allOf": [{"type": "integer"}]}),
         ("unsatisfiable", "/properties/c/allOf/0/type")),
        (with_column({"allOf": [{"type": "string"}, {}, {"type": ["null", "boolean"]}]}),
         ("unsatisfiable", "/properties/c/allOf/2/type")),
        (with_column({"not": {}}), ("unsatisfiable", "/properties/c/not")),
        (with_column({"properties": {"x": False}, "required": ["x"]}),
         ("unsatisfiable", "/properties/c/required")),
        (with_column({"items": {"minimun": 1}}),
         ("keyword_misspelt", "/properties/c/items/minimun")),
        (changed(**{"$schema": DRAFT7, "definitions": {"a": {}},
                    "properties": {**FLAWLESS["properties"],
                                   "note": {"$ref": "#/definitions/a", "maxLength": 5}}}),
         ("keyword_hidden_by_reference", "/properties/note/maxLength")),
    ],
)  # fmt: skip
def test_each_flaw_is_found_and_nothing_else(schema: Any, expected: tuple[str, str]) -> None:
    assert found(schema) == [expected]
    for finding in lint(schema):
        assert finding.message
        assert finding.fix


@pytest.mark.parametrize(
    "column",
    [
        {"type": "string", "x-anything": 1, "title": "t", "deprecated": True},
        {"type": "string", "customAnnotation": 1},
        {"type": ["string", "integer"], "maximum": 5, "maxLength": 5},
        {"minimum": 1, "maximum": 1},
        {"type": "number", "const": 1},
        {"type": "integer", "const": 1.0},
        {"allOf": [{"type": "number"}, {"type": "integer"}]},
        {"type": "string", "format": "date-time"},
        {"enum": ["maxlength", {"propertees": 1}]},
        {"properties": {"maxlength": {}, "then": {}}},
        {"patternProperties": {"^x": {}}, "required": ["x"], "additionalProperties": False},
    ],
)
def test_what_is_no_flaw_is_left_alone(column: Any) -> None:
    codes = [code for code, _ in found(with_column(column))]
    assert [code for code in codes if code != "required_not_declared"] == []


def test_the_fix_names_the_probable_keyword_and_format() -> None:
    (misspelt,) = lint(with_column({"exclusiveMinimun": 3}))
    assert "'exclusiveMinimum'" in misspelt.fix
    (unknown,) = lint(with_column({"format": "datetime"}))
    assert "'date-time'" in unknown.fix
    (optional,) = lint(changed(required=["time", "close"]))
    assert '"type": ["string", "null"]' in optional.fix
    (assumed, *_) = lint({"dependencies": {}})
    assert DRAFT7.removesuffix("#") in assumed.fix


def test_malformed_parts_are_left_to_admission() -> None:
    lint(
        {
            "type": 5, "properties": {"a": 5, "b": {"type": [5]}}, "required": "x", "allOf": {},
            "enum": 3, "minimum": "a", "maximum": 1, "x-seamless": 7, "format": [], "not": 3,
        }
    )  # fmt: skip
