"""One small rule per keyword: the region it asserts.

The rules follow what `registry.validity` asserts, draft by draft.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

from referencing.exceptions import Unresolvable

from registry.compatibility.disjoint import outline
from registry.compatibility.formula import (
    KINDS,
    Above,
    AmongNumbers,
    AmongStrings,
    Distinct,
    HasFormat,
    Kind,
    Matches,
    MultipleOf,
    Node,
    Region,
)
from registry.compatibility.oracle import is_asserted
from registry.compatibility.schemas import Handle
from registry.compatibility.translator import Rule, Translator
from registry.compatibility.unevaluated import unevaluated_items, unevaluated_properties
from registry.compatibility.values import exact, kind_of
from registry.dialects import DRAFT4, DRAFT201909, DRAFT202012

_SIZES: dict[str, tuple[Kind, bool]] = {
    "minLength": ("string", True),
    "maxLength": ("string", False),
    "minItems": ("array", True),
    "maxItems": ("array", False),
    "minProperties": ("object", True),
    "maxProperties": ("object", False),
}
_TYPES: dict[str, tuple[Kind, ...]] = {
    "null": ("null",),
    "boolean": ("false", "true"),
    "number": ("number",),
    "string": ("string",),
    "array": ("array",),
    "object": ("object",),
}


def _type(to: Translator, handle: Handle, value: Any) -> Region:
    allowed: dict[Kind, Node] = {}
    for name in [value] if isinstance(value, str) else value:
        if name == "integer":
            allowed.setdefault("number", to.pool.literal(MultipleOf(exact(1))))
        else:
            allowed.update(dict.fromkeys(_TYPES[name], to.pool.true))
    return to.pool.region(lambda kind: allowed.get(kind, to.pool.false))


def _enum(to: Translator, handle: Handle, value: Any) -> Region:
    to.budget.spend(len(value) // 32)
    strings = frozenset(one for one in value if kind_of(one) == "string")
    numbers = frozenset(exact(one) for one in value if kind_of(one) == "number")
    parts = [to.constant(one) for one in value if kind_of(one) not in ("string", "number")]
    if numbers:
        parts.append(_just(to, "number", to.pool.literal(AmongNumbers(numbers))))
    if strings:
        parts.append(_just(to, "string", to.pool.literal(AmongStrings(strings))))
    return to.pool.join(parts)


def _just(to: Translator, kind: Kind, node: Node) -> Region:
    """Values of this kind that satisfy the node, and nothing else."""
    return to.pool.region(lambda one: node if one == kind else to.pool.false)


def _bound(upper: bool, inclusive: bool) -> Rule:
    def rule(to: Translator, handle: Handle, value: Any) -> Region:
        closed = inclusive and not _made_exclusive(handle, upper)
        atom = Above(exact(value), closed != upper)
        return to.pool.only(["number"], to.pool.literal(atom, not upper))

    return rule


def _made_exclusive(handle: Handle, upper: bool) -> bool:
    """Whether draft 4's boolean modifier makes the bound exclusive."""
    modifier = "exclusiveMaximum" if upper else "exclusiveMinimum"
    return handle.dialect is DRAFT4 and handle.contents.get(modifier) is True


def _exclusive(upper: bool) -> Rule:
    def rule(to: Translator, handle: Handle, value: Any) -> Region:
        if handle.dialect is DRAFT4:  # a modifier of minimum or maximum
            return to.pool.everything()
        return _bound(upper, False)(to, handle, value)

    return rule


def _multiple_of(to: Translator, handle: Handle, value: Any) -> Region:
    return to.pool.only(["number"], to.pool.literal(MultipleOf(exact(value))))


def _size(keyword: str) -> Rule:
    kind, lower = _SIZES[keyword]

    def rule(to: Translator, handle: Handle, value: Any) -> Region:
        if lower:
            return to.pool.only([kind], to.size_at_least(math.ceil(value)))
        return to.pool.only([kind], to.pool.negate(to.size_at_least(math.floor(value) + 1)))

    return rule


def _pattern(to: Translator, handle: Handle, value: Any) -> Region:
    return to.pool.only(["string"], to.pool.literal(Matches(value)))


def _format(to: Translator, handle: Handle, value: Any) -> Region:
    if not is_asserted(value):
        return to.pool.everything()
    return to.pool.only(["string"], to.pool.literal(HasFormat(value)))


def _items(to: Translator, handle: Handle, value: Any) -> Region:
    if isinstance(value, list):
        return _tuple(to, handle, value)
    prefix = handle.contents.get("prefixItems", []) if handle.dialect is DRAFT202012 else []
    return to.pool.only(["array"], to.each_item(len(prefix), None, to.expression(handle, value)))


def _tuple(to: Translator, handle: Handle, value: Any) -> Region:
    parts = [to.each_item(at, at + 1, to.expression(handle, one)) for at, one in enumerate(value)]
    return to.pool.only(["array"], to.pool.all_of(parts))


def _additional_items(to: Translator, handle: Handle, value: Any) -> Region:
    items = handle.contents.get("items")
    if not isinstance(items, list):
        return to.pool.everything()
    node = to.each_item(len(items), None, to.expression(handle, value))
    return to.pool.only(["array"], node)


