"""`is_valid` is `jsonschema` but for its written departures, each of which is tried here."""

import datetime
import math
import socket
from decimal import Decimal
from typing import Any

import jsonschema
import jsonschema_rs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.validity import (
    Finding,
    InvalidSchema,
    TooDeep,
    check_schema,
    dialect_of,
    is_valid,
    iter_findings,
)

DRAFT4 = "http://json-schema.org/draft-04/schema#"
DRAFT6 = "http://json-schema.org/draft-06/schema#"
DRAFT7 = "http://json-schema.org/draft-07/schema#"
DRAFT2019 = "https://json-schema.org/draft/2019-09/schema"
DRAFT2020 = "https://json-schema.org/draft/2020-12/schema"


def keywords(schema: Any, document: Any, **more: Any) -> list[tuple[str, str, str]]:
    return [
        (found.keyword, found.instance_pointer, found.schema_pointer)
        for found in iter_findings(schema, document, **more)
    ]


# 1. dialects


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ({"$schema": DRAFT4}, "draft-04"),
        ({"$schema": DRAFT6}, "draft-06"),
        ({"$schema": DRAFT7}, "draft-07"),
        ({"$schema": DRAFT7.removesuffix("#")}, "draft-07"),
        ({"$schema": DRAFT2019}, "2019-09"),
        ({"$schema": DRAFT2020 + "#"}, "2020-12"),
        ({}, "2020-12"),
        (True, "2020-12"),
        ({"items": [{}]}, "draft-07"),
        ({"properties": {"a": {"dependencies": {}}}}, "draft-07"),
        ({"additionalItems": False}, "draft-07"),
        ({"properties": {"dependencies": {}}}, "2020-12"),
        ({"enum": [{"dependencies": {}}]}, "2020-12"),
        ({"type": "nonsense"}, "2020-12"),
        ({"dependencies": 5}, "2020-12"),
    ],
)
def test_the_dialect_is_the_named_one_or_the_one_that_fits(schema: Any, name: str) -> None:
    assert dialect_of(schema).name == name


def test_an_unknown_dialect_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidSchema, match="2020-12") as caught:
        is_valid({"$schema": "http://json-schema.org/draft-03/schema#"}, 1)
    assert caught.value.pointer == "/$schema"


def test_each_dialect_has_its_own_keywords() -> None:
    exclusive = {"$schema": DRAFT4, "minimum": 1, "exclusiveMinimum": True}
    assert not is_valid(exclusive, 1)
    assert is_valid({"$schema": DRAFT4, "const": 1}, 2)
    assert not is_valid({"$schema": DRAFT6, "const": 1}, 2)
    assert is_valid({"$schema": DRAFT6, "if": True, "then": False}, 2)
    assert not is_valid({"$schema": DRAFT7, "if": True, "then": False}, 2)
    assert is_valid({"$schema": DRAFT7, "dependentRequired": {"a": ["b"]}}, {"a": 1})
    assert not is_valid({"$schema": DRAFT2019, "dependentRequired": {"a": ["b"]}}, {"a": 1})
    assert is_valid({"$schema": DRAFT2019, "prefixItems": [False]}, [1])
    assert not is_valid({"$schema": DRAFT2020, "prefixItems": [False]}, [1])


def test_an_embedded_document_is_judged_in_its_own_dialect() -> None:
    schema = {
        "$schema": DRAFT2020,
        "properties": {
            "old": {"$id": "http://x/old", "$schema": DRAFT7, "items": [{"type": "null"}]},
            "new": {"prefixItems": [{"type": "null"}]},
        },
    }
    assert is_valid(schema, {"old": [None, 1], "new": [None, 1]})
    assert not is_valid(schema, {"old": [1]})
    assert not is_valid(schema, {"new": [1]})
    assert keywords(schema, {"old": [1]}) == [("type", "/old/0", "/properties/old/items/0/type")]


