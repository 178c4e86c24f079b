"""Judging a column once per distinct cell with a plain function."""

from collections.abc import Callable

import numpy as np

from registry.cells import Cell
from registry.columnar.column import Column, Kind
from registry.columnar.masks import Mask, gather, settle

_BATCH = 16_384
"""Cells that are Python objects at one time: they weigh several times what Arrow needs."""


def per_distinct(column: Column, judge: Callable[[Cell], bool]) -> Mask:
    """`judge` of every cell that is not null, called once per distinct cell."""
    if column.kind is Kind.NULL:
        return judge(None)
    if column.is_distinct or column.kind is Kind.STRUCT:
        return _each(column, judge)
    values, codes = column.distinct
    if values.size == 0:
        return True
    return gather(_each(values, judge), codes)


def _each(column: Column, judge: Callable[[Cell], bool]) -> Mask:
    verdicts = np.empty(column.size, dtype=np.bool_)
    for start in range(0, column.size, _BATCH):
        cells = column.slice(start, _BATCH).cells()
        verdicts[start : start + len(cells)] = [judge(cell) for cell in cells]
    return settle(verdicts)
