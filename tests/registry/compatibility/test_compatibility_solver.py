"""Places where a solver could be wrong: each test names what must not be concluded."""

from collections.abc import Iterator
from typing import Any

import pytest

from registry.compatibility import check_compatibility
from registry.compatibility.outcome import Found, Outcome, Unknown
from registry.compatibility.prover import Answer, Comparison
from registry.compatibility.shrink import shrink

INT, STR = {"type": "integer"}, {"type": "string"}


def verdict(old: Any, new: Any) -> str:
    return check_compatibility(old, new, "BACKWARD").verdict


@pytest.mark.parametrize("first", ["node", "wrap"])
@pytest.mark.parametrize("names", ["ab", "ba"])
def test_an_assumption_made_on_the_way_is_forgotten_when_it_was_wrong(
    first: str, names: str
) -> None:
    # While `node` is being asked, `wrap` looks empty; `node` then turns out to hold {}.
    defs = {
        "node": {
            "anyOf": [
                {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/wrap"}},
                {"type": "object"},
            ]
        },
        "wrap": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/node"}},
    }
    order = [first, "wrap" if first == "node" else "node"]
    properties = {
        name: {"$ref": f"#/$defs/{target}"} for name, target in zip(names, order, strict=True)
    }
    old = {"type": "object", "properties": properties, "required": list(names), "$defs": defs}
    report = check_compatibility(old, False, "BACKWARD")
    assert report.witness is not None
    assert sorted(map(str, report.witness.document.values())) == ["[{}]", "{}"]


def test_a_schema_whose_documents_would_never_end_has_none() -> None:
    pair = {
        "$ref": "#/$defs/a",
        "$defs": {
            "a": {"type": "object", "required": ["b"], "properties": {"b": {"$ref": "#/$defs/b"}}},
            "b": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/a"}},
        },
    }
    assert verdict(pair, False) == "compatible"


class _Claims(Comparison):
    """A solver that claims what it likes."""

    claimed: Outcome = Found(5)

    def _outcomes(self) -> Iterator[Outcome]:
        yield self.claimed


def test_a_document_that_the_validator_does_not_confirm_is_not_shown() -> None:
    answer = _Claims(STR, {"type": "string", "title": "t"}).answer()
    assert answer.kind == "unknown"
    assert "not confirmed" in answer.reason


def test_a_guess_that_the_validator_confirms_is_a_witness() -> None:
    comparison = _Claims(STR, {"type": "string", "maxLength": 2})
    comparison.claimed = Unknown("no idea", (5, "ab", "abcd"))
    assert comparison.answer() == Answer("outside", "abc")


def test_constants_of_optional_properties_do_not_keep_branches_apart() -> None:
    branches = [{"properties": {"k": {"const": value}}} for value in (1, 2)]
    assert verdict({"type": "object", "maxProperties": 0}, {"oneOf": branches}) == "incompatible"


def test_a_dependent_schema_says_nothing_about_arrays() -> None:
    new = {"unevaluatedItems": False, "dependentSchemas": {"a": {"unevaluatedItems": {}}}}
    assert verdict({"type": "array", "prefixItems": [{}]}, new) == "incompatible"


def test_a_number_that_no_float_spells_is_not_called_impossible() -> None:
    half = {"type": "number", "multipleOf": 0.5, "minimum": 2**60, "maximum": 2**60 + 1}
    assert verdict({**half, "not": {"multipleOf": 1}}, False) == "not_proven"


@pytest.mark.parametrize(
    "old",
    [
        # two properties compete for the names p and q
        {
            "type": "object",
            "allOf": [
                {"not": {"patternProperties": {"^[pq]$": {"not": STR}}}},
                {"not": {"patternProperties": {"^p$": {"not": INT}}}},
            ],
        },
        {
            "type": "object",
            "allOf": [
                {"not": {"patternProperties": {"^[pq]$": {"not": STR}}}},
                {"not": {"patternProperties": {"^q$": {"not": INT}}}},
            ],
        },
        {
            "type": "object",
            "allOf": [
                {"not": {"patternProperties": {"^p$": {"not": INT}}}},
                {"not": {"patternProperties": {"^[pq]$": {"not": STR}}}},
            ],
        },
        # two counts compete for the same items: [11, -1] is such an array
        {
            "type": "array",
            "items": INT,
            "minItems": 2,
            "allOf": [
                {"contains": {"minimum": 0}, "minContains": 0, "maxContains": 1},
                {"contains": {"maximum": 10}, "minContains": 0, "maxContains": 1},
            ],
        },
        # different strings of a pattern that has no automaton
        {
            "type": "array",
            "items": {"type": "string", "pattern": "^(?=a)"},
            "minItems": 3,
            "uniqueItems": True,
        },
        # a property name of a pattern that has no automaton
        {"type": "object", "propertyNames": {"pattern": "^(?=zz)"}, "minProperties": 1},
        # names that must satisfy the schema they belong to
        {"type": "object", "propertyNames": {"$ref": "#"}, "minProperties": 1},
    ],
)
def test_what_is_not_decided_is_never_called_empty(old: dict[str, Any]) -> None:
    assert verdict(old, False) != "compatible"


def test_equal_numbers_are_not_distinct_however_written() -> None:
    old = {"prefixItems": [{"const": 1}, {"const": 1.0}], "minItems": 2, "type": "array"}
    assert verdict(old, {"not": {"uniqueItems": True}}) == "compatible"


def test_a_call_stack_that_is_nearly_full_gives_no_answer_instead_of_an_error() -> None:
    old: dict[str, Any] = STR
    new: dict[str, Any] = {**STR, "maxLength": 3}
    for _ in range(40):
        old, new = {"properties": {"a": old}}, {"properties": {"a": new}}
    comparison = Comparison(old, new)

    def deep(levels: int) -> Answer:
        return deep(levels - 1) if levels else comparison.answer()

    assert deep(700).kind == "unknown"


@pytest.mark.parametrize(
    ("document", "still", "smallest"),
    [
        ({"a": [1, 2, 3], "b": "x"}, lambda one: isinstance(one, dict) and "a" in one, {"a": []}),
        ([5, 5, "x"], lambda one: isinstance(one, list) and len(one) == 2, [5, ""]),
        ("abcdef", lambda one: isinstance(one, str) and len(one) >= 3, "abc"),
        (1234, lambda one: isinstance(one, (int, float)) and one > 0, 1),
        (12.75, lambda one: isinstance(one, float), 0.5),
    ],
)
def test_shrinking_keeps_the_property_and_takes_the_rest_away(
    document: Any, still: Any, smallest: Any
) -> None:
    assert shrink(document, still) == smallest