def test_an_embedded_draft_4_document_keeps_its_own_base() -> None:
    old = {
        "id": "http://x/old",
        "$schema": DRAFT4,
        "properties": {"a": {"$ref": "#/definitions/part"}},
        "definitions": {"part": {"type": "null"}},
    }
    schema = {"$schema": DRAFT2020, "properties": {"old": old}}
    assert is_valid(schema, {"old": {"a": None}})
    assert not is_valid(schema, {"old": {"a": 1}})


# 2. a document is JSON


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, Decimal("NaN")])
@pytest.mark.parametrize("schema", [True, {}, {"type": "string"}, {"not": {"type": "number"}}])
def test_a_number_that_is_not_finite_is_valid_nowhere(schema: Any, number: Any) -> None:
    assert not is_valid(schema, number)
    assert not is_valid(schema, {"deep": [number]})
    assert keywords(schema, {"deep": [number]}) == [("json", "/deep/0", "")]


def test_a_lone_surrogate_is_valid_nowhere() -> None:
    assert keywords(True, ["a\ud800"]) == [("json", "/0", "")]
    assert keywords(True, {"a\ud800": 1}) == [("json", "", "")]


@pytest.mark.parametrize(
    "value", [(1,), datetime.date(2012, 5, 18), b"x", np.int64(1), {1: 2}, {"a": {1, 2}}, object()]
)
def test_a_python_value_that_is_not_json_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError):
        is_valid(True, value)


# 3. numbers


@pytest.mark.parametrize(
    ("number", "factor", "answer"),
    [
        (0.3, 0.1, True),
        (0.07, 0.01, True),
        (19.99, 0.01, True),
        (4.35, 0.01, True),
        (0.075, 0.01, False),
        (1e308, 0.123456789, False),
        (1e308, 1e-8, True),
        (0.0, 0.1, True),
        (-0.3, 0.1, True),
        (3, 1.5, True),
        (2**60 + 1, 2, False),
        (Decimal("0.30"), 0.1, True),
        (True, 2, True),
        ("x", 2, True),
    ],
)
def test_multiple_of_is_decimal(number: Any, factor: Any, answer: bool) -> None:
    assert is_valid({"multipleOf": factor}, number) is answer


def test_bounds_are_exact_where_floats_are_not() -> None:
    assert not is_valid({"maximum": 9007199254740992.0}, 9007199254740993)
    assert is_valid({"maximum": 9007199254740993}, 9007199254740993)
    assert not is_valid({"exclusiveMaximum": 9007199254740993}, 9007199254740993)
    assert is_valid({"maximum": 0.3}, Decimal("0.3"))
    assert not is_valid({"exclusiveMinimum": 0.3}, Decimal("0.3"))
    assert is_valid({"const": 1e23}, 10**23)


@pytest.mark.parametrize("keyword", ["minimum", "maximum", "exclusiveMinimum", "multipleOf"])
@pytest.mark.parametrize("value", [True, "1", None, [], {}])
def test_keywords_for_numbers_leave_other_values_alone(keyword: str, value: Any) -> None:
    assert is_valid({keyword: 7}, value)


# 4. integers and equality


@pytest.mark.parametrize("schema", [{"$schema": DRAFT4, "type": "integer"}, {"type": "integer"}])
def test_whole_numbers_are_integers_and_true_is_not(schema: Any) -> None:
    assert all(is_valid(schema, value) for value in (1, 1.0, -0.0, 1e300, Decimal("2.00")))
    assert not any(is_valid(schema, value) for value in (True, False, 1.5, "1", None))
    assert not is_valid({"type": "number"}, True)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ([1], [True], False),
        ([1], [1.0], True),
        ({"a": [0]}, {"a": [False]}, False),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, True),
        ([], {}, False),
        ("1", 1, False),
        (None, False, False),
        ("", None, False),
        ([[1, 2], 3], [[1, 2], 3], True),
        ([1, 2], [2, 1], False),
    ],
)
def test_values_are_equal_as_json_schema_says(left: Any, right: Any, equal: bool) -> None:
    assert is_valid({"const": left}, right) is equal
    assert is_valid({"enum": ["x", left]}, right) is equal
    assert is_valid({"uniqueItems": True}, [left, right]) is not equal


# 5. patterns


