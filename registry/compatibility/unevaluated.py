"""`unevaluatedProperties` and `unevaluatedItems`: which names and items a valid document evaluates.

A schema is split into alternatives, each a region and what is evaluated when a document lies in it.
Every valid document lies in at least one alternative whose answer is right for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from referencing.exceptions import Unresolvable

from registry.compatibility.formula import Kind, Node, Pool, Region
from registry.compatibility.keywords import REFERENCES, asserting
from registry.compatibility.schemas import Handle
from registry.compatibility.translator import SelfReferenceError, Translator
from registry.compatibility.values import Json
from registry.dialects import DRAFT202012

_MOST = 48


class TooManyAlternativesError(Exception):
    """The applicators beside an unevaluated keyword combine in more ways than are tried."""


@dataclass(frozen=True)
class Seen:
    """What is evaluated: names, the first `upto` items (None: all), items like `matching`."""

    names: Node
    upto: int | None
    matching: Node

    def plus(self, other: Seen, pool: Pool) -> Seen:
        """What both together evaluate."""
        reach = None if self.upto is None or other.upto is None else max(self.upto, other.upto)
        return Seen(
            pool.any_of([self.names, other.names]),
            reach,
            pool.any_of([self.matching, other.matching]),
        )


Alternative = tuple[Region, Seen]


def unevaluated_items(to: Translator, handle: Handle, value: Any) -> Region:
    """The rule of `unevaluatedItems`."""
    return _unevaluated(to, handle, "unevaluatedItems")


def unevaluated_properties(to: Translator, handle: Handle, value: Any) -> Region:
    """The rule of `unevaluatedProperties`."""
    return _unevaluated(to, handle, "unevaluatedProperties")


def _unevaluated(to: Translator, handle: Handle, keyword: str) -> Region:
    kind: Kind = "array" if keyword == "unevaluatedItems" else "object"
    value = handle.contents[keyword]
    try:
        found = _alternatives(to, handle, skip=keyword)
    except (TooManyAlternativesError, SelfReferenceError, Unresolvable):
        reason = f"{keyword} beside more branches than are followed"
        return to.opaque(handle, keyword, [kind], reason)
    wanted = to.expression(handle, value)
    branches = []
    for region, seen in found:
        if kind == "array":
            each = to.pool.any_of([seen.matching, wanted])
            held = to.pool.true if seen.upto is None else to.each_item(seen.upto, None, each)
        else:
            held = to.each_property(to.pool.negate(seen.names), wanted)
        branches.append(to.pool.all_of([region[kind], held]))
    return to.pool.only([kind], to.pool.any_of(branches))


def _alternatives(to: Translator, handle: Handle, skip: str = "") -> list[Alternative]:
    nothing = Seen(to.pool.false, 0, to.pool.false)
    contents = handle.contents
    if isinstance(contents, bool):
        return [(to.pool.everything(), nothing)]
    ways: list[Alternative] = [(to.pool.everything(), _own(to, handle, skip))]
    for more in _applicators(to, handle):
        ways = _product(to, ways, more)
    return ways


def _own(to: Translator, handle: Handle, skip: str) -> Seen:
    """What the schema object's own keywords evaluate in any document valid under them."""
    contents = handle.contents
    names = to.declared_names(contents)
    if {"additionalProperties", "unevaluatedProperties"} & (contents.keys() - {skip}):
        names = to.pool.true
    matching = to.pool.false
    if "contains" in contents and handle.dialect is DRAFT202012:
        matching = to.expression(handle, contents["contains"])
    return Seen(names, _reach(contents, skip), matching)


def _reach(contents: Json, skip: str) -> int | None:
    """How many leading items are evaluated; None for all."""
    items = contents.get("items", [])
    closed = "unevaluatedItems" in contents and skip != "unevaluatedItems"
    if (
        closed
        or not isinstance(items, list)
        or ("items" in contents and "additionalItems" in contents)
    ):
        return None
    return len(contents.get("prefixItems", items))


def _applicators(to: Translator, handle: Handle) -> list[list[Alternative]]:
    contents = handle.contents
    present = asserting(contents, handle.dialect)
    found = [_inside(to, to.schemas.follow(handle, one)) for one in REFERENCES if one in present]
    found += [_inside(to, to.schemas.child(handle, one)) for one in contents.get("allOf", [])]
    for keyword in ("anyOf", "oneOf"):
        found += [_either(to, to.schemas.child(handle, one)) for one in contents.get(keyword, [])]
    found += [
        _dependent(to, name, to.schemas.child(handle, one))
        for name, one in contents.get("dependentSchemas", {}).items()
    ]
    if "if" in contents:
        found.append(_conditional(to, handle))
    return found


def _inside(to: Translator, handle: Handle) -> list[Alternative]:
    """Alternatives of a document known to be valid under the handle."""
    if handle.number in to.unfolding:
        raise SelfReferenceError
    to.unfolding.add(handle.number)
    try:
        return _merge(to, _alternatives(to, handle))
    finally:
        to.unfolding.discard(handle.number)


def _either(to: Translator, handle: Handle) -> list[Alternative]:
    """Alternatives of a document that may be valid under the handle or not."""
    region = to.region(handle)
    nothing = Seen(to.pool.false, 0, to.pool.false)
    ways = [(to.pool.meet([region, guard]), seen) for guard, seen in _inside(to, handle)]
    return _merge(to, [*ways, (to.pool.outside(region), nothing)])


def _dependent(to: Translator, name: str, handle: Handle) -> list[Alternative]:
    """Objects with the property are looked at by the subschema; nothing else is."""
    pool, required = to.pool, to.required(name)
    has = pool.region(lambda kind: required if kind == "object" else pool.false)
    ways = [(pool.meet([has, guard]), seen) for guard, seen in _inside(to, handle)]
    return _merge(to, [*ways, (pool.outside(has), Seen(pool.false, 0, pool.false))])


def _conditional(to: Translator, handle: Handle) -> list[Alternative]:
    contents = handle.contents
    condition = to.schemas.child(handle, contents["if"])
    region = to.region(condition)
    then: list[Alternative] = [(region, Seen(to.pool.false, 0, to.pool.false))]
    then = _product(to, then, _inside(to, condition))
    otherwise: list[Alternative] = [
        (to.pool.outside(region), Seen(to.pool.false, 0, to.pool.false))
    ]
    if "then" in contents:
        then = _product(to, then, _inside(to, to.schemas.child(handle, contents["then"])))
    if "else" in contents:
        otherwise = _product(to, otherwise, _inside(to, to.schemas.child(handle, contents["else"])))
    return _merge(to, then + otherwise)


def _product(
    to: Translator, left: list[Alternative], right: list[Alternative]
) -> list[Alternative]:
    ways = [
        (to.pool.meet([first, second]), seen.plus(more, to.pool))
        for first, seen in left
        for second, more in right
    ]
    return _merge(to, ways)


def _merge(to: Translator, ways: list[Alternative]) -> list[Alternative]:
    by_seen: dict[Any, list[Region]] = {}
    for region, seen in ways:
        if any(region[kind] is not to.pool.false for kind in ("array", "object")):
            by_seen.setdefault(seen, []).append(region)
    if len(by_seen) > _MOST:
        raise TooManyAlternativesError
    return [(to.pool.join(regions), seen) for seen, regions in by_seen.items()]
