"""Rows of a source that is off the grid, put on it as the source declares: `floor+last|mean`.

A row belongs to the bar in which its time lies; of several rows of a bar the last one stands, or
the mean of their numbers. Nothing is invented: a bar without a row stays missing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from coordinator.coverage import CoverageRange, Int64s
from coordinator.grid import Grid
from provider.blend import Blended
from provider.conformance.findings import Finding, FindingClass
from provider.sources.alignment import FLOOR_LAST, FLOOR_MEAN
from provider.sources.rows import WrongRows
from provider.timeline import SeriesIndex, Times, outgoing, read_times
from registry.frame import Frame

ALIGNED_FLAG = "aligned"
_SAID = {FLOOR_LAST: "the last row of each bar", FLOOR_MEAN: "the mean of each bar's numbers"}


def whole_bars(span: CoverageRange, interval: int) -> CoverageRange:
    """From the first of these bars to where the last one ends: the next one begins there."""
    return CoverageRange(span.start, span.end + interval)


def align(table: pa.Table, frame: Frame, grid: Grid, how: str, span: CoverageRange) -> pa.Table:
    """One row per series and bar of the range, in the order of time; what is averaged is a double.

    Null cells count for no mean. Raises WrongRows where a time cannot be read: which bar such a
    row belongs to nobody knows.
    """
    if not table.num_rows or frame.time is None or frame.time not in table.column_names:
        return table
    times = read_times(table.column(frame.time), frame.unit)
    if unreadable := int((~times.readable).sum()):
        raise WrongRows(f"{unreadable} rows to align have no readable time in {frame.time!r}")
    bars = times.seconds - np.mod(times.seconds - grid.anchor, grid.interval)
    inside = (bars >= span.start) & (bars <= span.end)
    if not inside.all():
        return align(table.filter(pa.array(inside)), frame, grid, how, span)
    series = SeriesIndex(frame.key).number_rows(table)
    order = np.lexsort((times.nanos, times.seconds, series, bars))
    bars, series = bars[order], series[order]
    ends = np.append((np.diff(bars) != 0) | (np.diff(series) != 0), True)
    aligned = table.take(pa.array(order[ends]))
    if how == FLOOR_MEAN:
        aligned = _with_means(aligned, table.take(pa.array(order)), ends, frame)
    return _at(aligned, bars[ends], frame)


def alignment_findings(rows: Blended, how_by_source: Mapping[str, str]) -> tuple[Finding, ...]:
    """Notes: how many rows of an answer were put on the grid, and how."""
    counts: dict[str, int] = {}
    for number, source in enumerate(rows.sources):
        if how := how_by_source.get(source):
            seen = sum(int((part.pieces == number).sum()) for part in rows.parts)
            counts[how] = counts.get(how, 0) + seen
    return tuple(_finding(how, count) for how, count in sorted(counts.items()) if count)


def _finding(how: str, count: int) -> Finding:
    said = f"{count} rows were put on the grid as their source declares ({how}): {_SAID[how]}"
    return Finding(FindingClass.NOTE, ALIGNED_FLAG, count, warnings=(said,))


def _with_means(aligned: pa.Table, rows: pa.Table, ends: Any, frame: Frame) -> pa.Table:
    groups = np.concatenate(([0], np.cumsum(ends)[:-1]))
    for name in _numbers(rows, frame):
        values = pc.cast(rows.column(name), pa.float64(), safe=False)
        grouped = pa.table({"bar": groups, "value": values}).group_by("bar", use_threads=False)
        means = grouped.aggregate([("value", "mean")]).sort_by("bar").column("value_mean")
        aligned = aligned.set_column(aligned.column_names.index(name), name, means)
    return aligned


def _numbers(table: pa.Table, frame: Frame) -> Iterable[str]:
    for field in table.schema:
        kind = field.type
        number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
        if number and field.name != frame.time and field.name not in frame.key:
            yield field.name


def _at(table: pa.Table, bars: Int64s, frame: Frame) -> pa.Table:
    assert frame.time is not None
    nothing, all_of_them = np.zeros(len(bars), np.int64), np.ones(len(bars), np.bool_)
    column = outgoing(Times(bars, nothing, all_of_them, ~all_of_them), frame.unit)
    return table.set_column(table.column_names.index(frame.time), frame.time, column)
