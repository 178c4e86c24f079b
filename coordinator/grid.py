"""Which bars a series should have: its node's grid, thinned by the calendar, since it exists."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from coordinator.calendars import open_bars
from coordinator.coverage import Bools, CoverageRange, Int64s, Window


@dataclass(frozen=True, slots=True)
class Grid:
    """The bar times `anchor + k * interval`, in epoch seconds.

    Raises ValueError when `interval <= 0`.
    """

    interval: int
    anchor: int = 0

    def __post_init__(self) -> None:
        if self.interval <= 0:
            raise ValueError(f"interval must be at least 1 second, got {self.interval}")

    def snap(self, start: int, end: int) -> Window | None:
        """The window of grid points inside the closed [start, end]; None when there is none."""
        first = start + (self.anchor - start) % self.interval
        last = end - (end - self.anchor) % self.interval
        return Window(first, last, self.interval) if first <= last else None

    def holds(self, times: Int64s) -> Bools:
        """For each of the times, whether it is a grid point."""
        held: Bools = np.mod(times - self.anchor, self.interval) == 0
        return held

    def points(self, window: Window) -> Int64s:
        """Every grid point inside the window, ascending."""
        snapped = self.snap(window.start, window.end)
        if snapped is None:
            return np.empty(0, np.int64)
        return np.arange(snapped.start, snapped.end + 1, self.interval, dtype=np.int64)


def expected_bars(calendar: str, grid: Grid, window: Window, since: int | None = None) -> Int64s:
    """The bars a series should have in the window: grid points on which the calendar is open.

    `calendar` is the name of an exchange calendar, "" for every grid point; `since` is the first
    time the series exists, None for always. The caller bounds the window (`Window.bars`): every
    bar of it is held in memory. Raises UnknownCalendar and OutsideCalendar (both ValueError).
    """
    start = window.start if since is None else max(window.start, since)
    if start > window.end:
        return np.empty(0, np.int64)
    points = grid.points(Window(start, window.end, window.interval))
    return open_bars(calendar, points, grid.interval) if calendar else points


def missing_expected(expected: Int64s, observed: Int64s) -> list[CoverageRange]:
    """The gaps: runs of expected bars (ascending) that were not observed (any order, repeats).

    Two bars belong to one run when they follow each other among the *expected* bars, so a gap from
    a Friday to a Monday is one. Observed bars that nobody expected change nothing.
    """
    return runs_of(expected, ~among(expected, np.sort(observed)))


def among(bars: Int64s, times: Int64s) -> Bools:
    """For each of the bars, whether it is among the times; both ascend."""
    if np.array_equal(bars, times):
        return np.ones(len(bars), np.bool_)
    if len(times) == 0:
        return np.zeros(len(bars), np.bool_)
    at = np.minimum(np.searchsorted(times, bars), len(times) - 1)
    found: Bools = times[at] == bars
    return found


def runs_of(bars: Int64s, chosen: Bools) -> list[CoverageRange]:
    """The runs of chosen neighbours in `bars`, as ranges from the first to the last bar of each."""
    edges = np.diff(np.concatenate(([False], chosen, [False])).astype(np.int8))
    first, past = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    pairs = zip(bars[first].tolist(), bars[past - 1].tolist(), strict=True)
    return [CoverageRange(start, end) for start, end in pairs]


def painted(window: Window, strokes: Iterable[tuple[int, int, bool]]) -> list[CoverageRange]:
    """The bars whose last stroke (start, end, chosen) chose them, as runs inside the window.

    A bar that no stroke touched is not chosen. The caller bounds the window: a byte for each bar.
    """
    start, interval = window.start, window.interval
    chosen = np.zeros(window.bars, np.bool_)
    for first, last, is_chosen in strokes:
        begin = max(0, -(-(first - start) // interval))
        chosen[begin : max(0, (last - start) // interval + 1)] = is_chosen
    bars = np.arange(start, window.end + 1, interval, dtype=np.int64)
    return runs_of(bars, chosen)
