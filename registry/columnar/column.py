"""One column of cells as JSON sees them, over the Arrow buffers without a copy."""

import math
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum, auto
from functools import cached_property
from typing import Any, Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from registry.cells import Cell, Unit, instants_as_integers, write_cells, write_rows
from registry.cells.instants import integer_of, is_instant, rfc3339_ticks, ticks
from registry.cells.writing import is_list, list_bounds
from registry.columnar.buffers import (
    Numbers,
    stored_numbers,
    string_buffers,
    unscaled_integers,
)
from registry.columnar.masks import Bools, Mask, settle
from registry.frame import Frame

Indices = npt.NDArray[np.int64]


class Kind(Enum):
    """What JSON the cells of a column are, nulls apart."""

    NULL = auto()
    BOOLEAN = auto()
    INTEGER = auto()
    """The number is `numbers / 10**scale`: `scale` is 0 but for decimals with a fraction."""
    FLOAT = auto()
    STRING = auto()
    INSTANT = auto()
    """A timestamp or date, written as text; the text is made only where it is asked for."""
    LIST = auto()
    STRUCT = auto()
    MIXED = auto()
    """More than one of these: `pieces` has a column for each."""


NUMBERS: Final = frozenset({Kind.INTEGER, Kind.FLOAT})
TEXTS: Final = frozenset({Kind.STRING, Kind.INSTANT})
EVERY: Final = frozenset(Kind) - {Kind.MIXED}


class Piece(NamedTuple):
    at: Indices
    column: "Column"


class Coded(NamedTuple):
    """Distinct cells, and for each cell its index among them (anything in range under a null)."""

    values: "Column"
    codes: Numbers


