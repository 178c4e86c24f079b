"""From a schema to formulas.

Structured constants are spelled out with the
same atoms as schemas, so the solver knows arrays and objects by quantifiers alone: every item,
at least n items, every property whose name is in a set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from registry.compatibility.budget import Budget
from registry.compatibility.formula import (
    KINDS,
    AmongNumbers,
    AmongStrings,
    ContainsAtLeast,
    EachItem,
    EachProperty,
    Kind,
    Matches,
    Node,
    Opaque,
    Pool,
    Region,
    SizeAtLeast,
    Under,
)
from registry.compatibility.keywords import asserting
from registry.compatibility.schemas import Handle, Schemas
from registry.compatibility.values import Json, exact, kind_of


class SelfReferenceError(Exception):
    """A schema that refers to itself without going into an item or a property."""


class Translator:
    """Gives the region of a handle; keeps every region it has made."""

    def __init__(
        self, pool: Pool, schemas: Schemas, budget: Budget, rules: Mapping[str, Rule]
    ) -> None:
        self.pool = pool
        self._rules = rules
        self.unfolding: set[int] = set()  # handles whose alternatives are being listed
        self.schemas = schemas
        self.budget = budget
        self._regions: dict[int, Region | None] = {}

    def region(self, handle: Handle) -> Region:
        """All values valid under the handle's schema, as formulas."""
        if handle.number in self._regions:
            known = self._regions[handle.number]
            if known is None:
                raise SelfReferenceError
            return known
        self.budget.spend()
        self._regions[handle.number] = None
        try:
            made = self._translate(handle)
        except SelfReferenceError:
            made = self.opaque(handle, "", KINDS, "a reference that leads back to itself")
        self._regions[handle.number] = made
        return made

    def expression(self, parent: Handle, contents: Json) -> Node:
        """A node saying "valid under this subschema"; trivial schemas become true or false."""
        return self.under(self.schemas.child(parent, contents))

    def under(self, handle: Handle) -> Node:
        """A node saying "valid under this handle"."""
        if handle.contents is False:
            return self.pool.false
        if handle.contents is True or not asserting(handle.contents, handle.dialect):
            return self.pool.true
        return self.pool.literal(Under(handle.number))

    def required(self, name: str) -> Node:
        """Objects that have the property."""
        return self.pool.negate(self.each_property(self.name(name), self.pool.false))

    def name(self, name: str) -> Node:
        """The name set holding one name."""
        return self.pool.literal(AmongStrings(frozenset({name})))

    def each_property(self, names: Node, value: Node) -> Node:
        """Objects whose properties named by `names` satisfy `value`."""
        if value is self.pool.true or names is self.pool.false:
            return self.pool.true
        return self.pool.literal(EachProperty(names, value))

    def each_item(self, start: int, stop: int | None, value: Node) -> Node:
        """Arrays whose items from `start` to before `stop` satisfy `value`."""
        if value is self.pool.true:
            return self.pool.true
        if value is self.pool.false:
            return self.pool.negate(self.size_at_least(start + 1))
        return self.pool.literal(EachItem(start, stop, value))

    def size_at_least(self, size: int) -> Node:
        """Strings, arrays or objects of this size or more."""
        return self.pool.literal(SizeAtLeast(size)) if size > 0 else self.pool.true

    def contains(self, value: Node, count: int) -> Node:
        """Arrays with at least `count` items that satisfy `value`."""
        if count <= 0:
            return self.pool.true
        if value is self.pool.true:
            return self.size_at_least(count)
        if value is self.pool.false:
            return self.pool.false
        return self.pool.literal(ContainsAtLeast(value, count))

    def opaque(self, handle: Handle, keyword: str, kinds: Iterable[Kind], reason: str) -> Region:
        key = f"{handle.number}/{keyword}"
        return self.pool.only(kinds, self.pool.literal(Opaque(key, reason)))

    def _translate(self, handle: Handle) -> Region:
        if isinstance(handle.contents, bool):
            return self.pool.everything() if handle.contents else self.pool.nothing()
        present = asserting(handle.contents, handle.dialect)
        rules = self._rules
        return self.pool.meet(
            rules[name](self, handle, value) for name, value in present.items() if name in rules
        )

    def constant(self, value: Json) -> Region:
        """The region of the one value (and of those equal to it)."""
        kind = kind_of(value)
        nodes: dict[Kind, Callable[[], Node]] = {
            "number": lambda: self.pool.literal(AmongNumbers(frozenset({exact(value)}))),
            "string": lambda: self.pool.literal(AmongStrings(frozenset({value}))),
            "array": lambda: self._array(value),
            "object": lambda: self._object(value),
        }
        node = nodes[kind]() if kind in nodes else self.pool.true
        return self.pool.region(lambda one: node if one == kind else self.pool.false)

    def _array(self, value: list[Json]) -> Node:
        parts = [
            self.size_at_least(len(value)),
            self.pool.negate(self.size_at_least(len(value) + 1)),
        ]
        for at, item in enumerate(value):
            parts.append(self.each_item(at, at + 1, self.under(self.schemas.constant(item))))
        return self.pool.all_of(parts)

    def _object(self, value: dict[str, Json]) -> Node:
        parts = [self.pool.negate(self.size_at_least(len(value) + 1))]
        for name, item in value.items():
            held = self.under(self.schemas.constant(item))
            parts += [self.required(name), self.each_property(self.name(name), held)]
        return self.pool.all_of(parts)

    def declared_names(self, contents: Json) -> Node:
        """The names that `properties` and `patternProperties` of one schema object speak about."""
        parts = [self.pool.literal(Matches(one)) for one in contents.get("patternProperties", {})]
        if contents.get("properties"):
            parts.append(self.pool.literal(AmongStrings(frozenset(contents["properties"]))))
        return self.pool.any_of(parts)


Rule = Callable[[Translator, Handle, Any], Region]
