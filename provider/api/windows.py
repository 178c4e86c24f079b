"""The window of a request: epoch seconds or RFC 3339, snapped inward to the node's grid."""

import re
from datetime import UTC, datetime

from django.conf import settings

from coordinator.coverage import Window
from coordinator.grid import Grid
from registry.errors import InvalidInput, SeamlessError

_SECONDS = re.compile(r"-?[0-9]{1,12}")
EARLIEST = -62_135_596_800  # 0001-01-01
LATEST = 253_402_300_799  # 9999-12-31


class WindowTooLarge(SeamlessError):
    code = "window_too_large"
    status = 413
    title = "Window too large"


def read_window(start: str | None, end: str | None, grid: Grid) -> Window:
    """The grid points inside the closed [start, end].

    Raises InvalidInput (missing, unreadable, reversed, no grid point inside) and WindowTooLarge
    with the largest window that fits.
    """
    first, last = _time("start", start), _time("end", end)
    if first > last:
        raise InvalidInput(
            f"The window is reversed: start {first} is after end {last}.", parameter="start"
        )
    window = grid.snap(first, last)
    if window is None:
        raise InvalidInput(
            f"No bar lies in [{first}, {last}]: bars are every {grid.interval} s from "
            f"{grid.anchor}. Widen the window.",
            parameter="start",
            interval=grid.interval,
            anchor=grid.anchor,
        )
    largest = settings.SEAMLESS_MAX_WINDOW_BARS
    if window.bars > largest:
        fits = window.start + (largest - 1) * window.interval
        raise WindowTooLarge(
            f"The window has {window.bars} bars, at most {largest} fit. "
            f"The largest that fits from here ends at {fits}.",
            bars=window.bars,
            max_bars=largest,
            largest_window={"start": window.start, "end": fits},
        )
    return window


def _time(name: str, text: str | None) -> int:
    if text is None or not text.strip():
        raise InvalidInput(f"The parameter {name} is missing.", parameter=name)
    text = text.strip()
    seconds = int(text) if _SECONDS.fullmatch(text) else _rfc3339(name, text)
    if not EARLIEST <= seconds <= LATEST:
        raise InvalidInput(f"{name} must lie in the years 1 to 9999.", parameter=name)
    return seconds


def _rfc3339(name: str, text: str) -> int:
    # A "+" of an offset arrives as a space unless the caller escaped it.
    candidate = re.sub(r" (\d\d:\d\d)$", r"+\1", text)
    try:
        moment = datetime.fromisoformat(candidate)
    except ValueError:
        raise InvalidInput(
            f"{name} is neither epoch seconds nor RFC 3339: {text[:60]!r}.", parameter=name
        ) from None
    if moment.tzinfo is None and len(text) == len("2026-01-01"):
        moment = moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        raise InvalidInput(
            f"{name} has no zone; write 2026-01-01T00:00:00Z or an offset.", parameter=name
        )
    if moment.microsecond:
        raise InvalidInput(f"{name} is in whole seconds, not {text[:60]!r}.", parameter=name)
    return int(moment.timestamp())
