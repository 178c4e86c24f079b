"""The column check beside its peers: ratios of one run, the fastest of interleaved rounds.

    python benchmarks/columnar.py [--rows 100 10000 100000 1000000] [--rounds 7]

Row-based validators are timed on at most 1,000 rows that are Python dicts already, and scaled.
pandera (on polars) and dataframely take part where they are installed; they get the same frame as
polars, with the same logical checks.
"""

import argparse
import tracemalloc
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from time import perf_counter, process_time
from typing import Any

import jsonschema
import jsonschema_rs
import numpy as np
import pyarrow as pa

from registry.cells import write_rows
from registry.columnar import compile_schema
from registry.frame import frame_of

EXCHANGES = ["BINANCE", "BYBIT", "COINBASE", "KRAKEN", "OKX"]
PRICES = ["open", "high", "low", "close"]
PRICE = {"type": "number", "minimum": 0, "maximum": 1e9}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "x-seamless": {"time": "ts", "key": ["symbol"]},
    "required": ["ts", "symbol", *PRICES, "volume", "exchange", "vwap"],
    "additionalProperties": False,
    "properties": {
        "ts": {"type": "string", "format": "date-time"},
        "symbol": {"type": "string", "pattern": "^[A-Z0-9]{2,12}$"},
        **dict.fromkeys(PRICES, PRICE),
        "volume": {"type": "integer", "minimum": 0},
        "exchange": {"enum": EXCHANGES},
        "vwap": {"type": ["number", "null"], "minimum": 0},
    },
}
ROWS_JUDGED_SINGLY = 1_000

Run = Callable[[], object]
Contenders = dict[str, tuple[Run, float]]
"""Name to what is timed, and the factor that scales it to the whole table."""


def ohlcv(rows: int, bad: float, *, encoded: bool) -> pa.Table:
    """One-minute bars of 420 symbols; `bad` is the share of rows with a negative close."""
    random = np.random.default_rng(7)
    symbols = np.array([f"S{number:03d}USDT" for number in range(420)], dtype=object)
    price = np.round(random.random(rows) * 1000, 2)
    close = np.where(random.random(rows) < bad, -price - 1, price)
    symbol = pa.array(symbols[random.integers(0, len(symbols), rows)])
    exchange = pa.array(np.array(EXCHANGES, object)[random.integers(0, 5, rows)])
    if encoded:
        symbol, exchange = symbol.dictionary_encode(), exchange.dictionary_encode()
    stamps = 1_600_000_000_000_000 + np.arange(rows) * 60_000_000
    return pa.table(
        {
            "ts": pa.array(stamps, pa.timestamp("us", "UTC")),
            "symbol": symbol,
            **{name: price + shift for name, shift in zip(PRICES[:3], (0, 1, 2), strict=True)},
            "close": close,
            "volume": random.integers(0, 10**9, rows),
            "exchange": exchange,
            "vwap": pa.array(price, mask=random.random(rows) < 0.05),
        }
    )


def contenders(rows: int, bad: float) -> Contenders:
    plain, encoded = ohlcv(rows, bad, encoded=False), ohlcv(rows, bad, encoded=True)
    check = compile_schema(SCHEMA).check
    numbers = [
        np.frombuffer(column.chunk(0).buffers()[1], np.int64)[:rows]
        for column in (plain.column(name) for name in ["ts", *PRICES, "volume", "vwap"])
    ]
    found: Contenders = {
        "column check, plain strings": (lambda: check(plain), 1),
        "column check, dictionary": (lambda: check(encoded), 1),
        "one min/max pass, 7 columns": (lambda: [(c.min(), c.max()) for c in numbers], 1),
    }
    sample = write_rows(plain.slice(0, ROWS_JUDGED_SINGLY), frame_of(SCHEMA))
    for name, is_valid in (("jsonschema", _jsonschema()), ("jsonschema-rs", _jsonschema_rs())):
        found[f"{name}, per row"] = (lambda f=is_valid: [f(r) for r in sample], rows / len(sample))
    if find_spec("polars"):
        found |= dict(_on_polars(plain))
    return found


def _jsonschema() -> Callable[[Any], bool]:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(SCHEMA, format_checker=checker).is_valid


def _jsonschema_rs() -> Callable[[Any], bool]:
    return jsonschema_rs.validator_for(SCHEMA, validate_formats=True).is_valid


