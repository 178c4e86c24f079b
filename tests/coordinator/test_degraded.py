"""Redis or the workers away: the requester runs its shards itself, under the same fence."""

import socket
import threading
import time
from datetime import timedelta

import pytest
from celery import signals
from django.db import connection
from structlog.testing import capture_logs

from coordinator import leases
from coordinator.breaker import CircuitBreaker
from coordinator.leases import LiveLeases
from coordinator.mode import Mode, coordinator_mode
from coordinator.models import BackfillShard
from coordinator.own_rounds import OwnRounds
from coordinator.queue import announce
from coordinator.services import local_runs
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.local_runs import finish_jobs, run_pending_here
from coordinator.services.progress import progress, wait_for
from coordinator.services.running import run_shard
from tests.coordinator.backfills import NOW, pointers


@pytest.fixture
def without_redis(monkeypatch, settings):
    """Nothing listens at the address; the breaker of this process is a fresh one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    away = LiveLeases(f"redis://127.0.0.1:{port}/0", breaker=CircuitBreaker(cooldown=60.0))
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    monkeypatch.setattr(leases, "_leases_at", lambda url: away)


def soon(seconds=60.0):
    return time.monotonic() + seconds


def test_the_mode_says_what_answers(db):
    assert coordinator_mode() is Mode.FULL


def test_without_redis_the_mode_is_degraded(db, without_redis):
    assert coordinator_mode() is Mode.DEGRADED


def test_without_the_database_the_mode_is_local(db, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setitem(connection.settings_dict, "NAME", "/nonexistent/database")
        patched.setattr(connection, "cursor", _refuse)
        assert coordinator_mode() is Mode.LOCAL


def _refuse():
    from django.db import OperationalError

    raise OperationalError("unable to open database file")


def test_without_redis_a_shard_runs_under_the_database_fence_alone(house, handler, without_redis):
    house.request((0, 100))
    run = run_shard(claim=claim_shard(holder="a", now=NOW))
    assert run.state == "done"
    assert len(pointers()) == 1


def test_without_redis_nothing_is_announced_and_nothing_raised(house, without_redis):
    assert announce(1) == 0


def test_a_requester_finishes_its_jobs_itself_without_redis(
    committed_house, handler, without_redis, settings
):
    settings.SEAMLESS_SHARD_BARS = 5
    request = committed_house.request((0, 100))
    assert finish_jobs(request.job_ids, soon()) is True
    assert progress(request.created[0]).ratio == 1.0
    assert len(pointers()) == 3


def test_a_requester_finishes_its_jobs_itself_when_no_worker_comes(
    committed_house, handler, monkeypatch
):
    monkeypatch.setattr(local_runs, "PICKUP_SECONDS", 0.05)
    request = committed_house.request((0, 100))
    with capture_logs() as events:
        assert finish_jobs(request.job_ids, soon()) is True
    assert "seamless.backfill.nobody_runs" in [event["event"] for event in events]
    assert len(pointers()) == 1


def test_a_requester_leaves_the_work_to_a_worker_that_is_at_it(
    committed_house, handler, monkeypatch
):
    monkeypatch.setattr(local_runs, "PICKUP_SECONDS", 0.05)
    request = committed_house.request((0, 100))
    claim_shard(holder="worker", now=database_now())
    assert finish_jobs(request.job_ids, soon(0.3)) is False
    assert handler.fetched == []


def test_a_source_that_hangs_costs_the_caller_its_deadline_and_the_work_goes_on(
    committed_house, handler
):
    let_go = threading.Event()
    handler.on_fetch = lambda *_: let_go.wait(60)
    request = committed_house.request((0, 100))
    assert run_pending_here(request.job_ids, soon(0.05)) is False
    assert progress(request.created[0]).ratio == 0.0
    let_go.set()
    assert wait_for(request.job_ids, soon()) is True
    assert len(pointers()) == 1
    _until_runners_are_back()


def test_a_failing_source_ends_as_a_violation_without_any_worker(
    committed_house, handler, without_redis, settings
):
    settings.SEAMLESS_RETRY_BASE_SECONDS, settings.SEAMLESS_MAX_ATTEMPTS = 0.01, 2

    def fail(*_):
        raise OSError("source away")

    handler.on_fetch = fail
    request = committed_house.request((0, 100))
    assert finish_jobs(request.job_ids, soon()) is True
    assert progress(request.created[0]).state == "violation"
    assert BackfillShard.objects.get().last_error == "OSError: source away"


def test_a_requester_takes_over_what_a_dead_worker_left(committed_house, handler, without_redis):
    request = committed_house.request((0, 100))
    dead = claim_shard(holder="dead", now=database_now() - timedelta(minutes=5))
    assert finish_jobs(request.job_ids, soon()) is True
    ((_, epoch, _),) = pointers()
    assert epoch > dead.epoch


def test_requester_and_worker_at_once_publish_every_shard_once(
    committed_house, handler, without_redis, settings
):
    settings.SEAMLESS_SHARD_BARS = 1
    request = committed_house.request((0, 190))

    def run_here():
        run_pending_here(request.job_ids, soon())
        connection.close()

    here = threading.Thread(target=run_here)
    here.start()
    while (claim := claim_shard(holder="worker", now=database_now())) is not None:
        run_shard(claim=claim)
    here.join()
    assert progress(request.created[0]).has_ended
    published = [shard for shard, _, _ in pointers()]
    assert len(published) == len(set(published)) == 20


def test_at_most_four_runners_work_in_one_process(committed_house, handler):
    let_go = threading.Event()
    handler.on_fetch = lambda *_: let_go.wait(60)
    requests = [committed_house.request((n * 100, n * 100)) for n in range(6)]
    for request in requests:
        run_pending_here(request.job_ids, soon(0.0))
    runners = [t for t in threading.enumerate() if t.name == "backfill-here"]
    assert len(runners) == local_runs.MAX_RUNNERS
    let_go.set()
    _until_runners_are_back()


def test_waiting_for_nothing_ends_at_once(db):
    assert wait_for([], soon(0.0)) is True
    assert finish_jobs([], soon(0.0)) is True


@pytest.fixture(autouse=True)
def _no_runner_outlives_its_test():
    yield
    _until_runners_are_back()


def _until_runners_are_back():
    for thread in threading.enumerate():
        if thread.name == "backfill-here":
            thread.join(60)
            assert not thread.is_alive()


def test_a_worker_goes_on_without_tickets_while_redis_is_away(
    committed_house, handler, without_redis, settings
):
    """A job that no reader waits for does not stand still."""
    settings.SEAMLESS_SHARD_BARS, settings.SEAMLESS_RECONCILE_SECONDS = 2, 0.05
    (job_id,) = committed_house.request((0, 50)).created
    rounds = OwnRounds()
    rounds.start()
    try:
        assert wait_for([job_id], soon())
    finally:
        rounds.stop()
    assert progress(job_id).ratio == 1.0


def test_with_redis_there_a_worker_leaves_shards_to_tickets(committed_house, handler):
    (job_id,) = committed_house.request((0, 50)).created
    OwnRounds()._round()
    assert progress(job_id).committed_bars == 0


def test_a_redis_that_lost_everything_makes_a_round_due_at_once(
    committed_house, handler, redis_client
):
    rounds = OwnRounds()
    rounds._round()
    committed_house.request((0, 50))
    claim_shard(holder="dead", now=database_now() - timedelta(minutes=5))
    rounds._round()  # the round of this moment has been had
    assert BackfillShard.objects.get().state == "leased"
    redis_client.flushdb()
    with capture_logs() as logs:
        rounds._round()
    assert "seamless.coordinator.generation_changed" in [log["event"] for log in logs]
    assert BackfillShard.objects.get().state == "failed"


def test_a_worker_warns_of_a_redis_that_forgets(redis_client):
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with capture_logs() as logs:
            signals.worker_ready.send(sender=None)
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")
    (warned,) = [log for log in logs if log["event"] == "seamless.coordinator.redis_settings"]
    assert "allkeys-lru" in warned["found"]
    assert "CONFIG SET" in warned["fix"]
