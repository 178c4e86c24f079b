"""Keywords of arrays: the items of all lists are judged end to end, then summed up per list."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from registry.cells import Cell
from registry.columnar.checks import Check, Engine, Node, Place, Sink
from registry.columnar.column import Column, Indices, Kind
from registry.columnar.distinct import per_distinct
from registry.columnar.masks import Mask, settle, spread
from registry.evaluation.values import identity


class ArrayCheck(Check):
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.LIST})


@dataclass(frozen=True, kw_only=True)
class ItemCount(ArrayCheck):
    """`minItems` or `maxItems`."""

    least: int = 0
    most: int | None = None

    def passes(self, column: Column) -> Mask:
        starts, ends = column.bounds
        counts = ends - starts
        return settle(counts >= self.least if self.most is None else counts <= self.most)

    def sentence(self) -> str:
        if self.most is None:
            return f"has fewer than {self.least} items"
        return f"has more than {self.most} items"


@dataclass(frozen=True, kw_only=True)
class Items(ArrayCheck):
    """`items` or `additionalItems`: every item from position `first` on."""

    first: int
    node: Node

    def passes(self, column: Column) -> Mask:
        ok = self.node.passes(column.items)
        if ok is True:
            return True
        starts, ends = column.bounds
        starts = np.minimum(starts + self.first, ends)
        return settle(_counter(ok, column.items.size)(starts, ends) == ends - starts)

    def report(self, column: Column, at: Mask, place: Place, sink: Sink) -> None:
        parents, positions = _flat(column)
        judged = spread(at, column.size)[parents] & (positions >= self.first)
        parents, positions = parents[judged], positions[judged]
        _report_items(self.node, column, parents, positions, place, sink)


@dataclass(frozen=True, kw_only=True)
class ItemAt(ArrayCheck):
    """One schema of `prefixItems` (or of a list under `items`): the item at `position`."""

    position: int
    node: Node

    def _present(self, column: Column) -> tuple[Indices, Indices]:
        starts, ends = column.bounds
        lists = np.flatnonzero(ends - starts > self.position)
        return lists, starts[lists] + self.position

    def passes(self, column: Column) -> Mask:
        lists, cells = self._present(column)
        ok = self.node.passes(column.items.take(cells))
        if ok is True:
            return True
        result = np.ones(column.size, dtype=np.bool_)
        result[lists] = ok
        return settle(result)

    def report(self, column: Column, at: Mask, place: Place, sink: Sink) -> None:
        lists, _ = self._present(column)
        parents = lists[spread(at, column.size)[lists]]
        positions = np.full(len(parents), self.position)
        _report_items(self.node, column, parents, positions, place, sink)


@dataclass(frozen=True, kw_only=True)
class MatchCount(ArrayCheck):
    """`contains`, `minContains` or `maxContains`: how many items satisfy `contains`."""

    node: Node
    least: int = 0
    most: int | None = None
    says: str

    def passes(self, column: Column) -> Mask:
        starts, ends = column.bounds
        ok = self.node.passes(column.items)
        matches = _counter(ok, column.items.size)(starts, ends)
        return settle(matches >= self.least if self.most is None else matches <= self.most)

    def sentence(self) -> str:
        return self.says


@dataclass(frozen=True, kw_only=True)
class UniqueItems(ArrayCheck):
    engine: ClassVar[Engine] = Engine.DISTINCT

    def passes(self, column: Column) -> Mask:
        return per_distinct(column, _has_unique_items)

    def sentence(self) -> str:
        return "has equal items"


def _has_unique_items(cell: Cell) -> bool:
    return not isinstance(cell, list) or len(set(map(identity, cell))) == len(cell)


def _counter(ok: Mask, size: int) -> Callable[[Indices, Indices], Indices]:
    """Counts the items that pass between two positions."""
    before = np.zeros(size + 1, dtype=np.int64)
    np.cumsum(spread(ok, size), out=before[1:])
    return lambda starts, ends: before[ends] - before[starts]


def _flat(column: Column) -> tuple[Indices, Indices]:
    """For every item of every list: the number of its list, and its position in it."""
    starts, ends = column.bounds
    counts = ends - starts
    parents = np.repeat(np.arange(column.size), counts)
    firsts = np.cumsum(counts) - counts
    return parents, np.arange(len(parents)) - firsts[parents]


def _report_items(
    node: Node, column: Column, parents: Indices, positions: Indices, place: Place, sink: Sink
) -> None:
    items = column.items.take(column.bounds[0][parents] + positions)
    node.report(items, True, place.items(parents, positions), sink)