def test_patterns_are_ecma_wherever_they_stand() -> None:
    assert not is_valid({"pattern": "^a$"}, "a\n")
    assert not is_valid({"pattern": r"^\d$"}, "٣")
    assert is_valid({"pattern": r"^\p{L}$"}, "é")
    by_name = {"patternProperties": {"^a$": False}, "additionalProperties": True}
    assert is_valid(by_name, {"a\n": 1})
    assert not is_valid(by_name, {"a": 1})
    closed = {"patternProperties": {r"^\p{Lu}$": True}, "additionalProperties": False}
    assert is_valid(closed, {"É": 1})
    assert not is_valid(closed, {"é": 1})
    evaluated = {"patternProperties": {"^a$": True}, "unevaluatedProperties": False}
    assert not is_valid(evaluated, {"a\n": 1})


def test_a_look_around_pattern_is_judged_all_the_same() -> None:
    assert is_valid({"pattern": "^(?!x)"}, "a")
    assert not is_valid({"pattern": "^(?!x)"}, "x")


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"pattern": "("}, "/pattern"),
        ({"$defs": {"a": {"pattern": r"\Z"}}}, "/$defs/a/pattern"),
        ({"patternProperties": {"a/[": {}}}, "/patternProperties/a~1["),
        ({"properties": {"a": {"pattern": "(?<=a+)b"}}}, "/properties/a/pattern"),
    ],
)
def test_a_pattern_that_is_not_ecma_makes_the_schema_invalid(schema: Any, place: str) -> None:
    with pytest.raises(InvalidSchema) as caught:
        check_schema(schema)
    assert caught.value.pointer == place


# 6. format


def test_listed_formats_are_asserted_and_others_are_annotations() -> None:
    for schema in (DRAFT4, DRAFT6, DRAFT7, DRAFT2019, DRAFT2020):
        assert not is_valid({"$schema": schema, "format": "date-time"}, "yesterday")
        assert is_valid({"$schema": schema, "format": "date-time"}, 5)
        assert is_valid({"$schema": schema, "format": "no-such-format"}, "x")


# 7. references

ORDER = "seamless:///subjects/market.order/versions/1"
PRICE = "seamless:///subjects/market.price/versions/3"
REFERENCES: dict[str, Any] = {
    ORDER: {"properties": {"price": {"$ref": PRICE}}, "required": ["price"]},
    PRICE: {"$schema": DRAFT7, "$ref": "#/definitions/price", "definitions": {"price": {
        "items": [{"type": "number"}]}}},
}  # fmt: skip


def test_references_lead_to_the_documents_handed_in() -> None:
    schema = {"properties": {"order": {"$ref": ORDER}}}
    assert is_valid(schema, {"order": {"price": [1, "EUR"]}}, references=REFERENCES)
    assert keywords(schema, {"order": {"price": ["1"]}}, references=REFERENCES) == [
        (
            "type",
            "/order/price/0",
            "/properties/order/$ref/properties/price/$ref/$ref/items/0/type",
        )
    ]


def test_the_same_schema_with_other_references_is_another_schema() -> None:
    schema = {"$ref": "seamless:///a"}
    assert is_valid(schema, 1, references={"seamless:///a": {"type": "integer"}})
    assert not is_valid(schema, 1, references={"seamless:///a": {"type": "string"}})


def test_references_lead_to_the_bundled_meta_schemas() -> None:
    assert is_valid({"$ref": DRAFT2020}, {"type": "object"})
    assert not is_valid({"$ref": DRAFT2020}, {"type": "nonsense"})
    assert not is_valid({"$ref": DRAFT4}, {"required": []})