def _contains(to: Translator, handle: Handle, value: Any) -> Region:
    counted = handle.dialect in (DRAFT201909, DRAFT202012)
    least = handle.contents.get("minContains", 1) if counted else 1
    most = handle.contents.get("maxContains") if counted else None
    wanted = to.expression(handle, value)
    parts = [to.contains(wanted, math.ceil(least))]
    if most is not None:
        parts.append(to.pool.negate(to.contains(wanted, math.floor(most) + 1)))
    return to.pool.only(["array"], to.pool.all_of(parts))


def _unique_items(to: Translator, handle: Handle, value: Any) -> Region:
    return to.pool.only(["array"], to.pool.literal(Distinct())) if value else to.pool.everything()


def _required(to: Translator, handle: Handle, value: Any) -> Region:
    return to.pool.only(["object"], to.pool.all_of(to.required(name) for name in value))


def _properties(to: Translator, handle: Handle, value: Any) -> Region:
    parts = [
        to.each_property(to.name(name), to.expression(handle, one)) for name, one in value.items()
    ]
    return to.pool.only(["object"], to.pool.all_of(parts))


def _pattern_properties(to: Translator, handle: Handle, value: Any) -> Region:
    parts = [
        to.each_property(to.pool.literal(Matches(pattern)), to.expression(handle, one))
        for pattern, one in value.items()
    ]
    return to.pool.only(["object"], to.pool.all_of(parts))


def _additional_properties(to: Translator, handle: Handle, value: Any) -> Region:
    others = to.pool.negate(to.declared_names(handle.contents))
    return to.pool.only(["object"], to.each_property(others, to.expression(handle, value)))


def _property_names(to: Translator, handle: Handle, value: Any) -> Region:
    allowed = to.region(to.schemas.child(handle, value))["string"]
    return to.pool.only(["object"], to.each_property(to.pool.negate(allowed), to.pool.false))


def _dependencies(to: Translator, handle: Handle, value: Any) -> Region:
    parts = []
    for name, needed in value.items():
        absent = to.pool.negate(to.required(name))
        if isinstance(needed, list):
            held = to.pool.only(["object"], to.pool.all_of(to.required(one) for one in needed))
        else:
            held = to.region(to.schemas.child(handle, needed))
        node = to.pool.any_of([absent, held["object"]])
        parts.append(to.pool.only(["object"], node))
    return to.pool.meet(parts)


def _branches(to: Translator, handle: Handle, value: Any) -> list[Region]:
    return [to.region(to.schemas.child(handle, one)) for one in value]


def _all_of(to: Translator, handle: Handle, value: Any) -> Region:
    return to.pool.meet(_branches(to, handle, value))


def _any_of(to: Translator, handle: Handle, value: Any) -> Region:
    return to.pool.join(_branches(to, handle, value))


def _one_of(to: Translator, handle: Handle, value: Any) -> Region:
    branches = _branches(to, handle, value)
    return to.pool.region(lambda kind: _exactly_one(to, [one[kind] for one in branches]))


def _exactly_one(to: Translator, nodes: list[Node]) -> Node:
    """Exactly one of the nodes holds (a node listed twice can never be that one)."""
    pool = to.pool
    live = [node for node in nodes if node is not pool.false]
    outlines = [outline(node, pool, to.schemas) for node in live]
    pairs = [
        pool.any_of([pool.negate(live[one]), pool.negate(live[other])])
        for one, other in combinations(range(len(live)), 2)
        if not outlines[one].excludes(outlines[other])
    ]
    to.budget.spend(len(pairs) // 8)
    return pool.all_of([pool.any_of(live), *pairs])


def _not(to: Translator, handle: Handle, value: Any) -> Region:
    return to.pool.outside(to.region(to.schemas.child(handle, value)))


def _if(to: Translator, handle: Handle, value: Any) -> Region:
    condition = to.region(to.schemas.child(handle, value))
    parts = []
    if "then" in handle.contents:
        then = to.region(to.schemas.child(handle, handle.contents["then"]))
        parts.append(to.pool.join([to.pool.outside(condition), then]))
    if "else" in handle.contents:
        otherwise = to.region(to.schemas.child(handle, handle.contents["else"]))
        parts.append(to.pool.join([condition, otherwise]))
    return to.pool.meet(parts)


def _reference(keyword: str) -> Rule:
    def rule(to: Translator, handle: Handle, value: Any) -> Region:
        try:
            return to.region(to.schemas.follow(handle, keyword))
        except Unresolvable:
            return to.opaque(handle, keyword, KINDS, f"the reference {value!r} is not known")

    return rule


RULES: dict[str, Rule] = {
    "$ref": _reference("$ref"),
    "$dynamicRef": _reference("$dynamicRef"),
    "$recursiveRef": _reference("$recursiveRef"),
    "type": _type,
    "enum": _enum,
    "const": lambda to, handle, value: to.constant(value),
    "minimum": _bound(False, True),
    "maximum": _bound(True, True),
    "exclusiveMinimum": _exclusive(False),
    "exclusiveMaximum": _exclusive(True),
    "multipleOf": _multiple_of,
    **{keyword: _size(keyword) for keyword in _SIZES},
    "pattern": _pattern,
    "format": _format,
    "items": _items,
    "prefixItems": _tuple,
    "additionalItems": _additional_items,
    "contains": _contains,
    "uniqueItems": _unique_items,
    "required": _required,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "propertyNames": _property_names,
    "dependencies": _dependencies,
    "dependentRequired": _dependencies,
    "dependentSchemas": _dependencies,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    "unevaluatedItems": unevaluated_items,
    "unevaluatedProperties": unevaluated_properties,
}
