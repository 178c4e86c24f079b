"""The fast judge of schemas accepts only what the reference judge accepts."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import metaschemas
from registry.dialects import DIALECTS, DRAFT202012, Dialect
from registry.metaschemas import iter_faults

values = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 1.0, 1.5, 0.0, "", "a", "#", "#/a", "object", "integer", "^a",
        "(", [], [1], ["a"], ["a", "a"], ["a", 1], [1, True], [1, 1.0], ["object", "null"],
        ["object", "object"], {}, {"a": []}, {"a": ["b"]}, {"a": {}}, {"a": True}, [{}], [True],
        [{"type": 3}], {"a": {"minLength": -1}}, "http://x/y", "a b", "%%",
    ]
)  # fmt: skip
keywords = st.sampled_from(
    sorted(
        {keyword for dialect in DIALECTS.values() for keyword in dialect.applicators}
        | {
            "$id", "id", "$ref", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef",
            "$recursiveAnchor", "$comment", "$vocabulary", "type", "enum", "const", "required",
            "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
            "minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems",
            "minContains", "maxContains", "minProperties", "maxProperties", "dependentRequired",
            "title", "description", "default", "examples", "readOnly", "deprecated", "unknown",
        }
    )
)  # fmt: skip
candidates = st.recursive(
    st.dictionaries(keywords, values, max_size=3),
    lambda inner: st.dictionaries(
        keywords, values | inner | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
        | st.lists(inner, max_size=2), max_size=3
    ),
    max_leaves=6,
)  # fmt: skip


@given(st.sampled_from(list(DIALECTS.values())), candidates)
def test_what_the_fast_judge_accepts_the_reference_accepts(dialect: Dialect, schema: Any) -> None:
    # Not the other way round: in draft-04 it takes 1.0 for no integer, and the reference decides.
    if metaschemas._fast_judge(dialect).is_valid(schema):
        assert metaschemas._judge(dialect).is_valid(schema)


@given(st.sampled_from(list(DIALECTS.values())), candidates)
def test_judging_part_by_part_agrees_with_judging_the_whole(dialect: Dialect, schema: Any) -> None:
    whole = metaschemas._judge(dialect).is_valid(schema)
    assert (next(iter_faults(schema, dialect), None) is None) == whole


@given(candidates)
def test_the_reference_judge_agrees_with_jsonschema(schema: Any) -> None:
    ours = metaschemas._judge(DRAFT202012).is_valid(schema)
    theirs = jsonschema.Draft202012Validator(jsonschema.Draft202012Validator.META_SCHEMA)
    assert ours == theirs.is_valid(schema)


def test_every_fault_is_named_with_its_own_place() -> None:
    schema = {
        "type": "obj",
        "properties": {"a": {"type": 5}, "b": 5, "c": {"allOf": []}},
        "$defs": {"x": {"properties": {"y": {"minLength": -1}}}},
    }
    places = {fault.pointer for fault in iter_faults(schema, DRAFT202012)}
    assert places == {
        "/type",
        "/properties/a/type",
        "/properties/b",
        "/properties/c/allOf",
        "/$defs/x/properties/y/minLength",
    }


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_every_meta_schema_is_valid_under_itself(dialect: Dialect) -> None:
    meta = jsonschema.validators.validator_for({"$schema": dialect.uri}).META_SCHEMA
    assert list(iter_faults(dict(meta), dialect)) == []