@pytest.mark.parametrize(
    "reference",
    [
        "http://127.0.0.1:9/schema.json",
        "https://example.com/a#/b",
        "file:///etc/passwd",
        "other.json",
        "#/$defs/missing",
        "#missing",
        "#/title/0",
        "#/title",
        "#/minLength/x",
        "http://[::1",
        "seamless:///unknown",
    ],
)
def test_a_reference_that_leads_nowhere_is_refused_and_never_fetched(
    reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    schema = {"title": "text", "minLength": 1, "properties": {"a": {"$ref": reference}}}
    with pytest.raises(InvalidSchema) as caught:
        is_valid(schema, {})
    assert caught.value.pointer == "/properties/a/$ref"


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"$ref": "#"}, "/$ref"),
        ({"allOf": [{"$ref": "#"}]}, "/allOf/0/$ref"),
        ({"not": {"$ref": "#"}}, "/not/$ref"),
        ({"if": True, "then": {"$ref": "#"}}, "/then/$ref"),
        ({"dependentSchemas": {"a": {"$ref": "#"}}}, "/dependentSchemas/a/$ref"),
        (
            {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
            "/$defs/b/anyOf/0/$ref",
        ),
    ],
)
def test_a_reference_cycle_that_consumes_nothing_is_refused(schema: Any, place: str) -> None:
    with pytest.raises(InvalidSchema, match="leads back to itself") as caught:
        is_valid(schema, {})
    assert caught.value.pointer == place


def test_a_recursive_schema_judges_a_recursive_document() -> None:
    tree = {
        "type": "object",
        "properties": {"value": {"type": "integer"}, "next": {"$ref": "#"}},
        "unevaluatedProperties": False,
    }
    assert is_valid(tree, {"value": 1, "next": {"value": 2, "next": {"value": 3}}})
    assert not is_valid(tree, {"value": 1, "next": {"value": 2, "next": {"value": "3"}}})


def test_a_dynamic_reference_that_never_ends_is_too_deep_not_a_crash() -> None:
    with pytest.raises(TooDeep):
        is_valid({"$dynamicAnchor": "a", "allOf": [{"$dynamicRef": "#a"}]}, 1)


def test_a_document_of_the_greatest_depth_is_judged_and_a_deeper_one_refused() -> None:
    def nested(levels: int) -> Any:
        document: Any = 1
        for _ in range(levels):
            document = {"a": document}
        return document

    schema = {"properties": {"a": {"$ref": "#"}}, "type": ["object", "integer"]}
    assert is_valid(schema, nested(128))
    with pytest.raises(TooDeep):
        is_valid(schema, nested(129))
    with pytest.raises(InvalidSchema, match="128 levels"):
        is_valid({"not": nested(200)}, 1)


# 8. evaluated properties and items


def test_unevaluated_properties_see_through_ids_references_and_dependents() -> None:
    schema = {
        "$defs": {
            "a": {"$id": "http://x/a", "properties": {"a": {"$ref": "#b"}}, "$defs": {
                "b": {"$anchor": "b", "type": "integer"}}},
        },
        "allOf": [{"$ref": "http://x/a"}],
        "dependentSchemas": {"c": {"properties": {"d": True}}},
        "properties": {"c": True},
        "unevaluatedProperties": False,
    }  # fmt: skip
    assert is_valid(schema, {"a": 1, "c": 1, "d": 1})
    assert keywords(schema, {"a": 1, "d": 1}) == [
        ("unevaluatedProperties", "/d", "/unevaluatedProperties")
    ]
    assert keywords(schema, {"a": "x"}) == [
        ("type", "/a", "/allOf/0/$ref/properties/a/$ref/type"),
        ("unevaluatedProperties", "/a", "/unevaluatedProperties"),
    ]


def test_contains_evaluates_items_since_2020_only() -> None:
    schema = {"contains": {"const": 1}, "unevaluatedItems": {"type": "string"}}
    assert is_valid({"$schema": DRAFT2020, **schema}, [1, "a"])
    assert not is_valid({"$schema": DRAFT2019, **schema}, [1, "a"])


# 9. findings


