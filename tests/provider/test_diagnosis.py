"""What the doctor reads out of rows: their unit, their grid, their series."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.grid import Grid
from provider.blend import Piece
from provider.diagnosis import advise_on_keys, advise_on_times, seen_grid
from registry.frame import Frame

START = 1_600_000_020  # a minute of 2020


@given(st.integers(1, 100_000), st.integers(0, 10**9), st.integers(2, 30), st.integers(1, 4))
def test_a_regular_grid_is_seen_whatever_the_number_of_series(
    interval: int, start: int, bars: int, series: int
) -> None:
    times = np.tile(start + interval * np.arange(bars, dtype=np.int64), series)
    seen = seen_grid(np.repeat(np.arange(series), bars), times)
    assert seen is not None
    assert (seen.interval, seen.offset, seen.share) == (interval, start % interval, 1.0)


def test_one_bar_shows_no_grid() -> None:
    assert seen_grid(np.array([0, 1]), np.array([5, 9])) is None


def rows(times: pa.Array, **columns: object) -> list[Piece]:
    return [Piece("bars.parquet", pa.table({"ts": times, **columns}))]


def codes(pieces: list[Piece], frame: Frame, grid: Grid) -> list[tuple[str, str]]:
    return [(one.severity, one.code) for one in advise_on_times(pieces, frame, grid)]


MINUTES = pa.array([START + 60 * n for n in range(10)], pa.int64())
SECONDS = Frame(time="ts", unit="s")


def test_rows_on_their_grid_need_no_advice() -> None:
    assert codes(rows(MINUTES), SECONDS, Grid(60)) == []


@pytest.mark.parametrize(
    ("pieces", "frame", "grid", "expected"),
    [
        ([], SECONDS, Grid(60), ("warning", "no_rows")),
        (rows(MINUTES), Frame(), Grid(60), ("error", "no_time")),
        (rows(MINUTES), Frame(time="at", unit="s"), Grid(60), ("error", "time_missing")),
        (rows(MINUTES), Frame(time="ts"), Grid(60), ("error", "time_unit")),
        (rows(MINUTES), Frame(time="ts", unit="ms"), Grid(60), ("error", "time_unit")),
        (rows(pa.array(["yesterday"])), SECONDS, Grid(60), ("warning", "time_unreadable")),
        (rows(MINUTES), SECONDS, Grid(300), ("warning", "interval")),
        (rows(MINUTES), SECONDS, Grid(60, 7), ("warning", "off_grid")),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_does_not_fit_is_named(
    pieces: list[Piece], frame: Frame, grid: Grid, expected: tuple[str, str]
) -> None:
    assert expected in codes(pieces, frame, grid)


def test_advice_says_the_unit_the_anchor_and_the_interval_to_use() -> None:
    def fixes(pieces: list[Piece], frame: Frame, grid: Grid) -> str:
        return " ".join(one.fix for one in advise_on_times(pieces, frame, grid))

    milliseconds = pa.array([1000 * (START + 60 * n) for n in range(9)], pa.int64())
    assert '"unit": "ms"' in fixes(rows(milliseconds), SECONDS, Grid(60))
    shifted = pa.array([START + 7 + 60 * n for n in range(9)], pa.int64())
    assert "anchor 7." in fixes(rows(shifted), SECONDS, Grid(60))
    days = pa.array([86_400 * n + 3600 for n in range(15_000, 15_009)], pa.int64())
    assert "00:00 UTC" in fixes(rows(days), SECONDS, Grid(86_400))
    assert "interval of 60," in fixes(rows(MINUTES), SECONDS, Grid(30))


def test_series_that_are_extra_or_absent_are_named() -> None:
    pieces = rows(MINUTES, symbol=["A", "B"] * 5)
    frame = Frame(time="ts", unit="s", key=("symbol",))
    advice = list(advise_on_keys(pieces, frame, [{"symbol": "A"}, {"symbol": "C"}]))
    assert [(one.code, one.says[-3:]) for one in advice] == [
        ("unexpected_series", " B."),
        ("missing_series", " C."),
    ]
    assert list(advise_on_keys(pieces, frame, [{"symbol": "B"}, {"symbol": "A"}])) == []
