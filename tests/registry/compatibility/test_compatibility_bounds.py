"""No input makes a check hang or overflow: the answer is then "not proven", with the reason."""

from typing import Any

import pytest

from registry.compatibility import check_compatibility
from registry.compatibility.prover import Comparison
from registry.validity import is_valid


def nested(depth: int, leaf: dict[str, Any]) -> dict[str, Any]:
    for _ in range(depth):
        leaf = {"type": "object", "properties": {"a": leaf}}
    return leaf


def wheel(spokes: int, leaf: str) -> dict[str, Any]:
    """Definitions that refer to each other in many ways."""
    defs = {
        f"{leaf}{at}": {
            "type": "object",
            "properties": {
                "l": {"$ref": f"#/$defs/{leaf}{(at * 7 + 1) % spokes}"},
                "r": {"$ref": f"#/$defs/{leaf}{(at * 3 + 2) % spokes}"},
                "v": {"type": leaf},
            },
        }
        for at in range(spokes)
    }
    return {"$ref": f"#/$defs/{leaf}0", "$defs": defs}


def choices(first: int, last: int) -> dict[str, Any]:
    return {
        "allOf": [
            {"anyOf": [{"required": [f"a{at}.{way}"]} for way in range(first, last)]}
            for at in range(25)
        ]
    }


def tagged(count: int, more: int) -> dict[str, Any]:
    return {
        "oneOf": [
            {"properties": {"k": {"const": at}, "v": {"maxLength": at + more}}, "required": ["k"]}
            for at in range(count)
        ]
    }


STR, ARR = {"type": "string"}, {"type": "array"}

# name, old, new, expected verdict
HOSTILE: list[tuple[str, Any, Any, str]] = [
    ("automata with 2**16 states", {"pattern": "^(a|b)*a(a|b){16}$"},
     {"pattern": "^(a|b)*b(a|b){16}$"}, "not_proven"),
    ("strings of a thousand million", {**STR, "minLength": 10**9}, {"minLength": 10**9 + 1},
     "not_proven"),
    ("strings of a thousand million, proven", {**STR, "minLength": 10**9 + 1},
     {"minLength": 10**9}, "compatible"),
    ("arrays of a million", {**ARR, "minItems": 10**6}, {"minItems": 10**6 + 1}, "not_proven"),
    ("different items by the thousand", {**ARR, "minItems": 1000, "uniqueItems": True},
     {"maxItems": 999}, "incompatible"),
    ("a million properties", {"type": "object", "minProperties": 10**6},
     {"minProperties": 10**6 + 1}, "not_proven"),
    ("numbers of every size", {"type": "number", "multipleOf": 1e-300, "minimum": 1e300},
     {"multipleOf": 7e-300}, "incompatible"),
    ("a float beyond floats", {"type": "number", "minimum": 1.7e308, "not": {"multipleOf": 1}},
     {"type": "string"}, "not_proven"),
    ("periods without end", {"type": "integer", "multipleOf": 99991, "minimum": 1},
     {"not": {"multipleOf": 99989}}, "incompatible"),
    ("nested 20 levels", nested(20, STR), nested(20, {**STR, "maxLength": 3}), "incompatible"),
    ("nested 60 levels", nested(60, STR), nested(60, {**STR, "maxLength": 3}), "not_proven"),
    ("a wheel of references", wheel(30, "integer"), wheel(30, "number"), "compatible"),
    ("choices, 4**25 ways", choices(0, 3), choices(0, 4), "compatible"),
    ("choices that break", choices(0, 4), choices(0, 3), "incompatible"),
    ("forty tagged branches", tagged(40, 0), tagged(41, 1), "compatible"),
    ("more pigeons than holes",
     {"allOf": [{"anyOf": [{"properties": {f"h{h}": {"const": p}}, "required": [f"h{h}"]}
                           for h in range(6)]} for p in range(7)], "type": "object"},
     {"minProperties": 7}, "not_proven"),
    ("a thousand constants", {"enum": list(range(1000))}, {"enum": list(range(999))},
     "incompatible"),
    ("many patterns", {"patternProperties": {f"^{a}.*{b}$": {"type": "integer"}
                                             for a in "abcde" for b in "fg"}},
     {"patternProperties": {f"^{a}.*{b}$": {"type": "number"} for a in "abcde" for b in "fg"}},
     "compatible"),
    ("unevaluated beside many branches",
     {"allOf": [{"anyOf": [{"properties": {f"a{i}{j}": {}}, "required": [f"a{i}{j}"]}
                           for j in range(4)]} for i in range(8)], "unevaluatedProperties": False},
     {"maxProperties": 40}, "not_proven"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "expected"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE]
)
def test_a_hostile_pair_gets_its_answer(old: Any, new: Any, expected: str) -> None:
    report = check_compatibility(old, new, "BACKWARD")
    assert report.verdict == expected
    assert bool(report.reasons) == (expected == "not_proven")
    if report.witness is not None:
        assert is_valid(old, report.witness.document)
        assert not is_valid(new, report.witness.document)


def test_when_the_steps_run_out_the_answer_is_the_reason() -> None:
    old, new = choices(0, 3), choices(1, 4)
    answer = Comparison(old, new, steps=20).answer()
    assert answer.kind == "unknown"
    assert "steps" in answer.reason


def test_fewer_steps_never_give_another_verdict_only_none() -> None:
    old, new = wheel(5, "integer"), wheel(5, "number")
    kinds = {Comparison(old, new, steps=steps).answer().kind for steps in (1, 10, 50, 200, 5000)}
    assert kinds == {"unknown", "contained"}


def test_the_answer_is_the_same_every_time() -> None:
    old, new = tagged(5, 1), tagged(5, 0)
    assert len({repr(check_compatibility(old, new, "FULL")) for _ in range(3)}) == 1
