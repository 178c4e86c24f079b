"""Levels, earlier versions, witnesses and the list of changes."""

from typing import Any

import pytest

from registry.compatibility import CompatibilityReport, InvalidSchema, Level, check_compatibility
from registry.compatibility.changes.codes import CODES
from registry.validity import is_valid

INT, NUM, STR = {"type": "integer"}, {"type": "number"}, {"type": "string"}
DRAFT4 = "http://json-schema.org/draft-04/schema#"
DRAFT7 = "http://json-schema.org/draft-07/schema#"


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


@pytest.mark.parametrize(
    ("level", "verdict"),
    [
        ("BACKWARD", "compatible"),
        ("FORWARD", "incompatible"),
        ("FULL", "incompatible"),
        ("NONE", "compatible"),
        (Level.BACKWARD_TRANSITIVE, "compatible"),
    ],
)
def test_a_level_asks_for_its_directions(level: str, verdict: str) -> None:
    assert check_compatibility(INT, NUM, level).verdict == verdict


@pytest.mark.parametrize("level", list(Level))
def test_only_transitive_levels_look_past_the_last_version(level: Level) -> None:
    history: list[Any] = [STR, INT]
    report = check_compatibility(history, INT, level)
    assert report.verdict == ("incompatible" if level.is_transitive else "compatible")
    if report.witness is not None:
        assert report.witness.version == 0


def test_a_transitive_witness_names_the_newest_version_it_breaks() -> None:
    report = check_compatibility(
        [NUM, NUM, INT], {"type": "integer", "minimum": 1}, "BACKWARD_TRANSITIVE"
    )
    assert report.witness is not None
    assert report.witness.version == 2


def test_without_an_earlier_version_everything_is_compatible() -> None:
    report = check_compatibility([], INT, "FULL_TRANSITIVE")
    assert (report.verdict, report.changes) == ("compatible", ())


def test_full_shows_a_witness_for_each_direction() -> None:
    report = check_compatibility(STR, INT, "FULL")
    assert [one.direction for one in report.witnesses] == ["backward", "forward"]


def test_a_witness_says_where_and_why_it_is_refused() -> None:
    old = closed(a={"type": "object", "properties": {"b": STR}})
    new = closed(a={"type": "object", "properties": {"b": {**STR, "maxLength": 2}}})
    witness = check_compatibility(old, new, "BACKWARD").witness
    assert witness is not None
    assert witness.document == {"a": {"b": "aaa"}}
    assert witness.pointer == "/a/b"
    assert "2" in witness.message


def test_a_witness_is_small() -> None:
    wide = {f"p{at}": {"type": "array", "items": NUM} for at in range(20)}
    old = {"type": "object", "properties": wide, "required": ["p1"]}
    new = {**old, "properties": {**wide, "p7": {"type": "array", "items": INT}}}
    witness = check_compatibility(old, new, "BACKWARD").witness
    assert witness is not None
    assert witness.document in ({"p7": [0.5], "p1": []}, {"p7": [0.1], "p1": []})


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"pattern": "("}, {"$ref": "#/nowhere"}])
def test_an_invalid_schema_is_refused_on_either_side(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidSchema):
        check_compatibility(schema, INT, "NONE")
    with pytest.raises(InvalidSchema):
        check_compatibility(INT, schema, "BACKWARD")


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="SIDEWAYS"):
        check_compatibility(INT, INT, "SIDEWAYS")


def test_references_to_other_subjects_are_followed_and_never_fetched() -> None:
    uri = "seamless:///subjects/price/versions/1"
    old, new = {"properties": {"p": {"$ref": uri}}}, {"properties": {"p": NUM}}
    report = check_compatibility(old, new, "FULL", references={uri: INT})
    assert [one.direction for one in report.witnesses] == ["forward"]
    with pytest.raises(InvalidSchema):
        check_compatibility(old, new, "FULL")


def test_the_inputs_are_left_alone() -> None:
    old, new = closed(a=INT), closed(a=NUM, b=STR)
    before = repr((old, new))
    check_compatibility(old, new, "FULL")
    assert repr((old, new)) == before


# -- changes ------------------------------------------------------------------------------------

FRAME = {"type": "object", "x-seamless": {"time": "t", "unit": "s", "key": ["k"]}}

