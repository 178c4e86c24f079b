"""Usual evolutions of usual schemas get a definite answer: the rate of "not proven" is a number.

Every operator is applied at every place of every schema, in both directions. The number may only
fall; it stands in `MOST_NOT_PROVEN`.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from registry.compatibility import InvalidSchema, check_compatibility
from registry.dialects import subschemas
from registry.validity import check_schema, dialect_of

MOST_NOT_PROVEN = 0
DRAFT7 = "http://json-schema.org/draft-07/schema#"
Schema = dict[str, Any]

BARS: Schema = {
    "type": "object",
    "x-seamless": {"time": "ts", "unit": "s", "key": ["symbol"]},
    "properties": {
        "ts": {"type": "integer", "minimum": 0},
        "symbol": {"type": "string", "pattern": "^[A-Z]{1,5}$"},
        "open": {"type": "number", "exclusiveMinimum": 0},
        "close": {"type": ["number", "null"], "exclusiveMinimum": 0},
        "volume": {"type": "integer", "minimum": 0, "default": 0},
        "venue": {"enum": ["XNYS", "XNAS"]},
        "tick": {"type": "number", "multipleOf": 0.01},
    },
    "required": ["ts", "symbol", "open"],
    "additionalProperties": False,
}
ORDER: Schema = {
    "$schema": DRAFT7,
    "definitions": {
        "money": {
            "type": "object",
            "properties": {
                "amount": {"type": "string", "pattern": r"^-?\d+(\.\d{2})?$"},
                "currency": {"type": "string", "minLength": 3, "maxLength": 3},
            },
            "required": ["amount", "currency"],
        },
        "line": {
            "type": "object",
            "properties": {
                "sku": {"type": "string", "maxLength": 40},
                "price": {"$ref": "#/definitions/money"},
                "parts": {"type": "array", "items": {"$ref": "#/definitions/line"}},
            },
            "required": ["sku"],
        },
    },
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "at": {"type": "string", "format": "date-time"},
        "lines": {"type": "array", "items": {"$ref": "#/definitions/line"}, "minItems": 1},
        "total": {"$ref": "#/definitions/money"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["id", "lines"],
    "dependencies": {"total": ["at"]},
}
EVENT: Schema = {
    "oneOf": [
        {
            "type": "object",
            "properties": {"kind": {"const": "login"}, "user": {"$ref": "#/$defs/user"}},
            "required": ["kind", "user"],
        },
        {
            "type": "object",
            "properties": {"kind": {"const": "trade"}, "size": {"type": "integer", "maximum": 100}},
            "required": ["kind", "size"],
        },
    ],
    "$defs": {"user": {"type": "string", "format": "email"}},
}
SETTINGS: Schema = {
    "type": "object",
    "patternProperties": {"^x-": {"type": "string"}, "^n_": {"type": "number"}},
    "properties": {"name": {"type": "string"}, "tags": {"type": "array", "uniqueItems": True,
                                                         "items": {"type": "string"}}},
    "additionalProperties": {"type": "boolean"},
    "propertyNames": {"maxLength": 20},
    "minProperties": 1,
    "if": {"required": ["name"]},
    "then": {"required": ["tags"]},
}  # fmt: skip
POINT: Schema = {
    "type": "array",
    "prefixItems": [{"type": "number"}, {"type": "number"}],
    "items": {"type": "integer"},
    "contains": {"minimum": 0},
    "maxItems": 5,
}
SHAPES: Schema = {
    "allOf": [
        {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
        {"anyOf": [{"properties": {"r": {"type": "number"}}, "required": ["r"]},
                   {"properties": {"w": {"type": "number"}, "h": {"type": "number"}},
                    "required": ["w", "h"]}]},
    ],
    "unevaluatedProperties": False,
    "not": {"required": ["r", "w"]},
}  # fmt: skip
SCHEMAS = {"bars": BARS, "order": ORDER, "event": EVENT, "settings": SETTINGS, "point": POINT,
           "shapes": SHAPES}  # fmt: skip


def shifted(keyword: str, by: float) -> Callable[[Schema], Iterator[Schema]]:
    def change(one: Schema) -> Iterator[Schema]:
        value = one.get(keyword)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value + by >= 0:
            yield {**one, keyword: value + by}

    return change


def without(keyword: str) -> Callable[[Schema], Iterator[Schema]]:
    def change(one: Schema) -> Iterator[Schema]:
        if keyword in one:
            yield {name: value for name, value in one.items() if name != keyword}

    return change


def with_keyword(type_name: str, keyword: str, value: Any) -> Callable[[Schema], Iterator[Schema]]:
    def change(one: Schema) -> Iterator[Schema]:
        if one.get("type") == type_name:
            yield {**one, keyword: value}

    return change


def nullable(one: Schema) -> Iterator[Schema]:
    if isinstance(one.get("type"), str):
        yield {**one, "type": [one["type"], "null"]}
        yield {"anyOf": [one, {"type": "null"}]}
        yield {"oneOf": [one, {"type": "null"}]}


def retyped(one: Schema) -> Iterator[Schema]:
    others = {
        "integer": ["number", "string"],
        "number": ["integer", "string"],
        "string": ["integer"],
    }
    for other in others.get(str(one.get("type")), []):
        yield {**one, "type": other}


def properties(one: Schema) -> Iterator[Schema]:
    held = one.get("properties")
    if not isinstance(held, dict):
        return
    yield {**one, "properties": {**held, "added": {"type": "string"}}}
    yield {**one, "properties": {**held, "added": {}}}
    yield {**one, "properties": {**held, "n_added": {"type": "integer"}}}
    required = one.get("required", [])
    yield {
        **one,
        "properties": {**held, "added": {"type": "string"}},
        "required": [*required, "added"],
    }
    for name in held:
        rest = {other: value for other, value in held.items() if other != name}
        yield {**one, "properties": rest, "required": [o for o in required if o != name] or ["zz"]}
        if name not in required:
            yield {**one, "required": [*required, name]}
        renamed = {("re_" + o if o == name else o): value for o, value in held.items()}
        yield {**one, "properties": renamed}
    for name in required:
        yield {**one, "required": [o for o in required if o != name] or ["zz"]}


def branches(one: Schema) -> Iterator[Schema]:
    for keyword in ("anyOf", "oneOf", "allOf"):
        held = one.get(keyword)
        if isinstance(held, list):
            yield {**one, keyword: [*held, {"type": "boolean"}]}
            yield {**one, keyword: [*held, {}]}
            yield {**one, keyword: list(reversed(held))}
            if len(held) > 1:
                yield {**one, keyword: held[1:]}
            for other in {"anyOf", "oneOf", "allOf"} - {keyword}:
                rest = {name: value for name, value in one.items() if name != keyword}
                yield {**rest, other: held}


def enums(one: Schema) -> Iterator[Schema]:
    if "enum" in one:
        yield {**one, "enum": [*one["enum"], "MORE"]}
        yield {**one, "enum": one["enum"][1:]}
        yield {"type": "string"}
    if "const" in one:
        yield {"enum": [one["const"], "other"]}
        yield {"type": "string"}
    if one.get("type") == "string":
        yield {"enum": ["A", "AB"]}


def wrapped(one: Schema) -> Iterator[Schema]:
    if "$schema" not in one and "$defs" not in one:
        yield {"allOf": [one]}
        yield {"not": {"not": one}}


LIMITS = ["minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems",
          "maxItems",
          "minProperties", "multipleOf"]  # fmt: skip
OPERATORS: list[Callable[[Schema], Iterator[Schema]]] = [
    nullable, retyped, properties, branches, enums, wrapped,
    *(shifted(keyword, by) for keyword in LIMITS for by in (1, -1, 0.5)),
    *(without(keyword) for keyword in [
        *LIMITS, "pattern", "format", "required", "additionalProperties", "patternProperties",
        "propertyNames", "items", "prefixItems", "contains", "uniqueItems", "if", "then", "not",
        "dependencies", "unevaluatedProperties", "type", "enum", "const"]),
    with_keyword("object", "additionalProperties", False),
    with_keyword("object", "additionalProperties", {"type": "string"}),
    with_keyword("object", "maxProperties", 3),
    with_keyword("object", "minProperties", 2),
    with_keyword("object", "propertyNames", {"pattern": "^[a-z_-]+$"}),
    with_keyword("string", "format", "date"),
    with_keyword("string", "format", "email"),
    with_keyword("string", "pattern", "^[A-Z]*$"),
    with_keyword("string", "pattern", "^.{0,36}$"),
    with_keyword("string", "maxLength", 36),
    with_keyword("string", "minLength", 1),
    with_keyword("integer", "multipleOf", 5),
    with_keyword("number", "multipleOf", 0.001),
    with_keyword("number", "maximum", 10**6),
    with_keyword("array", "uniqueItems", True),
    with_keyword("array", "minItems", 2),
    with_keyword("array", "contains", {"type": "string"}),
]  # fmt: skip


def replaced(schema: Schema, path: tuple[str | int, ...], part: Any) -> Schema:
    made: Any = copy.deepcopy(schema)
    if not path:
        return part
    inside = made
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = part
    return made


def evolutions(schema: Schema) -> Iterator[Schema]:
    for path, part, _ in subschemas(schema, dialect_of(schema)):
        if isinstance(part, dict):
            for operator in OPERATORS:
                for changed in operator(part):
                    evolved = replaced(schema, path, changed)
                    try:
                        check_schema(evolved)
                    except InvalidSchema:
                        continue
                    yield evolved


@pytest.mark.parametrize("name", SCHEMAS)
def test_usual_evolutions_get_a_definite_answer(name: str) -> None:
    schema = SCHEMAS[name]
    undecided = []
    for evolved in evolutions(schema):
        report = check_compatibility(schema, evolved, "FULL")
        if report.reasons:
            undecided.append((report.reasons, evolved))
    assert len(undecided) <= MOST_NOT_PROVEN, undecided[:3]
