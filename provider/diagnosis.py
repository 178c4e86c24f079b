"""What rows say of their own times and keys, beside what their node says of them.

Pure judgement over a sample: each piece of advice says what was seen and what to change.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pyarrow import types

from coordinator.coverage import Int64s
from coordinator.grid import Grid
from provider.blend import Piece
from provider.conformance import ConformanceReport, FindingClass
from provider.timeline import Key, SeriesIndex, Times, read_times
from registry.frame import Frame
from registry.inference import likely_unit

_DAY = 86_400
_MOST = 0.9


@dataclass(frozen=True, slots=True)
class Advice:
    """`error`: strict reads are refused as it is. `warning`: quality findings, or a likely slip."""

    severity: Literal["error", "warning"]
    code: str
    says: str
    fix: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SeenGrid:
    """The steps of a sample: the commonest `interval` in seconds, the commonest `offset` in it.

    `share` of the times lie on that grid.
    """

    interval: int
    offset: int
    share: float


def seen_grid(series: Int64s, seconds: Int64s) -> SeenGrid | None:
    """The grid that the times of each series follow; None where no series has two times."""
    order = np.lexsort((seconds, series))
    same_series = np.diff(series[order]) == 0
    steps = np.diff(seconds[order])[same_series]
    steps = steps[steps > 0]
    if len(steps) == 0:
        return None
    interval = _commonest(steps)
    offsets = np.mod(seconds, interval)
    offset = _commonest(offsets)
    return SeenGrid(interval, offset, float(np.mean(offsets == offset)))


def advise_on_times(pieces: Sequence[Piece], frame: Frame, grid: Grid) -> Iterator[Advice]:
    """Whether the time column can be read, in which unit, and on which grid its times lie."""
    if not any(piece.table.num_rows for piece in pieces):
        yield Advice(
            "warning",
            "no_rows",
            "The store has no rows.",
            "Write bars into it, or give the node a source and read: the gap is backfilled.",
        )
        return
    if frame.time is None:
        yield Advice(
            "error",
            "no_time",
            "The schema names no time column.",
            'Add {"x-seamless": {"time": …}} to the next version of the schema.',
        )
        return
    for piece in pieces:
        yield from _advise_on_column(piece, frame)
    series, seconds = _readable(pieces, frame)
    seen = seen_grid(series, seconds)
    if seen is not None:
        yield from _advise_on_grid(seen, seconds, grid)


def advise_on_keys(
    pieces: Sequence[Piece], frame: Frame, expected: Sequence[Key]
) -> Iterator[Advice]:
    """Which series the node expects and the rows do not have, and the other way round."""
    found = series_of(pieces, frame)
    if extra := [key for key in found if key not in expected]:
        yield Advice(
            "warning",
            "unexpected_series",
            f"The rows hold {len(extra)} series that the node does not expect: {_named(extra)}.",
            "Add them to the node's series, or they are served without being asked for.",
        )
    if absent := [dict(key) for key in expected if dict(key) not in found]:
        yield Advice(
            "warning",
            "missing_series",
            f"The node expects {len(absent)} series of which no row was seen: {_named(absent)}.",
            "Backfill them, or take them out of the node's series.",
        )


def advise_on_report(report: ConformanceReport) -> Iterator[Advice]:
    """What a read of the sample would be flagged with."""
    for finding in report.findings:
        if finding.finding_class is FindingClass.NOTE:
            continue
        schema = finding.finding_class is FindingClass.SCHEMA
        place = f"the column {finding.column!r}" if finding.column else "rows"
        what = f"violate {finding.keyword!r} of the schema" if schema else finding.flag
        says = " ".join(finding.warnings) or f"{finding.count} values in {place} {what}."
        yield Advice(
            "error" if schema else "warning",
            finding.keyword or finding.flag,
            says,
            "Mend the rows, or propose a schema version that allows them."
            if schema
            else "Mend the rows; reads answer with them only where partial answers are taken.",
        )


def series_of(pieces: Sequence[Piece], frame: Frame) -> list[dict[str, Any]]:
    """The key values that the rows hold, in the order of their first appearance."""
    index = SeriesIndex(frame.key)
    for piece in pieces:
        if set(frame.key) <= set(piece.table.column_names):
            index.number_rows(piece.table)
    return [dict(key) for key in index.keys]


def _advise_on_column(piece: Piece, frame: Frame) -> Iterator[Advice]:
    assert frame.time is not None
    if frame.time not in piece.table.column_names:
        yield Advice(
            "error",
            "time_missing",
            f"{piece.source} has no column {frame.time!r}; it has "
            f"{', '.join(piece.table.column_names)[:300]}.",
            "Rename the column, or name it in x-seamless of the next version.",
        )
        return
    column = piece.table.column(frame.time)
    times = read_times(column, frame.unit)
    unit = likely_unit(_integers(column))
    if unit is not None and unit != frame.unit:
        said = "counts nothing yet" if frame.unit is None else f"counts {frame.unit}"
        yield Advice(
            "error",
            "time_unit",
            f"The integers in {frame.time!r} of {piece.source} look like {unit} since 1970, and "
            f"the schema says that it {said}.",
            f'Say {{"x-seamless": {{"time": "{frame.time}", "unit": "{unit}"}}}} in the schema.',
        )
    elif unreadable := int((~times.readable).sum()):
        yield Advice(
            "warning",
            "time_unreadable",
            f"{unreadable} of {len(column)} times in {frame.time!r} of {piece.source} (type "
            f"{column.type}) cannot be read.",
            "Use timestamps, RFC 3339 text with an offset, or integers of a declared unit.",
        )


def _advise_on_grid(seen: SeenGrid, seconds: Int64s, grid: Grid) -> Iterator[Advice]:
    if seen.interval != grid.interval:
        yield Advice(
            "warning",
            "interval",
            f"The bars look {seen.interval} s apart, and the node says {grid.interval} s.",
            f"Register the node with an interval of {seen.interval}, unless most bars are missing.",
        )
        return
    off = float(np.mean(~grid.holds(seconds)))
    if off == 0:
        return
    shifted = seen.share >= _MOST and (seen.offset - grid.anchor) % grid.interval != 0
    if shifted and grid.interval >= _DAY:
        fix = "Stamp session bars with 00:00 UTC of the session's date."
    elif shifted:
        fix = f"Register the node with the anchor {seen.offset}."
    else:
        fix = "Align the source, or declare how it is aligned to the grid."
    yield Advice(
        "warning",
        "off_grid",
        f"{off:.1%} of the times lie off the grid of {grid.interval} s from {grid.anchor}"
        + (f"; {seen.share:.1%} lie {seen.offset} s into it." if shifted else "."),
        fix,
    )


def _readable(pieces: Sequence[Piece], frame: Frame) -> tuple[Int64s, Int64s]:
    """Series number and epoch second of every row whose time can be read."""
    index = SeriesIndex(frame.key)
    numbers, seconds = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for piece in pieces:
        if frame.time is None or not {frame.time, *frame.key} <= set(piece.table.column_names):
            continue
        times: Times = read_times(piece.table.column(frame.time), frame.unit)
        numbers.append(index.number_rows(piece.table)[times.readable])
        seconds.append(times.seconds[times.readable])
    return np.concatenate(numbers), np.concatenate(seconds)


def _integers(column: pa.ChunkedArray) -> Int64s:
    if not types.is_integer(column.type):
        return np.empty(0, np.int64)
    found: Int64s = column.drop_null().to_numpy().astype(np.int64)
    return found


def _commonest(values: Int64s) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)])


def _named(keys: Sequence[Mapping[str, Any]]) -> str:
    shown = [" ".join(str(value) for value in key.values()) or "(no key)" for key in keys[:5]]
    return ", ".join(shown) + (", …" if len(keys) > len(shown) else "")
