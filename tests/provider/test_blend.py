"""Blending pieces: one row per series and time, nothing hidden, nothing cast."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.grid import Grid
from provider.blend import Piece, blend
from provider.column_types import exact_type
from provider.parts import MixedTypes
from registry.frame import Frame

ONE = Frame(time="ts", unit="s")
KEYED = Frame(time="ts", unit="s", key=("symbol",))


def piece(name="a", **columns):
    return Piece(name, pa.table(columns))


def rows(blended):
    return blended.table().to_pylist()


def counts(blended):
    return {flag: len(marks) for flag, marks in blended.marks.items() if len(marks)}


def test_the_last_of_a_piece_s_rows_for_a_time_stays_and_the_others_are_counted():
    blended = blend([piece(ts=[1, 2, 2, 3], v=[10.0, 11.0, 12.5, 13.0])], ONE)
    assert rows(blended) == [{"ts": 1, "v": 10.0}, {"ts": 2, "v": 12.5}, {"ts": 3, "v": 13.0}]
    assert counts(blended) == {"duplicate_ts": 1}


def test_rows_are_sorted_and_the_last_by_input_order_wins():
    blended = blend([piece(ts=[2, 1, 2], v=[1, 2, 3])], ONE)
    assert rows(blended) == [{"ts": 1, "v": 2}, {"ts": 2, "v": 3}]
    assert counts(blended) == {"duplicate_ts": 1, "unsorted": 1}


def test_rows_out_of_order_are_sorted_and_marked():
    blended = blend([piece(ts=[120, 0, 60])], ONE)
    assert [row["ts"] for row in rows(blended)] == [0, 60, 120]
    assert counts(blended) == {"unsorted": 1}
    assert blended.marks["unsorted"].seconds.tolist() == [0]


def test_w1_duplicates_and_order_are_judged_per_series():
    blended = blend([piece(ts=[0, 0, 60, 60], symbol=["A", "B", "A", "B"])], KEYED)
    assert len(rows(blended)) == 4
    assert counts(blended) == {}
    grouped = blend([piece(ts=[0, 60, 0, 60], symbol=["A", "A", "B", "B"])], KEYED)
    assert counts(grouped) == {}
    assert rows(grouped) == rows(blended)


def test_later_pieces_override_earlier_ones_and_that_is_only_noted():
    blended = blend(
        [piece("old", ts=[0, 60, 120], v=[1, 1, 1]), piece("new", ts=[60, 180], v=[2, 2])], ONE
    )
    assert [row["v"] for row in rows(blended)] == [1, 2, 1, 2]
    assert counts(blended) == {"overlap": 1}


def test_t9_and_t10_rows_of_a_cache_and_a_store_appear_once():
    cache, store = list(range(0, 101, 10)), list(range(100, 201, 10))
    blended = blend([piece("cache", ts=cache), piece("store", ts=store)], ONE)
    assert [row["ts"] for row in rows(blended)] == list(range(0, 201, 10))
    off = blend([piece("cache", ts=[95, 100]), piece("store", ts=list(range(0, 201, 10)))], ONE)
    times = [row["ts"] for row in rows(off)]
    assert (times.count(90), times.count(95), times.count(100)) == (1, 1, 1)


def test_duplicates_inside_a_piece_are_counted_even_where_another_piece_wins():
    blended = blend([piece("old", ts=[0, 0]), piece("new", ts=[0])], ONE)
    assert counts(blended) == {"duplicate_ts": 1, "overlap": 1}


def test_rows_off_the_grid_are_marked_in_every_piece_and_kept():
    pieces = [piece("a", ts=[0, 30, 60]), piece("b", ts=[60, 61])]
    blended = blend(pieces, ONE, grid=Grid(60))
    assert counts(blended) == {"off_grid": 2, "overlap": 1}
    assert blended.rows == 4
    assert blended.marks["off_grid"].seconds.tolist() == [30, 61]


def test_two_moments_of_one_second_are_two_rows_off_the_grid():
    column = pa.array([100, 900], pa.timestamp("ms", "UTC"))
    blended = blend([Piece("a", pa.table({"ts": column}))], Frame(time="ts"), grid=Grid(1))
    assert blended.rows == 2
    assert counts(blended) == {"off_grid": 2}


def test_rows_without_a_readable_time_are_set_aside_as_they_were():
    blended = blend([piece(ts=["1970-01-01T00:00:00Z", "bad", None], v=[1, 2, 3])], Frame("ts"))
    assert [row["v"] for row in rows(blended)] == [1]
    (aside,) = blended.unreadable
    assert aside.table.to_pylist() == [{"ts": "bad", "v": 2}, {"ts": None, "v": 3}]
    assert counts(blended) == {"invalid_timestamp": 2, "ts_cast": 1}
    assert blended.marks["invalid_timestamp"].seconds is None


def test_a_piece_without_the_time_column_is_named_and_set_aside():
    blended = blend([piece("a", ts=[0], v=[1]), piece("b", v=[2])], ONE)
    assert (blended.rows, blended.untimed) == (1, ["b"])
    assert blended.unreadable[0].table.to_pylist() == [{"v": 2}]


def test_without_a_declared_time_rows_stay_as_they_come():
    blended = blend([piece(v=[2, 1]), piece(v=[2])], Frame())
    assert [row["v"] for row in rows(blended)] == [2, 1, 2]


def test_times_are_converted_as_the_schema_declares_and_noted():
    column = pa.array([0, 60], pa.timestamp("us"))
    blended = blend([Piece("a", pa.table({"ts": column}))], Frame("ts"))
    assert blended.table().schema.field("ts").type == pa.timestamp("us", "UTC")
    assert counts(blended) == {"ts_cast": 2}
    seoul = pa.array([0, 60], pa.timestamp("s", "Asia/Seoul"))
    assert counts(blend([Piece("a", pa.table({"ts": seoul}))], Frame("ts"))) == {
        "ts_timezone_normalized": 2
    }
    assert counts(blend([piece(ts=[0, 60])], ONE)) == {}


def test_no_data_column_is_cast():
    table = pa.table(
        {
            "ts": [0, 60],
            "i": pa.array([1, None], pa.int8()),
            "t": pa.array([1, 2], pa.timestamp("ms", "Asia/Seoul")),
            "d": pa.array(["x", "y"]).dictionary_encode(),
            "f": pa.array([1.5, float("nan")], pa.float32()),
        }
    )
    blended = blend([Piece("a", table), Piece("b", table.slice(1))], ONE)
    assert blended.table().schema == table.schema


def test_rows_of_one_time_stand_in_the_order_of_the_expected_series_then_by_key():
    pieces = [piece(ts=[0] * 4, symbol=["A", "Z", "C", "B"])]
    expected = [{"symbol": "Z"}, {"symbol": "B"}]
    blended = blend(pieces, KEYED, expected=expected)
    assert [row["symbol"] for row in rows(blended)] == ["Z", "B", "A", "C"]


# --- types --------------------------------------------------------------------------------------


def test_pieces_of_equal_types_are_one_part_whatever_their_column_order():
    blended = blend([piece(ts=[0], v=[1]), Piece("b", pa.table({"v": [2], "ts": [60]}))], ONE)
    assert len(blended.parts) == 1
    assert blended.table().column_names == ["ts", "v"]


def test_x7_pieces_of_other_types_are_kept_apart_and_joined_only_where_it_is_exact():
    narrow = piece("a", ts=[0, 120], v=pa.array([1, 3], pa.int32()))
    wide = piece("b", ts=[60], v=pa.array([2**40], pa.int64()))
    blended = blend([narrow, wide], ONE)
    assert [part.table.schema.field("v").type for part in blended.parts] == [
        pa.int32(),
        pa.int64(),
    ]
    joined = blended.table()
    assert joined.schema.field("v").type == pa.int64()
    assert joined.to_pylist() == [
        {"ts": 0, "v": 1},
        {"ts": 60, "v": 2**40},
        {"ts": 120, "v": 3},
    ]


def test_rows_whose_types_have_no_exact_union_stay_apart():
    blended = blend([piece("a", ts=[0], v=[1]), piece("b", ts=[60], v=["x"])], ONE).joined()
    assert len(blended.parts) == 2
    with pytest.raises(MixedTypes, match=r"\(v\)") as caught:
        blended.table()
    assert (caught.value.code, caught.value.status) == ("mixed_types", 409)
    assert blended.select(["ts"]).table().to_pylist() == [{"ts": 0}, {"ts": 60}]


def test_an_absent_column_is_not_a_null_and_stays_apart():
    blended = blend([piece("a", ts=[0], v=[1]), piece("b", ts=[60])], ONE)
    with pytest.raises(MixedTypes, match="v"):
        blended.table()


def test_a_value_that_the_wider_type_does_not_hold_keeps_the_parts_apart():
    far = pa.array([2**40], pa.timestamp("s"))
    fine = pa.array([1], pa.timestamp("ns"))
    blended = blend([piece("a", ts=[0], t=far), piece("b", ts=[60], t=fine)], ONE).joined()
    assert len(blended.parts) == 2


@pytest.mark.parametrize(
    ("left", "right", "exact"),
    [
        (pa.int8(), pa.int64(), pa.int64()),
        (pa.uint8(), pa.int8(), pa.int16()),
        (pa.uint32(), pa.int64(), pa.int64()),
        (pa.uint64(), pa.int64(), None),
        (pa.uint8(), pa.uint16(), pa.uint16()),
        (pa.float32(), pa.float64(), pa.float64()),
        (pa.int32(), pa.float32(), pa.float64()),
        (pa.int64(), pa.float64(), None),
        (pa.null(), pa.string(), pa.string()),
        (pa.string(), pa.large_string(), pa.large_string()),
        (pa.dictionary(pa.int32(), pa.string()), pa.string(), pa.string()),
        (pa.string(), pa.int64(), None),
        (pa.bool_(), pa.int8(), None),
        (pa.timestamp("s", "UTC"), pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC")),
        (pa.timestamp("s", "UTC"), pa.timestamp("s", "Asia/Seoul"), pa.timestamp("s", "UTC")),
        (pa.timestamp("s"), pa.timestamp("s", "UTC"), None),
        (pa.decimal128(5, 2), pa.decimal128(6, 1), pa.decimal128(7, 2)),
        (pa.decimal128(38, 0), pa.decimal128(38, 38), pa.decimal256(76, 38)),
        (pa.decimal128(5, 2), pa.float64(), None),
        (pa.list_(pa.int8()), pa.list_(pa.int64()), None),
    ],
)
def test_the_exact_type_of_two(left, right, exact):
    assert exact_type(left, right) == exact
    assert exact_type(right, left) == exact


# --- selecting ----------------------------------------------------------------------------------


@pytest.fixture
def two_parts():
    return blend(
        [
            piece("a", ts=[0, 120], symbol=["A", "A"], v=[1, 3]),
            piece("b", ts=[60, 180], symbol=["B", "A"], v=["x", "y"]),
        ],
        KEYED,
        expected=[{"symbol": "A"}, {"symbol": "B"}],
    )


def values(blended):
    found = {}
    for part in blended.parts:
        found |= dict(zip(part.places.tolist(), part.table.column("v").to_pylist(), strict=True))
    return [found[place] for place in sorted(found)]


def test_a_slice_counts_rows_of_the_whole_answer(two_parts):
    assert values(two_parts) == [1, "x", 3, "y"]
    assert values(two_parts.slice(1, 2)) == ["x", 3]
    assert values(two_parts.slice(3, 9)) == ["y"]


def test_series_can_be_chosen_and_then_sliced(two_parts):
    assert values(two_parts.only([0])) == [1, 3, "y"]
    assert values(two_parts.only([0]).slice(1, 1)) == [3]


def test_no_pieces_and_no_rows_make_an_empty_answer_with_its_columns():
    assert blend([], ONE).table().num_rows == 0
    empty = blend([piece(ts=pa.array([], pa.int64()), v=pa.array([], pa.string()))], ONE)
    assert (empty.rows, empty.table().column_names) == (0, ["ts", "v"])


@given(
    st.lists(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 6)), max_size=12), max_size=4)
)
def test_every_series_and_time_of_the_input_comes_out_once_with_its_last_value(pieces):
    wanted, given_pieces, number = {}, [], 0
    for given_rows in pieces:
        table = {"ts": [], "symbol": [], "v": []}
        for symbol, time in given_rows:
            number += 1
            wanted[(time, symbol)] = number
            table["ts"].append(time)
            table["symbol"].append(symbol)
            table["v"].append(number)
        types = {"ts": pa.int64(), "symbol": pa.string(), "v": pa.int64()}
        given_pieces.append(Piece("p", pa.table(table, schema=pa.schema(types))))
    blended = blend(given_pieces, KEYED)
    found = [(row["ts"], row["symbol"], row["v"]) for row in rows(blended)]
    assert found == [(*key, value) for key, value in sorted(wanted.items())]
    dropped = len(blended.marks["duplicate_ts"]) + len(blended.marks["overlap"])
    assert dropped == number - len(wanted)
