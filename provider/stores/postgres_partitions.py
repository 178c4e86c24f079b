"""Which monthly partitions the bars of a table of PostgreSQL need."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from psycopg import sql
from pyarrow import types

from provider.timeline import PER_SECOND, read_times

_FIRST_YEAR, _LAST_YEAR = 1, 9998


def month_partitions(
    times: pa.ChunkedArray, unit: str | None
) -> Iterator[tuple[str, sql.Composable, sql.Composable]]:
    """(suffix, from, to) of each UTC month that has a time; rows elsewhere go to the default.

    A column that is neither a timestamp nor an integer of a declared unit has none.
    """
    integers = types.is_integer(times.type) and unit is not None
    if not integers and not types.is_timestamp(times.type):
        return
    read = read_times(times, unit)
    months = read.seconds[read.readable].astype("datetime64[s]").astype("datetime64[M]")
    for month in np.unique(months).astype(np.int64).tolist():
        year, number = divmod(month, 12)
        if not _FIRST_YEAR <= year + 1970 <= _LAST_YEAR:
            continue
        first = datetime(year + 1970, number + 1, 1, tzinfo=UTC)
        last = datetime(year + 1970 + (number == 11), (number + 1) % 12 + 1, 1, tzinfo=UTC)
        per_second = PER_SECOND[unit] if integers and unit is not None else None
        yield f"{first:%Y%m}", _bound(first, per_second), _bound(last, per_second)


def _bound(moment: datetime, per_second: int | None) -> sql.Composable:
    if per_second is None:
        return sql.Literal(f"{moment:%Y-%m-%d %H:%M:%S}+00")
    return sql.Literal(int(moment.timestamp()) * per_second)