class Column:
    """`size` cells of one kind. What lies under a null is undefined, and judged by nobody.

    `is_coded`: the Arrow array is a dictionary, so only `distinct`, `nulls` and `cells` have a
    meaning. `is_distinct`: no two cells are equal. `is_time` and `unit`: the frame's time column,
    which is written otherwise than the rest.
    """

    def __init__(
        self,
        kind: Kind,
        array: Any,
        *,
        is_time: bool = False,
        unit: Unit | None = None,
        is_distinct: bool = False,
        pieces: tuple[Piece, ...] = (),
    ) -> None:
        self.kind = kind
        self.array = array
        self.size: int = len(array)
        self.is_time = is_time
        self.unit = unit
        self.is_distinct = is_distinct
        self.pieces = pieces
        self.verdicts: dict[int, Mask] = {}
        """What nodes have said of this column, by identity: a report asks again."""
        self.is_coded: bool = types.is_dictionary(array.type)
        self.has_nulls: bool = kind is Kind.NULL or array.null_count > 0

    @cached_property
    def nulls(self) -> Mask:
        if not self.has_nulls:
            return False
        if self.kind is Kind.NULL:
            return True
        nulls: Bools = self.array.is_null().to_numpy(zero_copy_only=False)
        return nulls

    @cached_property
    def numbers(self) -> Numbers:
        """The stored numbers: integers (Python's own where 64 bits are too few), doubles, single
        floats, or the ticks of instants."""
        if types.is_decimal(self.array.type):
            return unscaled_integers(self.array)
        if self.kind is Kind.INSTANT:
            return ticks(self.array)[0]
        array = self.array.cast(pa.float64()) if types.is_float16(self.array.type) else self.array
        return stored_numbers(array)

    @cached_property
    def scale(self) -> int:
        return max(self.array.type.scale, 0) if types.is_decimal(self.array.type) else 0

    def is_within(self, least: Any = None, most: Any = None) -> bool:
        """Whether all of `numbers` are finite and lie between the two, as far as a pass can prove.

        What lies under nulls counts too, so True is a proof and False asks for a second look.
        """
        if self.size == 0:
            return True
        return bool(
            (most is None or self._high <= most)
            and (least is None or least <= self._floor or self._low >= least)
        )

    @cached_property
    def _low(self) -> Any:
        return self.numbers.min()

    @cached_property
    def _high(self) -> Any:
        """The greatest number; where none has its sign bit set, by comparing bits alone, which
        finds NaN and infinities in the same pass."""
        if self._greatest_bits is None:
            return self.numbers.max()
        return self._greatest_bits.view(self.numbers.dtype)

    @property
    def _floor(self) -> Any:
        """0 where no number has its sign bit set, else nothing that helps."""
        return -math.inf if self._greatest_bits is None else 0

    @cached_property
    def _greatest_bits(self) -> Any:
        numbers = self.numbers
        unsigned = _UNSIGNED.get(numbers.dtype)
        if unsigned is None:
            return None
        bits = numbers.view(unsigned).max()
        return None if bits >= _SIGN_BIT[numbers.dtype] else bits

    @cached_property
    def booleans(self) -> Bools:
        filled = self.array.fill_null(False) if self.has_nulls else self.array
        booleans: Bools = filled.to_numpy(zero_copy_only=False)
        return booleans

    @cached_property
    def texts(self) -> "Column":
        """This column as strings: instants are written out where a keyword needs their text."""
        if self.kind is Kind.STRING:
            return self
        return Column(Kind.STRING, pa.array(self.cells(), type=pa.string()))

    @cached_property
    def lengths(self) -> Indices:
        """The number of code points of each string."""
        offsets, data = string_buffers(self.array)
        if len(data) and data.max() >= 0x80:
            return _counted(pc.utf8_length(self.array))
        return np.diff(offsets)

    @property
    def instant_format(self) -> str:
        """The RFC 3339 format in which the instants are written."""
        is_date = types.is_date(self.array.type) and not self.is_time
        return "date" if is_date else "date-time"

    @cached_property
    def fits_rfc3339(self) -> Mask:
        """Which instants lie in the years 0000-9999, the ones that RFC 3339 can write."""
        _, unit = ticks(self.array)
        first, last = rfc3339_ticks(unit)
        if self.is_within(first, last):
            return True
        return settle((self.numbers >= first) & (self.numbers <= last))

    @cached_property
    def fields(self) -> Mapping[str, "Column"]:
        """The columns of a struct by name; a field under a null struct is undefined."""
        children = (self.array.field(index) for index in range(self.array.type.num_fields))
        names = (field.name for field in self.array.type)
        return {name: column_of(child) for name, child in zip(names, children, strict=True)}

    @cached_property
    def bounds(self) -> tuple[Indices, Indices]:
        """Where each list starts and ends in `items`."""
        starts, ends = list_bounds(self.array)
        return starts - self._items_start, ends - self._items_start

    @cached_property
    def items(self) -> "Column":
        """The items of all lists, end to end."""
        _, ends = list_bounds(self.array)
        last = int(ends[-1]) if len(ends) else 0
        return column_of(self.array.values.slice(self._items_start, last - self._items_start))

    @cached_property
    def _items_start(self) -> int:
        starts, _ = list_bounds(self.array)
        return int(starts[0]) if len(starts) else 0

    @cached_property
    def distinct(self) -> Coded:
        if self.kind in (Kind.LIST, Kind.STRUCT):
            return self._distinct_nested()
        encoded = self.array if self.is_coded else self.array.dictionary_encode()
        indices = encoded.indices.fill_null(0) if self.has_nulls else encoded.indices
        codes = stored_numbers(indices)
        dictionary = encoded.dictionary
        if len(dictionary) > self.size:  # a slice of a larger table: judge what it uses
            used, codes = np.unique(codes, return_inverse=True)
            dictionary = dictionary.take(pa.array(used))
        values = self._like(dictionary)
        values.is_distinct = True
        return Coded(values, codes)

    def _distinct_nested(self) -> Coded:
        seen: dict[str, int] = {}
        firsts: list[int] = []
        codes = np.zeros(self.size, dtype=np.int64)
        for index, cell in enumerate(self.cells()):
            code = seen.setdefault(repr(cell), len(firsts))
            if code == len(firsts):
                firsts.append(index)
            codes[index] = code
        values = self.take(np.array(firsts, dtype=np.int64))
        values.is_distinct = True
        return Coded(values, codes)

    def take(self, indices: Indices) -> "Column":
        return self._like(self.array.take(pa.array(indices)))

    def slice(self, start: int, length: int) -> "Column":
        return self._like(self.array.slice(start, length))

    def _like(self, array: Any) -> "Column":
        return Column(self.kind, array, is_time=self.is_time, unit=self.unit)

    def cells(self) -> list[Cell]:
        """The cells as they are written to JSON."""
        return write_cells(self.array, unit=self.unit, is_time=self.is_time)


