"""Which rows lie in a range, where a store cannot tell by itself."""

import numpy as np
import pyarrow as pa

from provider.timeline import read_times


def rows_in_range(table: pa.Table, time: str, unit: str | None, start: int, end: int) -> pa.Table:
    """The rows in the closed [start, end] epoch seconds, and those without a readable time."""
    times = read_times(table.column(time), unit)
    not_past = (times.seconds < end) | ((times.seconds == end) & (times.nanos == 0))
    kept = ~times.readable | ((times.seconds >= start) & not_past)
    return table if kept.all() else table.take(np.flatnonzero(kept))
