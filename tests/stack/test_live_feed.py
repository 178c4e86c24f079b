"""A stream of bars and a real worker with beat: what has settled is stored, each bar once."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import redis
from django.conf import settings as configured

from coordinator.models import BackfillJob
from provider.models import Segment
from provider.stores.parquet import directory_name
from registry.models import AuditEvent
from registry.services import nodes
from tests.cast import NOW, approved, assemble, subject
from tests.databases import CommittedDatabase
from tests.processes import Process, running, worker_command
from tests.stack.day import SCHEMA

pytestmark = pytest.mark.stack

PATIENCE_SECONDS = 120
NODE = "bars:demo:1s"


@contextmanager
def worker(folder: Path) -> Iterator[Process]:
    """With beat, feeding every second."""
    variables = os.environ | {
        "SEAMLESS_BARS_DIR": str(configured.SEAMLESS_BARS_DIR),
        "SEAMLESS_LIVE_SERVERS": json.dumps(configured.SEAMLESS_LIVE_SERVERS),
        "SEAMLESS_LIVE_FEED_SECONDS": "1",
    }
    command, log = worker_command(folder, "live"), folder / "worker.log"
    with running(command, log=log, environment=variables) as process:
        yield process


def stored_times() -> list[int]:
    """The bar times of every published segment."""
    folder = Path(configured.SEAMLESS_BARS_DIR) / directory_name(NODE) / "segments"
    tables = [pq.read_table(folder / one.file) for one in Segment.objects.all()]
    return [int(at) for table in tables for at in table.column("ts").to_pylist()]


def test_a_worker_stores_what_a_stream_brings(
    committed_db: CommittedDatabase, redis_client: redis.Redis, settings: Any, tmp_path: Path
) -> None:
    settings.SEAMLESS_BARS_DIR = tmp_path / "bars"
    settings.SEAMLESS_LIVE_SERVERS = {"default": os.environ["REDIS_URL"]}
    cast = assemble()
    subject(cast, "demo.bars")
    approved(cast, SCHEMA, "demo.bars")
    nodes.register_node(
        actor=cast.olive,
        node_id=NODE,
        subject="demo.bars",
        interval=1,
        series=[{"key": {"symbol": "A"}, "since": None}],
        store={"type": "parquet"},
        source={},
        live={"type": "redis", "stream": "bars"},
        now=NOW,
    )
    first = int(time.time())
    with worker(tmp_path) as process:
        until, sent = time.monotonic() + PATIENCE_SECONDS, first
        while len(set(stored_times())) < 20 and time.monotonic() < until:
            while sent <= time.time() - 1:  # a bar is sent when it is over
                bar = {"ts": sent, "symbol": "A", "close": 1.5}
                redis_client.xadd("bars", {"bar": json.dumps(bar)})
                sent += 1
            time.sleep(0.2)
        assert process.poll() is None, (tmp_path / "worker.log").read_text()[-4_000:]
    times = stored_times()
    assert len(times) >= 20, (tmp_path / "worker.log").read_text()[-4_000:]
    assert set(Counter(times).values()) == {1}
    assert sorted(times) == list(range(first, first + len(times)))  # from the first one on, no hole
    assert set(BackfillJob.objects.values_list("origin", flat=True)) == {"live"}
    asked = AuditEvent.objects.filter(action="backfill.request")
    assert {event.actor_name for event in asked} == {"live feed"}
