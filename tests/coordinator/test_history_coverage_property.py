"""The coverage algebra against a slow, obvious model: sets of bars."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator import coverage
from coordinator.coverage import (
    CoverageRange,
    Window,
    compute_missing_ranges,
    coverage_of,
    intersect_coverage,
    merge_coverage,
    subtract,
)

MERGE_VECTORS = [
    (10, [], []),
    (10, [(0, 0)], [(0, 0)]),
    (10, [(0, 100), (110, 200)], [(0, 200)]),
    (10, [(0, 100), (105, 200)], [(0, 200)]),
    (10, [(110, 200), (0, 100)], [(0, 200)]),
    (10, [(0, 100), (111, 200)], [(0, 100), (111, 200)]),
    (10, [(0, 10), (21, 30)], [(0, 10), (21, 30)]),
    (10, [(0, 50), (10, 20)], [(0, 50)]),
    (10, [(0, 0), (10, 10), (20, 20)], [(0, 20)]),
    (10, [(0, 10), (0, 10)], [(0, 10)]),
    (10, [(0, 10), (5, 15)], [(0, 15)]),
    (10, [(-20, -10), (0, 10)], [(-20, 10)]),
    (10, [(0, 10), (20, 30), (50, 60)], [(0, 30), (50, 60)]),
    (1, [(0, 59), (60, 119)], [(0, 119)]),
]

MISSING_VECTORS = [
    (10, (0, 100), None, [(0, 100)]),
    (10, (0, 100), [], [(0, 100)]),
    (10, (0, 100), [(0, 100)], []),
    (10, (0, 100), [(0, 90)], [(100, 100)]),
    (10, (0, 100), [(10, 100)], [(0, 0)]),
    (10, (0, 100), [(50, 60)], [(0, 40), (70, 100)]),
    (10, (0, 100), [(0, 20), (50, 60)], [(30, 40), (70, 100)]),
    (10, (0, 100), [(-100, -10)], [(0, 100)]),
    (10, (0, 100), [(200, 300)], [(0, 100)]),
    (10, (0, 100), [(-50, 30)], [(40, 100)]),
    (10, (0, 200), [(0, 100)], [(110, 200)]),
    (10, (50, 50), [(0, 100)], []),
    (10, (50, 50), [], [(50, 50)]),
    (10, (0, 20), [(-10, -10)], [(0, 20)]),
    (10, (0, 50), [(0, 10), (40, 50)], [(20, 30)]),
    (10, (0, 50), [(10, 20), (30, 40)], [(0, 0), (50, 50)]),
    (10, (10, 30), [(0, 50)], []),
    (10, (0, 40), [(0, 0), (20, 20), (40, 40)], [(10, 10), (30, 30)]),
    (10, (0, 300), [(0, 100), (90, 300)], []),
    (60, (0, 60), [(60, 120)], [(0, 0)]),
    (60, (60, 120), [(0, 60)], [(120, 120)]),
    (60, (0, 0), [(0, 0)], []),
    (60, (0, 0), [(60, 60)], [(0, 0)]),
]

OFF_GRID_VECTORS = [
    ([(95, 100)], (0, 100), [(0, 90)]),
    ([(3, 20)], (0, 100), [(0, 0), (30, 100)]),
    ([(0, 95)], (0, 100), [(100, 100)]),
    ([(5, 5)], (0, 20), [(0, 20)]),
    ([(0, 3)], (0, 20), [(10, 20)]),
    ([(0, 10)], (0, 105), [(20, 100)]),
    ([(0, 3), (12, 20)], (0, 20), [(10, 10)]),
]

times = st.integers(-300, 300)
intervals = st.integers(1, 12)


@st.composite
def ranges(draw, interval=None):
    """Up to eight closed ranges: on the grid of `interval` when one is given, else anywhere."""
    step = interval or 1
    starts = draw(st.lists(times, max_size=8))
    return [(start * step, (start + draw(st.integers(0, 40))) * step) for start in starts]


@st.composite
def windows(draw):
    start = draw(times)
    return Window(start, start + draw(st.integers(0, 200)), draw(intervals))


@pytest.fixture(params=["python", "numpy"])
def engine(request, monkeypatch):
    """Both engines answer every vector."""
    if request.param == "numpy":
        monkeypatch.setattr(coverage, "NUMPY_FROM", 1)


def bars_of(window):
    return set(range(window.start, window.end + 1, window.interval))


def covered_bars(given_ranges, window):
    return {
        bar for bar in bars_of(window) if any(start <= bar <= end for start, end in given_ranges)
    }


@pytest.mark.parametrize(("interval", "given_ranges", "merged"), MERGE_VECTORS)
def test_t7_merge_vectors(engine, interval, given_ranges, merged):
    assert merge_coverage(given_ranges, interval) == merged


@pytest.mark.parametrize(("interval", "span", "given_ranges", "gaps"), MISSING_VECTORS)
def test_t7_missing_vectors(engine, interval, span, given_ranges, gaps):
    assert compute_missing_ranges(given_ranges, Window(*span, interval)) == gaps


@pytest.mark.parametrize(("given_ranges", "span", "gaps"), OFF_GRID_VECTORS)
def test_t7_off_grid_ranges_lose_no_bar_and_claim_none(engine, given_ranges, span, gaps):
    assert compute_missing_ranges(given_ranges, Window(*span, 10)) == gaps


@pytest.mark.parametrize("reversed_ranges", [[(5, 1)], [(0, 10), (20, 5)]])
def test_x2_reversed_ranges_are_refused_by_name(engine, reversed_ranges):
    first, last = reversed_ranges[-1]
    with pytest.raises(ValueError, match=rf"\[{first}, {last}\] is reversed"):
        merge_coverage(reversed_ranges, 10)
    with pytest.raises(ValueError, match="reversed"):
        compute_missing_ranges(reversed_ranges, Window(0, 100, 10))


@pytest.mark.parametrize("interval", [0, -1, -10])
def test_x2_an_interval_below_one_second_is_refused(interval):
    for refused in (
        lambda: merge_coverage([], interval),
        lambda: Window(0, 100, interval),
        lambda: subtract([], [], interval),
        lambda: intersect_coverage([], interval),
        lambda: coverage_of(np.array([], np.int64), interval),
    ):
        with pytest.raises(ValueError, match="interval must be at least 1 second"):
            refused()


def test_x2_a_reversed_window_is_refused():
    with pytest.raises(ValueError, match="reversed"):
        compute_missing_ranges(None, Window(100, 0, 10))


@pytest.mark.parametrize(
    ("interval", "left", "removed", "rest"),
    [
        (5, [(0, 20)], [(5, 10)], [(0, 0), (15, 20)]),
        (10, [(0, 40)], [(5, 25)], [(0, 0), (30, 40)]),
        (10, [(0, 40)], [(0, 40)], []),
        (10, [(0, 40)], [], [(0, 40)]),
        (10, [(0, 10), (50, 60)], [(60, 90), (-5, 0)], [(10, 10), (50, 50)]),
    ],
)
def test_t6_subtract_keeps_the_bars_that_no_removed_range_contains(interval, left, removed, rest):
    assert subtract(left, removed, interval) == rest


@given(st.data(), intervals)
def test_t1_merged_ranges_lie_more_than_an_interval_apart_and_hold_every_input(data, interval):
    given_ranges = data.draw(ranges())
    merged = merge_coverage(given_ranges, interval)
    assert all(b.start > a.end + interval for a, b in pairwise(merged))
    for start, end in given_ranges:
        assert any(m.start <= start and end <= m.end for m in merged)


@given(ranges(), windows())
def test_t2_gaps_lie_in_the_window_disjoint_in_order_and_apart_from_the_coverage(
    given_ranges, window
):
    gaps = compute_missing_ranges(given_ranges, window)
    flat = [time for gap in gaps for time in gap]
    assert flat == sorted(flat)
    assert all(b.start > a.end + window.interval for a, b in pairwise(gaps))
    assert all(window.start <= gap.start <= gap.end <= window.end for gap in gaps)
    assert not covered_bars(gaps, window) & covered_bars(given_ranges, window)


@given(ranges(), windows())
def test_x1_every_bar_is_covered_or_missing_and_never_both(given_ranges, window):
    gaps = compute_missing_ranges(given_ranges, window)
    missing = {bar for gap in gaps for bar in range(gap.start, gap.end + 1, window.interval)}
    assert missing == bars_of(window) - covered_bars(given_ranges, window)


@given(ranges(), ranges(), ranges(), intervals)
def test_x1_merge_is_associative_commutative_and_idempotent(a, b, c, interval):
    def merge(*parts):
        return merge_coverage([pair for part in parts for pair in part], interval)

    assert merge(merge(a, b), c) == merge(a, merge(b, c)) == merge(a, b, c)
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a)) == merge(a)


@given(st.data(), intervals)
def test_merging_on_one_grid_changes_no_bar(data, interval):
    given_ranges = data.draw(ranges(interval))
    window = Window(-400 * interval, 400 * interval, interval)
    merged = merge_coverage(given_ranges, interval)
    assert covered_bars(merged, window) == covered_bars(given_ranges, window)


@given(st.data(), intervals)
def test_subtract_and_intersect_are_difference_and_intersection_of_bars(data, interval):
    left, right = data.draw(ranges(interval)), data.draw(ranges(interval))
    window = Window(-400 * interval, 400 * interval, interval)
    in_left, in_right = covered_bars(left, window), covered_bars(right, window)
    assert covered_bars(subtract(left, right, interval), window) == in_left - in_right
    common = intersect_coverage([left, right, left], interval)
    assert covered_bars(common, window) == in_left & in_right
    assert common == merge_coverage(common, interval)


def test_no_series_covers_nothing():
    assert intersect_coverage([], 10) == []


@given(st.lists(times), intervals)
def test_coverage_of_times_holds_exactly_those_times(bar_numbers, interval):
    bars = np.sort(np.array(bar_numbers, np.int64)) * interval
    found = coverage_of(bars, interval)
    window = Window(-400 * interval, 400 * interval, interval)
    assert covered_bars(found, window) == set(bars.tolist())
    assert found == merge_coverage(found, interval)


def test_coverage_of_times_too_close_together_claims_no_bar_between_them():
    assert coverage_of(np.array([0, 5, 5, 15], np.int64), 10) == [(0, 0), (5, 15)]


def test_coverage_of_unsorted_times_is_refused():
    with pytest.raises(ValueError, match="ascending"):
        coverage_of(np.array([20, 10], np.int64), 10)


@given(ranges(), windows())
def test_both_engines_give_the_same_answer(given_ranges, window):
    many = given_ranges * (coverage.NUMPY_FROM // max(len(given_ranges), 1) + 1)
    assert merge_coverage(many, window.interval) == merge_coverage(given_ranges, window.interval)
    assert compute_missing_ranges(many, window) == compute_missing_ranges(given_ranges, window)
    array = np.array(many, np.int64).reshape(-1, 2)
    assert merge_coverage(array, window.interval) == merge_coverage(many, window.interval)


def test_times_beyond_int64_are_merged_exactly():
    far = [(2**70 + k * 20, 2**70 + k * 20 + 10) for k in range(coverage.NUMPY_FROM)]
    assert merge_coverage(far, 10) == [(2**70, far[-1][1])]


@pytest.mark.parametrize("repeats", [1, coverage.NUMPY_FROM])
def test_fractional_times_are_refused_instead_of_truncated(repeats):
    with pytest.raises(TypeError):
        merge_coverage([(0.5, 10)] * repeats, 10)


def test_a_window_counts_its_bars_and_names_its_last():
    window = Window(0, 105, 10)
    assert (window.bars, window.last) == (11, 100)


def test_ranges_come_back_as_named_pairs():
    assert merge_coverage([(0, 10)], 10)[0] == CoverageRange(start=0, end=10)
