"""Keywords of any instance: `type`, `enum` and `const`."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from registry.cells import Cell
from registry.columnar.checks import Check
from registry.columnar.column import Column, Kind
from registry.columnar.distinct import per_distinct
from registry.columnar.masks import Bools, Mask, settle, settle_bits
from registry.columnar.numbers import are_multiples, nearest_double
from registry.evaluation.values import exact, identity, is_number

_JSON_TYPES: Final = {
    Kind.NULL: frozenset({"null"}),
    Kind.BOOLEAN: frozenset({"boolean"}),
    Kind.INTEGER: frozenset({"number"}),
    Kind.FLOAT: frozenset({"number"}),
    Kind.STRING: frozenset({"string"}),
    Kind.INSTANT: frozenset({"string"}),
    Kind.LIST: frozenset({"array"}),
    Kind.STRUCT: frozenset({"object"}),
}


@dataclass(frozen=True, kw_only=True)
class Type(Check):
    names: frozenset[str]

    def passes(self, column: Column) -> Mask:
        if self.names & _JSON_TYPES[column.kind]:
            return True
        if "integer" not in self.names:
            return False
        if column.kind is Kind.INTEGER:
            step = 10**column.scale
            return True if step == 1 else are_multiples(column.numbers, step)
        if column.kind is Kind.FLOAT:
            return settle(np.floor(column.numbers) == column.numbers)
        return False

    def sentence(self) -> str:
        return f"is not of type {' or '.join(sorted(self.names))}"


@dataclass(frozen=True, kw_only=True)
class AllowedValues(Check):
    """`enum`, and `const` as an `enum` of one."""

    values: Sequence[Cell]

    def passes(self, column: Column) -> Mask:
        match column.kind:
            case Kind.NULL:
                return None in self.values
            case Kind.BOOLEAN:
                return self._booleans(column)
            case Kind.INTEGER:
                return self._integers(column)
            case Kind.FLOAT:
                return self._doubles(column)
            case Kind.STRING | Kind.INSTANT:
                return self._strings(column.texts)
        return per_distinct(column, lambda cell: identity(cell) in self._identities)

    @cached_property
    def _identities(self) -> frozenset[Any]:
        return frozenset(map(identity, self.values))

    def _booleans(self, column: Column) -> Mask:
        allowed = {value for value in self.values if isinstance(value, bool)}
        if len(allowed) == 1:
            return settle(column.booleans == allowed.pop())
        return bool(allowed)

    @cached_property
    def _numbers(self) -> list[int | Decimal]:
        return [exact(value) for value in self.values if is_number(value)]  # type: ignore[arg-type]

    def _integers(self, column: Column) -> Mask:
        found: Bools = np.zeros(column.size, dtype=np.bool_)
        for number in self._numbers:
            scaled = Fraction(number) * 10**column.scale
            if scaled.denominator == 1:
                found |= (column.numbers == scaled.numerator).astype(np.bool_)
        return settle(found)

    def _doubles(self, column: Column) -> Mask:
        found: Bools = np.zeros(column.size, dtype=np.bool_)
        for number in self._numbers:
            near = nearest_double(number)
            if exact(near) == number:
                found |= column.numbers == np.float64(near)
        return settle(found)

    def _strings(self, column: Column) -> Mask:
        large = types.is_large_string(column.array.type)
        texts = self._large_texts if large else self._texts
        return settle_bits(pc.is_in(column.array, value_set=texts)) if len(texts) else False

    @cached_property
    def _texts(self) -> Any:
        return pa.array([value for value in self.values if isinstance(value, str)], pa.string())

    @cached_property
    def _large_texts(self) -> Any:
        return self._texts.cast(pa.large_string())

    def sentence(self) -> str:
        count = len(self.values)
        return "is not the one allowed value" if count == 1 else f"is none of the {count} allowed"
