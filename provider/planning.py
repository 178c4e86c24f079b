"""What is there and what is missing, per series: the plan of a read before anything is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coordinator.coverage import CoverageRange, Int64s, merge_coverage
from coordinator.grid import Grid, missing_expected
from provider.blend import Piece
from provider.conformance import ExpectedSeries
from provider.timeline import Key, SeriesIndex, read_times
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
    pieces: Sequence[Piece], frame: Frame, expected: Sequence[ExpectedSeries], grid: Grid
) -> Coverage:
    """What the pieces cover of the expected bars; rows off the grid cover nothing."""
    index = SeriesIndex(frame.key, [one.key for one in expected])
    observed = _observed(pieces, frame, index, grid)
    nothing = np.empty(0, np.int64)
    series = tuple(
        _one_series(one, observed.get(number, nothing)) for number, one in enumerate(expected)
    )
    return Coverage(series=series, interval=grid.interval)


def _one_series(expected: ExpectedSeries, observed: Int64s) -> SeriesCoverage:
    covered = int(np.isin(expected.bars, observed).sum())
    return SeriesCoverage(
        key=expected.key,
        expected_bars=len(expected.bars),
        missing_bars=len(expected.bars) - covered,
        missing=tuple(missing_expected(expected.bars, observed)),
    )


def _observed(
    pieces: Sequence[Piece], frame: Frame, index: SeriesIndex, grid: Grid
) -> dict[int, Int64s]:
    """The bar times of each series over all pieces, by its number in the index."""
    numbers, times = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for piece in pieces:
        if frame.time not in piece.table.column_names:
            continue
        read = read_times(piece.table.column(frame.time), frame.unit)
        on_grid = read.readable & (read.nanos == 0) & grid.holds(read.seconds)
        numbers.append(index.number_rows(piece.table)[on_grid])
        times.append(read.seconds[on_grid])
    all_numbers, all_times = np.concatenate(numbers), np.concatenate(times)
    order = np.argsort(all_numbers, kind="stable")
    distinct, starts = np.unique(all_numbers[order], return_index=True)
    runs = np.split(all_times[order], starts[1:])
    return dict(zip(distinct.tolist(), runs, strict=True)) if len(distinct) else {}
