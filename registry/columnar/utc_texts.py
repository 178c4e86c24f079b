"""Date-times in their usual text, `YYYY-MM-DDThh:mm:ss[.f]Z`, recognised a column at a time."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from registry.columnar.buffers import string_buffers
from registry.columnar.column import Column
from registry.columnar.masks import Bools

Bytes = npt.NDArray[np.uint8]

_SHORTEST: Final = 20
_LENGTHS: Final = 8
"""So many lengths are looked at; a column of more is no column of machine-made times."""
_DIGITS: Final = np.array([0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18])
_MARKS: Final = {4: ord("-"), 7: ord("-"), 10: ord("T"), 13: ord(":"), 16: ord(":")}
_DAYS: Final = np.zeros(256, dtype=np.uint8)
_DAYS[1:13] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


def usual_date_times(texts: Column) -> Bools:
    """Which strings are date-times in that text: True is a proof, False asks for a closer look."""
    proven = np.zeros(texts.size, dtype=np.bool_)
    offsets, _ = string_buffers(texts.array)
    lengths = np.diff(offsets)
    found = np.unique(lengths)
    if len(found) <= _LENGTHS:
        for length in found[found >= _SHORTEST].tolist():
            at = np.flatnonzero(lengths == length)
            proven[at] = _are_date_times(_block(texts.array, at, length))
    return proven


def _block(array: Any, at: npt.NDArray[np.int64], length: int) -> Bytes:
    """The bytes of the strings `at`, all of that length: one row a string."""
    chosen = array if len(at) == len(array) else array.take(pa.array(at))
    _, data = string_buffers(chosen)
    return data.reshape(-1, length)


def _are_date_times(texts: Bytes) -> Bools:
    digits = texts - ord("0")
    ok: Bools = np.logical_and.reduce(digits[:, _DIGITS] <= 9, axis=1)
    for position, mark in _MARKS.items():
        ok &= texts[:, position] == mark
    ok &= texts[:, -1] == ord("Z")
    if texts.shape[1] > _SHORTEST:
        ok &= texts[:, 19] == ord(".")
        ok &= np.logical_and.reduce(digits[:, 20:-1] <= 9, axis=1)
        ok &= texts.shape[1] > _SHORTEST + 1
    hour, minute, second = (_two(digits, position) for position in (11, 14, 17))
    return ok & _are_days(digits) & (hour <= 23) & (minute <= 59) & (second <= 59)


def _are_days(digits: Bytes) -> Bools:
    century, of_century = _two(digits, 0), _two(digits, 2)
    month, day = _two(digits, 5), _two(digits, 8)
    is_leap = np.where(of_century == 0, century % 4 == 0, of_century % 4 == 0)
    allowed: Bools = (day >= 1) & (day <= _DAYS[month] + ((month == 2) & is_leap))
    return allowed


def _two(digits: Bytes, position: int) -> Bytes:
    """The number that two digits make; nonsense where they are none."""
    return digits[:, position] * np.uint8(10) + digits[:, position + 1]
