"""Loaded into the workers of `benchmarks/coordinator.py`: what a shard writes, either way."""

import time
from typing import Any

import pyarrow as pa
from celery import shared_task
from django.db import connection, transaction

from coordinator.coverage import CoverageRange
from coordinator.ports import CancelSignal, ShardTask, Staged, set_shard_handler_factory

INTERVAL = 10
INSERT = "INSERT INTO bench_bar VALUES (%s, %s, %s)"


class BenchHandler:
    def fetch(self, range: CoverageRange, deadline: float, cancel: CancelSignal) -> pa.Table:
        return pa.table({"ts": bars(range.start, range.end)})

    def stage(self, table: pa.Table, shard: ShardTask, epoch: int) -> Staged:
        rows = rows_of(shard.shard_id, table["ts"].to_pylist())
        return Staged(len(rows), "sha256:0", payload=rows)

    def publish(self, staged: Staged, connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(INSERT, staged.payload)

    def discard(self, staged: Staged) -> None:
        pass


def bars(start: int, end: int) -> list[int]:
    return list(range(start, end + 1, INTERVAL))


def rows_of(shard: int, times: list[int]) -> list[tuple[int, int, float]]:
    return [(shard, ts, ts / 7) for ts in times]


@shared_task(name="benchmarks.bare", ignore_result=True)
def bare(shard: int, start: int, end: int) -> None:
    """The same rows, and a row that says they are there: no lease, no fence, no audit record."""
    began = time.time()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(INSERT, rows_of(shard, bars(start, end)))
        cursor.execute("INSERT INTO bench_done VALUES (%s, %s, %s)", [shard, began, time.time()])


set_shard_handler_factory(lambda node: BenchHandler())
