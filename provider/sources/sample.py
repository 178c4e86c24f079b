"""Real bars that need no network: three files of the package `bokeh-sampledata`.

- `stocks`: 12,154 daily bars of five US stocks, 2000-03-01 to 2013-03-01 (public domain), with
  columns session, symbol, open, high, low, close, volume; prices are unadjusted for splits.
- `sea-temperature`: 19,226 half-hourly readings, 2016-02-15 to 2017-03-22, with columns time and
  temperature (degrees Celsius). 24 readings are missing and one time appears twice.
- `glucose`: 52,281 readings of a sensor every five minutes, 2010-03-24 to 2010-10-10 (public
  domain), with columns time (its clock's, taken as UTC), glucose (mg/dL) and isig (nA, 1,061 are
  null). Its clock drifts, so no grid holds its times; 187 gaps, three times with two readings.
"""

import gzip
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from coordinator.coverage import CoverageRange
from provider.sources.environment import SourceEnvironment
from provider.sources.settings import InvalidSourceSettings, refuse_unknown
from provider.timeline import Key, read_times


def _stocks() -> pa.Table:
    rows = _csv("stocks.csv.gz", {"Date": pa.timestamp("s"), "Volume": pa.int64()})
    columns = {
        "symbol": "Ticker",
        "open": "Open",
        "high": "High",
        "low": "Low",
        "close": "Close",
        "volume": "Volume",
    }
    session = rows.column("Date").cast(pa.timestamp("s", "UTC"))
    bars = {name: rows.column(given) for name, given in columns.items()}
    return pa.table({"session": session, **bars})


def _sea_temperature() -> pa.Table:
    rows = _csv("sea_surface_temperature.csv.gz", {"time (UTC)": pa.string()})
    return rows.rename_columns(["time", "temperature"])


def _glucose() -> pa.Table:
    rows = _csv("CGM.csv.gz", {"datetime": pa.timestamp("s"), "glucose": pa.float64()}, ["nil"])
    times = rows.column("datetime").cast(pa.timestamp("s", "UTC"))
    return pa.table({"time": times, "glucose": rows.column("glucose"), "isig": rows.column("isig")})


@dataclass(frozen=True, slots=True)
class _Dataset:
    time: str
    load: Callable[[], pa.Table]


_DATASETS = {
    "stocks": _Dataset("session", _stocks),
    "glucose": _Dataset("time", _glucose),
    "sea-temperature": _Dataset("time", _sea_temperature),
}


@dataclass(frozen=True, slots=True)
class SampleSource:
    """One of the data sets as an upstream: `stocks`, `sea-temperature` or `glucose`."""

    dataset: str

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], environment: SourceEnvironment) -> Self:
        """From `{"dataset": name}`; raises InvalidSourceSettings."""
        refuse_unknown(settings, ("dataset",))
        name = settings.get("dataset")
        if name not in _DATASETS:
            known = ", ".join(sorted(_DATASETS))
            raise InvalidSourceSettings("dataset", f"is {name!r}; use {known}")
        return cls(name)

    def can_fetch(self, span: CoverageRange) -> bool:
        """Whether the range and the data set meet."""
        _, seconds = _loaded(self.dataset)
        return bool(span.start <= seconds.max() and seconds.min() <= span.end)

    def fetch(self, span: CoverageRange, keys: Sequence[Key], deadline: float | None) -> pa.Table:
        """See `provider.sources.Source`."""
        table, seconds = _loaded(self.dataset)
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError(f"the deadline passed before {self.dataset} was read")
        inside = np.flatnonzero((seconds >= span.start) & (seconds <= span.end))
        rows = table.take(inside)
        return rows.filter(_any_of(rows, keys)) if keys else rows


def _any_of(rows: pa.Table, keys: Sequence[Key]) -> pa.ChunkedArray:
    chosen = pa.chunked_array([np.zeros(rows.num_rows, np.bool_)])
    for key in keys:
        one = pa.chunked_array([np.ones(rows.num_rows, np.bool_)])
        for column, value in key.items():
            one = pc.and_(one, pc.equal(rows.column(column), value))
        chosen = pc.or_(chosen, one)
    return chosen


@lru_cache(maxsize=len(_DATASETS))
def _loaded(name: str) -> tuple[pa.Table, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    dataset = _DATASETS[name]
    table = dataset.load()
    return table, read_times(table.column(dataset.time), None).seconds


def _csv(name: str, column_types: Mapping[str, pa.DataType], nulls: Sequence[str] = ()) -> pa.Table:
    packed = (files("bokeh_sampledata") / "_data" / name).read_bytes()
    options = csv.ConvertOptions(column_types=dict(column_types))
    options.null_values = [*options.null_values, *nulls]
    return csv.read_csv(pa.BufferReader(gzip.decompress(packed)), convert_options=options)