@pytest.mark.parametrize(
    ("schema", "document", "expected"),
    [
        (False, 1, [("false", "", "")]),
        ({"properties": {"a": False}}, {"a": 1}, [("properties", "/a", "/properties/a")]),
        (
            {"additionalProperties": False},
            {"a": 1, "b/c": 1},
            [
                ("additionalProperties", "/a", "/additionalProperties"),
                ("additionalProperties", "/b~1c", "/additionalProperties"),
            ],
        ),
        ({"items": False}, [1], [("items", "/0", "/items")]),
        (
            {"prefixItems": [{"type": "null"}], "items": {"maximum": 1}},
            [1, 2],
            [("type", "/0", "/prefixItems/0/type"), ("maximum", "/1", "/items/maximum")],
        ),
        (
            {"required": ["a", "b"]},
            {},
            [("required", "", "/required"), ("required", "", "/required")],
        ),
        (
            {"$schema": DRAFT7, "dependencies": {"a": ["b"], "c": {"required": ["d"]}}},
            {"a": 1, "c": 1},
            [
                ("dependencies", "", "/dependencies/a"),
                ("required", "", "/dependencies/c/required"),
            ],
        ),
        (
            {"contains": {"type": "null"}, "minContains": 2, "maxContains": 3},
            [None],
            [("minContains", "", "/minContains")],
        ),
        (
            {"contains": {"type": "null"}, "maxContains": 1},
            [None] * 2,
            [("maxContains", "", "/maxContains")],
        ),
        ({"contains": {"type": "null"}}, [1], [("contains", "", "/contains")]),
        ({"if": True, "then": {"minimum": 3}}, 1, [("minimum", "", "/then/minimum")]),
        ({"anyOf": [{"type": "null"}, False]}, 1, [("anyOf", "", "/anyOf")]),
        ({"oneOf": [True, True]}, 1, [("oneOf", "", "/oneOf")]),
        ({"not": True}, 1, [("not", "", "/not")]),
        (
            {"propertyNames": {"maxLength": 1}},
            {"ab": 1},
            [("maxLength", "", "/propertyNames/maxLength")],
        ),
        (
            {"properties": {"items": {"items": {"type": "null"}}}},
            {"items": [1]},
            [("type", "/items/0", "/properties/items/items/type")],
        ),
    ],
)  # fmt: skip
def test_a_finding_names_keyword_and_both_places(schema: Any, document: Any, expected: Any) -> None:
    assert keywords(schema, document) == expected


def test_no_sentence_quotes_the_document() -> None:
    secret = "s3cret-value"
    schemas: list[Any] = [
        {"type": "integer"}, {"enum": ["a"]}, {"const": "a"}, {"pattern": "^a$"},
        {"maxLength": 2}, {"format": "uuid"}, {"not": {}}, False, {"anyOf": [False]},
        {"oneOf": [True, True]}, {"minLength": 99},
    ]  # fmt: skip
    for schema in schemas:
        for found in iter_findings({"items": schema}, [secret]):
            assert secret not in found.message
            assert found.message


def test_sentences_say_what_the_schema_asks_for() -> None:
    (found,) = iter_findings({"properties": {"a": {"maximum": 5}}}, {"a": 7})
    assert found == Finding("maximum", "/a", "/properties/a/maximum", "is more than the maximum 5")
    (neither,) = iter_findings({"oneOf": [False]}, 1)
    (both,) = iter_findings({"oneOf": [True, True]}, 1)
    assert (neither.message, both.message) == (
        "is valid under no branch",
        "is valid under more than one branch",
    )
    (long,) = iter_findings({"enum": ["x" * 500]}, 1)
    assert len(long.message) < 250


