"""The temporal roll-up: which bars each series has, misses, doubles or crowds.

Where the expected bars of a series are known, gaps are runs of them that were not observed: inside,
before the first and after the last observed one. Where they are not, only the steps between the
rows speak.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

import numpy as np

from coordinator.coverage import Bools, CoverageRange, Int64s
from coordinator.grid import Grid, among, runs_of
from provider.blend import Blended, Marks
from provider.conformance.findings import MAX_SAMPLES, Finding, FindingClass, Sampler
from provider.conformance.report import SeriesQuality
from provider.timeline import Key, by_series

MAX_GAPS = 100
# Missing bars: what an SLA policy can excuse (`partial_fill`, `hold`, `min_coverage`).
MISSING_FLAGS = frozenset({"gap", "leading_gap", "trailing_gap", "missing_series"})
# The newest bar is older than the policy allows: found by a read, which knows the present.
STALE_FLAG = "stale"

_CLASSES: Mapping[str, FindingClass] = {
    "invalid_timestamp": FindingClass.QUALITY,
    "duplicate_ts": FindingClass.QUALITY,
    "unsorted": FindingClass.QUALITY,
    "off_grid": FindingClass.QUALITY,
    "dense": FindingClass.QUALITY,
    "gap": FindingClass.QUALITY,
    "leading_gap": FindingClass.QUALITY,
    "trailing_gap": FindingClass.QUALITY,
    "missing_series": FindingClass.QUALITY,
    "misaligned": FindingClass.NOTE,
    "overlap": FindingClass.NOTE,
    "unexpected_bar": FindingClass.NOTE,
    "unexpected_series": FindingClass.NOTE,
    "ts_cast": FindingClass.NOTE,
    "ts_timezone_normalized": FindingClass.NOTE,
}
_SENTENCES: Mapping[str, str] = {
    "invalid_timestamp": "dropped {count} rows with invalid timestamps",
    "duplicate_ts": "dropped {count} duplicate bars",
    "unsorted": "sorted {count} rows that were out of order",
    "off_grid": "detected {count} rows off the grid for interval={interval}",
    "dense": "detected {count} bars closer than interval={interval}",
    "gap": "detected {count} missing bars for interval={interval}",
    "leading_gap": "detected {count} missing bars before the first for interval={interval}",
    "trailing_gap": "detected {count} missing bars after the last for interval={interval}",
    "missing_series": "detected {count} missing bars of absent series for interval={interval}",
    "misaligned": "detected {count} gaps with misaligned boundaries for interval={interval}",
}


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedSeries:
    """A series that should be in the answer, and its expected bars (ascending epoch seconds)."""

    key: Key
    bars: Int64s


@dataclass(frozen=True, slots=True, eq=False)
class TemporalRollup:
    """What the temporal roll-up found; `coverage` is None where the expected bars are unknown.

    `bars` are the times at which any series expects one; `marks` the rows and bars that were
    flagged.
    """

    findings: tuple[Finding, ...]
    series: tuple[SeriesQuality, ...]
    coverage: float | None
    bars: int | None
    marks: Mapping[str, Marks]


@dataclass(slots=True)
class _Tally:
    """Bars by flag, as series numbers and times, on the way to findings."""

    series: dict[str, list[Int64s]] = field(default_factory=dict)
    seconds: dict[str, list[Int64s]] = field(default_factory=dict)

    def add(self, flag: str, series: Int64s, seconds: Int64s) -> None:
        if len(series):
            self.series.setdefault(flag, []).append(series)
            self.seconds.setdefault(flag, []).append(seconds)

    def add_of(self, flag: str, number: int, seconds: Int64s) -> None:
        self.add(flag, np.full(len(seconds), number, np.int64), seconds)

    def marks(self) -> dict[str, Marks]:
        return {
            flag: Marks(np.concatenate(self.series[flag]), np.concatenate(self.seconds[flag]))
            for flag in self.series
        }


def check_time(
    blended: Blended, grid: Grid | None, expected: Sequence[ExpectedSeries] | None
) -> TemporalRollup:
    """Gaps, crowding and completeness per series, and the marks that blending left.

    `expected` (None: unknown) must be the series the answer was blended for, in that order.
    """
    rows = _rows_by_series(blended)
    tally = _Tally()
    if grid is not None:
        for number, times in enumerate(rows):
            _crowding(tally, number, times, grid.interval)
            if expected is None:
                _steps(tally, number, times, grid.interval)
    seen = [among(one.bars, rows[number].whole) for number, one in enumerate(expected or ())]
    gaps = _gaps(tally, rows, seen, expected, grid) if expected is not None else {}
    marks = {flag: marks for flag, marks in blended.marks.items() if len(marks)} | tally.marks()
    interval = None if grid is None else grid.interval
    coverage, bars = _coverage(seen, expected)
    return TemporalRollup(
        findings=(*_untimed(blended), *_findings(marks, blended, interval)),
        series=tuple(_qualities(blended, rows, seen, marks, gaps, expected)),
        coverage=coverage,
        bars=bars,
        marks=marks,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Times:
    """The distinct times of one series, ascending; `whole` are those without a fraction of a
    second: only they can be bars.
    """

    seconds: Int64s
    nanos: Int64s
    whole: Int64s

    @classmethod
    def of(cls, seconds: Int64s, nanos: Int64s) -> Self:
        return cls(seconds, nanos, seconds[nanos == 0] if nanos.any() else seconds)


def _rows_by_series(blended: Blended) -> list[_Times]:
    series, seconds, nanos = _in_answer_order(blended)
    if len(blended.keys) > 1:
        order = by_series(series)
        series, seconds = series[order], seconds[order]
        nanos = nanos[order] if nanos.any() else nanos
    bounds = np.searchsorted(series, np.arange(len(blended.keys) + 1))
    return [_Times.of(seconds[first:past], nanos[first:past]) for first, past in pairwise(bounds)]


def _in_answer_order(blended: Blended) -> tuple[Int64s, Int64s, Int64s]:
    """Series, seconds and nanoseconds of all rows, by time."""
    if len(blended.parts) == 1:
        (part,) = blended.parts
        return part.series, part.times.seconds, part.times.nanos
    nothing = np.empty(0, np.int64)
    order = np.argsort(np.concatenate([nothing, *(part.places for part in blended.parts)]))
    return (
        np.concatenate([nothing, *(part.series for part in blended.parts)])[order],
        np.concatenate([nothing, *(part.times.seconds for part in blended.parts)])[order],
        np.concatenate([nothing, *(part.times.nanos for part in blended.parts)])[order],
    )


def _crowding(tally: _Tally, number: int, times: _Times, interval: int) -> None:
    """Neighbours less than an interval apart: there are more rows than bars."""
    apart, finer = np.diff(times.seconds), np.diff(times.nanos)
    close = (apart < interval) | ((apart == interval) & (finer < 0))
    tally.add_of("dense", number, times.seconds[1:][close])


def _steps(tally: _Tally, number: int, times: _Times, interval: int) -> None:
    """Gaps by the steps between rows: a step of k intervals and a rest misses k-1 bars."""
    apart = np.diff(times.seconds)
    missing = np.maximum((apart - interval) // interval, 0)
    before = np.repeat(times.seconds[:-1], missing)
    nth = np.arange(len(before)) - np.repeat(np.cumsum(missing) - missing, missing)
    tally.add_of("gap", number, before + (nth + 1) * interval)
    uneven = (apart > interval) & (apart % interval != 0)
    tally.add_of("misaligned", number, times.seconds[1:][uneven])


def _gaps(
    tally: _Tally,
    rows: Sequence[_Times],
    seen: Sequence[Bools],
    expected: Sequence[ExpectedSeries],
    grid: Grid | None,
) -> dict[int, list[CoverageRange]]:
    """Gaps by what was expected, of each expected series; also bars and series that were not."""
    gaps = {}
    for number, (series, observed) in enumerate(zip(expected, seen, strict=True)):
        gaps[number] = runs_of(series.bars, ~observed)
        for flag, chosen in _kinds_of_gap(observed).items():
            tally.add_of(flag, number, series.bars[chosen])
        extra = rows[number].whole[~among(rows[number].whole, series.bars)]
        on_grid = extra if grid is None else extra[grid.holds(extra)]
        tally.add_of("unexpected_bar", number, on_grid)
    for number in range(len(expected), len(rows)):
        tally.add_of("unexpected_series", number, rows[number].seconds)
    return gaps


def _kinds_of_gap(observed: Bools) -> dict[str, Bools]:
    """Which of the expected bars are missing before, inside and after what was observed."""
    seen = np.flatnonzero(observed)
    if len(seen) == 0:
        return {"missing_series": ~observed}
    position = np.arange(len(observed))
    leading, trailing = position < seen[0], position > seen[-1]
    return {
        "gap": ~observed & ~leading & ~trailing,
        "leading_gap": leading,
        "trailing_gap": trailing,
    }


def _coverage(
    seen: Sequence[Bools], expected: Sequence[ExpectedSeries] | None
) -> tuple[float | None, int | None]:
    """The share of expected bars that every series expecting them has, and how many there are."""
    if expected is None:
        return None, None
    lacking = [one.bars[~observed] for one, observed in zip(expected, seen, strict=True)]
    missing, bars = _n_distinct(lacking), _n_distinct([series.bars for series in expected])
    return (bars - missing) / bars if bars else 1.0, bars


def _n_distinct(bars: Sequence[Int64s]) -> int:
    """Most series expect the same bars: what equals the first needs no sorting."""
    others = [one for one in bars[1:] if not np.array_equal(one, bars[0])]
    everything = np.sort(np.concatenate([np.empty(0, np.int64), *bars[:1], *others]))
    return int((np.diff(everything) != 0).sum()) + 1 if len(everything) else 0


# --- findings -----------------------------------------------------------------------------------


def _untimed(blended: Blended) -> Iterator[Finding]:
    """Pieces in which the time column itself is missing."""
    if blended.untimed:
        name = blended.frame.time or ""
        yield Finding(
            FindingClass.QUALITY,
            "missing_time",
            len(blended.untimed),
            column=name,
            warnings=(f"missing {name} column; skipping temporal normalization",),
        )


def _findings(
    marks: Mapping[str, Marks], blended: Blended, interval: int | None
) -> Iterator[Finding]:
    sampler = Sampler(blended.frame, blended.keys)
    for flag, finding_class in _CLASSES.items():
        if flag not in marks:
            continue
        count = len(marks[flag])
        yield Finding(
            finding_class,
            flag,
            count,
            column=blended.frame.time or "",
            samples=tuple(sampler.at(series, time) for series, time in _first(marks[flag])),
            warnings=(sentence_of(flag, count, interval),) if flag in _SENTENCES else (),
        )


def sentence_of(flag: str, count: int, interval: int | None) -> str:
    return _SENTENCES[flag].format(count=count, interval=interval)


def _first(marks: Marks) -> list[tuple[int, int | None]]:
    series = marks.series[:MAX_SAMPLES].tolist()
    if marks.seconds is None:
        return [(number, None) for number in series]
    return list(zip(series, marks.seconds[:MAX_SAMPLES].tolist(), strict=True))


def _qualities(
    blended: Blended,
    rows: Sequence[_Times],
    seen: Sequence[Bools],
    marks: Mapping[str, Marks],
    gaps: Mapping[int, Sequence[CoverageRange]],
    expected: Sequence[ExpectedSeries] | None,
) -> Iterator[SeriesQuality]:
    sampler = Sampler(blended.frame, blended.keys)
    counts = {flag: np.bincount(mark.series, minlength=len(rows)) for flag, mark in marks.items()}
    for number, times in enumerate(rows):
        observed = None
        if expected is not None and number < len(expected):
            observed = expected[number].bars[seen[number]]
        yield SeriesQuality(
            key=sampler.shown_key(blended.keys[number]),
            rows=len(times.seconds),
            expected=None if observed is None else len(seen[number]),
            observed=None if observed is None else len(observed),
            gaps=tuple(gaps.get(number, ())[:MAX_GAPS]),
            counts={flag: int(by[number]) for flag, by in counts.items() if by[number]},
            last=None if observed is None or len(observed) == 0 else int(observed[-1]),
        )
