"""What other registries are known to answer wrongly: each one a case.

The left schema is the old one; every row has a document that the old schema accepts and the new one
refuses, or is a harmless change that others refuse.
"""

from typing import Any

import pytest

from registry.compatibility import check_compatibility
from registry.validity import is_valid

DRAFT7 = "http://json-schema.org/draft-07/schema#"
INT, NUM, STR, OBJ = ({"type": one} for one in ("integer", "number", "string", "object"))


def props(**schemas: Any) -> dict[str, Any]:
    return {"type": "object", "properties": schemas}


def closed(**schemas: Any) -> dict[str, Any]:
    return {**props(**schemas), "additionalProperties": False}


NODE = {"properties": {"next": {"$ref": "#"}, "v": NUM}}

BREAKING: list[tuple[str, Any, Any]] = [
    ("required without properties", {"required": ["foo"]}, {"required": ["bar"]}),
    ("patternProperties narrowed",
     {"patternProperties": {"^a": NUM}}, {"patternProperties": {"^a": INT}}),
    ("propertyNames narrowed",
     {"propertyNames": {"maxLength": 3}}, {"propertyNames": {"maxLength": 2}}),
    ("contains narrowed", {"contains": NUM}, {"contains": INT}),
    ("contains added", {"type": "array"}, {"type": "array", "contains": INT}),
    ("format added", STR, {**STR, "format": "date"}),
    ("then narrowed", {"if": INT, "then": {"minimum": 1}}, {"if": INT, "then": {"minimum": 2}}),
    ("if changed", {"if": INT, "then": {"minimum": 1}}, {"if": NUM, "then": {"minimum": 1}}),
    ("oneOf overlapping", {"oneOf": [INT]}, {"oneOf": [INT, NUM]}),
    ("oneOf of open objects", {"oneOf": [props(a=STR)]}, {"oneOf": [props(a=STR), props(b=STR)]}),
    ("entering oneOf", INT, {"oneOf": [INT, NUM]}),
    ("required with a default", closed(a=INT),
     {**closed(a={**INT, "default": 1}), "required": ["a"]}),
    ("exclusiveMaximum lowered alone", {"exclusiveMaximum": 5}, {"exclusiveMaximum": 4}),
    ("exclusiveMinimum raised alone", {"exclusiveMinimum": 4}, {"exclusiveMinimum": 5}),
    ("uniqueItems added", {"type": "array"}, {"type": "array", "uniqueItems": True}),
    ("multipleOf added", INT, {**INT, "multipleOf": 2}),
    ("multipleOf changed", {**INT, "multipleOf": 2}, {**INT, "multipleOf": 4}),
    ("integer enum shrinks", {"enum": [1, 2]}, {"enum": [1]}),
    ("not widened", {"not": INT}, {"not": NUM}),
    ("const changed", {"const": 1}, {"const": 2}),
    ("additionalProperties closed", OBJ, {**OBJ, "additionalProperties": False}),
    ("dependencies longer", {"$schema": DRAFT7, "dependencies": {"a": ["b"]}},
     {"$schema": DRAFT7, "dependencies": {"a": ["b", "c"]}}),
    ("dependencies from names to a schema", {"$schema": DRAFT7, "dependencies": {"a": ["b"]}},
     {"$schema": DRAFT7, "dependencies": {"a": {"required": ["c"]}}}),
    ("recursive narrowed", NODE, {"properties": {"next": {"$ref": "#"}, "v": INT}}),
    ("closed: added and removed", closed(a=STR), closed(b=STR)),
    ("minContains raised",
     {"contains": INT, "minContains": 1}, {"contains": INT, "minContains": 2}),
    ("allOf grows", {"allOf": [NUM]}, {"allOf": [NUM, {"minimum": 1}]}),
    ("definitions in depth", {"$ref": "#/$defs/a/$defs/b", "$defs": {"a": {"$defs": {"b": NUM}}}},
     {"$ref": "#/$defs/a/$defs/b", "$defs": {"a": {"$defs": {"b": INT}}}}),
    ("property added to an open model", props(a=STR), props(a=STR, new=STR)),
]  # fmt: skip

HARMLESS: list[tuple[str, Any, Any]] = [
    ("uniqueItems removed", {"uniqueItems": True}, {}),
    ("additionalItems without a tuple", {"$schema": DRAFT7, "items": INT},
     {"$schema": DRAFT7, "items": INT, "additionalItems": False}),
    ("vacuous dependencies", {"$schema": DRAFT7, **closed(a=STR)},
     {"$schema": DRAFT7, **closed(a=STR), "dependencies": {"zz": ["a"]}}),
    ("dependencies removed", {"$schema": DRAFT7, "dependencies": {"a": ["b"]}},
     {"$schema": DRAFT7, "properties": {}}),
    ("property with an empty schema added to an open model", props(a=STR), props(a=STR, b={})),
    ("optional property added to a closed model", closed(a=STR), closed(a=STR, b=INT)),
    ("recursive widened", {"properties": {"next": {"$ref": "#"}, "v": INT}}, NODE),
    ("integer enum grows", {"enum": [1]}, {"enum": [1, 2]}),
    ("not narrowed", {"not": NUM}, {"not": INT}),
    ("disjoint oneOf grows", {"oneOf": [INT]}, {"oneOf": [INT, STR]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"), [row[1:] for row in BREAKING], ids=[r[0] for r in BREAKING]
)
def test_a_breaking_change_is_refused_with_a_document(old: Any, new: Any) -> None:
    report = check_compatibility(old, new, "BACKWARD")
    assert report.verdict == "incompatible"
    assert report.witness is not None
    assert is_valid(old, report.witness.document)
    assert not is_valid(new, report.witness.document)


@pytest.mark.parametrize(
    ("old", "new"), [row[1:] for row in HARMLESS], ids=[r[0] for r in HARMLESS]
)
def test_a_harmless_change_is_proven_compatible(old: Any, new: Any) -> None:
    assert check_compatibility(old, new, "BACKWARD").verdict == "compatible"
