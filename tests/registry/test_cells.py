"""How cells are written as JSON: one meaning for the column check and for the serialiser."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.cells import (
    DuplicateColumn,
    UnwritableColumn,
    instants_as_integers,
    json_text,
    refuse_unwritable,
    write_cells,
    write_rows,
)
from registry.formats import is_date, is_date_time
from registry.frame import Frame

EPOCH_S = -62_167_219_200  # 0000-01-01T00:00:00Z


def stamps(values: list[int | None], unit: str, zone: str | None = "UTC") -> pa.Array:
    return pa.array(values, pa.int64()).cast(pa.timestamp(unit, zone))


@pytest.mark.parametrize(
    ("array", "cells"),
    [
        (pa.nulls(2), [None, None]),
        (pa.array([True, None, False]), [True, None, False]),
        (pa.array([-(2**63), 2**63 - 1]), [-(2**63), 2**63 - 1]),
        (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
        (pa.array([0.1], pa.float32()), [0.10000000149011612]),
        (pa.array(np.array([0.5], np.float16)), [0.5]),
        (pa.array(["é", None], pa.large_string()), ["é", None]),
        (pa.array(["a"], pa.string_view()), ["a"]),
        (pa.array([Decimal("1.50")], pa.decimal128(9, 2)), [Decimal("1.50")]),
        (pa.array([0, None], pa.date32()), ["1970-01-01", None]),
        (pa.array([86_400_000], pa.date64()), ["1970-01-02"]),
        (pa.array([[1, None], None, []]), [[1, None], None, []]),
        (pa.array([{"a": 1}, None]), [{"a": 1}, None]),
        (pa.array(["b", None, "b"]).dictionary_encode(), ["b", None, "b"]),
    ],
)
def test_each_type_is_written_as_the_table_says(array: pa.Array, cells: list[Any]) -> None:
    assert write_cells(array) == cells
    assert list(map(type, write_cells(array))) == list(map(type, cells))


@pytest.mark.parametrize(
    ("tick", "unit", "text"),
    [
        (0, "s", "1970-01-01T00:00:00Z"),
        (1_500, "ms", "1970-01-01T00:00:01.500Z"),
        (1_000_001, "us", "1970-01-01T00:00:01.000001Z"),
        (1, "ns", "1970-01-01T00:00:00.000000001Z"),
        (1_000_000_000, "ns", "1970-01-01T00:00:01Z"),
        (-1, "ms", "1969-12-31T23:59:59.999Z"),
        (EPOCH_S, "s", "0000-01-01T00:00:00Z"),
        (EPOCH_S - 1, "s", "-0001-12-31T23:59:59Z"),
        (253_402_300_799, "s", "9999-12-31T23:59:59Z"),
        (253_402_300_800, "s", "+10000-01-01T00:00:00Z"),
        (-(2**63), "us", "-290308-12-21T19:59:05.224192Z"),
    ],
)
def test_an_instant_is_written_in_rfc_3339_with_as_few_digits_as_hold_it(
    tick: int, unit: str, text: str
) -> None:
    assert write_cells(stamps([tick], unit)) == [text]


@given(st.integers(0, 253_402_300_799), st.sampled_from(["s", "ms", "us"]))
def test_the_text_of_an_instant_does_not_depend_on_the_resolution_of_the_store(
    second: int, unit: str
) -> None:
    per = {"s": 1, "ms": 1000, "us": 1_000_000}[unit]
    text = datetime.fromtimestamp(second, UTC).isoformat().replace("+00:00", "Z")
    assert write_cells(stamps([second * per], unit)) == [text]
    assert is_date_time(text)


@given(st.integers(-(10**7), 10**7))
def test_a_far_date_is_no_rfc_3339_date_and_a_near_one_is(day: int) -> None:
    (text,) = write_cells(pa.array([day], pa.int32()).cast(pa.date32()))
    assert isinstance(text, str)
    near = EPOCH_S // 86_400 <= day <= 253_402_300_799 // 86_400
    assert is_date(text) is near


def test_a_zone_is_written_in_utc_and_a_naive_instant_is_taken_as_utc() -> None:
    assert write_cells(stamps([0], "s", "Asia/Seoul")) == write_cells(stamps([0], "s", None))


@pytest.mark.parametrize("array", [stamps([7_000, None], "ms"), stamps([7_000_000, None], "us")])
def test_the_time_column_is_written_as_integers_of_its_unit(array: pa.Array) -> None:
    table = pa.table({"ts": array, "other": array})
    assert write_rows(table, Frame(time="ts", unit="s")) == [
        {"ts": 7, "other": "1970-01-01T00:00:07Z"},
        {"ts": None, "other": None},
    ]


def test_a_date_in_the_time_column_is_a_point_in_time() -> None:
    dates = pa.array([1], pa.int32()).cast(pa.date32())
    assert write_cells(dates, is_time=True) == ["1970-01-02T00:00:00Z"]
    assert write_cells(dates, is_time=True, unit="ms") == [86_400_000]
    assert write_cells(dates.dictionary_encode(), is_time=True, unit="s") == [86_400]


def test_an_instant_that_is_no_whole_number_of_its_unit_stays_text_and_is_never_rounded() -> None:
    array = stamps([1_500, 2_000], "ms")
    assert instants_as_integers(array, "s") is None
    assert write_cells(array, is_time=True, unit="s") == ["1970-01-01T00:00:01.500Z", 2]


def test_an_instant_beyond_64_bits_of_its_unit_keeps_all_its_digits() -> None:
    array = stamps([2**62], "s")
    assert instants_as_integers(array, "ns") is None
    assert write_cells(array, is_time=True, unit="ns") == [2**62 * 10**9]


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.large_list(pa.int64())])
def test_slices_chunks_and_garbage_under_nulls_do_not_show(kind: pa.DataType) -> None:
    lists = pa.array([[1], [2, 3], None, []], kind).slice(1)
    assert write_cells(lists) == [[2, 3], None, []]
    fixed = pa.array([[1, 2], [3, 4], None], pa.list_(pa.int64(), 2)).slice(1)
    assert write_cells(fixed) == [[3, 4], None]
    assert write_cells(pa.chunked_array([lists, lists.slice(2)])) == [[2, 3], None, [], []]
    structs = pa.array([{"a": 1}, {"a": 2}, None]).slice(1)
    assert write_cells(structs) == [{"a": 2}, None]


def test_rows_without_columns_are_empty_objects() -> None:
    table = pa.table({"a": [1, 2]}).select([])
    assert write_rows(table, Frame()) == [{}, {}]


@pytest.mark.parametrize(
    "kind",
    [pa.binary(), pa.duration("s"), pa.map_(pa.string(), pa.int8()), pa.time32("s")],
)
def test_a_column_without_a_json_form_is_refused_by_name(kind: pa.DataType) -> None:
    nested = pa.struct([("inner", pa.list_(kind))])
    for refused in (kind, nested):
        with pytest.raises(UnwritableColumn, match="'a' has type") as error:
            refuse_unwritable(pa.schema([("a", refused)]))
        assert (error.value.column, error.value.kind) == ("a", kind)


def test_two_columns_of_one_name_are_refused_also_inside_a_struct() -> None:
    twice = pa.table([[1], [2], [3]], names=["a", "b", "a"])
    with pytest.raises(DuplicateColumn, match="duplicate column names: 'a'") as error:
        write_rows(twice, Frame())
    assert error.value.names == ("a",)
    inside = pa.schema([("s", pa.struct([("x", pa.int8()), ("x", pa.int8())]))])
    with pytest.raises(DuplicateColumn, match="inside column 's'"):
        refuse_unwritable(inside)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.10"), "1.10"),
        (Decimal("120E+3"), "120000"),
        (Decimal("0.1") ** 30, "0.000000000000000000000000000001"),
        (float("nan"), "null"),
        ([float("inf"), 0.1, None, True], "[null,0.1,null,true]"),
        ({"é": "\n"}, '{"é":"\\n"}'),
        (2**64, "18446744073709551616"),
    ],
)
def test_the_text_holds_every_digit_and_only_json(value: Any, text: str) -> None:
    assert json_text(value) == text
    json.loads(text)
