"""The buffers of Arrow arrays as numpy arrays, without a copy where that can be."""

from typing import Any

import numpy as np
import numpy.typing as npt
from pyarrow import types

Numbers = npt.NDArray[Any]


def stored_numbers(array: Any) -> Numbers:
    """The values buffer of a primitive array, without a copy."""
    dtype = np.dtype(array.type.to_pandas_dtype())
    data = array.buffers()[1]
    if data is None:
        return np.zeros(len(array), dtype=dtype)
    return np.frombuffer(data, dtype, count=len(array), offset=array.offset * dtype.itemsize)


def unscaled_integers(array: Any) -> Numbers:
    """The integers of a decimal array: its numbers times 10**scale (as they are, below scale 0)."""
    kind = array.type
    words = kind.byte_width // 8
    parts = _words(array, words)
    low = parts[:, 0]
    if kind.scale >= 0 and all((parts[:, i] == low >> 63).all() for i in range(1, words)):
        return low
    result = parts[:, -1].astype(object)
    for index in reversed(range(words - 1)):
        result = (result << 64) + parts[:, index].view(np.uint64).astype(object)
    integers: Numbers = result * 10 ** max(-kind.scale, 0)
    return integers


def _words(array: Any, words: int) -> Numbers:
    """The values buffer of a decimal array: one row of 64-bit words a cell, lowest first."""
    data = array.buffers()[1]
    if data is None:
        return np.zeros((len(array), words), dtype=np.int64)
    flat = np.frombuffer(data, np.int64, count=len(array) * words, offset=array.offset * words * 8)
    return flat.reshape(len(array), words)


def string_buffers(array: Any) -> tuple[Numbers, npt.NDArray[np.uint8]]:
    """The offsets of a (large) string array and the bytes between the first and the last."""
    wide = types.is_large_string(array.type)
    dtype: type[np.signedinteger[Any]] = np.int64 if wide else np.int32
    _, starts, data = array.buffers()
    if starts is None or not len(array):
        return np.zeros(len(array) + 1, dtype=dtype), np.zeros(0, dtype=np.uint8)
    item = np.dtype(dtype).itemsize
    offsets = np.frombuffer(starts, dtype, count=len(array) + 1, offset=array.offset * item)
    first, last = int(offsets[0]), int(offsets[-1])
    if data is None or first == last:
        return offsets - first, np.zeros(0, dtype=np.uint8)
    return offsets, np.frombuffer(data, np.uint8, count=last - first, offset=first)
