"""Keywords of numbers: bounds and `multipleOf`.

A number is what its shortest text says (`registry.validity`), and every comparison is exact. A
bound is turned once into the least or greatest number of the column's own kind that satisfies it,
so that integers meet integers and doubles meet doubles.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, Final

import numpy as np

from registry.cells import Cell
from registry.columnar.buffers import Numbers
from registry.columnar.checks import Check
from registry.columnar.column import NUMBERS, Column, Kind
from registry.columnar.distinct import per_distinct
from registry.columnar.masks import Bools, Mask, settle, spread
from registry.evaluation.values import exact, is_multiple, is_number

_REFUSAL: Final = {
    (True, False): "is less than {}",
    (True, True): "is not more than {}",
    (False, False): "is more than {}",
    (False, True): "is not less than {}",
}

Limit = int | float | Decimal


@dataclass(frozen=True, kw_only=True)
class Bound(Check):
    """`minimum`, `maximum` and their exclusive forms (draft 4's booleans among them)."""

    kinds: ClassVar[frozenset[Kind]] = NUMBERS
    limit: Limit
    lower: bool
    exclusive: bool

    def passes(self, column: Column) -> Mask:
        limit = self._limit_in(column)
        if self.lower:
            if column.is_within(least=limit):
                return True
            return settle((column.numbers >= limit).astype(np.bool_))
        if column.is_within(most=limit):
            return True
        return settle((column.numbers <= limit).astype(np.bool_))

    def _limit_in(self, column: Column) -> Any:
        if column.kind is Kind.FLOAT:
            return self._double
        return self._scaled(column.scale) if column.scale else self._integer

    @cached_property
    def _integer(self) -> int:
        return self._scaled(0)

    def _scaled(self, scale: int) -> int:
        """The least (greatest) n with n / 10**scale within the bound."""
        limit = Fraction(exact(self.limit)) * Fraction(10) ** scale
        if self.lower:
            return math.floor(limit) + 1 if self.exclusive else math.ceil(limit)
        return math.ceil(limit) - 1 if self.exclusive else math.floor(limit)

    @cached_property
    def _double(self) -> np.float64:
        """The least (greatest) double within the bound; an infinity where there is none."""
        limit, inward = exact(self.limit), math.inf if self.lower else -math.inf
        near = nearest_double(self.limit)
        if math.isfinite(near):
            if exact(near) == limit:
                near = math.nextafter(near, inward) if self.exclusive else near
            elif (exact(near) < limit) is self.lower:
                near = math.nextafter(near, inward)
        elif near != inward:
            near = math.copysign(_GREATEST, near)
        return np.float64(near)

    def sentence(self) -> str:
        return _REFUSAL[self.lower, self.exclusive].format(self.limit)


_GREATEST: Final = float(np.finfo(np.float64).max)


def nearest_double(number: Limit) -> float:
    """The double nearest to a number, an infinity beyond the greatest."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


@dataclass(frozen=True, kw_only=True)
class MultipleOf(Check):
    """`multipleOf` on decimals: 0.3 is a multiple of 0.1.

    With the factor p / 10**s, the double x is a multiple where x is the double nearest to some
    n * p / 10**s. For |n * p| < 10**15 and s <= 22 that quotient is correctly rounded, and no other
    decimal of so few digits has the same nearest double; beyond, the reference decides.
    """

    kinds: ClassVar[frozenset[Kind]] = NUMBERS
    factor: Limit

    def passes(self, column: Column) -> Mask:
        if column.kind is Kind.INTEGER:
            step = Fraction(exact(self.factor)) * 10**column.scale
            return are_multiples(column.numbers, step.numerator)
        return self._doubles(column)

    @cached_property
    def _ratio(self) -> tuple[int, int]:
        """p and s of the factor."""
        _, digits, exponent = Decimal(exact(self.factor)).as_tuple()
        assert isinstance(exponent, int), "a factor is finite"
        p = int("".join(map(str, digits)))
        return (p * 10**exponent, 0) if exponent >= 0 else (p, -exponent)

    def _doubles(self, column: Column) -> Mask:
        p, s = self._ratio
        numbers = column.numbers.astype(np.float64, copy=False)
        if p >= 10**15 or s > 22:
            return per_distinct(column, self._is_multiple)
        with np.errstate(all="ignore"):
            products = np.rint(numbers / float(self.factor)) * p
            verdict: Bools = products / 10.0**s == numbers
        unsure = np.flatnonzero(~(np.abs(products) < 1e15))
        if len(unsure):
            exactly = per_distinct(column.take(unsure), self._is_multiple)
            verdict[unsure] = spread(exactly, len(unsure))
        return settle(verdict)

    def _is_multiple(self, cell: Cell) -> bool:
        if isinstance(cell, float) and not math.isfinite(cell):
            return False
        return not is_number(cell) or is_multiple(cell, self.factor)  # type: ignore[arg-type]

    def sentence(self) -> str:
        return f"is not a multiple of {self.factor}"


def are_multiples(numbers: Numbers, step: int) -> Mask:
    """Which integers are multiples of `step`, whatever its size."""
    if step == 1:
        return True
    if numbers.dtype.kind != "O" and step > np.iinfo(numbers.dtype).max:
        numbers = numbers.astype(object)
    return settle((numbers % step == 0).astype(np.bool_))