# schemas


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        (None, ""),
        ("{}", ""),
        ([], ""),
        ({"type": "text"}, "/type"),
        ({"properties": {"a": {"minimum": "1"}}}, "/properties/a/minimum"),
        ({"allOf": []}, "/allOf"),
        ({"allOf": [{}, 5]}, "/allOf/1"),
        ({"required": ["a", "a"]}, "/required"),
        ({"properties": {"a/b": {"multipleOf": 0}}}, "/properties/a~1b/multipleOf"),
        ({"minimum": math.nan}, "/minimum"),
        ({"const": (1, 2)}, ""),
        ({"$schema": DRAFT4, "properties": {"a": True}}, "/properties/a"),
        ({"$schema": DRAFT7, "exclusiveMinimum": True}, "/exclusiveMinimum"),
        ({"$schema": DRAFT7, "$ref": "#/definitions/a", "definitions": {"a": {"type": 3}}},
         "/definitions/a/type"),
        ({"$schema": DRAFT7, "$ref": "#/definitions/a", "definitions": {"a": {}, "b": {"type": 3}}},
         "/definitions/b/type"),
        ({"$ref": "#/x-parts/a~1b", "x-parts": {"a/b": {"type": 3}}}, "/x-parts/a~1b/type"),
        ({"$ref": "#/x-parts", "x-parts": {"$id": 3}}, "/x-parts/$id"),
        ({"$ref": "#/x-parts", "x-parts": {"not": {"$id": 3}}}, "/x-parts/not/$id"),
        ({"$schema": DRAFT2020, "$defs": {"a": {"$id": "http://x/a", "$schema": "http://x/y"}}},
         "/$defs/a/$schema"),
    ],
)  # fmt: skip
def test_an_invalid_schema_is_refused_with_its_pointer(schema: Any, place: str) -> None:
    with pytest.raises(InvalidSchema) as caught:
        is_valid(schema, {})
    assert caught.value.pointer == place


def test_an_invalid_reference_is_refused_with_its_uri() -> None:
    with pytest.raises(InvalidSchema) as caught:
        is_valid({"$ref": "seamless:///a"}, 1, references={"seamless:///a": {"type": "x"}})
    assert caught.value.pointer == "seamless:///a#/type"
    with pytest.raises(InvalidSchema) as caught:
        is_valid({"$ref": "seamless:///a"}, 1, references={"seamless:///a": {"$schema": "x:y"}})
    assert caught.value.pointer == "seamless:///a#/$schema"


def test_changing_a_schema_after_it_was_used_changes_the_answer() -> None:
    schema: dict[str, Any] = {"properties": {"a": {"type": "string"}}}
    assert is_valid(schema, {"a": "x"})
    schema["properties"]["a"]["type"] = "integer"
    assert not is_valid(schema, {"a": "x"})
    schema["properties"]["a"]["type"] = "string"
    assert is_valid(schema, {"a": "x"})


def test_true_and_one_are_different_schemas_where_a_cache_might_mix_them() -> None:
    assert is_valid({"const": 1}, 1)
    assert not is_valid({"const": True}, 1)
    assert is_valid({"const": 1.0}, 1)


# the libraries as oracles, on the schemas where they agree with the specification

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "ab", "é", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)
names = st.sampled_from("abc")
simple_keywords = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["object", "array", "string", "integer", "null", "boolean"]),
        "minimum": st.integers(-3, 3),
        "exclusiveMaximum": st.integers(-3, 3),
        "maxLength": st.integers(0, 2),
        "pattern": st.sampled_from(["a", "^[ab]+$", "^$"]),
        "required": st.lists(names, unique=True, max_size=2),
        "minItems": st.integers(0, 2),
        "maxProperties": st.integers(0, 2),
        "dependentRequired": st.dictionaries(names, st.lists(names, unique=True), max_size=1),
    },
)


def combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(names, inner, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "properties": named,
            "patternProperties": st.dictionaries(st.sampled_from(["a", "^b"]), inner, max_size=1),
            "additionalProperties": inner,
            "unevaluatedProperties": inner,
            "propertyNames": inner,
            "prefixItems": several,
            "items": inner,
            "contains": inner,
            "minContains": st.integers(0, 2),
            "unevaluatedItems": inner,
            "allOf": several,
            "anyOf": several,
            "oneOf": several,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "dependentSchemas": named,
        },
    )


schemas = st.recursive(
    st.booleans() | simple_keywords,
    lambda inner: st.tuples(simple_keywords, combined(inner)).map(lambda pair: pair[0] | pair[1]),
    max_leaves=8,
)


@given(schemas, st.lists(json_values, min_size=1, max_size=4))
def test_jsonschema_and_jsonschema_rs_give_the_same_answers(
    schema: Any, documents: list[Any]
) -> None:
    theirs = jsonschema.Draft202012Validator(schema)
    independent = jsonschema_rs.Draft202012Validator(schema)
    for document in documents:
        answer = is_valid(schema, document)
        assert answer == independent.is_valid(document)
        assert answer == theirs.is_valid(document)
