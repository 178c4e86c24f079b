"""Loaded into every process of the failure suite: a handler with a place for each fault.

A fault is armed by a file `<shard's first bar>.<point>` that says what is to happen there; whoever
comes by takes it (once) and does it to itself, after leaving a note for the harness. `poison` files
are never taken away.
"""

import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
from celery import current_app, signals

from coordinator.coverage import CoverageRange
from coordinator.ports import CancelSignal, ShardTask, Staged, set_shard_handler_factory
from coordinator.services import publishing, reconciling, running

FOLDER = Path(os.environ["SEAMLESS_CHAOS_FOLDER"])
CHUNK_SECONDS = float(os.environ.get("SEAMLESS_CHAOS_CHUNK_SECONDS", "0.05"))
CHUNKS, INTERVAL = 2, 10
POINTS = ("fetch", "chunk", "stage", "publish", "fenced", "written")


class ArmedHandler:
    """One row per bar, into a table without any key that could hide a second copy."""

    def fetch(self, range: CoverageRange, deadline: float, cancel: CancelSignal) -> pa.Table:
        reach("fetch", range.start)
        poisoned(range.start)
        for _ in [None] * CHUNKS:
            cancel.raise_if_set()
            cancel.wait(CHUNK_SECONDS)
            cancel.progressed()
            reach("chunk", range.start)
        return pa.table({"ts": [*bars_of(range)]})

    def stage(self, table: pa.Table, shard: ShardTask, epoch: int) -> Staged:
        reach("stage", shard.range.start)
        rows = [(shard.job_id, shard.shard_id, epoch, ts) for ts in table["ts"].to_pylist()]
        checksum = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
        return Staged(len(rows), f"sha256:{checksum}", payload=rows)

    def publish(self, staged: Staged, connection: Any) -> None:
        start = staged.payload[0][-1]
        reach("fenced", start)
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO chaos_bar VALUES (%s, %s, %s, %s)", staged.payload)
        reach("written", start)

    def discard(self, staged: Staged) -> None:
        pass


def bars_of(wanted: CoverageRange) -> range:
    return range(wanted.start, wanted.end + 1, INTERVAL)


def reach(point: str, start: int) -> None:
    taken = FOLDER / "taken" / f"{start}.{point}.{time.time_ns()}"
    try:
        os.rename(FOLDER / "armed" / f"{start}.{point}", taken)
    except FileNotFoundError:
        return
    deed = taken.read_text()
    note = {"deed": deed, "point": point, "start": start, "pid": os.getpid(), "at": time.time()}
    unfinished = taken.with_suffix(".new")
    unfinished.write_text(json.dumps(note))
    unfinished.rename(FOLDER / "hit" / taken.name)
    DEEDS[deed]()


def poisoned(start: int) -> None:
    file = FOLDER / "poison" / str(start)
    if file.exists():
        with (FOLDER / "poison" / f"{start}.runs").open("a") as runs:
            runs.write(f"{time.time()}\n")
        POISONS[file.read_text()]()


def _fail() -> None:
    raise ValueError("this shard cannot be fetched")


def _hang() -> None:
    while True:
        time.sleep(0.1)


def _hoard() -> None:
    raise MemoryError("more than the process may have")


def _kill_worker() -> None:
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _me(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


DEEDS = {
    "kill": lambda: _me(signal.SIGKILL),
    "kill worker": _kill_worker,
    "stop": lambda: _me(signal.SIGSTOP),
}
POISONS = {
    "exception": _fail,
    "kill": lambda: _me(signal.SIGKILL),
    "loop": _hang,
    "memory": _hoard,
}


def _reach_publish(**arguments: Any) -> None:
    """After the last heartbeat and before the fence: the moment a lock alone cannot guard."""
    reach("publish", arguments["claim"].range.start)
    publishing.publish_shard(**arguments)


def _note_delivery(task_id: str = "", **_: Any) -> None:
    with (FOLDER / "deliveries").open("a") as deliveries:
        deliveries.write(f"{task_id}\n")


def _mutate(what: str) -> None:
    """F20: the suite must fail when one of its guards is taken out."""
    if what == "reconciler":
        reconciling.reconcile_when_due = lambda **_: None
    if what == "fence":
        publishing.committed = lambda lease, *, epoch: _ended_anyway(lease)
        publishing.store_lease = _store_anyway


def _ended_anyway(lease: Any) -> Any:
    from coordinator.lease_state import ShardLease, ShardState

    return ShardLease(state=ShardState.DONE, epoch=lease.epoch, attempts=lease.attempts)


def _store_anyway(shard_id: int, before: Any, after: Any, **fields: Any) -> bool:
    from dataclasses import asdict

    from coordinator.models import BackfillShard

    written = {name: value for name, value in asdict(after).items() if name != "epoch"}
    return BackfillShard.objects.filter(pk=shard_id).update(**written, **fields) == 1


def _take_over() -> None:
    """In a worker; the harness only borrows the handler."""
    set_shard_handler_factory(lambda node: ArmedHandler())
    running.publish_shard = _reach_publish
    signals.task_prerun.connect(_note_delivery)
    _mutate(os.environ.get("SEAMLESS_CHAOS_WITHOUT", ""))
    conf = current_app.conf
    if visibility := os.environ.get("SEAMLESS_CHAOS_VISIBILITY"):
        options = conf.broker_transport_options
        conf.broker_transport_options = options | {"visibility_timeout": float(visibility)}
    if limit := os.environ.get("SEAMLESS_CHAOS_TASK_SECONDS"):
        conf.task_soft_time_limit, conf.task_time_limit = float(limit), float(limit) + 1


if "SEAMLESS_CHAOS_WORKER" in os.environ:
    _take_over()
