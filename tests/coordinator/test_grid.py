"""Grids, calendars and the bars a series should have."""

import warnings
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.calendars import OutsideCalendar, UnknownCalendar
from coordinator.coverage import Window
from coordinator.grid import Grid, expected_bars, missing_expected

DAY = 86_400
HOUR = 3_600


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def days(bars):
    return [str(day) for day in np.asarray(bars).astype("datetime64[s]").astype("datetime64[D]")]


def window(start, end, interval=DAY):
    return Window(at(start), at(end), interval)


@pytest.mark.parametrize(
    ("anchor", "asked", "snapped"),
    [
        (0, (3, 27), (10, 20)),
        (0, (10, 20), (10, 20)),
        (0, (11, 19), None),
        (0, (15, 20), (20, 20)),
        (0, (-15, -1), (-10, -10)),
        (3, (0, 27), (3, 23)),
        (0, (27, 3), None),
    ],
)
def test_a_window_snaps_inward_to_the_grid(anchor, asked, snapped):
    found = Grid(10, anchor).snap(*asked)
    assert (found and (found.start, found.end)) == snapped


@given(st.integers(-500, 500), st.integers(0, 300), st.integers(1, 60), st.integers(-100, 100))
def test_snapping_keeps_exactly_the_grid_points_inside(start, length, interval, anchor):
    grid = Grid(interval, anchor)
    inside = [t for t in range(start, start + length + 1) if (t - anchor) % interval == 0]
    found = grid.snap(start, start + length)
    assert (list(range(found.start, found.end + 1, interval)) if found else []) == inside
    assert grid.points(Window(start, start + length, interval)).tolist() == inside


def test_a_grid_knows_its_points():
    assert Grid(10, 3).holds(np.array([3, 10, 13, -7])).tolist() == [True, False, True, True]


def test_a_grid_without_an_interval_is_refused():
    with pytest.raises(ValueError, match="at least 1 second"):
        Grid(0)


def test_without_a_calendar_every_grid_point_is_expected():
    assert expected_bars("", Grid(10), Window(0, 35, 10)).tolist() == [0, 10, 20, 30]


def test_a_series_expects_nothing_before_it_exists():
    assert expected_bars("", Grid(10), Window(0, 30, 10), since=15).tolist() == [20, 30]
    assert expected_bars("", Grid(10), Window(0, 30, 10), since=31).tolist() == []


def test_sessions_are_stamped_at_midnight_of_their_date_and_skip_weekends_and_holidays():
    # Monday 2012-10-29 and the Tuesday after it: the exchange was closed by a hurricane.
    bars = expected_bars("XNYS", Grid(DAY), window("2012-10-25", "2012-11-01"))
    assert days(bars) == ["2012-10-25", "2012-10-26", "2012-10-31", "2012-11-01"]
    assert (bars % DAY == 0).all()


def test_sessions_of_the_last_century_are_known():
    assert days(expected_bars("XNYS", Grid(DAY), window("1985-12-24", "1985-12-26"))) == [
        "1985-12-24",
        "1985-12-26",
    ]


def test_a_window_across_the_calendar_s_building_blocks_is_whole():
    bars = expected_bars("XNYS", Grid(DAY), window("1999-12-30", "2000-01-04"))
    assert days(bars) == ["1999-12-30", "1999-12-31", "2000-01-03", "2000-01-04"]


def test_building_a_calendar_raises_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(expected_bars("XLON", Grid(DAY), window("2012-01-02", "2012-01-06"))) == 4


def test_shorter_bars_are_expected_while_the_market_is_open_by_local_time():
    summer = expected_bars("XNYS", Grid(HOUR, 1800), window("2013-07-01", "2013-07-02", HOUR))
    winter = expected_bars("XNYS", Grid(HOUR, 1800), window("2013-01-02", "2013-01-03", HOUR))
    assert [(bar % DAY) / HOUR for bar in summer] == [13.5, 14.5, 15.5, 16.5, 17.5, 18.5, 19.5]
    assert [(bar % DAY) / HOUR for bar in winter] == [14.5, 15.5, 16.5, 17.5, 18.5, 19.5, 20.5]


def test_no_short_bar_is_expected_during_a_lunch_break():
    bars = expected_bars("XHKG", Grid(HOUR), window("2013-07-02", "2013-07-03", HOUR))
    assert [(bar % DAY) // HOUR for bar in bars] == [2, 3, 5, 6, 7]


def test_an_unknown_calendar_is_refused_by_name():
    with pytest.raises(UnknownCalendar, match="'XNYZ'"):
        expected_bars("XNYZ", Grid(DAY), window("2012-01-02", "2012-01-06"))


@pytest.mark.parametrize("span", [("1600-01-01", "1600-02-01"), ("2001-01-01", "2400-01-01")])
def test_a_calendar_never_guesses_about_times_it_does_not_know(span):
    with pytest.raises(OutsideCalendar, match="XNYS"):
        expected_bars("XNYS", Grid(DAY), window(*span))


def test_the_bounds_of_a_calendar_are_named():
    with pytest.raises(OutsideCalendar, match="1997"):
        expected_bars("XTKS", Grid(DAY), window("1996-12-30", "1997-01-10"))


def test_a_gap_from_friday_to_monday_is_one():
    expected = expected_bars("XNYS", Grid(DAY), window("2013-01-03", "2013-01-09"))
    observed = expected[[0, 3, 4]]
    gaps = missing_expected(expected, observed)
    assert gaps == [(at("2013-01-04"), at("2013-01-07"))]


def test_leading_trailing_and_whole_gaps_are_found():
    expected = np.arange(0, 60, 10)
    assert missing_expected(expected, np.array([20, 30])) == [(0, 10), (40, 50)]
    assert missing_expected(expected, np.array([], np.int64)) == [(0, 50)]
    assert missing_expected(expected, expected[::-1]) == []
    assert missing_expected(np.array([], np.int64), expected) == []


def test_bars_nobody_expected_are_neither_missing_nor_covering():
    assert missing_expected(np.array([0, 10, 40]), np.array([0, 20, 40, 50])) == [(10, 10)]


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_every_expected_bar_is_observed_or_in_exactly_one_gap(expected, observed):
    bars = np.array(sorted(expected), np.int64)
    gaps = missing_expected(bars, np.array(sorted(observed), np.int64))
    in_gaps = [bar for gap in gaps for bar in bars.tolist() if gap.start <= bar <= gap.end]
    assert in_gaps == sorted(expected - observed)