# code, old, new, breaks, old pointer, new pointer
CHANGES: list[tuple[str, Any, Any, str, str | None, str | None]] = [
    ("type_widened", INT, NUM, "forward", "/type", "/type"),
    ("type_narrowed", NUM, INT, "backward", "/type", "/type"),
    ("type_narrowed", {}, INT, "backward", None, "/type"),
    ("type_changed", STR, INT, "both", "/type", "/type"),
    ("enum_added", STR, {**STR, "enum": ["a"]}, "backward", None, "/enum"),
    ("enum_removed", {"enum": ["a"]}, {}, "forward", "/enum", None),
    ("enum_value_added", {"enum": ["a"]}, {"enum": ["a", "b"]}, "forward", "/enum", "/enum"),
    ("enum_value_removed", {"enum": ["a", 1]}, {"enum": [1]}, "backward", "/enum", "/enum"),
    ("required_added", {}, {"required": ["a"]}, "backward", None, "/required"),
    ("required_removed", {"required": ["a"]}, {}, "forward", "/required", None),
    ("property_added", closed(), closed(a=INT), "forward", None, "/properties/a"),
    ("property_added", {}, {"properties": {"a": INT}}, "backward", None, "/properties/a"),
    ("property_removed", closed(a=INT), closed(), "backward", "/properties/a", None),
    ("property_removed", {"properties": {"a": INT}}, {}, "forward", "/properties/a", None),
    (
        "pattern_property_added",
        {},
        {"patternProperties": {"^a": INT}},
        "backward",
        None,
        "/patternProperties/^a",
    ),
    (
        "pattern_property_removed",
        {"patternProperties": {"^a": INT}},
        {},
        "forward",
        "/patternProperties/^a",
        None,
    ),
    (
        "additional_properties_changed",
        closed(),
        {"type": "object", "properties": {}},
        "forward",
        "/additionalProperties",
        None,
    ),
    (
        "unevaluated_properties_changed",
        {},
        {"unevaluatedProperties": False},
        "backward",
        None,
        "/unevaluatedProperties",
    ),
    (
        "unevaluated_items_changed",
        {"unevaluatedItems": False},
        {},
        "forward",
        "/unevaluatedItems",
        None,
    ),
    (
        "dependency_added",
        {},
        {"dependentRequired": {"a": ["b"]}},
        "backward",
        None,
        "/dependentRequired/a",
    ),
    (
        "dependency_removed",
        {"dependentRequired": {"a": ["b"]}},
        {},
        "forward",
        "/dependentRequired/a",
        None,
    ),
    (
        "dependency_changed",
        {"dependentRequired": {"a": ["b"]}},
        {"dependentRequired": {"a": ["c"]}},
        "both",
        "/dependentRequired/a",
        "/dependentRequired/a",
    ),
    ("items_changed", {"prefixItems": [INT]}, {"prefixItems": [INT, INT]}, "backward", "", ""),
    ("contains_changed", {"contains": INT}, {"contains": NUM}, "forward", "", ""),
    ("branch_added", {"anyOf": [INT]}, {"anyOf": [INT, STR]}, "forward", None, "/anyOf/1"),
    ("branch_removed", {"anyOf": [INT, STR]}, {"anyOf": [INT]}, "backward", "/anyOf/1", None),
    (
        "branches_changed",
        {"oneOf": [INT, STR]},
        {"oneOf": [{"type": "null"}]},
        "both",
        "/oneOf",
        "/oneOf",
    ),
    ("negation_changed", {}, {"not": INT}, "backward", None, "/not"),
    ("condition_changed", {}, {"if": INT, "then": {"minimum": 1}}, "backward", "", ""),
    (
        "reference_changed",
        {"$ref": "#/$defs/a", "title": "t", "minimum": 1, "$defs": {"a": INT}},
        {"minimum": 1},
        "forward",
        "/$ref",
        None,
    ),
    ("schema_replaced", True, INT, "backward", "", ""),
    ("dialect_changed", {"$schema": DRAFT4}, {"$schema": DRAFT7}, "none", "/$schema", "/$schema"),
    (
        "frame_changed",
        FRAME,
        {**FRAME, "x-seamless": {"time": "t", "unit": "ms", "key": ["k"]}},
        "none",
        "/x-seamless/unit",
        "/x-seamless/unit",
    ),
    (
        "sensitive_changed",
        FRAME,
        {**FRAME, "x-seamless": {**FRAME["x-seamless"], "sensitive": ["a"]}},
        "none",
        None,
        "/x-seamless/sensitive",
    ),
    ("annotation_changed", INT, {**INT, "title": "t"}, "none", None, "/title"),
    (
        "meaning_changed",
        {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
        {"allOf": [{"properties": {}}], "unevaluatedProperties": False},
        "backward",
        "",
        "",
    ),
    ("minimum_added", NUM, {**NUM, "minimum": 1}, "backward", None, "/minimum"),
    ("minimum_removed", {**NUM, "minimum": 1}, NUM, "forward", "/minimum", None),
    ("minimum_raised", {"minimum": 1}, {"minimum": 2}, "backward", "/minimum", "/minimum"),
    ("minimum_lowered", {"minimum": 2}, {"minimum": 1}, "forward", "/minimum", "/minimum"),
    ("maximum_raised", {"maximum": 1}, {"maximum": 2}, "forward", "/maximum", "/maximum"),
    (
        "exclusive_maximum_lowered",
        {"exclusiveMaximum": 5},
        {"exclusiveMaximum": 4},
        "backward",
        "/exclusiveMaximum",
        "/exclusiveMaximum",
    ),
    (
        "exclusive_minimum_added",
        {"$schema": DRAFT4, "minimum": 1},
        {"$schema": DRAFT4, "minimum": 1, "exclusiveMinimum": True},
        "backward",
        None,
        "/exclusiveMinimum",
    ),
    ("max_items_lowered", {"maxItems": 2}, {"maxItems": 1}, "backward", "/maxItems", "/maxItems"),
    ("pattern_changed", {"pattern": "^a"}, {"pattern": "^b"}, "both", "/pattern", "/pattern"),
    ("pattern_changed", {"pattern": "^ab"}, {"pattern": "^a"}, "forward", "/pattern", "/pattern"),
    ("format_added", STR, {**STR, "format": "date"}, "backward", None, "/format"),
    ("format_added", STR, {**STR, "format": "isin"}, "none", None, "/format"),
    ("const_changed", {"const": 1}, {"const": 2}, "both", "/const", "/const"),
    (
        "multiple_of_changed",
        {"multipleOf": 4},
        {"multipleOf": 2},
        "forward",
        "/multipleOf",
        "/multipleOf",
    ),
    ("unique_items_added", {}, {"uniqueItems": True}, "backward", None, "/uniqueItems"),
    (
        "property_names_added",
        {},
        {"propertyNames": {"maxLength": 1}},
        "backward",
        None,
        "/propertyNames",
    ),
    # inside other schemas
    (
        "type_widened",
        closed(a=INT),
        closed(a=NUM),
        "forward",
        "/properties/a/type",
        "/properties/a/type",
    ),
    ("type_widened", {"not": INT}, {"not": NUM}, "backward", "/not/type", "/not/type"),
    (
        "max_length_lowered",
        {"propertyNames": {"maxLength": 2}},
        {"propertyNames": {"maxLength": 1}},
        "backward",
        "/propertyNames/maxLength",
        "/propertyNames/maxLength",
    ),
    (
        "type_widened",
        {"prefixItems": [INT]},
        {"prefixItems": [NUM]},
        "forward",
        "/prefixItems/0/type",
        "/prefixItems/0/type",
    ),
    (
        "type_widened",
        {"$ref": "#/$defs/a", "$defs": {"a": INT}},
        {"items": False, **NUM},
        "forward",
        "/$defs/a/type",
        "/type",
    ),
    (
        "type_widened",
        {"anyOf": [INT, STR]},
        {"anyOf": [STR, NUM]},
        "forward",
        "/anyOf/0/type",
        "/anyOf/1/type",
    ),
]


@pytest.mark.parametrize(
    ("code", "old", "new", "breaks", "old_pointer", "new_pointer"),
    CHANGES,
    ids=[f"{row[0]}-{at}" for at, row in enumerate(CHANGES)],
)
def test_a_change_has_its_code_direction_and_pointers(
    code: str, old: Any, new: Any, breaks: str, old_pointer: str | None, new_pointer: str | None
) -> None:
    report = check_compatibility(old, new, "FULL")
    [change] = [one for one in report.changes if one.code == code]
    assert (change.breaks, change.old_pointer, change.new_pointer) == (
        breaks,
        old_pointer,
        new_pointer,
    )
    assert change.message.endswith(".")
    assert change.message[0] == "/" or change.message[0].isupper()


def test_every_code_of_the_table_is_reached_or_is_a_limit_like_those_that_are() -> None:
    reached = {row[0] for row in CHANGES}
    limits = ("added", "removed", "raised", "lowered", "changed")
    missing = {
        code for code in CODES if code not in reached and code.rsplit("_", 1)[1] not in limits
    }
    assert missing == set()


def test_a_direction_that_is_proven_is_not_called_broken_by_any_change() -> None:
    old = {**INT, "minimum": 0, "maximum": 10}
    new = {**INT, "minimum": 0, "exclusiveMaximum": 11}
    report = check_compatibility(old, new, "FULL")
    assert report.verdict == "compatible"
    assert report.changes
    assert {change.breaks for change in report.changes} == {"none"}


def test_every_broken_direction_is_explained_by_a_change() -> None:
    report = check_compatibility(closed(a=INT, b=STR), closed(a=STR, c=STR), "FULL")
    for witness in report.witnesses:
        assert any(change.breaks in (witness.direction, "both") for change in report.changes)


def test_the_frame_has_no_say_in_the_verdict() -> None:
    new = {**FRAME, "x-seamless": {"time": "other"}}
    report = check_compatibility(FRAME, new, "FULL")
    assert report.verdict == "compatible"
    assert [one.code for one in report.changes] == ["frame_changed"] * 3


def test_a_breaking_addition_to_an_open_model_comes_with_a_witness_and_a_fix() -> None:
    old = {"type": "object", "properties": {"a": STR}}
    new = {"type": "object", "properties": {"a": STR, "new": STR}}
    report: CompatibilityReport = check_compatibility(old, new, "BACKWARD")
    assert report.witness is not None
    assert set(report.witness.document) == {"new"}
    assert not is_valid(new, report.witness.document)
    [change] = report.changes
    assert change.fix is not None
    assert "additionalProperties" in change.fix


def test_recursive_schemas_have_finitely_many_changes() -> None:
    old = {"properties": {"a": {"$ref": "#"}, "v": INT}}
    new = {"properties": {"a": {"$ref": "#"}, "v": NUM}}
    report = check_compatibility(old, new, "FULL")
    assert [one.new_pointer for one in report.changes] == ["/properties/v/type"]
