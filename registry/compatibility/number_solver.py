"""Numbers: intervals, multiples, finite sets and their complements, in exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from registry.compatibility.budget import Budget
from registry.compatibility.evaluate import number_satisfies
from registry.compatibility.formula import Above, AmongNumbers, MultipleOf, Node
from registry.compatibility.outcome import EMPTY, Found, Outcome, Unknown
from registry.compatibility.values import as_number

_MOST_TRIED = 4_000


@dataclass
class _Demand:
    low: Fraction | None = None
    low_open: bool = False
    high: Fraction | None = None
    high_open: bool = False
    step: Fraction | None = None
    among: frozenset[Fraction] | None = None
    excluded: set[Fraction] = field(default_factory=set)
    unstepped: set[Fraction] = field(default_factory=set)

    def add(self, atom: object, positive: bool) -> None:
        if isinstance(atom, Above):
            if positive:
                self._raise_low(atom.bound, not atom.inclusive)
            else:
                self._lower_high(atom.bound, atom.inclusive)
        elif isinstance(atom, MultipleOf):
            if positive:
                self.step = atom.step if self.step is None else _lcm(self.step, atom.step)
            else:
                self.unstepped.add(atom.step)
        elif isinstance(atom, AmongNumbers):
            if positive:
                self.among = atom.members if self.among is None else self.among & atom.members
            else:
                self.excluded |= atom.members

    def _raise_low(self, bound: Fraction, is_open: bool) -> None:
        if self.low is None or (bound, is_open) > (self.low, self.low_open):
            self.low, self.low_open = bound, is_open

    def _lower_high(self, bound: Fraction, is_open: bool) -> None:
        if self.high is None or (-bound, is_open) > (-self.high, self.high_open):
            self.high, self.high_open = bound, is_open

    def crossed(self) -> bool:
        if self.low is None or self.high is None:
            return False
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))


def solve_numbers(literals: Iterable[Node], budget: Budget) -> Outcome:
    """A number that satisfies every literal."""
    listed = list(literals)
    demand = _Demand()
    for one in listed:
        demand.add(one.atom, one.positive)
    if demand.crossed():
        return EMPTY
    if demand.among is not None:
        return _first(listed, sorted(demand.among - demand.excluded, key=abs)) or EMPTY
    if demand.step is not None:
        return _stepped(demand, listed, budget)
    if demand.low is not None and demand.low == demand.high:
        return _first(listed, [demand.low]) or EMPTY
    budget.spend(4)
    return _first(listed, _dense(demand)) or Unknown(
        "no number between two very close bounds could be written down"
    )


def _first(literals: list[Node], candidates: Iterable[Fraction]) -> Found | None:
    for candidate in candidates:
        made = as_number(candidate)
        if made is not None and all(_satisfies(one, made) for one in literals):
            return Found(made)
    return None


def _satisfies(literal: Node, value: int | float) -> bool:
    atom = literal.atom
    if not isinstance(atom, (Above, MultipleOf, AmongNumbers)):
        return True
    return number_satisfies(atom, value) == literal.positive


def _dense(demand: _Demand) -> Iterator[Fraction]:
    """Readable decimals inside the interval, finer and finer (an open interval holds many)."""
    low, high = demand.low, demand.high
    if low is None and high is None:
        low, high = Fraction(0), Fraction(1)
    elif low is None:
        assert high is not None
        low = high - 1
    elif high is None:
        high = low + 1
    assert low is not None
    assert high is not None
    yield from (low, high)
    for digits in range(18):
        scale = 10**digits
        bottom, top = math.ceil(low * scale), math.floor(high * scale)
        middle = (bottom + top) // 2
        for at in {bottom, bottom + 1, middle - 1, middle, middle + 1, top - 1, top}:
            if low <= Fraction(at, scale) <= high:
                yield Fraction(at, scale)


def _stepped(demand: _Demand, literals: list[Node], budget: Budget) -> Outcome:
    """Multiples of one step: the others repeat with a period, so a period decides."""
    step = demand.step
    assert step is not None
    first, last = _range_of_multiples(demand, step)
    if first is not None and last is not None and first > last:
        return EMPTY
    period = 1
    for other in demand.unstepped:
        repeat = _lcm(step, other) / step
        if repeat == 1:
            return EMPTY
        period = math.lcm(period, int(repeat))
    needed = period * (len(demand.excluded) + 1)
    count = needed if first is None or last is None else min(needed, last - first + 1)
    budget.spend(1 + min(count, _MOST_TRIED) // 32)
    tried = (at * step for at in _outward(first, last, min(count, _MOST_TRIED)))
    found = _first(literals, tried)
    if found is not None:
        return found
    if count > _MOST_TRIED or not _all_writable(first, last, count, step):
        return Unknown("more multiples than are tried, or too large to be written as a number")
    return EMPTY


def _all_writable(first: int | None, last: int | None, count: int, step: Fraction) -> bool:
    return all(as_number(at * step) is not None for at in _outward(first, last, count))


def _range_of_multiples(demand: _Demand, step: Fraction) -> tuple[int | None, int | None]:
    first = last = None
    if demand.low is not None:
        first = math.ceil(demand.low / step)
        if demand.low_open and first * step == demand.low:
            first += 1
    if demand.high is not None:
        last = math.floor(demand.high / step)
        if demand.high_open and last * step == demand.high:
            last -= 1
    return first, last


def _outward(first: int | None, last: int | None, count: int) -> Iterator[int]:
    """`count` consecutive integers of the range, beginning as near to zero as the range allows."""
    if first is not None and (first > 0 or last is None):
        start = max(first, 0) if last is None else first
        yield from range(start, start + count)
    elif last is not None and (last < 0 or first is None):
        stop = min(last, 0) if first is None else last
        yield from range(stop, stop - count, -1)
    elif first is not None and last is not None:
        low = min(max(first, -(count // 2)), last - count + 1)
        yield from sorted(range(low, low + count), key=abs)
    else:
        yield from sorted(range(-(count // 2), count - count // 2), key=abs)


def _lcm(one: Fraction, other: Fraction) -> Fraction:
    """The smallest positive number that is a multiple of both."""
    return Fraction(
        math.lcm(one.numerator, other.numerator), math.gcd(one.denominator, other.denominator)
    )
