"""Whether a value satisfies a formula: True, False, or None where something opaque decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from registry.compatibility import oracle
from registry.compatibility.formula import (
    Above,
    AmongNumbers,
    AmongStrings,
    Atom,
    ContainsAtLeast,
    Distinct,
    EachItem,
    EachProperty,
    HasFormat,
    Matches,
    MultipleOf,
    Node,
    SizeAtLeast,
    Under,
)
from registry.compatibility.schemas import Schemas
from registry.compatibility.translator import Translator
from registry.compatibility.values import Json, exact, kind_of
from registry.evaluation.values import identity

Verdict = bool | None
_Judge = Callable[[Atom, Json], Verdict]


class Evaluator:
    """Evaluates formulas of one kind, and expressions over values of any kind."""

    def __init__(self, translator: Translator, schemas: Schemas) -> None:
        self._translator = translator
        self._schemas = schemas

    def valid(self, expression: Node, value: Json) -> Verdict:
        """Whether `value` satisfies an expression over schemas."""
        return self._fold(expression, value, self._under)

    def holds(self, node: Node, value: Json) -> Verdict:
        """Whether `value`, which must be of the node's kind, satisfies the node."""
        return self._fold(node, value, self._atom)

    def _fold(self, node: Node, value: Json, judge: _Judge) -> Verdict:
        if node.op == "true":
            return True
        if node.op == "false":
            return False
        if node.op == "literal":
            assert node.atom is not None
            found = judge(node.atom, value)
            return found if node.positive or found is None else not found
        parts = (self._fold(part, value, judge) for part in node.parts)
        return _every(parts) if node.op == "and" else _some(parts)

    def _under(self, atom: Atom, value: Json) -> Verdict:
        assert isinstance(atom, Under)
        self._translator.budget.spend()
        region = self._translator.region(self._schemas[atom.handle])
        return self.holds(region[kind_of(value)], value)

    def _atom(self, atom: Atom, value: Json) -> Verdict:
        if isinstance(atom, SizeAtLeast):
            return len(value) >= atom.size
        if isinstance(atom, (Above, MultipleOf, AmongNumbers)):
            return number_satisfies(atom, value)
        if isinstance(atom, (AmongStrings, Matches, HasFormat)):
            return string_satisfies(atom, value)
        if isinstance(atom, EachItem):
            return _every(self.valid(atom.value, one) for one in value[atom.start : atom.stop])
        if isinstance(atom, ContainsAtLeast):
            return _at_least(atom.count, [self.valid(atom.value, one) for one in value])
        if isinstance(atom, Distinct):
            return len({identity(one) for one in value}) == len(value)
        if isinstance(atom, EachProperty):
            return _every(self._property(atom, name, one) for name, one in value.items())
        return None

    def _property(self, atom: EachProperty, name: str, value: Json) -> Verdict:
        named = self.holds(atom.names, name)
        return (
            True
            if named is False
            else _some([None if named is None else not named, self.valid(atom.value, value)])
        )


def number_satisfies(atom: Above | MultipleOf | AmongNumbers, value: int | float) -> bool:
    """Whether a number satisfies a numeric atom, in exact decimals."""
    number = exact(value)
    if isinstance(atom, Above):
        return number > atom.bound or (atom.inclusive and number == atom.bound)
    if isinstance(atom, MultipleOf):
        return (number / atom.step).denominator == 1
    return number in atom.members


def string_satisfies(atom: AmongStrings | Matches | HasFormat, value: str) -> bool:
    """Whether a string satisfies a string atom, by the reference."""
    if isinstance(atom, AmongStrings):
        return value in atom.members
    if isinstance(atom, Matches):
        return oracle.matches(atom.pattern, value)
    return oracle.conforms(atom.name, value)


def _every(parts: Iterable[Verdict]) -> Verdict:
    unsure = False
    for part in parts:
        if part is False:
            return False
        unsure = unsure or part is None
    return None if unsure else True


def _some(parts: Iterable[Verdict]) -> Verdict:
    unsure = False
    for part in parts:
        if part:
            return True
        unsure = unsure or part is None
    return None if unsure else False


def _at_least(count: int, parts: list[Verdict]) -> Verdict:
    sure = sum(1 for part in parts if part)
    if sure >= count:
        return True
    return None if sure + sum(1 for part in parts if part is None) >= count else False
