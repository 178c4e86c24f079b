"""Keywords of strings: `minLength`, `maxLength`, `pattern` and `format`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from registry.cells import Cell
from registry.columnar.byte_classes import byte_class
from registry.columnar.checks import Check, Engine
from registry.columnar.column import TEXTS, Column, Kind
from registry.columnar.distinct import per_distinct
from registry.columnar.masks import Mask, gather, settle, settle_bits, spread
from registry.columnar.utc_texts import usual_date_times
from registry.patterns import CompiledPattern


class TextCheck(Check):
    kinds: ClassVar[frozenset[Kind]] = TEXTS


@dataclass(frozen=True, kw_only=True)
class TextLength(TextCheck):
    """`minLength` or `maxLength`, in code points."""

    least: int = 0
    most: int | None = None

    def passes(self, column: Column) -> Mask:
        lengths = column.texts.lengths
        return settle(lengths >= self.least if self.most is None else lengths <= self.most)

    def sentence(self) -> str:
        if self.most is None:
            return f"is shorter than {self.least} characters"
        return f"is longer than {self.most} characters"


@dataclass(frozen=True, kw_only=True)
class Pattern(TextCheck):
    engine: ClassVar[Engine] = Engine.DISTINCT
    pattern: CompiledPattern

    def passes(self, column: Column) -> Mask:
        texts = column.texts
        if self.pattern.re2 is None:
            return per_distinct(texts, self._matches)
        if texts.is_distinct:
            return self._by_arrow(texts)
        simple = byte_class(self.pattern.source)
        if simple is not None and simple.holds_for(texts):
            return True
        values, codes = texts.distinct
        return gather(self._by_arrow(values), codes) if values.size else True

    def _by_arrow(self, texts: Column) -> Mask:
        """The same engine and the same program as `search`, without a call per string."""
        try:
            return settle_bits(pc.match_substring_regex(texts.array, self.pattern.re2))
        except pa.ArrowInvalid:
            return per_distinct(texts, self._matches)

    def _matches(self, cell: Cell) -> bool:
        return not isinstance(cell, str) or self.pattern.search(cell)

    def sentence(self) -> str:
        return f"does not match the pattern {self.pattern.source}"


@dataclass(frozen=True, kw_only=True)
class Format(TextCheck):
    """`format`, where it is asserted (`registry.formats`)."""

    engine: ClassVar[Engine] = Engine.DISTINCT
    name: str
    conforms: Callable[[str], bool]

    def passes(self, column: Column) -> Mask:
        if column.kind is Kind.INSTANT and self.name == column.instant_format:
            return column.fits_rfc3339
        texts = column.texts
        if self.name == "date-time" and not texts.is_distinct:
            return self._date_times(texts)
        return per_distinct(texts, self._conforms)

    def _date_times(self, texts: Column) -> Mask:
        """Times hardly repeat: the usual text is recognised at once, any other one by one."""
        verdict = usual_date_times(texts)
        others = np.flatnonzero(~verdict)
        if len(others):
            verdict[others] = spread(per_distinct(texts.take(others), self._conforms), len(others))
        return settle(verdict)

    def _conforms(self, cell: Cell) -> bool:
        return not isinstance(cell, str) or self.conforms(cell)

    def sentence(self) -> str:
        return f"is not a valid {self.name}"