def _on_polars(table: pa.Table) -> Iterator[tuple[str, tuple[Run, float]]]:
    import polars

    frame = polars.from_arrow(table)
    if find_spec("pandera"):
        judge = _pandera()
        yield "pandera (polars)", (lambda: judge(frame, lazy=False), 1)
        # What we always do: find every bad row, not only the first.
        yield "pandera (polars), all rows", (lambda: judge(frame, lazy=True), 1)
    if find_spec("dataframely"):
        bars = _dataframely()
        yield "dataframely", (lambda: bars.is_valid(frame), 1)


def _pandera() -> Callable[..., bool]:
    import pandera.polars as pandera
    import polars
    from pandera.errors import SchemaError, SchemaErrors

    price = [pandera.Check.ge(0), pandera.Check.le(1e9)]
    schema = pandera.DataFrameSchema(
        {
            "ts": pandera.Column(polars.Datetime("us", "UTC")),
            "symbol": pandera.Column(str, pandera.Check.str_matches("^[A-Z0-9]{2,12}$")),
            **{name: pandera.Column(float, price) for name in PRICES},
            "volume": pandera.Column(int, pandera.Check.ge(0)),
            "exchange": pandera.Column(str, pandera.Check.isin(EXCHANGES)),
            "vwap": pandera.Column(float, pandera.Check.ge(0), nullable=True),
        },
        strict=True,
    )

    def judge(frame: Any, *, lazy: bool) -> bool:
        try:
            schema.validate(frame, lazy=lazy)
        except (SchemaError, SchemaErrors):
            return False
        return True

    return judge


def _dataframely() -> Any:
    import dataframely as dy

    class Bars(dy.Schema):
        ts = dy.Datetime(nullable=False, time_zone="UTC", time_unit="us")
        symbol = dy.String(nullable=False, regex="^[A-Z0-9]{2,12}$")
        open = dy.Float64(nullable=False, min=0, max=1e9)
        high = dy.Float64(nullable=False, min=0, max=1e9)
        low = dy.Float64(nullable=False, min=0, max=1e9)
        close = dy.Float64(nullable=False, min=0, max=1e9)
        volume = dy.Int64(nullable=False, min=0)
        exchange = dy.Enum(EXCHANGES, nullable=False)
        vwap = dy.Float64(nullable=True, min=0)

    class Plain(Bars):
        exchange = dy.String(nullable=False, check=lambda column: column.is_in(EXCHANGES))

    return Plain


def measure(rows: int, bad: float, rounds: int) -> dict[str, tuple[float, float]]:
    """Seconds of each contender, by the clock and of CPU over all threads.

    The least over rounds that take turns, so that what else the machine did is left out.
    """
    found = contenders(rows, bad)
    repeats = max(1, 2_000 // rows)
    clock: dict[str, list[float]] = {name: [] for name in found}
    cpu: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, (run, factor) in found.items():
            start, cpu_start = perf_counter(), process_time()
            for _ in range(repeats):
                run()
            cpu[name].append((process_time() - cpu_start) / repeats * factor)
            clock[name].append((perf_counter() - start) / repeats * factor)
    return {name: (min(clock[name]), min(cpu[name])) for name in found}


def peak_extra_memory(rows: int) -> float:
    """Most bytes that a check holds at a time, beside the table's own, as a share of them."""
    table = ohlcv(rows, 0.01, encoded=False)
    check = compile_schema(SCHEMA).check
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    tracemalloc.start()
    check(table)
    _, numpy_peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    arrow_peak = max(pool.max_memory() - before, 0)
    return (numpy_peak + arrow_peak) / table.nbytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    for name in ("polars", "pandera", "dataframely"):
        if not find_spec(name):
            print(f"{name}: skipped, not installed")
    print(f"peak extra memory: {peak_extra_memory(1_000_000):.2f} of the table")
    for rows in arguments.rows:
        for bad in (0.0, 0.01):
            _print(rows, bad, measure(rows, bad, arguments.rounds))


def _print(rows: int, bad: float, seconds: dict[str, tuple[float, float]]) -> None:
    plain, plain_cpu = seconds["column check, plain strings"]
    encoded, encoded_cpu = seconds["column check, dictionary"]
    print(f"\n{rows:,} rows x 9, {bad:.0%} bad{'wall':>44}{'CPU':>37}")
    print(f"{'':30}{'ms':>13}{'/plain':>12}{'/dict':>12}{'ms':>13}{'/plain':>12}{'/dict':>12}")
    for name, (wall, cpu) in seconds.items():
        print(
            f"{name:30}{wall * 1e3:13,.2f}{wall / plain:12,.2f}{wall / encoded:12,.2f}"
            f"{cpu * 1e3:13,.2f}{cpu / plain_cpu:12,.2f}{cpu / encoded_cpu:12,.2f}"
        )


if __name__ == "__main__":
    main()
