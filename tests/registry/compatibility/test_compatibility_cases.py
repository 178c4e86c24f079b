"""The verdict of every keyword, in both directions, one row each.

`ok` means proven, `no` means shown by a document; a row never expects "not proven".
"""

from typing import Any

import pytest

from registry.compatibility import check_compatibility
from registry.validity import is_valid

DRAFT4 = "http://json-schema.org/draft-04/schema#"
DRAFT6 = "http://json-schema.org/draft-06/schema#"
DRAFT7 = "http://json-schema.org/draft-07/schema#"
DRAFT2019 = "https://json-schema.org/draft/2019-09/schema"

Row = tuple[str, Any, Any, str]
OBJ = {"type": "object"}


def props(**schemas: Any) -> dict[str, Any]:
    return {"type": "object", "properties": schemas}


def closed(**schemas: Any) -> dict[str, Any]:
    return {**props(**schemas), "additionalProperties": False}


STR, INT, NUM = {"type": "string"}, {"type": "integer"}, {"type": "number"}
TREE = {"$ref": "#/$defs/n", "$defs": {"n": {**props(v=INT, c={"items": {"$ref": "#/$defs/n"}})}}}
WIDER_TREE = {**props(v=NUM, c={"items": {"$ref": "#"}})}

# name, old, new, verdicts backward/forward
ROWS: list[Row] = [
    # identity, annotations, booleans
    ("same", props(a=STR), props(a=STR), "ok/ok"),
    (
        "annotations",
        STR,
        {**STR, "title": "t", "default": 3, "x-unit": "s", "$comment": "c"},
        "ok/ok",
    ),
    ("defs unused", STR, {**STR, "$defs": {"a": INT}}, "ok/ok"),
    ("key order", {"minLength": 1, "type": "string"}, {"type": "string", "minLength": 1}, "ok/ok"),
    ("new true", STR, True, "ok/no"),
    ("new empty", STR, {}, "ok/no"),
    ("old false", False, STR, "ok/no"),
    ("both false", False, {"not": {}}, "ok/ok"),
    ("true and empty", True, {}, "ok/ok"),
    # type
    ("integer to number", INT, NUM, "ok/no"),
    ("string to integer", STR, INT, "no/no"),
    ("union grows", STR, {"type": ["string", "null"]}, "ok/no"),
    ("union order", {"type": ["null", "string"]}, {"type": ["string", "null"]}, "ok/ok"),
    ("union as anyOf", {"type": ["string", "null"]}, {"anyOf": [STR, {"type": "null"}]}, "ok/ok"),
    ("integer in number", {"type": ["integer", "number"]}, NUM, "ok/ok"),
    ("integer as multiple of 1", INT, {"type": "number", "multipleOf": 1}, "ok/ok"),
    (
        "all types",
        True,
        {"type": ["null", "boolean", "number", "string", "array", "object"]},
        "ok/ok",
    ),
    ("type added", {}, STR, "no/ok"),
    # strings
    ("maxLength up", {**STR, "maxLength": 3}, {**STR, "maxLength": 4}, "ok/no"),
    ("maxLength added", STR, {**STR, "maxLength": 4}, "no/ok"),
    ("minLength up", {**STR, "minLength": 3}, {**STR, "minLength": 4}, "no/ok"),
    ("minLength 0", STR, {**STR, "minLength": 0}, "ok/ok"),
    ("length as float", {**STR, "maxLength": 3.0}, {**STR, "maxLength": 3}, "ok/ok"),
    ("length beside type", {"maxLength": 3}, {"maxLength": 3, "minLength": 5}, "no/ok"),
    ("pattern added", STR, {**STR, "pattern": "^a"}, "no/ok"),
    ("pattern equal", {**STR, "pattern": "^a"}, {**STR, "pattern": "^a"}, "ok/ok"),
    ("pattern written otherwise", {"pattern": "^[0-9]+$"}, {"pattern": r"^\d\d*$"}, "ok/ok"),
    ("pattern wider", {"pattern": "^[a-c]{2}$"}, {"pattern": "^[a-z]{1,3}$"}, "ok/no"),
    ("pattern unanchored", {"pattern": "^ab"}, {"pattern": "a"}, "ok/no"),
    ("pattern disjoint", {**STR, "pattern": "^a"}, {**STR, "pattern": "^b"}, "no/no"),
    ("pattern that any string has", STR, {**STR, "pattern": ".*"}, "ok/ok"),
    ("pattern end is not a line end", {"pattern": "^a$"}, {"pattern": "^a\n?$"}, "ok/no"),
    (
        "pattern as length",
        {**STR, "pattern": r"^[\s\STR]{2,4}$"},
        {**STR, "minLength": 2, "maxLength": 4},
        "ok/ok",
    ),
    ("pattern word boundary", {"pattern": r"\bcat\b"}, {"pattern": "cat"}, "ok/no"),
    ("pattern property", {"pattern": r"^\p{Lu}$"}, {"pattern": r"^\p{L}$"}, "ok/no"),
    ("pattern look-ahead equal", {"pattern": "^(?=a)"}, {"pattern": "^(?=a)"}, "ok/ok"),
    ("enum within pattern", {"enum": ["ab", "ac"]}, {"pattern": "^a.$"}, "ok/no"),
    ("enum within length", {"enum": ["a", "bb"]}, {**STR, "maxLength": 2}, "ok/no"),
    ("enum beyond length", {"enum": ["a", "bbb"]}, {**STR, "maxLength": 2}, "no/no"),
    # formats
    ("format added", STR, {**STR, "format": "date"}, "no/ok"),
    ("format equal", {**STR, "format": "date"}, {**STR, "format": "date"}, "ok/ok"),
    ("format changed", {**STR, "format": "date"}, {**STR, "format": "date-time"}, "no/no"),
    ("format unknown", STR, {**STR, "format": "isin"}, "ok/ok"),
    ("format for strings only", {"format": "date"}, INT, "no/ok"),
    ("format uri to iri", {**STR, "format": "uri"}, {**STR, "format": "iri"}, "ok/no"),
    ("format ipv4 to hostname", {**STR, "format": "ipv4"}, {**STR, "format": "hostname"}, "ok/no"),
    (
        "format and length",
        {**STR, "format": "date"},
        {**STR, "format": "date", "maxLength": 10},
        "ok/ok",
    ),
    (
        "format and short length",
        {**STR, "format": "date"},
        {**STR, "format": "date", "maxLength": 9},
        "no/ok",
    ),
    (
        "format within pattern",
        {**STR, "format": "date"},
        {**STR, "pattern": "^[0-9-]{10}$"},
        "ok/no",
    ),
    (
        "pattern is a format",
        {**STR, "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
        {**STR, "format": "uuid"},
        "ok/no",
    ),
    # numbers
    ("minimum up", {**NUM, "minimum": 1}, {**NUM, "minimum": 2}, "no/ok"),
    ("maximum up", {**NUM, "maximum": 1}, {**NUM, "maximum": 2}, "ok/no"),
    ("maximum of integers", {**INT, "maximum": 1}, {**INT, "maximum": 1.5}, "ok/ok"),
    (
        "exclusiveMaximum lowered alone",
        {**NUM, "exclusiveMaximum": 5},
        {**NUM, "exclusiveMaximum": 4},
        "no/ok",
    ),
    ("exclusive to inclusive", {**NUM, "exclusiveMaximum": 5}, {**NUM, "maximum": 5}, "ok/no"),
    ("exclusive of integers", {**INT, "exclusiveMaximum": 5}, {**INT, "maximum": 4}, "ok/ok"),
    (
        "exclusive added above",
        {**NUM, "maximum": 5},
        {**NUM, "maximum": 5, "exclusiveMaximum": 6},
        "ok/ok",
    ),
    ("multipleOf divides", {**NUM, "multipleOf": 4}, {**NUM, "multipleOf": 2}, "ok/no"),
    ("multipleOf decimal", {**NUM, "multipleOf": 0.3}, {**NUM, "multipleOf": 0.1}, "ok/no"),
    ("multipleOf unrelated", {**INT, "multipleOf": 2}, {**INT, "multipleOf": 3}, "no/no"),
    ("multipleOf cents", {**NUM, "multipleOf": 0.01}, {**NUM, "multipleOf": 0.001}, "ok/no"),
    (
        "multipleOf in a range",
        {**INT, "minimum": 1, "maximum": 3},
        {"not": {"multipleOf": 4}},
        "ok/no",
    ),
    (
        "multiples of two and three",
        {"allOf": [{**INT, "multipleOf": 2}, {"multipleOf": 3}]},
        {**INT, "multipleOf": 6},
        "ok/ok",
    ),
    ("empty range", {**NUM, "minimum": 3, "maximum": 2}, False, "ok/ok"),
    ("large integers are exact", {**INT, "maximum": 2**60}, {**INT, "maximum": 2**60 + 1}, "ok/no"),
    # enum, const
    ("enum grows", {"enum": ["a"]}, {"enum": ["a", "b"]}, "ok/no"),
    ("enum order", {"enum": ["a", 1]}, {"enum": [1, "a"]}, "ok/ok"),
    ("enum of integers", {"enum": [1, 2]}, {"enum": [1, 2, 3]}, "ok/no"),
    ("enum 1 is 1.0", {"enum": [1]}, {"enum": [1.0]}, "ok/ok"),
    ("enum true is not 1", {"enum": [True]}, {"enum": [1]}, "no/no"),
    ("const is an enum of one", {"const": "a"}, {"enum": ["a"]}, "ok/ok"),
    ("const changes", {"const": "a"}, {"const": "b"}, "no/no"),
    ("const added", STR, {**STR, "const": "a"}, "no/ok"),
    ("enum of all booleans", {"type": "boolean"}, {"enum": [False, True]}, "ok/ok"),
    ("const null", {"const": None}, {"type": "null"}, "ok/ok"),
    ("const object", {"const": {"a": [1]}}, {"enum": [{"a": [1.0]}, 2]}, "ok/no"),
    ("const array", {"const": [1, "a"]}, {"prefixItems": [INT, STR], "items": False}, "ok/no"),
    ("enum within minimum", {"enum": [1, 2]}, {**INT, "minimum": 1, "maximum": 2}, "ok/ok"),
    # required
    ("required without properties", {"required": ["foo"]}, {"required": ["bar"]}, "no/no"),
    ("required added", props(a=STR), {**props(a=STR), "required": ["a"]}, "no/ok"),
    (
        "required with default",
        closed(a=STR),
        {**closed(a={**STR, "default": "x"}), "required": ["a"]},
        "no/ok",
    ),
    ("required order", {"required": ["a", "b"]}, {"required": ["b", "a"]}, "ok/ok"),
    ("required implies size", {**OBJ, "required": ["a"]}, {"minProperties": 1}, "ok/no"),
    # content models
    ("optional added to open", props(a=STR), props(a=STR, b=INT), "no/ok"),
    ("empty schema added to open", props(a=STR), props(a=STR, b={}), "ok/ok"),
    ("optional added to closed", closed(a=STR), closed(a=STR, b=INT), "ok/no"),
    (
        "required added to closed",
        closed(a=STR),
        {**closed(a=STR, b=INT), "required": ["b"]},
        "no/no",
    ),
    ("removed from open", props(a=STR, b=INT), props(a=STR), "ok/no"),
    ("removed from closed", closed(a=STR, b=INT), closed(a=STR), "no/ok"),
    ("removed false from closed", closed(a=STR, b=False), closed(a=STR), "ok/ok"),
    ("closing", props(a=STR), closed(a=STR), "no/ok"),
    ("opening", closed(a=STR), props(a=STR), "ok/no"),
    (
        "added covered by additional",
        {**props(a=STR), "additionalProperties": STR},
        {**props(a=STR, b=STR), "additionalProperties": STR},
        "ok/ok",
    ),
    (
        "added wider than additional",
        {**props(), "additionalProperties": INT},
        {**props(b=NUM), "additionalProperties": INT},
        "ok/no",
    ),
    (
        "removed covered by additional",
        {**props(b=INT), "additionalProperties": NUM},
        {**OBJ, "additionalProperties": NUM},
        "ok/no",
    ),
    (
        "additional narrowed",
        {**OBJ, "additionalProperties": NUM},
        {**OBJ, "additionalProperties": INT},
        "no/ok",
    ),
    ("added and removed while closed", closed(a=STR, b=STR), closed(a=STR, c=STR), "no/no"),
    (
        "patternProperties narrowed",
        {**OBJ, "patternProperties": {"^s": NUM}},
        {**OBJ, "patternProperties": {"^s": INT}},
        "no/ok",
    ),
    ("patternProperties removed", {**OBJ, "patternProperties": {"^s": NUM}}, OBJ, "ok/no"),
    (
        "added covered by pattern",
        {**OBJ, "patternProperties": {"^s": STR}, "additionalProperties": False},
        {**props(sa=STR), "patternProperties": {"^s": STR}, "additionalProperties": False},
        "ok/ok",
    ),
    (
        "pattern written otherwise for names",
        {"patternProperties": {"^[0-9]$": STR}},
        {"patternProperties": {r"^\d$": STR}},
        "ok/ok",
    ),
    (
        "property under two rules",
        {**props(sa={"minLength": 2}), "patternProperties": {"^s": STR}},
        props(sa={**STR, "minLength": 2}),
        "ok/no",
    ),
    (
        "propertyNames narrowed",
        {**OBJ, "propertyNames": {"maxLength": 5}},
        {**OBJ, "propertyNames": {"maxLength": 4}},
        "no/ok",
    ),
    (
        "propertyNames as patternProperties",
        {**OBJ, "propertyNames": {"pattern": "^a"}},
        {**OBJ, "patternProperties": {"^a": True}, "additionalProperties": False},
        "ok/ok",
    ),
    (
        "propertyNames enum and closed",
        {**OBJ, "propertyNames": {"enum": ["a", "b"]}},
        closed(a={}, b={}),
        "ok/ok",
    ),
    ("minProperties up", {**OBJ, "minProperties": 1}, {**OBJ, "minProperties": 2}, "no/ok"),
    ("maxProperties by closing", closed(a=STR, b=STR), {**OBJ, "maxProperties": 2}, "ok/no"),
    (
        "minProperties of a full model",
        {**closed(a=STR, b=STR), "minProperties": 2},
        {**OBJ, "required": ["a", "b"]},
        "ok/no",
    ),
    (
        "few names",
        {**OBJ, "propertyNames": {"pattern": "^[ab]$"}, "minProperties": 3},
        False,
        "ok/ok",
    ),
    (
        "property false is absence",
        {"properties": {"a": False}},
        {"not": {**OBJ, "required": ["a"]}},
        "ok/ok",
    ),
    ("nested", props(a=props(b=props(c=INT))), props(a=props(b=props(c=NUM))), "ok/no"),
    # dependencies
    ("dependentRequired added", OBJ, {**OBJ, "dependentRequired": {"a": ["b"]}}, "no/ok"),
    (
        "dependentRequired shorter",
        {"dependentRequired": {"a": ["b", "c"]}},
        {"dependentRequired": {"a": ["b"]}},
        "ok/no",
    ),
    ("dependentRequired vacuous", {"dependentRequired": {"a": []}}, {}, "ok/ok"),
    (
        "dependencies longer",
        {"$schema": DRAFT7, "dependencies": {"a": ["b"]}},
        {"$schema": DRAFT7, "dependencies": {"a": ["b", "c"]}},
        "no/ok",
    ),
    (
        "dependencies to dependentRequired",
        {"$schema": DRAFT7, "dependencies": {"a": ["b"]}},
        {"dependentRequired": {"a": ["b"]}},
        "ok/ok",
    ),
    (
        "dependentSchemas narrowed",
        {"dependentSchemas": {"a": props(b=NUM)}},
        {"dependentSchemas": {"a": props(b=INT)}},
        "no/ok",
    ),
    (
        "dependency met by required",
        {**OBJ, "required": ["b"]},
        {"dependentRequired": {"a": ["b"]}},
        "ok/no",
    ),
    # arrays
    ("items narrowed", {"type": "array", "items": NUM}, {"type": "array", "items": INT}, "no/ok"),
    ("maxItems up", {"maxItems": 1}, {"maxItems": 2}, "ok/no"),
    ("minItems up", {"type": "array", "minItems": 1}, {"type": "array", "minItems": 2}, "no/ok"),
    ("uniqueItems added", {"type": "array"}, {"type": "array", "uniqueItems": True}, "no/ok"),
    ("uniqueItems false", {"uniqueItems": False}, {}, "ok/ok"),
    ("unique because short", {"type": "array", "maxItems": 1}, {"uniqueItems": True}, "ok/no"),
    (
        "unique booleans are few",
        {"items": {"type": "boolean"}, "uniqueItems": True},
        {"maxItems": 2},
        "ok/no",
    ),
    (
        "unique tuple of constants",
        {"type": "array", "prefixItems": [{"const": 1}, {"const": 1}], "uniqueItems": True},
        {"maxItems": 1},
        "ok/no",
    ),
    (
        "tuple item added to open",
        {"type": "array", "prefixItems": [STR]},
        {"type": "array", "prefixItems": [STR, INT]},
        "no/ok",
    ),
    (
        "tuple item added to closed",
        {"type": "array", "prefixItems": [STR], "items": False},
        {"type": "array", "prefixItems": [STR, INT], "items": False},
        "ok/no",
    ),
    ("tuple covered by items", {"prefixItems": [INT], "items": NUM}, {"items": NUM}, "ok/no"),
    (
        "draft 7 tuple to 2020-12",
        {"$schema": DRAFT7, "items": [STR], "additionalItems": INT},
        {"prefixItems": [STR], "items": INT},
        "ok/ok",
    ),
    (
        "additionalItems without a tuple",
        {"$schema": DRAFT7, "items": STR, "additionalItems": False},
        {"$schema": DRAFT7, "items": STR},
        "ok/ok",
    ),
    ("items false", {"type": "array", "items": False}, {"maxItems": 0}, "ok/no"),
    ("contains added", {"type": "array"}, {"type": "array", "contains": INT}, "no/ok"),
    (
        "contains narrowed",
        {"type": "array", "contains": NUM},
        {"type": "array", "contains": INT},
        "no/ok",
    ),
    (
        "contains by items",
        {"type": "array", "items": INT, "minItems": 1},
        {"contains": NUM},
        "ok/no",
    ),
    ("contains nothing", {"type": "array", "contains": False}, False, "ok/ok"),
    (
        "minContains up",
        {"type": "array", "contains": INT, "minContains": 2},
        {"type": "array", "contains": INT, "minContains": 3},
        "no/ok",
    ),
    ("minContains 0", {"contains": INT, "minContains": 0}, {}, "ok/ok"),
    (
        "maxContains 0 is none",
        {"type": "array", "contains": INT, "minContains": 0, "maxContains": 0},
        {"type": "array", "items": {"not": INT}},
        "ok/ok",
    ),
    (
        "maxContains down",
        {"type": "array", "contains": INT, "maxContains": 2},
        {"type": "array", "contains": INT, "maxContains": 1},
        "no/ok",
    ),
    ("minContains without contains", {"minContains": 5}, {}, "ok/ok"),
    (
        "minContains needs items",
        {"type": "array", "contains": INT, "minContains": 3},
        {"minItems": 3},
        "ok/no",
    ),
    # combinators
    ("anyOf grows", {"anyOf": [STR]}, {"anyOf": [STR, INT]}, "ok/no"),
    ("anyOf order", {"anyOf": [STR, INT]}, {"anyOf": [INT, STR]}, "ok/ok"),
    ("plain to anyOf", STR, {"anyOf": [STR, {"type": "null"}]}, "ok/no"),
    ("anyOf to the sum", {"anyOf": [{**NUM, "minimum": 5}, {**NUM, "maximum": 5}]}, NUM, "ok/ok"),
    ("number split in two", NUM, {"anyOf": [{"minimum": 5}, {"maximum": 4}]}, "no/no"),
    ("allOf fewer", {"allOf": [STR, {"maxLength": 3}]}, {"allOf": [STR]}, "ok/no"),
    ("allOf merged", {"allOf": [STR, {"maxLength": 3}]}, {**STR, "maxLength": 3}, "ok/ok"),
    ("allOf contradictory", {"allOf": [STR, INT]}, False, "ok/ok"),
    (
        "oneOf disjoint grows",
        {"oneOf": [STR, INT]},
        {"oneOf": [STR, INT, {"type": "null"}]},
        "ok/no",
    ),
    ("oneOf overlapping grows", {"oneOf": [STR, INT]}, {"oneOf": [STR, INT, NUM]}, "no/no"),
    ("entering an overlapping oneOf", STR, {"oneOf": [STR, {**STR, "minLength": 3}]}, "no/ok"),
    ("oneOf twice the same", {"oneOf": [STR, STR]}, False, "ok/ok"),
    (
        "oneOf of objects is open",
        {"oneOf": [props(a=STR)]},
        {"oneOf": [props(a=STR), props(b=INT)]},
        "no/no",
    ),
    (
        "oneOf with a constant grows",
        {"oneOf": [{**props(k={"const": 1}), "required": ["k"]}]},
        {"oneOf": [{**props(k={"const": n}), "required": ["k"]} for n in (1, 2)]},
        "ok/no",
    ),
    (
        "oneOf widened into overlap",
        {"oneOf": [INT, STR]},
        {"oneOf": [NUM, {"type": ["string", "integer"]}]},
        "no/no",
    ),
    ("oneOf disjoint is anyOf", {"oneOf": [STR, INT]}, {"anyOf": [INT, STR]}, "ok/ok"),
    ("not is contravariant", {"not": NUM}, {"not": INT}, "ok/no"),
    ("not of not", {"not": {"not": STR}}, STR, "ok/ok"),
    ("not type", {"not": STR}, {"type": ["null", "boolean", "number", "array", "object"]}, "ok/ok"),
    (
        "not required",
        {**OBJ, "not": {"required": ["a"]}},
        {**OBJ, "not": {"required": ["a", "b"]}},
        "ok/no",
    ),
    ("not minimum", {**NUM, "not": {"minimum": 5}}, {**NUM, "exclusiveMaximum": 5}, "ok/ok"),
    ("de morgan", {"not": {"anyOf": [STR, INT]}}, {"allOf": [{"not": STR}, {"not": INT}]}, "ok/ok"),
    (
        "if then changed",
        {"if": props(k={"const": 1}), "then": {"required": ["a"]}},
        {"if": props(k={"const": 1}), "then": {"required": ["b"]}},
        "no/no",
    ),
    ("if then removed", {"if": INT, "then": {"minimum": 3}}, {}, "ok/no"),
    (
        "if then else as anyOf",
        {"if": STR, "then": {"minLength": 2}, "else": INT},
        {"anyOf": [{**STR, "minLength": 2}, INT]},
        "ok/ok",
    ),
    ("then without if", {"then": STR}, {}, "ok/ok"),
    ("if alone", {"if": STR}, {}, "ok/ok"),
    # unevaluated
    (
        "unevaluated closes allOf",
        {"allOf": [props(a=STR)], "unevaluatedProperties": False, **OBJ},
        closed(a=STR),
        "ok/ok",
    ),
    (
        "unevaluated grows",
        {**props(a=STR), "unevaluatedProperties": False},
        {**props(a=STR, b=INT), "unevaluatedProperties": False},
        "ok/no",
    ),
    (
        "unevaluated with branches",
        {
            **OBJ,
            "anyOf": [{**props(a=STR), "required": ["a"]}, {**props(b=STR), "required": ["b"]}],
            "unevaluatedProperties": False,
        },
        closed(a=STR, b=STR),
        "ok/no",
    ),
    (
        "unevaluated with if",
        {**OBJ, "if": {"required": ["a"]}, "then": props(a=STR), "unevaluatedProperties": False},
        closed(),
        "no/ok",
    ),
    (
        "unevaluatedItems",
        {"type": "array", "prefixItems": [STR], "unevaluatedItems": False},
        {"type": "array", "prefixItems": [STR], "items": False},
        "ok/ok",
    ),
    (
        "unevaluatedItems with contains",
        {"type": "array", "contains": STR, "unevaluatedItems": INT},
        {"type": "array", "items": {"type": ["string", "integer"]}},
        "ok/no",
    ),
    # references
    ("reference inlined", {"$ref": "#/$defs/a", "$defs": {"a": STR}}, STR, "ok/ok"),
    (
        "reference renamed",
        {"$ref": "#/$defs/a", "$defs": {"a": INT}},
        {"$ref": "#/$defs/b", "$defs": {"b": NUM}},
        "ok/no",
    ),
    (
        "reference with siblings",
        {"$ref": "#/$defs/a", "maxLength": 2, "$defs": {"a": STR}},
        {**STR, "maxLength": 2},
        "ok/ok",
    ),
    (
        "draft 7 reference hides siblings",
        {"$schema": DRAFT7, "$ref": "#/definitions/a", "maxLength": 2, "definitions": {"a": STR}},
        STR,
        "ok/ok",
    ),
    ("recursive", TREE, WIDER_TREE, "ok/no"),
    (
        "recursive written twice",
        WIDER_TREE,
        props(v=NUM, c={"items": props(v=NUM, c={"items": {"$ref": "#"}})}),
        "ok/ok",
    ),
    (
        "recursion that never ends",
        {**OBJ, "required": ["a"], "properties": {"a": {"$ref": "#"}}},
        False,
        "ok/ok",
    ),
    ("anchor", {"$ref": "#a", "$defs": {"x": {"$anchor": "a", **INT}}}, NUM, "ok/no"),
    (
        "inner id",
        {
            "$id": "http://a/b",
            "properties": {"p": {"$ref": "c"}},
            "$defs": {"c": {"$id": "c", **INT}},
        },
        {"properties": {"p": NUM}},
        "ok/no",
    ),
    (
        "dynamic reference",
        {"$dynamicRef": "#n", "$defs": {"n": {"$dynamicAnchor": "n", **INT}}},
        NUM,
        "ok/no",
    ),
    (
        "recursive reference of 2019-09",
        {"$schema": DRAFT2019, "$recursiveAnchor": True, **props(c={"$recursiveRef": "#"}, v=INT)},
        {"$schema": DRAFT2019, "$recursiveAnchor": True, **props(c={"$recursiveRef": "#"}, v=NUM)},
        "ok/no",
    ),
    # drafts
    (
        "draft 4 exclusive",
        {"$schema": DRAFT4, "maximum": 5, "exclusiveMaximum": True},
        {"exclusiveMaximum": 5},
        "ok/ok",
    ),
    ("draft 4 has no const", {"$schema": DRAFT4, "const": 1}, {}, "ok/ok"),
    ("draft 6 has no if", {"$schema": DRAFT6, "if": STR, "then": {"minLength": 3}}, {}, "ok/ok"),
    ("draft 4 integer", {"$schema": DRAFT4, **INT}, INT, "ok/ok"),
    ("2019-09 items list", {"$schema": DRAFT2019, "items": [STR]}, {"prefixItems": [STR]}, "ok/ok"),
]


def verdict(old: Any, new: Any, level: str) -> str:
    report = check_compatibility(old, new, level)
    return {"compatible": "ok", "incompatible": "no"}.get(report.verdict, report.verdict)


@pytest.mark.parametrize(
    ("old", "new", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_the_verdict_of(old: Any, new: Any, expected: str) -> None:
    assert f"{verdict(old, new, 'BACKWARD')}/{verdict(old, new, 'FORWARD')}" == expected


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_witness_is_accepted_by_one_side_and_refused_by_the_other(row: Row) -> None:
    _, old, new, _ = row
    report = check_compatibility(old, new, "FULL")
    for witness in report.witnesses:
        accepting, refusing = (old, new) if witness.direction == "backward" else (new, old)
        assert is_valid(accepting, witness.document)
        assert not is_valid(refusing, witness.document)
    assert (report.verdict == "incompatible") == bool(report.witnesses)
