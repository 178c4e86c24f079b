"""A proposal is admitted with everything that identifies it, or refused with every reason.

The hostile corpus is the proof of bounded time: without the bounds most of it would never end.
"""

import json
import math
import socket
from typing import Any

import pytest

from registry.admission import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_PROBLEMS,
    MAX_SUBSCHEMAS,
    Problem,
    SchemaNotAdmitted,
    admit,
)
from registry.canonical import canonicalize, fingerprint
from registry.frame import Frame
from registry.validity import check_schema, is_valid

ROW = {"type": "object"}
BARS: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "time": {"type": "integer"},
        "symbol": {"type": "string", "pattern": "^[A-Z]{1,5}$"},
        "close": {"type": "number", "exclusiveMinimum": 0},
    },
    "required": ["time", "symbol", "close"],
    "additionalProperties": False,
    "x-seamless": {"time": "time", "unit": "s", "key": ["symbol"]},
}


def problems_of(given: Any, **more: Any) -> tuple[Problem, ...]:
    with pytest.raises(SchemaNotAdmitted) as caught:
        admit(given, **more)
    assert caught.value.problems
    return caught.value.problems


def found_in(given: Any, **more: Any) -> list[tuple[str, str]]:
    return [(problem.code, problem.pointer) for problem in problems_of(given, **more)]


def test_a_schema_is_admitted_with_everything_that_identifies_it() -> None:
    admitted = admit(BARS)
    assert admitted.document == BARS
    assert admitted.canonical == canonicalize(BARS)
    assert admitted.fingerprint == admitted.resolved_fingerprint == fingerprint(BARS)
    assert admitted.dialect == "2020-12"
    assert admitted.frame == Frame("time", "s", ("symbol",), frozenset())


def test_text_and_document_are_admitted_alike() -> None:
    text = json.dumps(BARS, indent=2)
    assert admit(text) == admit(text.encode()) == admit(BARS)
    assert admit(admit(text).canonical).fingerprint == admit(text).fingerprint


def test_the_dialect_without_schema_keyword_is_reported() -> None:
    assert admit(ROW).dialect == "2020-12"
    assert admit({**ROW, "dependencies": {"a": ["b"]}}).dialect == "draft-07"


def test_references_to_registered_versions_enter_the_resolved_fingerprint() -> None:
    price = "seamless:///subjects/price/versions/1"
    document = {**ROW, "properties": {"p": {"$ref": price}}}
    one = admit(document, references={price: {"type": "number"}})
    two = admit(document, references={price: {"type": "string"}})
    assert one.fingerprint == two.fingerprint
    assert one.resolved_fingerprint != two.resolved_fingerprint
    assert found_in(document) == [("unresolved_reference", "/properties/p/$ref")]