class Rows(Column):
    """The rows of a record batch, seen as a struct column without nulls."""

    def __init__(self, batch: pa.RecordBatch, frame: Frame) -> None:
        self.kind = Kind.STRUCT
        self.array = batch
        self.size = batch.num_rows
        self.is_coded = self.is_distinct = self.has_nulls = False
        self.pieces = ()
        self.verdicts = {}
        self._frame = frame

    @cached_property
    def fields(self) -> Mapping[str, Column]:
        return {
            name: self._field(name, array)
            for name, array in zip(self.array.schema.names, self.array.columns, strict=True)
        }

    def _field(self, name: str, array: Any) -> Column:
        if name != self._frame.time:
            return column_of(array)
        return time_column_of(array, cast(Unit | None, self._frame.unit))

    def _like(self, array: Any) -> Column:
        return Rows(array, self._frame)

    def cells(self) -> list[Cell]:
        return list(write_rows(self.array, self._frame))


def column_of(array: Any) -> Column:
    """The column of an Arrow array that is not the time column."""
    kind = array.type
    if types.is_dictionary(kind):
        return _coded_column(array)
    return Column(kind_of(kind), array)


def time_column_of(array: Any, unit: Unit | None) -> Column:
    """The frame's time column: integers of `unit`, or RFC 3339 date-times without one."""
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if not is_instant(array.type):
        return column_of(array)
    if unit is None:
        return Column(Kind.INSTANT, array, is_time=True)
    integers = instants_as_integers(array, unit)
    if integers is not None:
        return Column(Kind.INTEGER, integers)
    return _mixed_column(array, unit)


def _coded_column(array: Any) -> Column:
    kind = array.type.value_type
    if array.dictionary.null_count or types.is_nested(kind) or types.is_null(kind):
        return column_of(array.dictionary_decode())
    return Column(kind_of(kind), array)


def _mixed_column(array: Any, unit: Unit) -> Column:
    """Instants of which some are no whole number of `unit`, or one that 64 bits cannot hold."""
    values, stored = ticks(array)
    whole = [integer_of(value, stored, unit) for value in values.tolist()]
    is_whole = np.array([number is not None for number in whole], dtype=np.bool_)
    present: Bools = array.is_valid().to_numpy(zero_copy_only=False)
    at_integers = np.flatnonzero(present & is_whole)
    at_texts = np.flatnonzero(present & ~is_whole)
    integers = pa.array([Decimal(whole[i] or 0) for i in at_integers], type=pa.decimal128(38, 0))
    pieces = (
        Piece(at_integers, Column(Kind.INTEGER, integers)),
        Piece(at_texts, Column(Kind.INSTANT, array.take(pa.array(at_texts)), is_time=True)),
    )
    return Column(Kind.MIXED, array, is_time=True, unit=unit, pieces=pieces)


def _counted(lengths: Any) -> Indices:
    counted: Indices = lengths.fill_null(0).to_numpy(zero_copy_only=False)
    return counted


_UNSIGNED: Final = {
    np.dtype(f"{kind}{size}"): np.dtype(f"u{size}")
    for kind, size in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8")
}
_SIGN_BIT: Final = {dtype: 2 ** (8 * dtype.itemsize - (dtype.kind != "u")) for dtype in _UNSIGNED}
"""The least pattern of bits that stands for a negative number; out of reach where none does."""

_KINDS: Final = (
    (types.is_null, Kind.NULL),
    (types.is_boolean, Kind.BOOLEAN),
    (types.is_integer, Kind.INTEGER),
    (types.is_decimal, Kind.INTEGER),
    (types.is_floating, Kind.FLOAT),
    (types.is_string, Kind.STRING),
    (types.is_large_string, Kind.STRING),
    (is_instant, Kind.INSTANT),
    (is_list, Kind.LIST),
    (types.is_struct, Kind.STRUCT),
)


def kind_of(kind: pa.DataType) -> Kind:
    """The kind of an Arrow type that `refuse_unwritable` has let through."""
    known = _KIND_OF_ID.get(kind.id)
    if known is None:
        known = next(found for recognise, found in _KINDS if recognise(kind))
        _KIND_OF_ID[kind.id] = known
    return known


_KIND_OF_ID: Final[dict[int, Kind]] = {}
