"""Objects: every property of a name set, some property of a name set, and the number of them.

Names that schemas mention are looked at one by one; all others fall into cells, by which of the
remaining name sets they belong to. Properties nobody demands can be left out without harm, so it
is enough to place the demanded ones and then to fill up to `minProperties`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from registry.compatibility.budget import Budget
from registry.compatibility.evaluate import Evaluator
from registry.compatibility.formula import (
    AmongStrings,
    EachProperty,
    Kind,
    Node,
    Pool,
    SizeAtLeast,
)
from registry.compatibility.outcome import EMPTY, Empty, Found, Outcome, Tally, Unknown
from registry.compatibility.values import Json

_READABLE = ("new", "other", "extra", "a", "b", "x", "y")
_MOST_PROPERTIES = 400


class Asker(Protocol):
    """What this solver needs of the whole one."""

    pool: Pool
    budget: Budget
    evaluator: Evaluator

    def satisfy(self, expressions: list[Node]) -> Outcome: ...

    def satisfy_kind(self, kind: Kind, node: Node) -> Outcome: ...


@dataclass
class _Slot:
    """A property to be: a mentioned name, or any other name that satisfies `names`."""

    name: str | None
    names: list[Node]
    values: list[Node]


@dataclass
class _Demand:
    least: int = 0
    most: int | None = None
    by_name: dict[str, list[Node]] = field(default_factory=dict)
    each: list[EachProperty] = field(default_factory=list)
    some: list[tuple[Node, Node]] = field(default_factory=list)

    def add(self, literal: Node, pool: Pool) -> None:
        atom, positive = literal.atom, literal.positive
        if isinstance(atom, SizeAtLeast):
            if positive:
                self.least = max(self.least, atom.size)
            else:
                self.most = atom.size - 1 if self.most is None else min(self.most, atom.size - 1)
        elif isinstance(atom, EachProperty):
            listed = listed_names(atom.names)
            if not positive:
                self.some.append((atom.names, pool.negate(atom.value)))
            elif listed is None:
                self.each.append(atom)
            else:
                for name in listed:
                    self.by_name.setdefault(name, []).append(atom.value)


def listed_names(names: Node) -> frozenset[str] | None:
    """The members of a name set that is a plain list, else None."""
    if names.op == "literal" and names.positive and isinstance(names.atom, AmongStrings):
        return names.atom.members
    return None


class ObjectSolver:
    """Solves conjunctions over objects; keeps which names a name set mentions and holds."""

    def __init__(self, ask: Asker) -> None:
        self.ask = ask
        self._mentioned: dict[int, frozenset[str]] = {}
        self._holds: dict[tuple[int, str], bool | None] = {}

    def solve(self, literals: list[Node]) -> Outcome:
        """An object that satisfies every literal."""
        demand = _Demand()
        for one in literals:
            demand.add(one, self.ask.pool)
        if demand.most is not None and demand.least > demand.most:
            return EMPTY
        return _Search(self, demand).run()

    def mentioned(self, names: Node) -> frozenset[str]:
        """The names a name set lists somewhere in it."""
        if names.uid not in self._mentioned:
            found = [self.mentioned(part) for part in names.parts]
            if isinstance(names.atom, AmongStrings):
                found.append(names.atom.members)
            self._mentioned[names.uid] = frozenset().union(*found)
        return self._mentioned[names.uid]

    def holds(self, names: Node, name: str) -> bool | None:
        """Whether the name is in the set."""
        key = (names.uid, name)
        if key not in self._holds:
            self._holds[key] = self.ask.evaluator.holds(names, name)
        return self._holds[key]


class _Search:
    def __init__(self, owner: ObjectSolver, demand: _Demand) -> None:
        self.owner = owner
        self.ask = owner.ask
        self.demand = demand
        mentioned = [owner.mentioned(one.names) for one in demand.each]
        mentioned += [owner.mentioned(names) for names, _ in demand.some]
        self.mentioned = frozenset(demand.by_name).union(*mentioned)
        self.tally = Tally()
        self.unsure = ""

    def run(self) -> Outcome:
        found = self._place(sorted(self.demand.some, key=self._rank), [])
        if found is None:
            return self.tally.result()
        return Unknown(self.unsure, (found.value,)) if self.unsure else found

    def _rank(self, wanted: tuple[Node, Node]) -> tuple[bool, bool]:
        """Demands for one name first, and among them those that ask something of the value."""
        names, value = wanted
        return listed_names(names) is None, value is self.ask.pool.true

    def _place(self, wanted: list[tuple[Node, Node]], slots: list[_Slot]) -> Found | None:
        self.ask.budget.spend()
        if not wanted:
            return self.tally.add(self._finish(slots))
        (names, value), rest = wanted[0], wanted[1:]
        for option in self._options(names, value, slots):
            found = self._place(rest, option)
            if found is not None:
                return found
        return None

    def _options(self, names: Node, value: Node, slots: list[_Slot]) -> Iterator[list[_Slot]]:
        """The ways to give one demanded property a place beside those already placed."""
        listed = listed_names(names)
        for name in sorted(self.mentioned if listed is None else listed):
            held = self.owner.holds(names, name)
            if held is None:
                self.unsure = "a name set that is not understood"
            if held is not False:
                yield from self._named(name, value, slots)
        if listed is not None:
            return
        yield [*slots, _Slot(None, [names], [value])]
        for at, slot in enumerate(slots):
            if slot.name is None:
                merged = _Slot(None, [*slot.names, names], [*slot.values, value])
                yield [*slots[:at], merged, *slots[at + 1 :]]

    def _named(self, name: str, value: Node, slots: list[_Slot]) -> Iterator[list[_Slot]]:
        values = [value]
        others = []
        for slot in slots:
            if slot.name == name:
                values += slot.values
            else:
                others.append(slot)
        outcome = self.ask.satisfy([*self._values_of(name), *values])
        if not isinstance(outcome, Empty):
            yield [*others, _Slot(name, [], values)]

    def _values_of(self, name: str) -> list[Node]:
        """What every value under this name must satisfy."""
        values = list(self.demand.by_name.get(name, ()))
        for one in self.demand.each:
            held = self.owner.holds(one.names, name)
            if held is None:
                self.unsure = "a name set that is not understood"
            elif held:
                values.append(one.value)
        return values

    def _finish(self, slots: list[_Slot]) -> Outcome:
        if self.demand.most is not None and len(slots) > self.demand.most:
            return EMPTY
        if self.demand.least > _MOST_PROPERTIES:
            return Unknown("objects with more properties than are tried")
        made: dict[str, Json] = {}
        unknown: list[Unknown] = []
        for slot in sorted(slots, key=lambda one: one.name is None):
            outcome = self._fill_slot(slot, made)
            if not isinstance(outcome, Found):
                if isinstance(outcome, Empty):
                    return outcome
                unknown.append(outcome)
                outcome = Found(("other", None))
                if unknown[-1].guesses:
                    outcome = Found(unknown[-1].guesses[0])
            name, value = outcome.value
            made[name] = value
        if len(made) < self.demand.least:
            stopped = self._fill_up(made)
            if stopped is not None:
                return stopped
        return Unknown(unknown[0].reason, (made,)) if unknown else Found(made)

    def _fill_slot(self, slot: _Slot, made: dict[str, Json]) -> Outcome:
        """The property of a slot as (name, value)."""
        if slot.name is not None:
            outcome = self.ask.satisfy([*self._values_of(slot.name), *slot.values])
            return _paired(slot.name, outcome)
        outcome = self._fresh(slot.names, slot.values, frozenset(made))
        if isinstance(outcome, Empty) and set(made) - self.mentioned:
            alone = self._fresh(slot.names, slot.values, frozenset())
            if not isinstance(alone, Empty):
                return Unknown("properties compete for the few names that a pattern allows")
        return outcome

    def _fill_up(self, made: dict[str, Json]) -> Outcome | None:
        """Add properties nobody demands until there are enough; None when done."""
        reasons: list[Unknown] = []
        for name in sorted(self.mentioned - made.keys()):
            if len(made) >= self.demand.least:
                return None
            outcome = self.ask.satisfy(self._values_of(name))
            if isinstance(outcome, Found):
                made[name] = outcome.value
            elif isinstance(outcome, Unknown):
                reasons.append(outcome)
        while len(made) < self.demand.least:
            outcome = self._fresh([], [], frozenset(made))
            if isinstance(outcome, Unknown):
                guesses = tuple({**made, name: value} for name, value in outcome.guesses)
                return Unknown(outcome.reason, guesses)
            if isinstance(outcome, Empty):
                return Unknown(reasons[0].reason) if reasons else outcome
            made[outcome.value[0]] = outcome.value[1]
        return None

    def _fresh(self, names: list[Node], values: list[Node], used: frozenset[str]) -> Outcome:
        """A property whose name no schema mentions, as (name, value)."""
        for name in _READABLE:
            if name in used or name in self.mentioned:
                continue
            if all(self.owner.holds(one, name) for one in names):
                outcome = self.ask.satisfy([*self._values_of(name), *values])
                if isinstance(outcome, Found):
                    return _paired(name, outcome)
        excluded = self.ask.pool.negate(self.ask.pool.literal(AmongStrings(self.mentioned | used)))
        return self._cell(self.ask.pool.all_of([*names, excluded]), values, 0)

    def _cell(self, names: Node, values: list[Node], at: int) -> Outcome:
        """Decide for one name set after the other whether the name is in it."""
        name = self.ask.satisfy_kind("string", names)
        if isinstance(name, Empty):
            return name
        if at == len(self.demand.each):
            return self._cell_value(name, values)
        tally = Tally()
        one = self.demand.each[at]
        pool = self.ask.pool
        outside = self._cell(pool.all_of([names, pool.negate(one.names)]), values, at + 1)
        found = tally.add(outside)
        if found is None:
            inside = pool.all_of([names, one.names])
            found = tally.add(self._cell(inside, [*values, one.value], at + 1))
        return found if found is not None else tally.result()

    def _cell_value(self, name: Found | Unknown, values: list[Node]) -> Outcome:
        outcome = self.ask.satisfy(values)
        if isinstance(outcome, Empty):
            return outcome
        if isinstance(name, Unknown):
            return Unknown(name.reason, tuple((one, _sample(outcome)) for one in name.guesses[:1]))
        return _paired(name.value, outcome)


def _sample(outcome: Found | Unknown) -> Json:
    if isinstance(outcome, Found):
        return outcome.value
    return outcome.guesses[0] if outcome.guesses else None


def _paired(name: str, outcome: Outcome) -> Outcome:
    if isinstance(outcome, Found):
        return Found((name, outcome.value))
    if isinstance(outcome, Unknown):
        return Unknown(outcome.reason, tuple((name, one) for one in outcome.guesses[:3]))
    return outcome
