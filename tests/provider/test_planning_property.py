"""Planner and blend together: for any coverage of cache, live tail, backfill and storage, no bar is
lost, none is doubled, and each series and bar is covered or missing, exactly one of the two."""

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from coordinator.coverage import Window, compute_missing_ranges
from coordinator.grid import Grid
from provider.blend import Piece, blend, read_pieces
from provider.conformance import ConformancePipeline, ExpectedSeries
from provider.fingerprints import dataset_fingerprint
from provider.planning import measure_coverage
from registry.frame import Frame

FRAME = Frame(time="ts", unit="s", key=("symbol",))
GRID = Grid(10)
BARS, SYMBOLS = 20, ("A", "B")
# In the order of their precedence: what somebody wrote into the storage wins.
ORIGINS = ("live", "segments/1", "segments/2", "file")

bar = st.tuples(st.integers(0, BARS - 1), st.sampled_from(SYMBOLS))
coverage = st.fixed_dictionaries({origin: st.lists(bar, unique=True) for origin in ORIGINS})


def piece(origin: str, bars: list[tuple[int, str]]) -> Piece:
    """Every row says where it comes from."""
    return Piece(
        origin,
        pa.table(
            {
                "ts": pa.array([number * 10 for number, _ in bars], pa.int64()),
                "symbol": pa.array([symbol for _, symbol in bars], pa.string()),
                "from": pa.array([origin] * len(bars), pa.string()),
            }
        ),
    )


def expected(since: int = 0) -> list[ExpectedSeries]:
    return [
        ExpectedSeries({"symbol": symbol}, np.arange(since * 10, BARS * 10, 10))
        for symbol in SYMBOLS
    ]


def rows_of(table: pa.Table) -> dict[tuple[int, str], str]:
    found = list(
        zip(
            *(table.column(name).to_pylist() for name in ("ts", "symbol", "from")),
            strict=True,
        )
    )
    assert len({(time, symbol) for time, symbol, _ in found}) == len(found)  # none is doubled
    assert [time for time, _, _ in found] == sorted(time for time, _, _ in found)
    return {(time // 10, symbol): origin for time, symbol, origin in found}


def best_of(given_coverage: dict[str, list[tuple[int, str]]]) -> dict[tuple[int, str], str]:
    """The slow and obvious model: later origins override earlier ones, bar by bar."""
    return {bar: origin for origin in ORIGINS for bar in given_coverage[origin]}


@given(coverage)
def test_every_bar_comes_out_once_from_the_origin_that_wins(given_coverage: Any) -> None:
    pieces = [piece(origin, given_coverage[origin]) for origin in ORIGINS]
    keys = [series.key for series in expected()]
    blended = blend(pieces, FRAME, grid=GRID, expected=keys)
    assert rows_of(blended.table()) == best_of(given_coverage)
    shared = blend(read_pieces(pieces, FRAME, keys), FRAME, grid=GRID)
    assert shared.table().equals(blended.table())


@given(coverage, st.integers(0, BARS - 1))
def test_a_bar_is_covered_or_missing_exactly_one_of_the_two(
    given_coverage: Any, since: int
) -> None:
    pieces = [piece(origin, given_coverage[origin]) for origin in ORIGINS]
    measured = measure_coverage(pieces, FRAME, expected(since), GRID)
    have = best_of(given_coverage)
    window = Window(since * 10, (BARS - 1) * 10, 10)
    for series in measured.series:
        symbol = series.key["symbol"]
        present = [number * 10 for number, name in have if name == symbol]
        lacking = compute_missing_ranges([(time, time) for time in present], window)
        assert list(series.missing) == lacking
        assert series.missing_bars == sum((end - start) // 10 + 1 for start, end in lacking)
    assert sum(series.missing_bars for series in measured.series) == measured.missing_bars


@given(coverage)
def test_filling_what_is_missing_leaves_nothing_missing_and_changes_nothing_else(
    given_coverage: Any,
) -> None:
    """What a backfill of exactly the missing ranges brings completes the answer."""
    pieces = [piece(origin, given_coverage[origin]) for origin in ORIGINS]
    missing = measure_coverage(pieces, FRAME, expected(), GRID).missing_ranges()
    filled = [
        (time // 10, symbol)
        for start, end in missing
        for time in range(start, end + 1, 10)
        for symbol in SYMBOLS
    ]
    repaired = [piece("segments/0", filled), *pieces]
    coverage_now = measure_coverage(repaired, FRAME, expected(), GRID)
    assert (coverage_now.missing_bars, coverage_now.ratio) == (0, 1.0)
    table = blend(repaired, FRAME, grid=GRID).table()
    found = rows_of(table)
    assert len(found) == BARS * len(SYMBOLS)
    kept = {bar: origin for bar, origin in found.items() if origin != "segments/0"}
    assert kept == best_of(given_coverage)


@given(coverage, st.integers(0, BARS - 1), st.integers(0, BARS - 1))
def test_a_kept_window_cut_and_read_again_is_the_same(
    given_coverage: Any, one: int, other: int
) -> None:
    """A cache may serve a checked window as one more piece: nothing is lost, doubled or renamed."""
    first, last = sorted((one, other))
    pieces = [piece(origin, given_coverage[origin]) for origin in ORIGINS]
    keys = [series.key for series in expected()]
    whole = blend(pieces, FRAME, grid=GRID, expected=keys)
    inside = read_pieces(pieces, FRAME, keys).between(first * 10, last * 10 + 1)
    kept = Piece("cache", blend(inside, FRAME, grid=GRID).table())
    again = blend([*pieces, kept], FRAME, grid=GRID, expected=keys)
    assert rows_of(again.table()) == rows_of(whole.table())
    assert dataset_fingerprint(again, GRID) == dataset_fingerprint(whole, GRID)


@given(coverage)
def test_report_and_plan_count_the_same_bars(given_coverage: Any) -> None:
    pieces = [piece(origin, given_coverage[origin]) for origin in ORIGINS]
    measured = measure_coverage(pieces, FRAME, expected(), GRID)
    pipeline = ConformancePipeline(frame=FRAME, grid=GRID, expected=expected(), partial_ok=True)
    report = pipeline.examine(pieces).report
    assert [one.expected_bars - one.missing_bars for one in measured.series] == [
        one.observed for one in report.series
    ]
