"""The upstream of the demo: what is in it, and what is wrong with it."""

import time
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from coordinator.coverage import CoverageRange, Window, coverage_of
from coordinator.grid import Grid, expected_bars, missing_expected
from provider.sources import InvalidSourceSettings, open_source
from provider.timeline import read_times

ALWAYS = CoverageRange(0, 4_000_000_000)
DAY, HALF_HOUR = 86_400, 1_800


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.fixture
def stocks():
    return open_source({"type": "sample", "dataset": "stocks"})


@pytest.fixture
def sea():
    return open_source({"type": "sample", "dataset": "sea-temperature"})


def seconds(table, column):
    return read_times(table.column(column), None).seconds


def test_stocks_have_typed_columns_and_session_times_at_midnight(stocks):
    table = stocks.fetch(ALWAYS, [], None)
    assert table.num_rows == 12_154
    assert table.schema == pa.schema(
        {
            "session": pa.timestamp("s", "UTC"),
            "symbol": pa.string(),
            **{price: pa.float64() for price in ("open", "high", "low", "close")},
            "volume": pa.int64(),
        }
    )
    assert (seconds(table, "session") % DAY == 0).all()


@pytest.mark.parametrize("symbol", ["AAPL", "FB", "GOOG", "IBM", "MSFT"])
def test_no_stock_misses_a_session_of_its_exchange(stocks, symbol):
    table = stocks.fetch(ALWAYS, [{"symbol": symbol}], None)
    assert set(table.column("symbol").to_pylist()) == {symbol}
    observed = seconds(table, "session")
    first, last = int(observed.min()), int(observed.max())
    since = {"FB": at("2012-05-18"), "GOOG": at("2004-08-19")}.get(symbol, at("2000-03-01"))
    assert (first, last) == (since, at("2013-03-01"))
    expected = expected_bars("XNYS", Grid(DAY), Window(first, last, DAY))
    assert missing_expected(expected, observed) == []
    assert len(observed) == len(expected)


def test_a_fetch_keeps_to_its_closed_range_and_its_keys(stocks):
    span = CoverageRange(at("2013-02-27"), at("2013-02-28"))
    table = stocks.fetch(span, [{"symbol": "FB"}, {"symbol": "IBM"}], None)
    assert sorted(
        zip(table.column("symbol").to_pylist(), seconds(table, "session"), strict=True)
    ) == [
        ("FB", span.start),
        ("FB", span.end),
        ("IBM", span.start),
        ("IBM", span.end),
    ]
    assert stocks.fetch(span, [{"symbol": "XYZ"}], None).num_rows == 0


def test_the_sea_has_a_hole_of_23_a_single_missing_slot_and_a_time_with_two_values(sea):
    table = sea.fetch(ALWAYS, [{}], None)
    assert table.schema == pa.schema({"time": pa.string(), "temperature": pa.float64()})
    assert table.num_rows == 19_226
    times = seconds(table, "time")
    covered = coverage_of(np.unique(times), HALF_HOUR)
    gaps = [(a.end + HALF_HOUR, b.start - HALF_HOUR) for a, b in pairwise(covered)]
    assert gaps == [
        (at("2016-06-14T13:30"), at("2016-06-14T13:30")),
        (at("2016-07-08T02:00"), at("2016-07-08T02:00") + 22 * HALF_HOUR),
    ]
    values, counts = np.unique(times, return_counts=True)
    assert values[counts > 1].tolist() == [at("2017-03-21T16:30")]
    twice = sea.fetch(CoverageRange(at("2017-03-21T16:30"), at("2017-03-21T16:30")), [], None)
    assert len(set(twice.column("temperature").to_pylist())) == 2


def test_a_deadline_that_has_passed_is_not_ignored(sea):
    with pytest.raises(TimeoutError):
        sea.fetch(ALWAYS, [], time.monotonic() - 1)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({}, "type"),
        ({"type": "carrier-pigeon"}, "type"),
        ({"type": ["sample"]}, "type"),
        ({"type": "sample"}, "dataset"),
        ({"type": "sample", "dataset": "moon"}, "dataset"),
        ({"type": "sample", "dataset": "stocks", "path": "x"}, "path"),
    ],
)
def test_settings_nobody_understands_are_refused_with_the_key(settings, key):
    with pytest.raises(InvalidSourceSettings, match=repr(key)) as caught:
        open_source(settings)
    assert caught.value.key == key
