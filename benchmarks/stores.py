"""Rows in and out of each store, beside the same client without what a store of ours promises.

    python -m benchmarks.stores [--rows 200000] [--rounds 5] [--backfill 10000000]

Starts a PostgreSQL and, where Java and Maven are, a QuestDB of its own. A peer writes the same rows
with the store's own client and reads them back into one Arrow table: no segments, no checksums, no
staging, no other columns than the rows'.
"""

import argparse
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import httpx2
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from config.stack.processes import Guardian

START, INTERVAL = 1_577_836_800, 60
SYMBOLS = [f"S{number:02d}" for number in range(10)]
COLUMNS = ("ts", "symbol", "open", "high", "low", "close", "volume")
QUESTDB_TYPES = "ts LONG, symbol SYMBOL, open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE"


@dataclass(frozen=True)
class Contender:
    """A store and its peer; each write has a place of its own, each read the last one's rows."""

    write: Callable[[pa.Table], None]
    read: Callable[[], int]
    peer_write: Callable[[pa.Table], None]
    peer_read: Callable[[], int]


def bars_of(rows: int, first: int = 0) -> pa.Table:
    bars = rows // len(SYMBOLS)
    times = np.repeat(START + INTERVAL * np.arange(first, first + bars), len(SYMBOLS))
    price = np.random.default_rng(first).uniform(1, 1_000, len(times))
    return pa.table(
        {
            "ts": pa.array(times),
            "symbol": pa.array(np.tile(np.array(SYMBOLS, object), bars)),
            **{name: pa.array(price + shift) for shift, name in enumerate(COLUMNS[2:6])},
            "volume": pa.array(np.arange(len(times))),
        }
    )


def end_of(rows: int) -> int:
    return START + (rows // len(SYMBOLS) - 1) * INTERVAL


# --- the contenders -------------------------------------------------------------------------------


def ours(
    open_store: Callable[[str], Any], rows: int
) -> tuple[Callable[[pa.Table], None], Callable[[], int]]:
    """Write a segment into a store of its own, read the last one."""
    written: list[tuple[Any, str]] = []

    def write(table: pa.Table) -> None:
        store = open_store(f"bench_{secrets.token_hex(4)}")
        written.append((store, store.stage(table, 1, 1).name))

    def read() -> int:
        store, name = written[-1]
        return sum(piece.table.num_rows for piece in store.read(START, end_of(rows), [name]))

    return write, read


def parquet(folder: Path, rows: int) -> Contender:
    from provider.stores.parquet import ParquetStore

    files: list[Path] = []

    def peer_write(table: pa.Table) -> None:
        files.append(folder / f"{len(files)}.parquet")
        pq.write_table(table, files[-1], compression="zstd")
        with files[-1].open("rb") as file:
            os.fsync(file.fileno())

    write, read = ours(lambda name: ParquetStore(folder / name, time="ts", unit="s"), rows)
    return Contender(write, read, peer_write, lambda: pq.read_table(files[-1]).num_rows)


def postgresql(url: str, rows: int) -> Contender:
    from provider.stores.postgres import PostgresStore

    connection, tables = adbc.connect(url), [""]

    def peer_write(table: pa.Table) -> None:
        tables[0] = f"bare_{secrets.token_hex(4)}"
        with connection.cursor() as cursor:
            cursor.execute(
                f"CREATE TABLE {tables[0]} (ts bigint, symbol text, open float8, high float8,"
                " low float8, close float8, volume bigint, PRIMARY KEY (ts, symbol))"
            )
            cursor.adbc_ingest(tables[0], table, mode="append")
        connection.commit()

    def peer_read() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT * FROM {tables[0]} WHERE ts BETWEEN {START} AND {end_of(rows)} ORDER BY ts"
            )
            return int(cursor.fetch_arrow_table().num_rows)

    write, read = ours(lambda name: PostgresStore(url, name, time="ts", unit="s"), rows)
    return Contender(write, read, peer_write, peer_read)


