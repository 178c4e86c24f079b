"""The dataset fingerprint: the same rows have one name, other rows another."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.grid import Grid
from provider.blend import Piece, blend
from provider.fingerprints import BLOCK_BARS, Block, dataset_fingerprint, piece_blocks
from registry.frame import Frame

FRAME = Frame(time="ts", unit="s", key=("symbol",))
GRID = Grid(10)


def rows(times, symbols=("A",), **columns):
    both = [(time, symbol) for time in times for symbol in symbols]
    given_columns = {
        "ts": pa.array([time for time, _ in both], pa.int64()),
        "symbol": pa.array([symbol for _, symbol in both]),
        "v": pa.array([float(time) for time, _ in both]),
    }
    return pa.table({**given_columns, **columns})


def named(*tables, known=None, expected=()):
    pieces = [Piece(f"p{number}", table) for number, table in enumerate(tables)]
    return dataset_fingerprint(blend(pieces, FRAME, grid=GRID, expected=expected), GRID, known)


def test_t11_t12_equal_rows_have_one_name():
    assert named(rows([0, 10])) == named(rows([0, 10]))
    assert named(rows([0, 10])).startswith("sha256:")
    assert len(named(rows([0, 10]))) == len("sha256:") + 64


@pytest.mark.parametrize(
    "other",
    [
        rows([0, 10, 20]),
        rows([0]),
        rows([0, 20]),
        rows([0, 10], symbols=["B"]),
        rows([0, 10], v=pa.array([0.0, 10.000001])),
        rows([0, 10], v=pa.array([0, 10], pa.int64())),
        rows([0, 10], v=pa.array([None, 10.0])),
        rows([0, 10], v=pa.array(["0.0", "10.0"])),
        rows([0, 10]).rename_columns(["ts", "symbol", "w"]),
        rows([0, 10]).append_column("w", pa.nulls(2)),
    ],
    ids=str,
)
def test_other_rows_have_another(other):
    assert named(other) != named(rows([0, 10]))


def test_how_rows_are_held_changes_nothing():
    table = rows(range(0, 6000, 10), symbols=["A", "B"])
    symbol = table.column_names.index("symbol")
    ways = [
        table.select(["v", "symbol", "ts"]),
        table.take(np.random.default_rng(1).permutation(table.num_rows)),
        table.set_column(symbol, "symbol", table.column("symbol").dictionary_encode()),
        table.set_column(symbol, "symbol", table.column("symbol").cast(pa.large_string())),
        table.set_column(0, "ts", table.column("ts").cast(pa.timestamp("s", "UTC"))),
        pa.concat_tables([table.slice(0, 100), table.slice(100)]),
    ]
    assert {named(way) for way in ways} == {named(table)}
    assert named(table.slice(0, 301), table.slice(301)) == named(table)
    assert named(table, expected=[{"symbol": "B"}, {"symbol": "A"}]) == named(table)


@pytest.mark.parametrize("threads", [2, 3])
def test_many_blocks_have_the_name_that_one_thread_gives_them(monkeypatch, threads):
    table = rows(range(0, 10 * BLOCK_BARS * 71, 10), symbols=["A", "B"])
    odd, even = table.slice(0, 20_001), table.slice(20_001)
    monkeypatch.setattr("provider.threads.THREADS", 1)
    alone, blocks = named(table), piece_blocks(table, FRAME, GRID)
    monkeypatch.setattr("provider.threads.THREADS", threads)
    assert named(table) == named(odd, even) == alone
    assert piece_blocks(table, FRAME, GRID) == blocks
    assert [block.number for block in blocks] == list(range(71))


def test_nulls_are_nulls_whatever_lies_behind_them():
    one = pa.array([1.0, 2.0], mask=np.array([True, False]))
    other = pa.array([9.0, 2.0], mask=np.array([True, False]))
    assert named(rows([0, 10], v=one)) == named(rows([0, 10], v=other))


def test_every_type_has_a_name_and_tells_values_apart():
    columns = [
        pa.array([True, None]),
        pa.array([1, 2], pa.uint64()),
        pa.array([1, 2**64 - 1], pa.uint64()),
        pa.array([-1, 2], pa.int8()),
        pa.array([1, 2], pa.decimal128(5, 2)),
        pa.array([1, 2], pa.timestamp("ns")),
        pa.array([1, 2], pa.date32()),
        pa.array([[1], None]),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([float("nan"), float("inf")]),
        pa.nulls(2),
    ]
    names = [named(rows([0, 10], v=column)) for column in columns]
    assert len(set(names)) == len(columns)


def test_rows_without_a_declared_time_are_named_in_any_order():
    def unordered(table):
        blended = blend([Piece("", table)], Frame())
        return dataset_fingerprint(blended, GRID)

    table = rows([0, 10, 20])
    assert unordered(table) == unordered(table.take([2, 0, 1]))
    assert unordered(table) != unordered(table.slice(1))


# --- composed of what was hashed at the write ---------------------------------------------------


def blocks_of(table):
    return {block.number: block for block in piece_blocks(table, FRAME, GRID)}


TIMES = range(0, 10 * BLOCK_BARS * 3, 10)


@given(st.integers(0, len(TIMES) - 1), st.integers(0, len(TIMES) - 1), st.integers(1, 700))
def test_a_name_composed_of_stored_blocks_is_the_name_of_the_rows(one, other, cut):
    """Whatever window of whatever two segments: composed and hashed anew are the same."""
    first, last = sorted((one, other))
    segments = [rows(TIMES[:cut], symbols=["A", "B"]), rows(TIMES[cut:], symbols=["A", "B"])]
    known = {f"p{number}": blocks_of(table) for number, table in enumerate(segments)}
    window = [
        table.filter(pa.compute.greater_equal(table.column("ts"), TIMES[first])).filter(
            pa.compute.less_equal(
                table.filter(pa.compute.greater_equal(table.column("ts"), TIMES[first])).column(
                    "ts"
                ),
                TIMES[last],
            )
        )
        for table in segments
    ]
    assert named(*window, known=known) == named(*window)


def test_stored_checksums_stand_for_their_blocks_and_are_not_made_again():
    table = rows(TIMES)
    known = {number: replace(block, checksum="00") for number, block in blocks_of(table).items()}
    assert named(table, known={"p0": known}) != named(table)


def test_a_block_that_another_piece_changed_is_hashed_again():
    table, override = rows(TIMES), rows([0], v=pa.array([77.0]))
    known = {"p0": blocks_of(table)}
    assert named(table, override, known=known) == named(table, override)


def test_a_segment_that_loses_rows_in_blending_stores_no_checksum():
    assert piece_blocks(rows([0, 0, 10]), FRAME, GRID) == []
    assert piece_blocks(rows([0]), Frame(), GRID) == []
    assert piece_blocks(rows([0]), FRAME, GRID) == [Block(0, 1, blocks_of(rows([0]))[0].checksum)]
