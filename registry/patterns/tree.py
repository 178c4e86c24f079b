"""The parts of a regular expression of ECMA-262."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from registry.patterns.characters import CharacterSet


@dataclass(frozen=True)
class Characters:
    """One character out of a set."""

    allowed: CharacterSet
    position: int = 0


@dataclass(frozen=True)
class Assertion:
    r"""`^`, `$`, `\b` or `\B`."""

    kind: str


@dataclass(frozen=True)
class Sequence:
    parts: tuple["Node", ...]


@dataclass(frozen=True)
class Choice:
    options: tuple["Node", ...]


@dataclass(frozen=True)
class Repeat:
    """`part` at least `low` and, where `high` is not None, at most `high` times."""

    part: "Node"
    low: int
    high: int | None
    lazy: bool
    position: int


@dataclass(frozen=True)
class Group:
    """A capturing group; `number` counts opening parentheses from 1."""

    part: "Node"
    number: int


@dataclass(frozen=True)
class Look:
    """A look-around: what comes next (`ahead`) or before, or what must not."""

    part: "Node"
    ahead: bool
    negated: bool
    position: int


@dataclass(frozen=True)
class BackReference:
    """What a group matched, by the number or the name of the group."""

    target: int | str
    position: int


Node: TypeAlias = Characters | Assertion | Sequence | Choice | Repeat | Group | Look | BackReference


@dataclass(frozen=True)
class Parsed:
    """The tree of a pattern, and which number each named group has."""

    root: Node
    names: Mapping[str, int]
