"""Arrays: every item, some item, at least and at most n items, lengths, and distinctness.

If an array satisfies the literals, so does one no longer than the items spoken of one by one plus
one for each demand: cutting other items off the end harms nothing. So few places are tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from registry.compatibility.budget import Budget
from registry.compatibility.evaluate import Evaluator
from registry.compatibility.formula import (
    ContainsAtLeast,
    Distinct,
    EachItem,
    Node,
    Pool,
    SizeAtLeast,
)
from registry.compatibility.matching import assign_distinct
from registry.compatibility.outcome import EMPTY, Empty, Found, Outcome, Tally, Unknown
from registry.compatibility.values import Json

_LONGEST = 3_000
_MOST_DISTINCT = 40


class Asker(Protocol):
    """What this solver needs of the whole one."""

    pool: Pool
    budget: Budget
    evaluator: Evaluator

    def satisfy(self, expressions: list[Node]) -> Outcome: ...

    def excluding(self, value: Json) -> Node: ...


@dataclass(frozen=True)
class _Some:
    """An item in `start <= index < stop` must satisfy `value`; equal groups take rising places."""

    start: int
    stop: int | None
    value: Node
    group: int


@dataclass
class _Demand:
    least: int = 0
    most: int | None = None
    each: list[EachItem] = field(default_factory=list)
    some: list[_Some] = field(default_factory=list)
    at_most: list[tuple[Node, int]] = field(default_factory=list)
    distinct: bool = False
    repeated: bool = False

    def add(self, literal: Node, pool: Pool) -> None:
        atom, positive = literal.atom, literal.positive
        if isinstance(atom, SizeAtLeast):
            if positive:
                self.least = max(self.least, atom.size)
            else:
                self.most = atom.size - 1 if self.most is None else min(self.most, atom.size - 1)
        elif isinstance(atom, EachItem):
            if positive:
                self.each.append(atom)
            else:
                value = pool.negate(atom.value)
                self.some.append(_Some(atom.start, atom.stop, value, len(self.some)))
        elif isinstance(atom, ContainsAtLeast):
            self._contains(atom, positive, pool)
        elif isinstance(atom, Distinct):
            self.distinct = self.distinct or positive
            self.repeated = self.repeated or not positive

    def _contains(self, atom: ContainsAtLeast, positive: bool, pool: Pool) -> None:
        if positive:
            group = len(self.some)
            self.some += [_Some(0, None, atom.value, group)] * atom.count
        elif atom.count == 1:
            self.each.append(EachItem(0, None, pool.negate(atom.value)))
        else:
            self.at_most.append((atom.value, atom.count - 1))

    def tail(self) -> int:
        """The index from which all places are treated alike."""
        marks = [one.stop or one.start for one in self.each]
        marks += [one.start if one.stop is None else one.stop for one in self.some]
        return max(marks, default=0)


def solve_array(ask: Asker, literals: list[Node]) -> Outcome:
    """An array that satisfies every literal."""
    demand = _Demand()
    for one in literals:
        demand.add(one, ask.pool)
    if demand.most is not None and demand.least > demand.most:
        return EMPTY
    if demand.least > _LONGEST or len(demand.some) > 60:
        return Unknown("arrays longer than are tried")
    places = max(demand.least, demand.tail() + len(demand.some) + 2 * demand.repeated)
    if demand.most is not None:
        places = min(places, demand.most)
    return _Search(ask, demand, places).run()


class _Search:
    def __init__(self, ask: Asker, demand: _Demand, places: int) -> None:
        self.ask = ask
        self.demand = demand
        self.places = places
        self.tail = demand.tail()
        self.held: dict[int, list[Node]] = {}
        self.tally = Tally()

    def run(self) -> Outcome:
        found = self._place(0, -1, -1)
        return found if found is not None else self.tally.result()

    def _place(self, at: int, group: int, previous: int) -> Found | None:
        """Find a place for demand number `at` and all that follow."""
        self.ask.budget.spend()
        if at == len(self.demand.some):
            return self._finish()
        wanted = self.demand.some[at]
        after = previous if wanted.group == group else -1
        for place in self._places_for(wanted, after):
            self.held.setdefault(place, []).append(wanted.value)
            if not isinstance(self.ask.satisfy(self._needs(place)), Empty):
                found = self._place(at + 1, wanted.group, place)
                if found is not None:
                    return found
            self.held[place].pop()
            if not self.held[place]:
                del self.held[place]
        return None

    def _places_for(self, wanted: _Some, after: int) -> Iterator[int]:
        stop = self.places if wanted.stop is None else min(wanted.stop, self.places)
        fresh = False
        for place in range(max(wanted.start, after + 1), stop):
            if place >= self.tail and place not in self.held:
                if fresh:
                    continue
                fresh = True
            yield place

    def _needs(self, place: int) -> list[Node]:
        everywhere = [
            one.value
            for one in self.demand.each
            if one.start <= place and (one.stop is None or place < one.stop)
        ]
        return [*self.held.get(place, ()), *everywhere]

    def _finish(self) -> Found | None:
        length = max(self.demand.least, max(self.held, default=-1) + 1)
        if self.demand.repeated:
            return self._with_twins(length)
        needs = [self._needs(place) for place in range(length)]
        if self.demand.distinct and length > 1:
            return self.tally.add(self._distinct(needs))
        return self.tally.add(self._fill(needs))

    def _with_twins(self, length: int) -> Found | None:
        """Two places hold the same value."""
        for second in range(1, self.places):
            for first in range(min(second, self.tail + len(self.held) + 1)):
                needs = [self._needs(place) for place in range(max(length, second + 1))]
                both = needs[first] + needs[second]
                needs[first] = needs[second] = both
                found = self.tally.add(self._fill(needs))
                if found is not None:
                    return found
        return None

    def _fill(self, needs: list[list[Node]]) -> Outcome:
        """One value for each place, keeping every at-most count."""
        quotas = [count for _, count in self.demand.at_most]
        values: list[Json] = []
        unknown: Unknown | None = None
        for wanted in needs:
            self.ask.budget.spend()
            outcome = self._one(wanted, quotas)
            if isinstance(outcome, Empty):
                return self._stuck(quotas)
            if isinstance(outcome, Unknown):
                unknown = outcome
                values.append(outcome.guesses[0] if outcome.guesses else None)
            else:
                values.append(outcome.value)
        return Unknown(unknown.reason, (values,)) if unknown else Found(values)

    def _stuck(self, quotas: list[int]) -> Outcome:
        spent = [
            left
            for left, (_, count) in zip(quotas, self.demand.at_most, strict=True)
            if left < count
        ]
        if len(quotas) > 1 and spent:
            return Unknown("several maxContains compete for the same items")
        return EMPTY

    def _one(self, wanted: list[Node], quotas: list[int]) -> Outcome:
        """A value for one place that counts towards as few at-most limits as possible."""
        plain = [self.ask.pool.negate(value) for value, _ in self.demand.at_most]
        outcome = self.ask.satisfy([*wanted, *plain])
        if not isinstance(outcome, Empty) or not quotas:
            return outcome
        outcome = self.ask.satisfy(
            [*wanted, *(one for one, left in zip(plain, quotas, strict=True) if left == 0)]
        )
        if isinstance(outcome, Found):
            for at, (value, _) in enumerate(self.demand.at_most):
                counted = self.ask.evaluator.valid(value, outcome.value)
                quotas[at] -= 0 if counted is False else 1
        return outcome

    def _distinct(self, needs: list[list[Node]]) -> Outcome:
        if len(needs) > _MOST_DISTINCT:
            return self._counting(needs)
        lists: list[list[Json]] = []
        reasons: list[str] = []
        for wanted in needs:
            values, reason = self._enumerate(wanted, len(needs))
            lists.append(values)
            reasons += [reason] if reason else []
        chosen = assign_distinct(lists)
        if chosen is not None and not self.demand.at_most:
            return Found(chosen)
        if chosen is not None or reasons:
            return Unknown(reasons[0] if reasons else "uniqueItems beside maxContains")
        return EMPTY

    def _enumerate(self, wanted: list[Node], count: int) -> tuple[list[Json], str]:
        """Up to `count` different values for one place; why it stopped, if it is not sure."""
        values: list[Json] = []
        needs = list(wanted)
        while len(values) < count:
            outcome = self.ask.satisfy(needs)
            if isinstance(outcome, Unknown):
                return values, outcome.reason
            if isinstance(outcome, Empty):
                break
            values.append(outcome.value)
            needs.append(self.ask.excluding(outcome.value))
        return values, ""

    def _counting(self, needs: list[list[Node]]) -> Outcome:
        values = list(range(1, len(needs) + 1))
        allowed = self.ask.evaluator.valid
        for wanted, value in zip(needs, values, strict=True):
            if not all(allowed(one, value) for one in wanted):
                return Unknown("more different items than are tried", (values,))
        if self.demand.at_most:
            return Unknown("uniqueItems beside maxContains", (values,))
        return Found(values)
