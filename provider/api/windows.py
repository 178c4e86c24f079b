"""The window of a request: epoch seconds or RFC 3339, snapped inward to the node's grid."""

from django.conf import settings

from coordinator.coverage import Window
from coordinator.grid import Grid
from coordinator.instants import read_instant
from registry.errors import InvalidInput, SeamlessError


class WindowTooLarge(SeamlessError):
    code = "window_too_large"
    status = 413
    title = "Window too large"


def read_window(start: str | None, end: str | None, grid: Grid) -> Window:
    """The grid points inside the closed [start, end].

    Raises InvalidInput (missing, unreadable, reversed, no grid point inside) and WindowTooLarge
    with the largest window that fits.
    """
    first, last = read_instant("start", start), read_instant("end", end)
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
