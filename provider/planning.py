"""What is there and what is missing, per series: the plan of a read before anything is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from coordinator.coverage import CoverageRange, Int64s, merge_coverage
from coordinator.grid import Grid, among, runs_of
from provider.blend import Piece, ReadPieces, read_pieces
from provider.conformance import ExpectedSeries
from provider.timeline import Key, ascending, by_series
from registry.frame import Frame


@dataclass(frozen=True, slots=True)
class SeriesCoverage:
    """The expected bars of one series in a window, and the runs of them that are missing."""

    key: Key
    expected_bars: int
    missing_bars: int
    missing: tuple[CoverageRange, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Every expected series of a node in one window. Each expected bar is covered or missing."""

    series: tuple[SeriesCoverage, ...]
    interval: int

    @property
    def expected_bars(self) -> int:
        return sum(one.expected_bars for one in self.series)

    @property
    def missing_bars(self) -> int:
        return sum(one.missing_bars for one in self.series)

    @property
    def ratio(self) -> float:
        """Covered of expected bars; 1.0 where none is expected."""
        expected = self.expected_bars
        return 1.0 if expected == 0 else (expected - self.missing_bars) / expected

    def missing_ranges(self) -> list[CoverageRange]:
        """What at least one series lacks: the ranges a backfill is asked for."""
        ranges = [run for one in self.series for run in one.missing]
        return merge_coverage(ranges, self.interval)


def measure_coverage(
    pieces: Sequence[Piece] | ReadPieces,
    frame: Frame,
    expected: Sequence[ExpectedSeries],
    grid: Grid,
) -> Coverage:
    """What the pieces cover of the expected bars; rows off the grid cover nothing."""
    keys = [one.key for one in expected]
    given = pieces if isinstance(pieces, ReadPieces) else read_pieces(pieces, frame, keys)
    observed = _observed(given, len(expected), grid)
    series = tuple(_one_series(one, times) for one, times in zip(expected, observed, strict=True))
    return Coverage(series=series, interval=grid.interval)


def _one_series(expected: ExpectedSeries, observed: Int64s) -> SeriesCoverage:
    covered = among(expected.bars, observed)
    return SeriesCoverage(
        key=expected.key,
        expected_bars=len(expected.bars),
        missing_bars=len(expected.bars) - int(covered.sum()),
        missing=tuple(runs_of(expected.bars, ~covered)),
    )


def _observed(given: ReadPieces, n_expected: int, grid: Grid) -> list[Int64s]:
    """The bar times of each expected series over all pieces, ascending."""
    numbers, times = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for piece in given.read:
        read = piece.times
        bars = read.readable & (read.nanos == 0) & grid.holds(read.seconds)
        whole = bars.all()
        numbers.append(piece.series if whole else piece.series[bars])
        times.append(read.seconds if whole else read.seconds[bars])
    all_numbers, all_times = np.concatenate(numbers), np.concatenate(times)
    order = by_series(all_numbers)
    all_numbers, all_times = all_numbers[order], all_times[order]
    bounds = np.searchsorted(all_numbers, np.arange(n_expected + 1))
    return [ascending(all_times[first:past]) for first, past in pairwise(bounds)]
