"""The demo's storage: what is there at the start, with holes, and what another writer does."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from coordinator.coverage import CoverageRange, Int64s
from provider.sources import open_source
from provider.stores.parquet import directory_name
from provider.timeline import read_times

STOCKS = "ohlcv:us:1d"
SEA = "sst:buoy:30m"
STOCKS_SOURCE = {"type": "sample", "dataset": "stocks"}
SEA_SOURCE = {"type": "sample", "dataset": "sea-temperature"}
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
LISTED = {"FB": "2012-05-18", "GOOG": "2004-08-19"}


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Hole:
    """What storage lacks: one symbol (or all of them) from one day to another."""

    symbol: str | None
    first: str
    last: str


STOCK_WINDOW = ("2012-06-01", "2013-01-31")
STOCK_HOLES = (
    Hole("AAPL", "2012-09-04", "2012-11-30"),
    Hole("FB", "2012-06-29", "2012-06-29"),
    Hole(None, "2012-12-10", "2012-12-21"),
)
SEA_WINDOW = ("2016-07-01", "2017-03-22")
SEA_HOLE = ("2016-09-01T00:00:00", "2016-09-30T23:30:00")


def load_stocks(bars: Path) -> int:
    """Write the stored daily bars, with their holes; how many rows that is."""
    table = _fetch(STOCKS_SOURCE, *STOCK_WINDOW)
    days = _epoch(table.column("session"))
    keep = np.ones(table.num_rows, np.bool_)
    for hole in STOCK_HOLES:
        inside = (days >= seconds(hole.first)) & (days <= seconds(hole.last))
        if hole.symbol is not None:
            inside &= np.asarray(pc.equal(table.column("symbol"), hole.symbol))
        keep &= ~inside
    return _write(bars, STOCKS, "2012.parquet", table.filter(pa.array(keep)))


def load_sea(bars: Path) -> int:
    """Write the stored temperatures, without one month that the upstream has."""
    table = _fetch(SEA_SOURCE, *SEA_WINDOW)
    times = _epoch(table.column("time"))
    inside = (times >= seconds(SEA_HOLE[0])) & (times <= seconds(SEA_HOLE[1]))
    return _write(bars, SEA, "readings.parquet", table.filter(pa.array(~inside)))


@dataclass(frozen=True, slots=True)
class Drift:
    """One way in which another writer's file departs from what was agreed."""

    name: str
    first: str
    last: str
    change: Callable[[pa.Table], pa.Table]


def _close_as_text(table: pa.Table) -> pa.Table:
    position = table.column_names.index("close")
    return table.set_column(position, "close", table.column("close").cast(pa.string()))


def _unknown_symbol(table: pa.Table) -> pa.Table:
    position = table.column_names.index("symbol")
    symbol = table.column("symbol").cast(pa.string())
    return table.set_column(
        position, "symbol", pc.if_else(pc.equal(symbol, "GOOG"), "GOOGL", symbol)
    )


def _no_volume(table: pa.Table) -> pa.Table:
    return table.drop_columns(["volume"])


DRIFTS = (
    Drift("close becomes text", "2013-02-04", "2013-02-08", _close_as_text),
    Drift("GOOG becomes GOOGL", "2013-02-11", "2013-02-15", _unknown_symbol),
    Drift("volume disappears", "2013-02-19", "2013-02-22", _no_volume),
)


def write_drift(bars: Path, drift: Drift) -> int:
    """Put the drifted rows of its week into storage, past every check, as another program would."""
    table = drift.change(_fetch(STOCKS_SOURCE, drift.first, drift.last))
    return _write(bars, STOCKS, f"{drift.first}-other-writer.parquet", table)


def _fetch(settings: dict[str, str], first: str, last: str) -> pa.Table:
    return open_source(settings).fetch(CoverageRange(seconds(first), seconds(last)), [], None)


def _epoch(column: pa.ChunkedArray) -> Int64s:
    return read_times(column, None).seconds


def _write(bars: Path, node_id: str, name: str, table: pa.Table) -> int:
    """Whole or not at all: written beside its name, then renamed."""
    folder = bars / directory_name(node_id)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.tmp"
    pq.write_table(table, temporary)
    temporary.rename(folder / name)
    return table.num_rows
