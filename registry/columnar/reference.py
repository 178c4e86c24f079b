"""Schemas that only the reference can judge, row by row."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from registry.cells import Cell
from registry.columnar.checks import Check, Engine, Failure, Place, Sink
from registry.columnar.column import Column
from registry.columnar.distinct import per_distinct
from registry.columnar.masks import Mask, both, negate, spread
from registry.pointers import tokens
from registry.validity import Finding

_BATCH = 1024


@dataclass(frozen=True, kw_only=True)
class ByReference(Check):
    """A whole schema. `judge` and `find` are the reference's verdict and findings on one row."""

    engine: ClassVar[Engine] = Engine.REFERENCE
    judge: Callable[[Cell], bool]
    find: Callable[[Cell], Iterable[Finding]]

    def passes(self, column: Column) -> Mask:
        return per_distinct(column, self.judge)

    def report(self, column: Column, at: Mask, place: Place, sink: Sink) -> None:
        failing = np.flatnonzero(spread(both(at, negate(self.passes(column))), column.size))
        for start in range(0, len(failing), _BATCH):
            rows = failing[start : start + _BATCH]
            for row, cell in zip(rows, column.take(rows).cells(), strict=True):
                for finding in self.find(cell):
                    sink(_failure(finding, row, column, place))


def _failure(finding: Finding, row: int, column: Column, place: Place) -> Failure:
    path = tokens(finding.instance_pointer)
    return Failure(
        keyword=finding.keyword,
        schema_path=tokens(finding.schema_pointer),
        cells=np.array([row]),
        place=replace(place, column=path[0] if path else None, path=lambda _: path),
        judged=column,
        sentence=finding.message,
    )
