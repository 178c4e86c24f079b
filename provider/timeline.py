"""Times and keys of rows: read exactly, whatever type a store gave them, and never guessed.

A time is read as epoch seconds and nanoseconds of that second. What is read:

- timestamps of any resolution and zone (one without a zone is UTC), and dates (midnight UTC);
- integers, and floats that are whole, of the unit that the schema declares; without one, never;
- RFC 3339 date-times, as text.

Everything else is unreadable. Converting the time column for the answer is lossless: an instant
that is no whole number of the declared unit keeps its timestamp.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from coordinator.coverage import Bools, Int64s
from registry.cells import Unit, instants_as_integers, write_cells

Key = Mapping[str, Any]

NANOS = 1_000_000_000
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": NANOS}
_DAY = 86_400
_UTC_NAMES = ("UTC", "Z", "+00:00", "ETC/UTC")
_EXACT_FLOAT = float(1 << 53)
_RFC3339 = (
    r"^(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})[Tt]"
    r"(?P<hour>\d{2}):(?P<minute>\d{2}):(?P<second>\d{2})(?:\.(?P<fraction>\d+))?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<zone_hour>\d{2}):(?P<zone_minute>\d{2}))$"
)


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """The times of a column: arrays of one length, 0 where not `readable`.

    `seconds` is the epoch second a time lies in, `nanos` (0 to 999,999,999) where in it; `zoned`
    marks times that named a zone other than UTC.
    """

    seconds: Int64s
    nanos: Int64s
    readable: Bools
    zoned: Bools

    def take(self, rows: Int64s | Bools) -> "Times":
        return Times(self.seconds[rows], self.nanos[rows], self.readable[rows], self.zoned[rows])


def read_times(column: pa.ChunkedArray, unit: str | None) -> Times:
    """The exact times of a column; `unit` is what its integers count, None where undeclared."""
    array = one_array(column)
    for recognise, read in _READERS:
        if recognise(array.type):
            return read(array, unit)
    return _unreadable(len(array))


def outgoing(times: Times, unit: str | None) -> pa.ChunkedArray:
    """The times (all readable) as the schema has them: integers of `unit`, or UTC timestamps.

    Timestamps have the coarsest resolution that holds every time. Where a time is no whole number
    of units they stay timestamps, and the cells are written one by one. Raises ValueError where no
    single resolution holds them all.
    """
    instants = _instants(times)
    integers = None if unit is None else instants_as_integers(instants, cast(Unit, unit))
    return pa.chunked_array([instants if integers is None else integers])


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """The column as a single array, whatever its chunks and dictionaries."""
    if column.num_chunks == 1:
        return column.chunk(0)
    if column.num_chunks == 0:
        return pa.array([], column.type)
    return pa.concat_arrays(column.unify_dictionaries().chunks)


def _instants(times: Times) -> pa.Array:
    finest = int(np.gcd.reduce(times.nanos, initial=NANOS))
    resolution = next(name for name, per in PER_SECOND.items() if finest % (NANOS // per) == 0)
    per_second = PER_SECOND[resolution]
    if len(times.seconds) and int(np.abs(times.seconds).max()) >= 2**63 // per_second:
        raise ValueError(f"the times span more than a timestamp[{resolution}] column can hold")
    ticks = times.seconds * per_second + times.nanos // (NANOS // per_second)
    return pa.array(ticks, pa.int64()).view(pa.timestamp(resolution, "UTC"))


def _unreadable(rows: int) -> Times:
    zeros, nothing = np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
    return Times(zeros, zeros, nothing, nothing)


def _of_ticks(ticks: Int64s, per_second: int, readable: Bools) -> Times:
    seconds, rest = np.divmod(ticks, per_second)
    return Times(seconds, rest * (NANOS // per_second), readable, np.zeros(len(ticks), np.bool_))


def _read_timestamps(array: pa.Array, unit: str | None) -> Times:
    ticks = _filled(array.view(pa.int64()))
    times = _of_ticks(ticks, PER_SECOND[array.type.unit], _present(array))
    zone = array.type.tz
    elsewhere = zone is not None and zone.upper() not in _UTC_NAMES
    return replace(times, zoned=times.readable) if elsewhere else times


def _filled(array: pa.Array) -> Int64s:
    filled = array.fill_null(0) if array.null_count else array
    values: Int64s = filled.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    return values


def _present(array: pa.Array) -> Bools:
    if array.null_count == 0:
        return np.ones(len(array), np.bool_)
    present: Bools = array.is_valid().to_numpy(zero_copy_only=False)
    return present


def _read_dictionaries(array: pa.DictionaryArray, unit: str | None) -> Times:
    values = read_times(pa.chunked_array([array.dictionary]), unit)
    if len(values.seconds) == 0:
        return _unreadable(len(array))
    read = values.take(_filled(array.indices))
    return replace(read, readable=read.readable & _present(array.indices))


def _read_dates(array: pa.Array, unit: str | None) -> Times:
    if types.is_date32(array.type):
        days = _filled(array.view(pa.int32()))
    else:
        days = _filled(array.view(pa.int64())) // (_DAY * 1_000)
    return _of_ticks(days * _DAY, 1, _present(array))


def _read_integers(array: pa.Array, unit: str | None) -> Times:
    if unit is None:
        return _unreadable(len(array))
    ticks, readable = _filled(array), _present(array)
    if types.is_uint64(array.type):
        readable = readable & (ticks >= 0)  # what no int64 holds has become negative
    return _of_ticks(ticks, PER_SECOND[unit], readable)


def _read_floats(array: pa.Array, unit: str | None) -> Times:
    if unit is None:
        return _unreadable(len(array))
    values = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
    whole = (np.abs(values) <= _EXACT_FLOAT) & (np.floor(values) == values)
    ticks = np.where(whole, values, 0).astype(np.int64)
    return _of_ticks(ticks, PER_SECOND[unit], whole & _present(array))


def _read_texts(array: pa.Array, unit: str | None) -> Times:
    parts = pc.extract_regex(array.cast(pa.large_string()), pattern=_RFC3339)
    year, month, day, hour, minute, second, zone_hour, zone_minute = (
        _number(parts, name)
        for name in (
            *("year", "month", "day", "hour", "minute", "second"),
            *("zone_hour", "zone_minute"),
        )
    )
    nanos, exact = _fractions(_texts(parts, "fraction"))
    in_day = (hour < 24) & (minute < 60) & (second < 60) & (zone_hour < 24) & (zone_minute < 60)
    readable = _present(parts) & exact & in_day & _is_date(year, month, day)
    offset = (zone_hour * 3600 + zone_minute * 60) * np.where(_texts(parts, "sign") == "-", -1, 1)
    days = _days(np.where(readable, year, 1970), np.where(readable, month, 1), day)
    seconds = days * _DAY + hour * 3600 + minute * 60 + second - offset
    return Times(
        np.where(readable, seconds, 0),
        np.where(readable, nanos, 0),
        readable,
        readable & (offset != 0),
    )


def _texts(parts: pa.StructArray, name: str) -> NDArray[np.object_]:
    texts: NDArray[np.object_] = parts.field(name).fill_null("").to_numpy(zero_copy_only=False)
    return texts


def _number(parts: pa.StructArray, name: str) -> Int64s:
    """A group of digits as numbers; 0 where it did not take part."""
    field = parts.field(name)
    digits = pc.if_else(pc.equal(pc.fill_null(field, ""), ""), "0", field)
    return _filled(digits.cast(pa.int64()))


def _is_date(year: Int64s, month: Int64s, day: Int64s) -> Bools:
    in_year = (month >= 1) & (month <= 12)
    first = np.where(in_year, month, 1)
    length = _days(year + first // 12, first % 12 + 1, np.ones_like(day)) - _days(
        year, first, np.ones_like(day)
    )
    return in_year & (day >= 1) & (day <= length)


def _days(year: Int64s, month: Int64s, day: Int64s) -> Int64s:
    """Days since 1970-01-01 in the proleptic Gregorian calendar."""
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    firsts: Int64s = months.astype("datetime64[D]").astype(np.int64)
    return firsts + day - 1


def _fractions(texts: NDArray[np.object_]) -> tuple[Int64s, Bools]:
    """Nanoseconds of decimal fractions, and which of them a nanosecond holds exactly."""
    distinct, where = np.unique(texts.astype(str), return_inverse=True)
    cut = [text.ljust(9, "0") for text in distinct.tolist()]
    nanos = np.array([int(text[:9]) for text in cut] or [0], np.int64)
    exact = np.array([not text[9:].strip("0") for text in cut] or [True], np.bool_)
    return nanos[where], exact[where]


_READERS: Sequence[tuple[Callable[[pa.DataType], bool], Callable[..., Times]]] = (
    (types.is_dictionary, _read_dictionaries),
    (types.is_timestamp, _read_timestamps),
    (types.is_date, _read_dates),
    (types.is_integer, _read_integers),
    (types.is_floating, _read_floats),
    (types.is_string, _read_texts),
    (types.is_large_string, _read_texts),
    (types.is_string_view, _read_texts),
)


def by_series(numbers: Int64s) -> Int64s:
    """The stable order of rows by their series number; in linear time, for few series."""
    few = len(numbers) > 0 and numbers.max() < 1 << 16
    return np.argsort(numbers.astype(np.uint16) if few else numbers, kind="stable")


def ascending(times: Int64s) -> Int64s:
    """The times in order; as they are where they are in order."""
    return times if (np.diff(times) >= 0).all() else np.sort(times)


class SeriesIndex:
    """Numbers for the series of an answer: the expected ones first, in their order, then others.

    Two key values are the same when their JSON is (`1` and `1.0` are, `1` and `"1"` are not).
    """

    def __init__(self, columns: Sequence[str], expected: Sequence[Key] = ()) -> None:
        self.columns = tuple(columns)
        self.keys: list[Key] = []
        self._numbers: dict[tuple[Hashable, ...], int] = {}
        for key in expected:
            self._number([key.get(column) for column in self.columns])

    def number_rows(self, table: pa.Table) -> Int64s:
        """The series number of every row; an absent key column counts as null."""
        combined = np.zeros(table.num_rows, np.int64)
        values: list[list[Any]] = []
        for column in self.columns:
            cells, codes = _encoded(table, column)
            combined = combined * len(cells) + codes
            values.append(cells)
        distinct, rows = _distinct(combined, prod(map(len, values)))
        numbers = [self._number(_unpacked(code, values)) for code in distinct.tolist()]
        return np.array(numbers, np.int64)[rows]

    def number_of(self, key: Key) -> int | None:
        """The number of a series that was seen or expected; None for any other."""
        return self._numbers.get(_identity([key.get(column) for column in self.columns]))

    def _number(self, values: Sequence[Any]) -> int:
        identity = _identity(values)
        if identity not in self._numbers:
            self._numbers[identity] = len(self.keys)
            self.keys.append(dict(zip(self.columns, values, strict=True)))
        return self._numbers[identity]


def _identity(values: Sequence[Any]) -> tuple[Hashable, ...]:
    return tuple((_json_type(value), _hashable(value)) for value in values)


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "other"


def _hashable(value: Any) -> Hashable:
    # NaN equals nothing, not even itself, so it is known by its text like lists and objects.
    return value if isinstance(value, Hashable) and value == value else repr(value)


def _encoded(table: pa.Table, column: str) -> tuple[list[Any], Int64s]:
    """The distinct cells of a column as JSON values, and which of them each row has."""
    if column not in table.column_names:
        return [None], np.zeros(table.num_rows, np.int64)
    array = one_array(table.column(column))
    if not types.is_dictionary(array.type):
        array = array.dictionary_encode()
    cells = [*write_cells(array.dictionary), None]
    codes = array.indices.fill_null(len(cells) - 1) if array.null_count else array.indices
    return cells, codes.to_numpy(zero_copy_only=False).astype(np.int64)


def _distinct(codes: Int64s, n_codes: int) -> tuple[Int64s, Int64s]:
    """The codes that occur, ascending, and for each row its position among them."""
    if n_codes > max(len(codes), 1024):
        return np.unique(codes, return_inverse=True)
    occurs = np.zeros(n_codes, np.bool_)
    occurs[codes] = True
    distinct = np.flatnonzero(occurs)
    position = np.zeros(n_codes, np.int64)
    position[distinct] = np.arange(len(distinct))
    return distinct, position[codes]


def _unpacked(code: int, values: Sequence[list[Any]]) -> list[Any]:
    unpacked: list[Any] = []
    for cells in reversed(values):
        code, cell = divmod(code, len(cells))
        unpacked.append(cells[cell])
    return unpacked[::-1]
