"""The shape of a compiled schema: nodes, one per (sub)schema, made of checks, one per keyword."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import ClassVar

import numpy as np
import pyarrow as pa

from registry.canonical import Path
from registry.columnar.column import EVERY, Column, Indices, Kind
from registry.columnar.masks import (
    Mask,
    both,
    choose,
    either,
    every,
    gather,
    negate,
    settle,
    spread,
)
from registry.evaluation.messages import keyword_of


class Engine(StrEnum):
    """How a keyword is judged, from the cheapest to the dearest."""

    ANNOTATION = "annotation"
    """It asserts nothing."""
    TABLE = "table"
    """Once per table, from the column names."""
    COLUMN = "column"
    """Vectorised over the Arrow buffers."""
    DISTINCT = "distinct"
    """Once per distinct cell, then gathered."""
    REFERENCE = "reference"
    """By `registry.validity`, once per distinct cell, or per row where it judges rows."""


@dataclass(frozen=True)
class Place:
    """Where the cells of a column lie, and by which way through the schema they were reached.

    Cell i belongs to row `rows[i]` (row i where `rows` is None), at the JSON Pointer `path(i)` of
    that row. `column` is the property of the row, None for the row itself. `route` is the part of
    the schema path up to the last reference that was followed.
    """

    path: Callable[[int], Path] = lambda _: ()
    column: str | None = None
    rows: Indices | None = None
    route: Path = ()

    def row(self, cells: Indices) -> Indices:
        return cells if self.rows is None else self.rows[cells]

    def through(self, reference: Path) -> "Place":
        return replace(self, route=self.route + reference)

    def member(self, name: str) -> "Place":
        path = self.path
        column = name if self.column is None else self.column
        return replace(self, path=lambda cell: (*path(cell), name), column=column)

    def about(self, name: str) -> "Place":
        """The same place, for a finding about one property of a row."""
        return self if self.column is not None else replace(self, column=name)

    def subset(self, cells: Indices) -> "Place":
        path = self.path
        return replace(self, path=lambda cell: path(int(cells[cell])), rows=self.row(cells))

    def items(self, parents: Indices, positions: Indices) -> "Place":
        """The place of list items: item i is number `positions[i]` of the list `parents[i]`."""
        path = self.path
        return replace(
            self,
            path=lambda cell: (*path(int(parents[cell])), int(positions[cell])),
            rows=self.row(parents),
        )


@dataclass(frozen=True)
class Failure:
    """The cells of one column that one keyword refuses."""

    keyword: str
    schema_path: Path
    cells: Indices
    place: Place
    judged: Column
    sentence: str


Sink = Callable[[Failure], None]
"""Receives what a table failed."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One keyword of one schema object, compiled.

    A check is asked only about columns of its `kinds`; every other instance passes, as JSON Schema
    has it. What it says of a cell under a null is ignored. `path` leads to the keyword from the
    document, or from the last reference on the way.
    """

    path: Path
    kinds: ClassVar[frozenset[Kind]] = EVERY
    engine: ClassVar[Engine] = Engine.COLUMN

    def passes(self, column: Column) -> Mask:
        raise NotImplementedError

    def sentence(self) -> str:
        raise NotImplementedError

    def evaluates(self, column: Column, name: str) -> Mask:
        """Which objects have their property `name` evaluated by this keyword."""
        return False

    def report(self, column: Column, at: Mask, place: Place, sink: Sink) -> None:
        """Tell `sink` which of the cells `at` fail, as the reference would."""
        self.refuse(both(at, negate(judged(self.passes, column))), column, place, sink)

    def refuse(
        self, mask: Mask, column: Column, place: Place, sink: Sink, sentence: str | None = None
    ) -> None:
        """Tell `sink` that the cells of `mask` fail."""
        cells = np.flatnonzero(spread(mask, column.size))
        if len(cells):
            path = place.route + self.path
            said = sentence or self.sentence()
            sink(Failure(self.keyword_at(path), path, cells, place, column, said))

    def keyword_at(self, path: Path) -> str:
        """The keyword of a finding at that schema path."""
        return keyword_of(path)


def judged(judge: Callable[[Column], Mask], column: Column) -> Mask:
    """The verdict of each cell; a coded column is judged once per distinct value."""
    if not column.is_coded:
        return judge(column)
    values, codes = column.distinct
    if values.size == 0:
        return True
    return gather(judge(values), codes)


@dataclass
class Node:
    """A compiled schema: the checks that an instance of it must pass."""

    checks: list[Check] = field(default_factory=list)

    def checks_for(self, kind: Kind) -> Sequence[Check]:
        try:
            return self._by_kind[kind]
        except KeyError:
            chosen = [check for check in self.checks if kind in check.kinds]
            return self._by_kind.setdefault(kind, chosen)

    @cached_property
    def _by_kind(self) -> dict[Kind, Sequence[Check]]:
        return {}

    @cached_property
    def allows_null(self) -> bool:
        null = Column(Kind.NULL, pa.nulls(1))
        return every(check.passes(null) for check in self.checks_for(Kind.NULL)) is True

    def passes(self, column: Column) -> Mask:
        """The verdict of each cell, nulls included."""
        if column.size == 0:
            return True
        known = column.verdicts.get(id(self))
        if known is None:
            known = column.verdicts[id(self)] = self._passes(column)
        return known

    def _passes(self, column: Column) -> Mask:
        if column.pieces:
            return self._passes_pieces(column)
        if column.kind is Kind.NULL:
            return self.allows_null
        ok = judged(self._passes_values, column)
        if not column.has_nulls or ok is self.allows_null:
            return ok
        merged = choose(column.nulls, self.allows_null, ok)
        return merged if isinstance(merged, bool) else settle(merged)

    def _passes_values(self, column: Column) -> Mask:
        return every(check.passes(column) for check in self.checks_for(column.kind))

    def evaluates(self, column: Column, name: str, besides: Check | None = None) -> Mask:
        """Which objects have their property `name` evaluated by a keyword of this schema."""
        result: Mask = False
        for check in self.checks_for(column.kind):
            if check is not besides:
                result = either(result, check.evaluates(column, name))
        return result

    def _passes_pieces(self, column: Column) -> Mask:
        result = np.full(column.size, self.allows_null)
        for at, piece in column.pieces:
            result[at] = self.passes(piece)
        return settle(result)

    def report(self, column: Column, at: Mask, place: Place, sink: Sink) -> None:
        """Tell `sink` what the reference would find in the cells `at`."""
        if at is False or self.passes(column) is True:
            return
        for cells, piece in column.pieces:
            chosen = at if isinstance(at, bool) else at[cells]
            self.report(piece, chosen, place.subset(cells), sink)
        if column.has_nulls:
            null = Column(Kind.NULL, pa.nulls(column.size))
            for check in self.checks_for(Kind.NULL):
                check.report(null, both(at, column.nulls), place, sink)
        if column.kind in (Kind.NULL, Kind.MIXED):
            return
        values = both(at, negate(column.nulls))
        for check in self.checks_for(column.kind):
            check.report(column, values, place, sink)
