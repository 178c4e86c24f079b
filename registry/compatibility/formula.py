"""Boolean formulas over JSON values, hash-consed so that equal formulas are the same object.

A schema becomes one formula per *kind* of value (`Region`). Every atom speaks about one kind only,
therefore a `type` keyword disappears into the region and negation never mixes kinds. Negation is
pushed to the literals when a node is built, so a node and its complement are found in one look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Kind = Literal["null", "false", "true", "number", "string", "array", "object"]
KINDS: tuple[Kind, ...] = ("null", "false", "true", "number", "string", "array", "object")


@dataclass(frozen=True)
class Above:
    """Numbers greater than `bound`, or equal to it when `inclusive`."""

    bound: Fraction
    inclusive: bool


@dataclass(frozen=True)
class MultipleOf:
    """Numbers that are an integer times `step` (as decimals, not as binary floats)."""

    step: Fraction


@dataclass(frozen=True)
class AmongNumbers:
    """Numbers of a finite set."""

    members: frozenset[Fraction]


@dataclass(frozen=True)
class AmongStrings:
    """Strings of a finite set."""

    members: frozenset[str]


@dataclass(frozen=True)
class Matches:
    """Strings in which the ECMA-262 pattern is found."""

    pattern: str


@dataclass(frozen=True)
class HasFormat:
    """Strings of an asserted format."""

    name: str


@dataclass(frozen=True)
class SizeAtLeast:
    """Strings, arrays or objects with at least `size` code points, items or properties."""

    size: int


@dataclass(frozen=True)
class EachItem:
    """Arrays whose items at `start <= index < stop` all satisfy `value` (`stop` None: no end)."""

    start: int
    stop: int | None
    value: Node


@dataclass(frozen=True)
class ContainsAtLeast:
    """Arrays in which at least `count` items satisfy `value`."""

    value: Node
    count: int


@dataclass(frozen=True)
class Distinct:
    """Arrays without two equal items."""


@dataclass(frozen=True)
class EachProperty:
    """Objects whose properties named by `names` (a formula over strings) all satisfy `value`."""

    names: Node
    value: Node


@dataclass(frozen=True)
class Under:
    """Values valid under the schema with this handle number (see `schemas.Schemas`)."""

    handle: int


@dataclass(frozen=True)
class Opaque:
    """Something the algebra cannot express; never used to prove anything but its own complement."""

    key: str
    reason: str


Atom = (
    Above
    | MultipleOf
    | AmongNumbers
    | AmongStrings
    | Matches
    | HasFormat
    | SizeAtLeast
    | EachItem
    | ContainsAtLeast
    | Distinct
    | EachProperty
    | Under
    | Opaque
)
Op = Literal["true", "false", "and", "or", "literal"]


class Node:
    """One formula in negation normal form. Made by `Pool` only; compared by identity."""

    __slots__ = ("atom", "complement", "op", "parts", "positive", "uid")

    def __init__(
        self, uid: int, op: Op, parts: tuple[Node, ...], atom: Atom | None, positive: bool
    ) -> None:
        self.uid = uid
        self.op = op
        self.parts = parts
        self.atom = atom
        self.positive = positive
        self.complement: Node | None = None

    def __repr__(self) -> str:
        if self.op == "literal":
            return f"{'' if self.positive else '~'}{self.atom}"
        return f"{self.op}{list(self.parts)}" if self.parts else self.op


Region = dict[Kind, Node]


class Pool:
    """Builds nodes and regions, simplifying what is obvious on the way."""

    def __init__(self) -> None:
        self._nodes: dict[object, Node] = {}
        self.true = self._intern("true", (), None, True)
        self.false = self._intern("false", (), None, True)
        self.true.complement, self.false.complement = self.false, self.true

    def _intern(self, op: Op, parts: tuple[Node, ...], atom: Atom | None, positive: bool) -> Node:
        key: object = (atom, positive) if op == "literal" else (op, parts)
        found = self._nodes.get(key)
        if found is None:
            found = Node(len(self._nodes), op, parts, atom, positive)
            self._nodes[key] = found
        return found

    def literal(self, atom: Atom, positive: bool = True) -> Node:
        """The atom, or its negation; the two know each other from when both are there."""
        made = self._intern("literal", (), atom, positive)
        if made.complement is None and (other := self._nodes.get((atom, not positive))) is not None:
            made.complement, other.complement = other, made
        return made

    def all_of(self, parts: Iterable[Node]) -> Node:
        """Conjunction, flattened and without duplicates."""
        return self._combine("and", parts, self.true, self.false)

    def any_of(self, parts: Iterable[Node]) -> Node:
        """Disjunction, flattened and without duplicates."""
        return self._combine("or", parts, self.false, self.true)

    def _combine(self, op: Op, parts: Iterable[Node], unit: Node, zero: Node) -> Node:
        flat: dict[int, Node] = {}
        for part in parts:
            for piece in part.parts if part.op == op else (part,):
                if piece is zero:
                    return zero
                if piece is unit:
                    continue
                opposite = piece.complement
                if opposite is not None and opposite.uid in flat:
                    return zero
                flat[piece.uid] = piece
        if len(flat) < 2:
            return next(iter(flat.values()), unit)
        return self._intern(op, tuple(flat[uid] for uid in sorted(flat)), None, True)

    def negate(self, node: Node) -> Node:
        """The complement, in negation normal form."""
        if node.complement is None:
            if node.op == "literal":
                assert node.atom is not None
                made = self.literal(node.atom, not node.positive)
            elif node.op == "and":
                made = self.any_of([self.negate(part) for part in node.parts])
            else:
                made = self.all_of([self.negate(part) for part in node.parts])
            node.complement = made
            if made.complement is None:  # true, say, has its own, whatever else comes to it
                made.complement = node
        return node.complement

    def region(self, choose: Callable[[Kind], Node]) -> Region:
        """The region whose formula for each kind is `choose(kind)`."""
        return {kind: choose(kind) for kind in KINDS}

    def only(self, kinds: Iterable[Kind], node: Node) -> Region:
        """`node` restricts these kinds; values of any other kind pass."""
        chosen = frozenset(kinds)
        return self.region(lambda kind: node if kind in chosen else self.true)

    def everything(self) -> Region:
        """The region of all values."""
        return self.region(lambda _: self.true)

    def nothing(self) -> Region:
        """The region without values."""
        return self.region(lambda _: self.false)

    def meet(self, regions: Iterable[Region]) -> Region:
        """Intersection of regions."""
        listed = list(regions)
        return self.region(lambda kind: self.all_of(one[kind] for one in listed))

    def join(self, regions: Iterable[Region]) -> Region:
        """Union of regions."""
        listed = list(regions)
        return self.region(lambda kind: self.any_of(one[kind] for one in listed))

    def outside(self, region: Region) -> Region:
        """Complement of a region."""
        return self.region(lambda kind: self.negate(region[kind]))
