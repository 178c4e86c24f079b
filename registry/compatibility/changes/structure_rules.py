"""Differences of arrays, of combined schemas and of what nothing else evaluates."""

from __future__ import annotations

from registry.compatibility.changes.walk import Pair, Walk, only, sides
from registry.compatibility.keywords import REFERENCES
from registry.compatibility.values import Json

_ARRAY = ("prefixItems", "items", "additionalItems")
_CONTAINS = ("contains", "minContains", "maxContains")
_CONDITION = ("if", "then", "else")


def arrays(walk: Walk, pair: Pair) -> None:
    if pair.differs(*_CONTAINS):
        breaks = walk.weigh_keywords(pair, _CONTAINS)
        walk.add(
            pair,
            "contains_changed",
            (),
            breaks=breaks,
            old=only(pair.before, _CONTAINS),
            new=only(pair.after, _CONTAINS),
        )
    if not pair.differs(*_ARRAY):
        return
    if all(_shape_of(pair.before.get(one)) == _shape_of(pair.after.get(one)) for one in _ARRAY):
        for keyword in _ARRAY:
            held = pair.before.get(keyword, [])
            if isinstance(held, list):
                for at in range(len(held)):
                    walk.inside(pair, keyword, at)
            else:
                walk.inside(pair, keyword)
        return
    walk.add(pair, "items_changed", (), breaks=walk.weigh_keywords(pair, _ARRAY))


def combined(walk: Walk, pair: Pair) -> None:
    for keyword in ("allOf", "anyOf", "oneOf"):
        _branches(walk, pair, keyword)
    if pair.differs("not"):
        if "not" in pair.before and "not" in pair.after:
            walk.inside(pair, "not", sense=-pair.sense)
        else:
            walk.add(
                pair,
                "negation_changed",
                ("not",),
                breaks=walk.weigh_keywords(pair, ["not"]),
                sides=sides(pair, "not"),
            )
    if pair.differs(*_CONDITION):
        walk.add(pair, "condition_changed", (), breaks=walk.weigh_keywords(pair, _CONDITION))
    present = [one for one in REFERENCES if one in pair.before or one in pair.after]
    if present:
        _references(walk, pair, present)


def _references(walk: Walk, pair: Pair, present: list[str]) -> None:
    """References with siblings; one that stands alone was followed before."""
    for keyword in present:
        breaks = walk.weigh_keywords(pair, [keyword])
        if breaks != "none" or pair.differs(keyword):
            walk.add(
                pair,
                "reference_changed",
                (keyword,),
                breaks=breaks,
                old=pair.before.get(keyword),
                new=pair.after.get(keyword),
                sides=sides(pair, keyword),
            )


def _branches(walk: Walk, pair: Pair, keyword: str) -> None:
    old, new = pair.before.get(keyword, []), pair.after.get(keyword, [])
    left, right = _unmatched(walk, pair, keyword)
    if len(left) == len(right) == 1 and len(old) == len(new):
        sense = 0 if keyword == "oneOf" else pair.sense
        walk.across(pair, (keyword, left[0]), (keyword, right[0]), sense)
        return
    if not left and not right:
        return
    breaks = walk.weigh_keywords(pair, [keyword])
    if left and right:
        walk.add(pair, "branches_changed", (keyword,), breaks=breaks, name=keyword)
        return
    for at in left:
        walk.add(pair, "branch_removed", (keyword, at), breaks=breaks, name=keyword, sides="old")
    for at in right:
        walk.add(pair, "branch_added", (keyword, at), breaks=breaks, name=keyword, sides="new")


def _unmatched(walk: Walk, pair: Pair, keyword: str) -> tuple[list[int], list[int]]:
    """Indexes of branches that have no branch of the same meaning on the other side."""
    child = walk.parts.schemas.child
    old = [child(pair.old, one).number for one in pair.before.get(keyword, [])]
    new = [child(pair.new, one).number for one in pair.after.get(keyword, [])]
    spare = list(new)
    left = []
    for at, number in enumerate(old):
        if number in spare:
            spare.remove(number)
        else:
            left.append(at)
    right = []
    for at, number in reversed(list(enumerate(new))):
        if number in spare:
            spare.remove(number)
            right.append(at)
    return left, sorted(right)


def unevaluated(walk: Walk, pair: Pair) -> None:
    for keyword, code in (
        ("unevaluatedProperties", "unevaluated_properties_changed"),
        ("unevaluatedItems", "unevaluated_items_changed"),
    ):
        if pair.differs(keyword):
            rest = {name: one for name, one in pair.after.items() if name != keyword}
            breaks = walk.weigh(
                pair,
                {**rest, **only(pair.before, [keyword])},
                {**rest, **only(pair.after, [keyword])},
            )
            walk.add(
                pair,
                code,
                (keyword,),
                breaks=breaks,
                old=pair.before.get(keyword, True),
                new=pair.after.get(keyword, True),
                sides=sides(pair, keyword),
            )


def _shape_of(value: Json) -> str:
    if value is None:
        return "absent"
    return f"list of {len(value)}" if isinstance(value, list) else "schema"
