"""Points in time: Arrow timestamps and dates as RFC 3339 text or as integers of a unit.

The text depends on the instant only, never on the store's resolution: the fraction has 0, 3, 6 or
9 digits, as few as hold the value. Years outside 0000-9999 have no RFC 3339 form and are written
with a sign and more digits (ISO 8601 expanded years), which every asserted time format refuses.
"""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Unit = Literal["s", "ms", "us", "ns"]
Int64s = npt.NDArray[np.int64]

PER_SECOND: Final[dict[str, int]] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
FIRST_SECOND: Final = -62_167_219_200  # 0000-01-01T00:00:00Z
LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z
_DAY: Final = 86_400
_INT64: Final = np.iinfo(np.int64)


def is_instant(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def ticks(array: pa.Array) -> tuple[Int64s, str]:
    """The stored integers of a timestamp or date array and their unit (`D` for date32)."""
    kind = array.type
    if pa.types.is_date32(kind):
        return _raw(array, np.int32).astype(np.int64), "D"
    return _raw(array, np.int64), "ms" if pa.types.is_date64(kind) else kind.unit


def _raw(array: pa.Array, dtype: type[np.signedinteger]) -> npt.NDArray[np.signedinteger]:
    data = array.buffers()[1]
    if data is None:
        return np.zeros(len(array), dtype=dtype)
    item = np.dtype(dtype).itemsize
    return np.frombuffer(data, dtype=dtype, count=len(array), offset=array.offset * item)


def instants_as_integers(array: pa.Array, unit: Unit) -> pa.Array | None:
    """The int64 array of these instants in `unit`, nulls kept.

    None where one of them is no whole number of units or does not fit into 64 bits.
    """
    values, stored = ticks(array)
    if array.null_count:
        values = np.where(array.is_null(), 0, values)
    up, down = _ratio(stored, unit)
    if down > 1:
        whole, rest = np.divmod(values, down)
        if rest.any():
            return None
    else:
        if len(values) and max(abs(int(values.min())), abs(int(values.max()))) * up > _INT64.max:
            return None
        whole = values * up if up > 1 else values
    mask = np.asarray(array.is_null()) if array.null_count else None
    return pa.array(whole, type=pa.int64(), mask=mask)


def _ratio(stored: str, unit: str) -> tuple[int, int]:
    """`stored` ticks times `up` divided by `down` are `unit` ticks; one of the two is 1."""
    if stored == "D":
        return _DAY * PER_SECOND[unit], 1
    have, want = PER_SECOND[stored], PER_SECOND[unit]
    return (want // have, 1) if want >= have else (1, have // want)


def integer_of(value: int, stored: str, unit: Unit) -> int | None:
    """One instant in `unit` with unlimited digits; None where it is no whole number of units."""
    up, down = _ratio(stored, unit)
    whole, rest = divmod(value * up, down)
    return None if rest else whole


def rfc3339_ticks(unit: str) -> tuple[int, int]:
    """The first and last tick of the years 0000-9999."""
    if unit == "D":
        return FIRST_SECOND // _DAY, LAST_SECOND // _DAY
    per = PER_SECOND[unit]
    return FIRST_SECOND * per, LAST_SECOND * per + per - 1


def date_time_texts(values: Int64s, unit: str) -> list[str]:
    """RFC 3339 `date-time` of each tick, in UTC."""
    if unit == "D":
        return [f"{day}T00:00:00Z" for day in date_texts(values, "D")]
    per = PER_SECOND[unit]
    seconds, parts = np.divmod(values, per)
    near = (seconds >= FIRST_SECOND) & (seconds <= LAST_SECOND)
    texts: list[str] = np.where(near, seconds, 0).astype("M8[s]").astype(str).tolist()
    if not near.all():
        for index in np.flatnonzero(~near).tolist():
            texts[index] = _far_date_time(int(seconds[index]))
    if not parts.any():
        return [text + "Z" for text in texts]
    nanos = (parts * (10**9 // per)).tolist()
    return [text + _fraction(part) + "Z" for text, part in zip(texts, nanos, strict=True)]


def date_texts(values: Int64s, unit: str) -> list[str]:
    """RFC 3339 `full-date` of each tick: days, or milliseconds of a date64."""
    days = values if unit == "D" else np.floor_divide(values, _DAY * PER_SECOND[unit])
    near = (days >= FIRST_SECOND // _DAY) & (days <= LAST_SECOND // _DAY)
    texts: list[str] = np.where(near, days, 0).astype("M8[D]").astype(str).tolist()
    if not near.all():
        for index in np.flatnonzero(~near).tolist():
            texts[index] = _far_date(int(days[index]))
    return texts


def _fraction(nanos: int) -> str:
    if not nanos:
        return ""
    digits = f"{nanos:09d}"
    return "." + (
        digits[:3]
        if digits.endswith("000000")
        else digits[:6].ljust(6)
        if digits.endswith("000")
        else digits
    )


def _far_date_time(second: int) -> str:
    day, rest = divmod(second, _DAY)
    return f"{_far_date(day)}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"


def _far_date(day: int) -> str:
    """Proleptic Gregorian date of a day number (H. Hinnant, chrono-compatible date algorithms)."""
    era, of_era = divmod(day + 719_468, 146_097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    of_month = of_year - (153 * shifted + 2) // 5 + 1
    return f"{'-' if year < 0 else '+'}{abs(year):04d}-{month:02d}-{of_month:02d}"
