"""Exchange calendars behind one door: when a market is open, as epoch seconds.

Everything the rest of the house needs of `exchange_calendars` passes here, because building one is
slow (seconds for some exchanges), warns under current pandas, and covers only the last twenty years
unless told where to start.
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from coordinator.coverage import Int64s

DAY = 86_400
_AVERAGE_YEAR = 31_556_952
_NO_TIME = np.iinfo(np.int64).min
# Built in steps of this many years, so that neighbouring windows share one calendar.
_YEARS_AT_ONCE = 25


class UnknownCalendar(ValueError):
    """No exchange calendar has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no exchange calendar {name!r}; use an ISO 10383 code such as XNYS, "
            'or "" where every bar of the grid is expected'
        )
        self.name = name


class OutsideCalendar(ValueError):
    """The calendar says nothing about a part of the window."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"calendar {name} does not reach this far: {reason}; ask for less")
        self.name = name


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """The sessions of a calendar, ascending: dates as 00:00 UTC, and their open intervals.

    `opens` and `closes` are the continuous trading spells (two a day where there is a break):
    a bar stamped with its start belongs to one when `open <= bar < close`. `known_from` and
    `known_to` bound what the calendar can speak of.
    """

    dates: Int64s
    opens: Int64s
    closes: Int64s
    known_from: int
    known_to: int


def check_calendar(name: str) -> None:
    """Raise UnknownCalendar unless an exchange calendar has this name (or alias)."""
    from exchange_calendars import get_calendar_names

    if name not in get_calendar_names():
        raise UnknownCalendar(name)


def open_bars(calendar: str, bars: Int64s, interval: int) -> Int64s:
    """Those of the ascending `bars` on which the calendar is open.

    Bars of a day or more are session bars, stamped 00:00 UTC of the session date (opening times
    move with daylight saving, dates do not). Shorter bars are stamped with their start.

    Raises UnknownCalendar and OutsideCalendar.
    """
    if len(bars) == 0:
        return bars
    sessions = _sessions_between(calendar, int(bars[0]), int(bars[-1]))
    if interval >= DAY:
        return bars[np.isin(bars, sessions.dates, kind="sort")]
    spell = np.searchsorted(sessions.opens, bars, side="right") - 1
    is_open = (spell >= 0) & (bars < sessions.closes[spell])
    return bars[is_open]


def _sessions_between(calendar: str, start: int, end: int) -> Sessions:
    first, last = _year(calendar, start), _year(calendar, end)
    sessions = _sessions(
        calendar,
        first - first % _YEARS_AT_ONCE,
        last - last % _YEARS_AT_ONCE + _YEARS_AT_ONCE,
    )
    if start < sessions.known_from or end > sessions.known_to:
        known = np.array([sessions.known_from, sessions.known_to]).astype("datetime64[s]")
        raise OutsideCalendar(calendar, f"it is known from {known[0]} to {known[1]}")
    return sessions


def _year(calendar: str, time: int) -> int:
    year = time // _AVERAGE_YEAR + 1970
    if not 1900 <= year < 2200:
        raise OutsideCalendar(calendar, "years 1900 to 2199 are supported")
    return year


@lru_cache(maxsize=64)
def _sessions(name: str, first_year: int, past_year: int) -> Sessions:
    # A session can open on the evening before its date: a margin keeps those of the edges.
    start = np.datetime64(str(first_year), "D") - 10
    end = np.datetime64(str(past_year), "D") + 10
    with warnings.catch_warnings():
        # The library still passes deprecated options to pandas 3.
        warnings.simplefilter("ignore")
        built, known_from, known_to = _build(name, start, end)
    breaks = built.break_starts_nanos != _NO_TIME
    return Sessions(
        dates=_seconds(built.sessions.asi8),
        opens=_sorted(built.opens_nanos, built.break_ends_nanos[breaks]),
        closes=_sorted(built.closes_nanos, built.break_starts_nanos[breaks]),
        known_from=int(known_from.astype("datetime64[s]").astype(np.int64)),
        known_to=int(known_to.astype("datetime64[s]").astype(np.int64)) + DAY - 1,
    )


def _build(
    name: str, start: np.datetime64, end: np.datetime64
) -> tuple[Any, np.datetime64, np.datetime64]:
    """The calendar over as much of [start, end] as it knows, with those bounds."""
    from exchange_calendars import errors, get_calendar

    try:
        default = get_calendar(name)
    except errors.InvalidCalendarName:
        raise UnknownCalendar(name) from None
    earliest, latest = type(default).bound_min(), type(default).bound_max()
    start = start if earliest is None else max(start, np.datetime64(earliest, "D"))
    end = end if latest is None else min(end, np.datetime64(latest, "D"))
    if start >= end:
        raise OutsideCalendar(name, f"it is known from {earliest} to {latest}")
    return get_calendar(name, start=str(start), end=str(end)), start, end


def _sorted(*nanos: Int64s) -> Int64s:
    return np.sort(np.concatenate([_seconds(part) for part in nanos]))


def _seconds(nanos: Int64s) -> Int64s:
    seconds: Int64s = nanos // 1_000_000_000
    return seconds