@pytest.mark.parametrize(
    ("given", "code", "place"),
    [
        ('{"a": 1, "a": 2}', "duplicate_name", "/a"),
        ("{", "not_json", ""),
        (b"\xff", "not_json", ""),
        ('{"maximum": NaN}', "not_canonical", "/maximum"),
        ('{"maximum": 9007199254740993}', "not_canonical", "/maximum"),
        ('{"title": "\\ud800"}', "not_canonical", "/title"),
        ({"maximum": 2**60}, "not_canonical", "/maximum"),
        ({"maximum": 1e16}, "not_canonical", "/maximum"),
        ({"const": (1,)}, "not_canonical", "/const"),
        ('{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1), "too_deep", "/a" * MAX_DEPTH),
        ("[" * 200_000, "too_deep", "/0" * MAX_DEPTH),
        (json.dumps({"title": "x" * MAX_BYTES}), "too_large", ""),
        ({"title": "x" * MAX_BYTES}, "too_large", ""),
        ({"$schema": "http://example.com/my-dialect"}, "unknown_dialect", "/$schema"),
        ({"$schema": 5}, "unknown_dialect", "/$schema"),
        (5, "invalid_schema", ""),
        ("[]", "invalid_schema", ""),
        (True, "root_not_object", "/type"),
        ({}, "root_not_object", "/type"),
        ({"type": ["object"]}, "root_not_object", "/type"),
        ({"type": "array"}, "root_not_object", "/type"),
        ({**ROW, "x-seamless": 1}, "frame_malformed", "/x-seamless"),
        ({**ROW, "x-seamless": {"key": ["k"]}}, "frame_column_missing", "/x-seamless/key/0"),
        ({**ROW, "properties": {"a": {"type": "int"}}}, "invalid_schema", "/properties/a/type"),
        ({**ROW, "pattern": "("}, "invalid_pattern", "/pattern"),
        ({**ROW, "patternProperties": {"(?=a)": {}}}, "pattern_not_linear",
         "/patternProperties/(?=a)"),
        ({**ROW, "properties": {"a": {"pattern": r"(a)\1"}}}, "pattern_not_linear",
         "/properties/a/pattern"),
        ({**ROW, "not": {"pattern": "a{5000}"}}, "pattern_not_linear", "/not/pattern"),
        ({**ROW, "pattern": "a" * 1001}, "pattern_too_long", "/pattern"),
        ({**ROW, "properties": {"a": {"$ref": "#/$defs/a"}}}, "unresolved_reference",
         "/properties/a/$ref"),
        ({**ROW, "allOf": [{"$ref": "#"}]}, "endless_reference", "/allOf/0/$ref"),
        ({**ROW, "$dynamicRef": "#"}, "endless_reference", "/$dynamicRef"),
        ({"$schema": "https://json-schema.org/draft/2019-09/schema", **ROW,
          "$recursiveRef": "#"}, "endless_reference", "/$recursiveRef"),
    ],
)  # fmt: skip
def test_each_reason_has_a_code_and_a_place(given: Any, code: str, place: str) -> None:
    problems = problems_of(given)
    assert [(problem.code, problem.pointer) for problem in problems] == [(code, place)]
    assert problems[0].message
    assert problems[0].fix


def test_all_problems_are_reported_at_once() -> None:
    document = {
        "type": "array",
        "properties": {
            "a": {"type": "strin", "pattern": "(?!x)"},
            "b": {"minLength": -1},
            "c": {"pattern": "["},
        },
        "x-seamless": {"time": "t"},
    }
    assert found_in(document) == [
        ("invalid_schema", "/properties/a/type"),
        ("invalid_schema", "/properties/b/minLength"),
        ("root_not_object", "/type"),
        ("frame_column_missing", "/x-seamless/time"),
        ("pattern_not_linear", "/properties/a/pattern"),
        ("invalid_pattern", "/properties/c/pattern"),
    ]
    well_formed = {
        **ROW,
        "properties": {"a": {"pattern": "(?!x)"}, "b": {"$ref": "#/no"}, "c": {"$ref": "x:y"}},
        "anyOf": [{"$ref": "#"}],
    }
    assert sorted(found_in(well_formed)) == [
        ("endless_reference", "/anyOf/0/$ref"),
        ("pattern_not_linear", "/properties/a/pattern"),
        ("unresolved_reference", "/properties/b/$ref"),
        ("unresolved_reference", "/properties/c/$ref"),
    ]


def test_a_part_that_python_shares_is_judged_in_each_place() -> None:
    shared = {"pattern": "("}
    document = {**ROW, "properties": {"a": shared, "b": shared}}
    assert found_in(document) == [
        ("invalid_pattern", "/properties/a/pattern"),
        ("invalid_pattern", "/properties/b/pattern"),
    ]


def test_the_admitted_document_is_a_copy() -> None:
    document: dict[str, Any] = {**ROW, "properties": {"a": {}}}
    admitted = admit(document)
    document["properties"]["a"]["type"] = "null"
    assert fingerprint(admitted.document) == admitted.fingerprint


def test_the_refusal_is_data_for_a_program_and_a_sentence_for_a_person() -> None:
    with pytest.raises(SchemaNotAdmitted) as caught:
        admit({"type": "array", "maximum": "x"})
    error = caught.value
    assert (error.status, error.code) == (422, "schema_not_admitted")
    assert [each["pointer"] for each in error.extra["errors"]] == ["/maximum", "/type"]
    assert set(error.extra["errors"][0]) == {"code", "pointer", "message", "fix"}
    assert "at /maximum" in error.detail
    assert "(1 more)" in error.detail


@pytest.mark.parametrize(
    "reference",
    ["http://127.0.0.1:1/x", "https://example.com/schema.json", "file:///etc/passwd", "ftp://a/b"],
)
def test_a_reference_to_the_network_is_refused_and_never_fetched(
    reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for keyword in ("$ref", "$dynamicRef"):
        document = {**ROW, "properties": {"a": {keyword: reference}}}
        assert found_in(document) == [("unresolved_reference", f"/properties/a/{keyword}")]


# The hostile corpus


def doubling(levels: int, below: Any = None) -> dict[str, Any]:
    """Each part refers twice to the next: 2**levels evaluations."""
    step = below or (lambda reference: reference)
    parts = {f"d{i}": {"allOf": [step({"$ref": f"#/$defs/d{i + 1}"})] * 2} for i in range(levels)}
    return {**ROW, "$defs": {**parts, f"d{levels}": {}}, "$ref": "#/$defs/d0"}


def below_property(reference: dict[str, Any]) -> dict[str, Any]:
    return {"properties": {"a": reference}}


def nested(keyword: str, levels: int, **beside: Any) -> dict[str, Any]:
    schema: dict[str, Any] = dict(beside)
    for _ in range(levels):
        schema = {keyword: [schema], **beside}
    return {**ROW, **schema}


REFUSED = {
    "a reference doubled forty times": (doubling(40), "too_much_work"),
    "the same through anyOf": (
        {**ROW, "$defs": {
            **{f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}, {"$ref": f"#/$defs/d{i + 1}"}]}
               for i in range(60)}, "d60": {"type": "null"}}, "$ref": "#/$defs/d0"},
        "too_much_work",
    ),
    "doubled once a level of the document": (doubling(40, below_property), "too_much_work"),
    "two branches for one recursive property": (
        {**ROW, "anyOf": [{"properties": {"l": {"$ref": "#"}}}] * 2}, "too_much_work"),
    "two branches for recursive items": (
        {**ROW, "properties": {"l": {"$ref": "#/$defs/list"}}, "$defs": {"list": {
            "oneOf": [{"items": {"$ref": "#/$defs/list"}}, {"items": {"$ref": "#/$defs/list"}}]}}},
        "too_much_work"),
    "a recursive pattern property over a recursive property": (
        {**ROW, "properties": {"aa": {"$ref": "#"}}, "patternProperties": {"^a": {"$ref": "#"}}},
        "too_much_work"),
    "unevaluatedProperties thirty levels deep": (
        nested("allOf", 30, unevaluatedProperties=False), "too_much_work"),
    "a web of references between branches": (
        {**ROW, "allOf": [{"properties": {f"p{i}": {"$ref": "#"}}} for i in range(1600)]},
        "too_much_work"),
    "a million subschemas in spirit": (
        {**ROW, "properties": {f"p{i}": {} for i in range(MAX_SUBSCHEMAS)}},
        "too_many_subschemas"),
    "more faults than anyone reads": (
        {**ROW, "properties": {f"p{i}": {"type": "x"} for i in range(MAX_SUBSCHEMAS - 1)}},
        "invalid_schema"),
    "one fault among many columns": (
        {**ROW, "properties": {f"p{i}": True for i in range(4900)}, "required": ["a", "a"]},
        "invalid_schema"),
    "one fault among many branches": (
        {**ROW, "allOf": [{}] * 4900 + [5]}, "invalid_schema"),
    "an unsortable enum with one repetition": (
        {"$schema": "http://json-schema.org/draft-04/schema#", **ROW,
         "enum": [*range(10_000), *map(str, range(10_000)), 0]}, "invalid_schema"),
    "a chain of two thousand references into itself": (
        {**ROW, "$defs": {f"d{i}": {"$ref": f"#/$defs/d{(i + 1) % 2000}"} for i in range(2000)}},
        "endless_reference"),
    "nested counted repetition": (
        {**ROW, "pattern": "((((a{1,30}){1,30}){1,30}){1,30}){1,30}"}, "pattern_not_linear"),
    "a repetition of a large class": (
        {**ROW, "pattern": r"\p{L}{1000}"}, "pattern_not_linear"),
    "an enormous repetition": ({**ROW, "pattern": "a{999999999999999999}"}, "pattern_not_linear"),
    "a thousand parentheses": ({**ROW, "pattern": "(" * 500 + ")" * 500}, "invalid_pattern"),
    "braces that close nothing": ({**ROW, "pattern": "{" * 999 + "("}, "invalid_pattern"),
    "an identifier that is no URI": (
        {**ROW, "$id": "http://[", "properties": {"a": {"$ref": "b"}}}, "unresolved_reference"),
    "a reference into text": (
        {**ROW, "title": "abc", "properties": {"a": {"$ref": "#/title/1"}}},
        "unresolved_reference"),
    "identifiers of the wrong type": (
        {**ROW, "properties": {"a": {"$id": 3}, "b": {"$ref": 5}, "c": {"$anchor": "%"}}},
        "invalid_schema"),
    "a schema hidden in an unknown keyword": (
        {**ROW, "x-hidden": {"$id": 3, "type": "x"}, "properties": {"a": {"$ref": "#/x-hidden"}}},
        "unresolved_reference"),
}  # fmt: skip
ADMITTED = {
    "the classic bad pattern of backtracking": {**ROW, "pattern": "^(a+)+$"},
    "another": {**ROW, "pattern": "^(a|a)*b$"},
    "a list": {**ROW, "properties": {"value": {}, "next": {"$ref": "#"}}},
    "a binary tree": {**ROW, "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}},
    "a tree of dictionaries": {
        **ROW, "properties": {"child": {"$ref": "#"}}, "additionalProperties": {"$ref": "#"}},
    "a tree of arrays": {**ROW, "properties": {"children": {"items": {"$ref": "#"}}}},
    "one part used by many columns": {
        **ROW, "$defs": {"p": {"type": "number"}},
        "properties": {f"p{i}": {"$ref": "#/$defs/p"} for i in range(1000)}},
    "a long chain that ends": {
        **ROW, "$defs": {**{f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(200)},
                         "d200": {}}, "$ref": "#/$defs/d0"},
    "a modest doubling": doubling(6),
    "unevaluated at two levels": nested("allOf", 2, unevaluatedProperties=False),
    "a large enum": {**ROW, "properties": {"a": {"enum": list(range(20_000))}}},
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_schema_is_refused_in_bounded_time(name: str) -> None:
    document, code = REFUSED[name]
    problems = problems_of(document)
    assert problems[0].code == code
    assert len(problems) <= MAX_PROBLEMS


@pytest.mark.parametrize("name", ADMITTED)
def test_a_schema_that_only_looks_hostile_is_admitted_and_judges(name: str) -> None:
    document: Any = ADMITTED[name]
    assert admit(document).fingerprint == fingerprint(document)
    check_schema(document)
    is_valid(document, {"a": "a" * 5000 + "c"})


def test_the_bounds_admit_what_just_fits() -> None:
    fits = {**ROW, "properties": {f"p{i}": {} for i in range(MAX_SUBSCHEMAS - 1)}}
    assert admit(fits).dialect == "2020-12"
    title = "x" * (MAX_BYTES - len(canonicalize({**ROW, "title": ""})))
    assert len(admit({**ROW, "title": title}).canonical) == MAX_BYTES
    deep: Any = 1
    for _ in range(MAX_DEPTH - 1):
        deep = [deep]
    assert admit({**ROW, "const": deep}).dialect == "2020-12"
    assert found_in({**ROW, "const": [deep]}) == [("too_deep", "/const" + "/0" * (MAX_DEPTH - 1))]


def test_a_python_document_with_several_refusals_names_each() -> None:
    document = {"a": math.nan, "b": [10**400, "\ud800"], "c": {1: 2}}
    assert [place for _, place in found_in(document)] == ["/a", "/b/0", "/b/1", "/c"]


def test_a_reference_too_many_is_counted_over_all_documents() -> None:
    uris = [f"seamless:///subjects/s{i}/versions/1" for i in range(5)]
    large = {"properties": {f"p{i}": {} for i in range(4500)}}
    document = {**ROW, "allOf": [{"$ref": uri} for uri in uris]}
    references: dict[str, Any] = {uri: {**large, "title": uri} for uri in uris}
    assert ("too_many_subschemas", "") in found_in(document, references=references)


@pytest.mark.parametrize("name", ["$id", "id"])
def test_an_identifier_that_is_no_address_is_refused_with_its_place(name):
    dialect = "draft-04/schema#" if name == "id" else "draft-07/schema#"
    document = {
        "$schema": f"http://json-schema.org/{dialect}",
        name: "http://[",
        "type": "object",
        "properties": {"a": {name: "x"}},
    }
    with pytest.raises(SchemaNotAdmitted) as refused:
        admit(document)
    assert [(p.code, p.pointer) for p in refused.value.problems] == [
        ("unresolved_reference", "/properties/a")
    ]
