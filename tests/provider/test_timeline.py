"""Reading times and keys exactly, converting times without loss."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.timeline import SeriesIndex, outgoing, read_times


def column(values, kind=None):
    return pa.chunked_array([pa.array(values, kind)])


def seconds(values, kind=None, unit=None):
    """The seconds of each value, None where unreadable; the fraction as a decimal."""
    times = read_times(column(values, kind), unit)
    return [
        (int(second) + (Decimal(int(nano)) / 10**9 if nano else 0)) if readable else None
        for second, nano, readable in zip(times.seconds, times.nanos, times.readable, strict=True)
    ]


@pytest.mark.parametrize(
    ("unit", "values"),
    [
        ("s", [1_700_000_000, 1_700_432_000]),
        ("ms", [1_700_000_000_000, 1_700_432_000_000]),
        ("us", [1_700_000_000_000_000, 1_700_432_000_000_000]),
        ("ns", [1_700_000_000_000_000_000, 1_700_432_000_000_000_000]),
    ],
)
def test_integers_are_read_in_the_declared_unit_and_never_guessed(unit, values):
    assert seconds(values, pa.int64(), unit) == [1_700_000_000, 1_700_432_000]
    assert seconds(values, pa.int64()) == [None, None]


def test_seconds_of_the_far_future_stay_seconds():
    assert seconds([10**10, 10**10 + 60], pa.int64(), "s") == [10**10, 10**10 + 60]


def test_milliseconds_a_thousand_seconds_apart_stay_apart():
    values = [1_700_000_000_000, 1_700_001_000_000]
    assert seconds(values, pa.int64(), "ms") == [1_700_000_000, 1_700_001_000]


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint8(), pa.int32(), pa.uint64()])
def test_integers_of_any_width_are_read(kind):
    assert seconds([1, None, 3], kind, "s") == [1, None, 3]


def test_an_integer_beyond_64_bits_with_sign_is_unreadable():
    assert seconds([2**63], pa.uint64(), "s") == [None]
    assert seconds([7, 2**64 - 1, None], pa.uint64(), "s") == [7, None, None]


def test_floats_are_read_where_they_are_whole():
    values = [1.0, 1.5, float("nan"), float("inf"), 1e300, None]
    assert seconds(values, pa.float64(), "s") == [1, None, None, None, None, None]
    assert seconds([1.0], pa.float64()) == [None]


@pytest.mark.parametrize("resolution", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Seoul"])
def test_timestamps_of_any_resolution_and_zone_are_instants(resolution, zone):
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[resolution]
    kind = pa.timestamp(resolution, zone)
    assert seconds([-per_second, 0, None, 60 * per_second], kind) == [-1, 0, None, 60]


def test_a_fraction_before_the_epoch_lies_in_the_second_below():
    assert seconds([-1], pa.timestamp("ms")) == [Decimal("-0.001")]


def test_dates_are_midnight_in_utc():
    assert seconds([date(1970, 1, 2), None], pa.date32()) == [86_400, None]
    assert seconds([date(1969, 12, 31)], pa.date64()) == [-86_400]


def test_two_moments_of_one_second_stay_two():
    values = ["2025-01-01T00:00:00.1Z", "2025-01-01T00:00:00.9Z"]
    assert len(set(seconds(values))) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-01-01T00:00:00+02:00", 1_735_682_400),
        ("2025-01-01T00:00:00Z", 1_735_689_600),
        ("2025-01-01t00:00:00z", 1_735_689_600),
        ("2025-01-01T00:00:00.000Z", 1_735_689_600),
        ("1969-12-31T23:59:59-00:00", -1),
        ("2024-02-29T00:00:00Z", 1_709_164_800),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
        ("0001-01-01T00:00:00Z", -62_135_596_800),
    ],
)
def test_rfc_3339_is_read(text, expected):
    assert seconds([text]) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "bad",
        "",
        "2025-01-01",
        "2025-01-01T00:00:00",
        "2025-01-01 00:00:00Z",
        "2025-01-01T00:00Z",
        "2025-02-29T00:00:00Z",
        "2025-04-31T00:00:00Z",
        "2025-13-01T00:00:00Z",
        "2025-00-01T00:00:00Z",
        "2025-01-00T00:00:00Z",
        "2025-01-01T24:00:00Z",
        "2025-01-01T00:60:00Z",
        "2025-01-01T00:00:60Z",
        "2025-01-01T00:00:00+24:00",
        "2025-01-01T00:00:00+0200",
        "2025-01-01T00:00:00Z\n",
        "٢٠٢٥-01-01T00:00:00Z",
        "2025-01-01T00:00:00.0000000001Z",
    ],
)
def test_text_that_is_not_rfc_3339_is_unreadable_not_guessed(text):
    assert seconds([text]) == [None]
    assert seconds([text, "1970-01-01T00:00:01Z"]) == [None, 1]


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))
def test_text_is_read_as_the_standard_library_reads_it(moment):
    moment = moment.replace(tzinfo=UTC)
    exact = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    (found,) = seconds([moment.isoformat()])
    assert found * 10**6 == exact


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view()])
def test_all_kinds_of_text_are_read(kind):
    assert seconds(["1970-01-01T00:00:01Z", None], kind) == [1, None]


def test_dictionaries_are_read_through():
    texts = pa.array(["1970-01-01T00:00:01Z", "bad", None, "1970-01-01T00:00:01Z"])
    times = read_times(pa.chunked_array([texts.dictionary_encode()]), None)
    assert times.readable.tolist() == [True, False, False, True]
    assert times.seconds[[0, 3]].tolist() == [1, 1]
    empty = pa.array([None], pa.string()).dictionary_encode()
    assert read_times(pa.chunked_array([empty]), None).readable.tolist() == [False]


@pytest.mark.parametrize("values", [[True], [b"x"], [[1]], [Decimal("1.0")], [None]])
def test_what_is_no_time_is_unreadable(values):
    assert seconds(values, unit="s") == [None]


def test_chunks_and_slices_are_read_in_order():
    chunks = pa.chunked_array([[1, 2], [], [3, 4]], pa.int64()).slice(1)
    assert read_times(chunks, "s").seconds.tolist() == [2, 3, 4]
    assert len(read_times(pa.chunked_array([], pa.int64()), "s").seconds) == 0


def test_times_of_other_zones_are_marked():
    texts = column(["2025-01-01T00:00:00Z", "2025-01-01T00:00:00+02:00", "bad"])
    assert read_times(texts, None).zoned.tolist() == [False, True, False]
    seoul = column([0, None], pa.timestamp("s", "Asia/Seoul"))
    assert read_times(seoul, None).zoned.tolist() == [True, False]
    assert not read_times(column([0], pa.timestamp("s", "UTC")), None).zoned.any()


# --- outgoing -----------------------------------------------------------------------------------


def leave(values, kind, unit_in, unit_out):
    return outgoing(read_times(column(values, kind), unit_in), unit_out)


@pytest.mark.parametrize(
    ("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]
)
def test_with_a_unit_times_leave_as_integers_of_it(unit, factor):
    left = leave([1, 60], pa.timestamp("s", "UTC"), None, unit)
    assert left.type == pa.int64()
    assert left.to_pylist() == [factor, 60 * factor]


def test_without_a_unit_times_leave_as_utc_timestamps_as_coarse_as_they_are_exact():
    assert leave([1, 2], pa.timestamp("ns"), None, None).type == pa.timestamp("ns", "UTC")
    assert leave([1000, 2000], pa.timestamp("ms"), None, None).type == pa.timestamp("s", "UTC")
    assert leave([], pa.timestamp("ms"), None, None).type == pa.timestamp("s", "UTC")


def test_a_time_between_two_units_is_never_rounded():
    left = leave([1_000, 1_500], pa.timestamp("ms"), None, "s")
    assert left.type == pa.timestamp("ms", "UTC")
    assert left.cast(pa.int64()).to_pylist() == [1_000, 1_500]


def test_times_too_far_apart_for_one_resolution_are_refused_not_wrapped():
    texts = ["9999-01-01T00:00:00Z", "2025-01-01T00:00:00.000000001Z"]
    with pytest.raises(ValueError, match="span"):
        leave(texts, None, None, None)


@given(st.lists(st.integers(-(2**62), 2**62)), st.sampled_from(["s", "ms", "us", "ns"]))
def test_integers_of_the_schema_s_unit_leave_as_they_came(values, unit):
    assert leave(values, pa.int64(), unit, unit).to_pylist() == values


# --- series -------------------------------------------------------------------------------------


def test_expected_series_are_numbered_first_and_others_as_they_come():
    index = SeriesIndex(["symbol"], [{"symbol": "B"}, {"symbol": "A"}])
    table = pa.table({"symbol": ["A", "C", "B", None, "C"]})
    numbers = index.number_rows(table)
    keys = [index.keys[number]["symbol"] for number in numbers]
    assert keys == ["A", "C", "B", None, "C"]
    assert [key["symbol"] for key in index.keys[:2]] == ["B", "A"]
    assert index.number_of({"symbol": "A"}) == 1
    assert index.number_of({"symbol": "X"}) is None


def test_one_key_has_one_number_in_every_piece_and_type():
    index = SeriesIndex(["symbol"])
    plain = index.number_rows(pa.table({"symbol": ["A", "B"]}))
    encoded = index.number_rows(pa.table({"symbol": pa.array(["B", "A"]).dictionary_encode()}))
    assert encoded.tolist() == plain[::-1].tolist()


def test_keys_are_the_same_when_their_json_is():
    index = SeriesIndex(["k"])

    def number(value, kind=None):
        return int(index.number_rows(pa.table({"k": pa.array([value], kind)}))[0])

    assert number(1) == number(1.0) == number(Decimal("1.0"))
    assert len({number(1), number("1"), number(True), number(None)}) == 4
    assert number(float("nan")) == number(float("nan"))


def test_keys_of_several_columns_are_told_apart():
    index = SeriesIndex(["a", "b"])
    table = pa.table({"a": ["x", "x", "y", "y"], "b": [1, 2, 1, 1]})
    numbers = index.number_rows(table)
    assert len(set(numbers.tolist())) == 3
    assert numbers[2] == numbers[3]
    assert index.keys[numbers[1]] == {"a": "x", "b": 2}


def test_an_absent_key_column_counts_as_null():
    index = SeriesIndex(["symbol"])
    absent = index.number_rows(pa.table({"v": [1, 2]}))
    null = index.number_rows(pa.table({"symbol": pa.array([None], pa.string())}))
    assert set(absent.tolist()) == set(null.tolist())


def test_without_key_columns_there_is_one_series():
    index = SeriesIndex([], [{}])
    assert index.number_rows(pa.table({"v": [1, 2]})).tolist() == [0, 0]
    assert index.keys == [{}]


@given(st.lists(st.tuples(st.text(max_size=2), st.integers(0, 3)), max_size=30))
def test_rows_have_the_same_number_exactly_when_they_have_the_same_key(rows):
    table = pa.table(
        {
            "a": pa.array([a for a, _ in rows], pa.string()),
            "b": pa.array([b for _, b in rows], pa.int64()),
        }
    )
    index = SeriesIndex(["a", "b"])
    numbers = index.number_rows(table)
    assert [tuple(index.keys[number].values()) for number in numbers] == rows
    assert len(np.unique(numbers)) == len(set(rows))
