"""Which Arrow type holds every value of two types exactly, if one does."""

import pyarrow as pa
from pyarrow import types

_MOST_DIGITS = {128: 38, 256: 76}
_RESOLUTIONS = ("s", "ms", "us", "ns")


def exact_type(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """The narrowest usual type that holds all values of both, None where there is none.

    Judged by the types alone, so int64 and float64 have none: a double does not hold 2^53 + 1.
    """
    if left.equals(right):
        return left
    if types.is_null(left) or types.is_null(right):
        return right if types.is_null(left) else left
    if types.is_dictionary(left) or types.is_dictionary(right):
        return exact_type(_plain(left), _plain(right))
    for recognise, join in _FAMILIES:
        if recognise(left) and recognise(right):
            return join(left, right)
    return None


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(types.is_integer(kind) or types.is_floating(kind))


def _text(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    return pa.large_string()


def _number(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    if types.is_integer(left) and types.is_integer(right):
        return _integer(left, right)
    widest = max(left.bit_width, right.bit_width)
    if types.is_floating(left) and types.is_floating(right):
        return left if left.bit_width == widest else right
    whole = left if types.is_integer(left) else right
    return pa.float64() if whole.bit_width <= 32 else None


def _integer(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    if types.is_signed_integer(left) == types.is_signed_integer(right):
        return left if left.bit_width > right.bit_width else right
    unsigned, signed = (right, left) if types.is_signed_integer(left) else (left, right)
    needed = max(signed.bit_width, unsigned.bit_width * 2)
    return {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}.get(needed)


def _timestamp(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    if (left.tz is None) != (right.tz is None):
        return None
    finest = max(left.unit, right.unit, key=_RESOLUTIONS.index)
    return pa.timestamp(finest, left.tz if left.tz == right.tz else "UTC")


def _decimal(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    scale = max(left.scale, right.scale)
    digits = max(left.precision - left.scale, right.precision - right.scale) + scale
    if digits <= _MOST_DIGITS[128]:
        return pa.decimal128(digits, scale)
    return pa.decimal256(digits, scale) if digits <= _MOST_DIGITS[256] else None


_FAMILIES = (
    (_is_text, _text),
    (_is_number, _number),
    (types.is_timestamp, _timestamp),
    (types.is_decimal, _decimal),
)