def questdb(url: str, wire_url: str, http_port: int, rows: int) -> Contender:
    from provider.stores.questdb import ROWS_IN_A_REQUEST, QuestDBStore
    from provider.stores.questdb_lines import bodies
    from provider.stores.questdb_wire import questdb_at

    server, tables = questdb_at(url), [""]
    http = httpx2.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=60)
    wire = psycopg.connect(wire_url, autocommit=True)

    def peer_write(table: pa.Table) -> None:
        tables[0] = f"bare_{secrets.token_hex(4)}"
        wire.execute(
            f"CREATE TABLE {tables[0]} ({QUESTDB_TYPES}, volume LONG, at TIMESTAMP)"
            " TIMESTAMP(at) PARTITION BY MONTH WAL DEDUP UPSERT KEYS(at, symbol)"
        )
        columns = [(name, table.column(name).combine_chunks()) for name in table.column_names]
        fields = [
            (name, values.cast(pa.large_string()) if pa.types.is_string(values.type) else values)
            for name, values in columns
        ]
        at = pa.array(table.column("ts").to_numpy() * 1_000_000)
        for body in bodies(tables[0], fields, at, rows=ROWS_IN_A_REQUEST):
            http.post("/write", params={"precision": "u"}, content=body).raise_for_status()
        server.wait_until_applied(tables[0])

    def peer_read() -> int:
        with wire.cursor(binary=True) as cursor:
            found = cursor.execute(
                f"SELECT {', '.join(COLUMNS)} FROM {tables[0]} ORDER BY at, symbol"
            ).fetchall()
        columns = zip(*found, strict=True)
        return pa.table(dict(zip(COLUMNS, map(pa.array, columns), strict=True))).num_rows

    write, read = ours(lambda name: QuestDBStore(url, name, time="ts", unit="s"), rows)
    return Contender(write, read, peer_write, peer_read)


def backfilled(url: str, rows: int, shard_rows: int = 100_000) -> float:
    """Rows a second into QuestDB as a backfill stages them, shard by shard, one worker."""
    from provider.stores.questdb import QuestDBStore

    store = QuestDBStore(url, "bench_backfill", time="ts", unit="s")
    tables = [
        bars_of(min(shard_rows, rows - first), first // len(SYMBOLS))
        for first in range(0, rows, shard_rows)
    ]
    began = perf_counter()
    names = [store.stage(table, number, 1).name for number, table in enumerate(tables)]
    seconds = perf_counter() - began
    read = sum(piece.table.num_rows for piece in store.read(START, end_of(shard_rows), names[:1]))
    assert read == min(shard_rows, rows), read
    return rows / seconds


# --- running --------------------------------------------------------------------------------------


def contenders(cleanup: ExitStack, rows: int) -> Iterator[tuple[str, Contender, str]]:
    """Name, contender, and the address of a server that a backfill may fill."""
    from tests.questdb_server import QuestDBServer, why_not
    from tests.servers import PostgresServer

    folder = Path(tempfile.mkdtemp(prefix="seamless-bench-"))
    folder.chmod(0o755)
    cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
    guardian = Guardian(grace=5, lock_descriptor=None)
    cleanup.callback(guardian.close)
    yield "Parquet", parquet(folder, rows), ""
    postgres = PostgresServer(folder, guardian, durable=True)
    cleanup.callback(postgres.stop)
    postgres.start()
    yield "PostgreSQL", postgresql(postgres.url, rows), ""
    if missing := why_not():
        print(f"\nQuestDB: skipped: {missing}")
        return
    server = QuestDBServer(folder, guardian)
    cleanup.callback(server.process.stop)
    server.start()
    yield "QuestDB", questdb(server.url, server.wire_url, server.http_port, rows), server.url


def measured(contender: Contender, rows: int, rounds: int) -> Mapping[str, float]:
    """Least seconds over rounds that take turns; every round writes other rows."""
    found: dict[str, list[float]] = {}
    for number in range(rounds):
        table = bars_of(rows)
        # Other values, so that no store recognises the segment.
        table = table.set_column(6, "volume", pa.array(np.arange(rows) + number))
        for name in ("write", "peer_write", "read", "peer_read"):
            act = getattr(contender, name)
            began = perf_counter()
            answer = act(table) if name.endswith("write") else act()
            found.setdefault(name, []).append(perf_counter() - began)
            assert answer in (None, rows), (name, answer)
    return {name: min(seconds) for name, seconds in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backfill", type=int, default=0, help="rows to stage into QuestDB")
    chosen = parser.parse_args()
    rows = chosen.rows - chosen.rows % len(SYMBOLS)
    print(f"{rows:,} rows; rows a second, and the ratio to the peer\n")
    print(
        "| store | out | peer out | ratio | in | peer in | ratio |\n|---|---|---|---|---|---|---|"
    )
    with ExitStack() as cleanup:
        for name, contender, server in contenders(cleanup, rows):
            spent = measured(contender, rows, chosen.rounds)
            cells = []
            for ours, peer in (("read", "peer_read"), ("write", "peer_write")):
                rates = f"{rows / spent[ours]:,.0f} | {rows / spent[peer]:,.0f}"
                cells.append(f"{rates} | {spent[peer] / spent[ours]:.2f}")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
            if server and chosen.backfill:
                rate = backfilled(server, chosen.backfill)
                print(f"\nQuestDB backfill of {chosen.backfill:,} rows: {rate:,.0f} rows/s")


if __name__ == "__main__":
    main()
