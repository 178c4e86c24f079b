"""The algebra of ranges: what exists, what is missing, exactly one of the two for every bar.

A range is a closed pair `[start, end]` of bar times in epoch seconds and stands for the bars
`start, start + interval, ..., end`. Where a range meets a window it is snapped to the window's grid
first (start up, end down), so that an off-grid source neither loses a bar nor claims one it does
not hold.

From about a thousand ranges on the work is done by numpy on two independently sorted columns; below
that plain Python is faster. Both give the same answer.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import index
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]

NUMPY_FROM = 1_000
# Sums of two times and an interval stay inside int64 below this.
_NUMPY_LIMIT = 1 << 60


class CoverageRange(NamedTuple):
    """A closed range of bar times in epoch seconds; equal to the plain pair."""

    start: int
    end: int


Pair = tuple[int, int]
# The same ranges as a list of pairs, or as an (n, 2) array where they are many.
Spans = list[Pair] | Int64s


@dataclass(frozen=True, slots=True)
class Window:
    """The bars `start, start + interval, ...` up to `end`; an `end` off that grid rounds down.

    Raises ValueError when `end < start` or `interval <= 0`.
    """

    start: int
    end: int
    interval: int

    def __post_init__(self) -> None:
        _check_interval(self.interval)
        _check_order(self.start, self.end)

    @property
    def bars(self) -> int:
        """How many bars the window has."""
        return (self.end - self.start) // self.interval + 1

    @property
    def last(self) -> int:
        """The last bar time of the window."""
        return self.start + (self.bars - 1) * self.interval


def merge_coverage(ranges: Iterable[Pair] | Int64s, interval: int) -> list[CoverageRange]:
    """The fewest ranges that cover the same: sorted, joined where they overlap or follow on.

    Two ranges join when the second starts at most one interval after the first ends. Nothing is
    snapped here, so ranges of different grids must be snapped before they are merged
    (`compute_missing_ranges` does). Associative, commutative and idempotent.

    Raises ValueError on a reversed range or `interval <= 0`.
    """
    _check_interval(interval)
    return _as_ranges(_union(_checked(ranges), interval))


def compute_missing_ranges(
    coverage: Iterable[Pair] | Int64s | None, window: Window
) -> list[CoverageRange]:
    """The closed gaps of the window, in order: its bars that no range of `coverage` contains.

    `coverage` may be unsorted, overlapping, off the window's grid and larger than the window;
    None means nothing is covered. Raises ValueError on a reversed range.
    """
    covered = _union(_snapped(_checked(() if coverage is None else coverage), window), 1)
    return _as_ranges(_between(covered, window))


def subtract(ranges: Iterable[Pair], removed: Iterable[Pair], interval: int) -> list[CoverageRange]:
    """The bars of `ranges` that no range of `removed` contains, on each range's own grid.

    Raises ValueError on a reversed range or `interval <= 0`.
    """
    holes = _as_ranges(_union(_checked(removed), 0))
    starts = [hole.start for hole in holes]
    ends = [hole.end for hole in holes]
    left: list[CoverageRange] = []
    for start, end in merge_coverage(ranges, interval):
        near = holes[bisect_left(ends, start) : bisect_right(starts, end)]
        left.extend(compute_missing_ranges(near, Window(start, end, interval)))
    return left


def intersect_coverage(series: Sequence[Iterable[Pair]], interval: int) -> list[CoverageRange]:
    """What every one of the series covers; the ranges must lie on one grid.

    No series at all covers nothing. Raises ValueError on a reversed range or `interval <= 0`.
    """
    _check_interval(interval)
    if not series:
        return []
    common = merge_coverage(series[0], interval)
    for ranges in series[1:]:
        common = list(_overlaps(common, merge_coverage(ranges, interval)))
    return common


def coverage_of(times: Int64s, interval: int) -> list[CoverageRange]:
    """The ranges of bars in `times`: int64 epoch seconds on one grid, ascending, repeats allowed.

    Raises ValueError on descending times or `interval <= 0`.
    """
    _check_interval(interval)
    if len(times) == 0:
        return []
    steps = np.diff(times)
    if (steps < 0).any():
        raise ValueError("times must be ascending: sort them before asking what they cover")
    breaks = np.flatnonzero((steps != 0) & (steps != interval))
    starts = times[np.concatenate(([0], breaks + 1))]
    ends = times[np.concatenate((breaks, [len(times) - 1]))]
    return _as_ranges(np.column_stack((starts, ends)))


def _overlaps(
    left: Sequence[CoverageRange], right: Sequence[CoverageRange]
) -> Iterator[CoverageRange]:
    i = j = 0
    while i < len(left) and j < len(right):
        start, end = max(left[i].start, right[j].start), min(left[i].end, right[j].end)
        if start <= end:
            yield CoverageRange(start, end)
        if left[i].end < right[j].end:
            i += 1
        else:
            j += 1


def _union(ranges: Spans, reach: int) -> Spans:
    """Joined where the next start is at most `reach` after the last end."""
    if isinstance(ranges, np.ndarray):
        return _union_numpy(ranges, reach)
    joined: list[Pair] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1] + reach:
            if end > joined[-1][1]:
                joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _union_numpy(ranges: Int64s, reach: int) -> Int64s:
    # Sorting starts and ends apart finds the same components as sorting pairs: a component ends
    # after k ranges exactly when the k-th smallest end lies before the (k+1)-th smallest start.
    starts, ends = np.sort(ranges[:, 0]), np.sort(ranges[:, 1])
    breaks = starts[1:] > ends[:-1] + reach
    opens = np.concatenate(([True], breaks))[: len(starts)]
    closes = np.concatenate((breaks, [True]))[: len(ends)]
    return np.column_stack((starts[opens], ends[closes]))


def _between(covered: Spans, window: Window) -> Spans:
    """What lies before, between and after spans of bar numbers, as times of the window."""
    if isinstance(covered, np.ndarray):
        first = np.append(0, covered[:, 1] + 1)
        last = np.append(covered[:, 0] - 1, window.bars - 1)
        gaps = np.column_stack((first, last))[first <= last]
        return gaps * window.interval + window.start
    flat = iter((-1, *chain.from_iterable(covered), window.bars))
    return [
        (
            window.start + (before + 1) * window.interval,
            window.start + (after - 1) * window.interval,
        )
        for before, after in zip(flat, flat, strict=True)
        if before + 1 < after
    ]


def _snapped(ranges: Spans, window: Window) -> Spans:
    """The ranges as bar numbers of the window (0 is its start), those without a bar dropped."""
    if isinstance(ranges, np.ndarray):
        first = np.maximum(-((window.start - ranges[:, 0]) // window.interval), 0)
        last = np.minimum((ranges[:, 1] - window.start) // window.interval, window.bars - 1)
        kept = first <= last
        return np.column_stack((first[kept], last[kept]))
    numbered = (
        (
            max(-((window.start - start) // window.interval), 0),
            min((end - window.start) // window.interval, window.bars - 1),
        )
        for start, end in ranges
    )
    return [(first, last) for first, last in numbered if first <= last]


def _checked(ranges: Iterable[Pair] | Int64s) -> Spans:
    """The ranges, none reversed: an (n, 2) array where that is faster, a list otherwise."""
    pairs = ranges if isinstance(ranges, np.ndarray) else list(ranges)
    if len(pairs) >= NUMPY_FROM and (array := _as_array(pairs)) is not None:
        reversed_at = np.flatnonzero(array[:, 1] < array[:, 0])
        if len(reversed_at):
            _check_order(*array[reversed_at[0]].tolist())
        return array
    checked = [(index(start), index(end)) for start, end in pairs]
    for start, end in checked:
        _check_order(start, end)
    return checked


def _as_array(pairs: list[Pair] | Int64s) -> Int64s | None:
    """An (n, 2) array, or None where a time is no integer or too large to add to in int64."""
    array = np.asarray(pairs)
    if array.dtype != np.int64 or array.shape != (len(pairs), 2):
        return None
    if array.min() < -_NUMPY_LIMIT or array.max() > _NUMPY_LIMIT:
        return None
    return array


def _as_ranges(spans: Spans) -> list[CoverageRange]:
    pairs = spans.tolist() if isinstance(spans, np.ndarray) else spans
    return [CoverageRange(start, end) for start, end in pairs]


def _check_interval(interval: int) -> None:
    if interval <= 0:
        raise ValueError(f"interval must be at least 1 second, got {interval}")


def _check_order(start: int, end: int) -> None:
    if end < start:
        raise ValueError(f"range [{start}, {end}] is reversed: its end lies before its start")
