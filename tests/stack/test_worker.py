"""Real Celery worker processes on a real Redis; what kills whole workers is in tests/chaos."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.utils import timezone
from opentelemetry import trace

from coordinator.models import BackfillShard, PeriodicRound
from coordinator.services.claiming import claim_shard
from coordinator.services.progress import progress
from registry.models import AuditEvent
from tests.coordinator.backfills import (
    House,
    create_pointer_table,
    make_node,
    make_version,
    pointers,
)
from tests.databases import CommittedDatabase
from tests.otlp import Received, receiver
from tests.processes import Process, running, worker_command

pytestmark = pytest.mark.stack

PATIENCE_SECONDS = 90
TRACE, SAMPLED = 0x0AF7651916CD43DD8448EB211C80319C, trace.TraceFlags(1)


@pytest.fixture
def house(committed_db: CommittedDatabase, redis_client: redis.Redis, settings: object) -> House:
    settings.SEAMLESS_SHARD_BARS = 5
    create_pointer_table()
    version = make_version()
    return House(version=version, node=make_node(version))


@contextmanager
def worker(folder: Path, name: str, *, beat: bool = True, **environment: str) -> Iterator[Process]:
    """A prefork worker, in a process group of its own; killed at the end."""
    variables = os.environ | {
        "SEAMLESS_TEST_MARK": str(folder / "hung"),
        "SEAMLESS_RECONCILE_SECONDS": "1",
        **environment,
    }
    command = worker_command(folder, name, "--include", "tests.stack.worker_handler", beat=beat)
    with running(command, log=folder / f"{name}.log", environment=variables) as process:
        yield process


def wait_until(reached: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        if time.monotonic() > deadline:
            logs = "\n".join(log.read_text()[-4_000:] for log in folder.glob("*.log"))
            raise AssertionError(f"not reached in {PATIENCE_SECONDS} s; the worker said:\n{logs}")
        time.sleep(0.1)


def finished_once(job_id: int) -> None:
    """Every shard done, every row published once, the certificate written."""
    report = progress(job_id)
    assert (report.state, report.ratio) == ("done", 1.0)
    published = [shard for shard, _, _ in pointers()]
    assert len(published) == len(set(published)) == sum(report.shards.values())
    assert AuditEvent.objects.filter(action="backfill.certificate").count() == 1


def test_a_worker_runs_what_is_asked_for(house: House, tmp_path: Path) -> None:
    (tmp_path / "hung").touch()  # nothing hangs
    with worker(tmp_path, "one"):
        (job_id,) = house.request((0, 190), now=timezone.now()).created
        wait_until(lambda: progress(job_id).has_ended, tmp_path)
    finished_once(job_id)
    assert {epoch for _, epoch, _ in pointers()} == {1}


def test_a_worker_sends_its_spans_into_the_trace_of_the_request(
    house: House, tmp_path: Path
) -> None:
    (tmp_path / "hung").touch()
    caller = trace.SpanContext(TRACE, 0xB7AD6B7169203331, is_remote=True, trace_flags=SAMPLED)
    with trace.use_span(trace.NonRecordingSpan(caller)):
        (job_id,) = house.request((0, 190), now=timezone.now()).created
    shards = BackfillShard.objects.filter(job=job_id).count()
    with receiver() as (address, received):
        spans = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        with worker(tmp_path, "one", **spans):
            wait_until(lambda: progress(job_id).has_ended, tmp_path)
            wait_until(lambda: sent(received, b"seamless.backfill.shard") >= shards, tmp_path)
    # Each of them once more in the span itself: 16 bytes, as protobuf writes them.
    assert sent(received, TRACE.to_bytes(16, "big")) >= shards


def sent(received: Received, what: bytes) -> int:
    return sum(body.count(what) for _, body in received)


def test_a_pool_child_killed_mid_shard_costs_one_attempt(house: House, tmp_path: Path) -> None:
    """Noticed by the parent: nobody waits for the lease to expire."""
    with worker(tmp_path, "one", SEAMLESS_LEASE_TTL_SECONDS="600"):
        (job_id,) = house.request((0, 190), now=timezone.now()).created
        wait_until((tmp_path / "hung").exists, tmp_path)
        os.kill(int((tmp_path / "hung").read_text()), signal.SIGKILL)
        wait_until(lambda: progress(job_id).has_ended, tmp_path)
    finished_once(job_id)
    hit = BackfillShard.objects.get(range_start=0)
    assert hit.attempts == 2
    failure = AuditEvent.objects.get(action="backfill.shard.fail")
    assert "SIGKILL" in failure.reason


def test_f18_without_beat_every_worker_reconciles_by_itself(
    house: House, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """No message on the queue, a lease that a dead holder left behind, and no beat anywhere."""
    (tmp_path / "hung").touch()
    (job_id,) = house.request((0, 190), now=timezone.now()).created
    claim_shard(holder="dead", now=timezone.now() - timedelta(minutes=5))
    redis_client.flushdb()
    with worker(tmp_path, "one", beat=False):
        wait_until(lambda: progress(job_id).has_ended, tmp_path)
    finished_once(job_id)
    assert not PeriodicRound.objects.get(pk="reconcile").by.startswith("beat")
