"""The faults that only `make chaos` has time for: links, servers, clocks, poison, deploys, soak."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import redis
from django.db import connection

from coordinator.lease_state import ShardState
from coordinator.leases import KEY_PREFIX
from coordinator.mode import coordinator_mode
from coordinator.models import BackfillShard
from coordinator.services.local_runs import finish_jobs
from coordinator.services.progress import progress
from tests.chaos.arena import SIZE, TTL, Arena, percentile, report, verdict
from tests.chaos.proxy import Proxy
from tests.chaos.test_faults import (
    MID_SHARD,
    RECONNECT_SECONDS,
    ends_clean,
    first_commit_after,
)
from tests.databases import CommittedDatabase
from tests.servers import ValkeyServer

SOAK_SECONDS = float(os.environ.get("SEAMLESS_CHAOS_SOAK_SECONDS", "1800"))


@contextmanager
def redis_proxy(arena: Arena) -> Iterator[Proxy]:
    """From here on the arena's processes reach Redis through it."""
    parts = urlsplit(arena.redis.url)
    proxy = Proxy(("127.0.0.1", parts.port or 0))
    arena.redis_url = parts._replace(netloc=f":{parts.password}@127.0.0.1:{proxy.port}").geturl()
    try:
        yield proxy
    finally:
        for worker in arena.workers:
            worker.kill()
        proxy.close()


@contextmanager
def database_proxy(arena: Arena) -> Iterator[Proxy]:
    """From here on workers that are started reach PostgreSQL through it."""
    folder = arena.folder / "p"
    folder.mkdir()
    parts = urlsplit(arena.database_url)
    sockets = Path(parse_qs(parts.query)["host"][0])
    proxy = Proxy(sockets / ".s.PGSQL.5432", listen=folder / ".s.PGSQL.5432")
    arena.database_url = parts._replace(query=f"host={folder}").geturl()
    try:
        yield proxy
    finally:
        for worker in arena.workers:
            worker.kill()
        proxy.close()


@pytest.fixture
def postgres(committed_db: CommittedDatabase) -> str:
    if committed_db.vendor != "postgresql":
        pytest.skip("PostgreSQL's own faults")
    return committed_db.url


def test_f6_failover_to_an_empty_redis(arena: Arena) -> None:
    (arena.folder / "other").mkdir()
    other = ValkeyServer(arena.folder / "other", arena.guardian)
    other.start()
    with redis.Redis.from_url(other.url) as client:  # the workers bring the first one's password
        client.config_set("requirepass", urlsplit(arena.redis.url).password)
    try:
        with redis_proxy(arena) as proxy:
            job_id = arena.request()
            arena.start_workers()
            arena.wait_for_commits(job_id)
            proxy.lead_to(("127.0.0.1", urlsplit(other.url).port or 0))
            moved = time.time()
            ends_clean(arena, job_id)
            recovered = first_commit_after(job_id, moved)
            report("F6", job_id, 1, recovered)
            assert not recovered or recovered[0] <= 2 * TTL + RECONNECT_SECONDS
    finally:
        other.process.kill()


@pytest.mark.parametrize("mode", ["refuse", "freeze", "slow"])
def test_f7_redis_away_costs_a_requester_less_than_a_second(
    arena: Arena, settings: object, mode: str
) -> None:
    with redis_proxy(arena) as proxy:
        settings.REDIS_URL = arena.redis_url
        coordinator_mode()
        proxy.set(mode)
        spent = []
        for number in range(20):
            began = time.monotonic()
            job_id = arena.request(shards=1, bars=10, first=number * 10_000)
            coordinator_mode()
            spent.append(time.monotonic() - began)
        assert finish_jobs([job_id], time.monotonic() + 60)
        assert verdict(job_id).is_clean
        assert progress(job_id).state == "done"
        report(f"F7 {mode}", job_id, 1, [percentile(spent, 99)])
        assert percentile(spent, 99) < 1.0 + 0.5
        proxy.set("pass")


def test_f8_a_half_open_link_to_the_broker(arena: Arena) -> None:
    with redis_proxy(arena) as proxy:
        job_id = arena.request()
        arena.start_workers()
        arena.wait_for_commits(job_id)
        proxy.set("freeze")
        time.sleep(20)
        proxy.set("pass")
        thawed = time.time()
        ends_clean(arena, job_id)
        recovered = first_commit_after(job_id, thawed)
        report("F8", job_id, 1, recovered)
        assert not recovered or recovered[0] <= 45


def test_f9_postgresql_crashes_and_recovers(arena: Arena, postgres: str) -> None:
    """SIGKILL to one server process: PostgreSQL ends all of them and recovers from its log."""
    job_id = arena.request()
    arena.start_workers(SEAMLESS_CHAOS_CHUNK_SECONDS="0.2")
    recovered = []
    for _ in range(3):
        done = progress(job_id).shards.get(ShardState.DONE, 0)
        arena.wait_for_commits(job_id, at_least=done + 2)
        connection.close()
        victim = psycopg.connect(postgres)
        os.kill(victim.info.backend_pid, signal.SIGKILL)
        crashed = time.time()
        victim.close()
        wait_until_it_answers(postgres)
        ours = BackfillShard.objects.filter(job=job_id, state=ShardState.DONE).count()
        arena.wait_for_commits(job_id, at_least=min(ours + 1, SIZE.shards))
        recovered += first_commit_after(job_id, crashed)
    ends_clean(arena, job_id)
    report("F9", job_id, 3, recovered)
    assert max(recovered) <= 2 * TTL + 5


def wait_until_it_answers(url: str) -> None:
    """For a second on end: it may answer once more before it has noticed."""
    deadline, steady = time.monotonic() + 60, 0
    while steady < 10:
        assert time.monotonic() < deadline
        try:
            psycopg.connect(url).close()
            steady += 1
        except psycopg.OperationalError:
            steady = 0
        time.sleep(0.1)


def test_f10_connections_cut_exactly_at_commit(arena: Arena, postgres: str) -> None:
    """The COMMIT arrives and its answer never does: the outcome is read, not guessed."""
    cuts = [arena.rng.randrange(20, 400) for _ in range(10)]
    seen = [0]

    def at_commit(piece: bytes) -> bool:
        if b"COMMIT" not in piece:
            return False
        seen[0] += 1
        return seen[0] in cuts

    with database_proxy(arena) as proxy:
        proxy.cut_after = at_commit
        job_id = arena.request()
        arena.start_workers()
        ends_clean(arena, job_id)
        report("F10", job_id, sum(cut <= seen[0] for cut in cuts), [])


@pytest.mark.parametrize("jump", ["forward", "backward"])
def test_f12_the_clock_of_redis_jumps(arena: Arena, jump: str) -> None:
    """As keys see it: forward, all leases are gone at once; backward, none ends by itself."""
    job_id = arena.request()
    injected = arena.arm("kill worker", arena.some_starts(job_id, 1), ["chunk"])
    arena.start_workers()
    with redis.Redis.from_url(arena.redis_url) as client:

        def jumped() -> bool:
            for key in client.scan_iter(f"{KEY_PREFIX}*"):
                client.delete(key) if jump == "forward" else client.persist(key)
            return progress(job_id).has_ended

        arena.wait_until(jumped)
    ends_clean(arena, job_id)
    recovered = arena.recoveries(job_id)
    report(f"F12 {jump} (simulated)", job_id, injected, recovered)
    assert max(recovered) <= 3 * TTL


@pytest.mark.parametrize("how", ["exception", "kill", "loop", "memory"])
def test_f14_a_poison_shard_ends_as_a_violation_and_the_others_finish(
    arena: Arena, how: str
) -> None:
    job_id = arena.request(shards=20)
    (start,) = arena.some_starts(job_id, 1)
    arena.poison(start, how)
    arena.start_workers(2, SEAMLESS_MAX_ATTEMPTS="3", SEAMLESS_CHAOS_TASK_SECONDS="8")
    arena.wait_for_end(job_id)
    arena.wait_until(lambda: progress(job_id).has_ended)
    found = verdict(job_id)
    assert found.is_clean, found
    assert found.states == {ShardState.DONE: 19, ShardState.VIOLATION: 1}
    poisoned = BackfillShard.objects.get(job=job_id, state=ShardState.VIOLATION)
    assert (poisoned.range_start, poisoned.attempts) == (start, 3)
    assert poisoned.last_error
    assert arena.runs_of(start) <= 3
    assert arena.audit_tree_holds()
    report(f"F14 {how}", job_id, 1, [])


def test_f15_a_database_that_takes_no_writes_fails_closed(
    arena: Arena, committed_db: CommittedDatabase, postgres: str
) -> None:
    job_id = arena.request()
    arena.start_workers()
    arena.wait_for_commits(job_id)
    name = connection.settings_dict["NAME"]
    connection.close()
    with psycopg.connect(committed_db.owner_url, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        cut_all(admin)
        time.sleep(2 * TTL)
        before = admin.execute("SELECT count(*) FROM chaos_bar").fetchone()
        time.sleep(TTL)
        assert admin.execute("SELECT count(*) FROM chaos_bar").fetchone() == before
        admin.execute("SET default_transaction_read_only = off")
        admin.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        cut_all(admin)
    mended = time.time()
    ends_clean(arena, job_id)
    report("F15 read-only", job_id, 1, first_commit_after(job_id, mended))


def cut_all(admin: psycopg.Connection) -> None:
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def test_f17_a_rolling_deploy_costs_no_shard(arena: Arena) -> None:
    job_id = arena.request()
    arena.start_workers(SEAMLESS_CHAOS_CHUNK_SECONDS="0.2")
    arena.wait_for_commits(job_id)
    ended = []
    for worker in arena.workers * (5 // len(arena.workers) + 1):
        began = time.monotonic()
        worker.grace = 15.0  # ten seconds of soft shutdown and five more
        worker.stop()
        ended.append(time.monotonic() - began)
        worker.start()
    ends_clean(arena, job_id)
    extra = BackfillShard.objects.filter(job=job_id, attempts__gt=2)
    report("F17", job_id, len(ended), [])
    assert max(ended) <= 15
    assert not extra.exists()


@pytest.mark.parametrize("beats", [0, 2])
def test_f18_no_beat_or_two(arena: Arena, beats: int) -> None:
    job_id = arena.request()
    arena.start_workers(beat=beats)
    ends_clean(arena, job_id)
    report(f"F18 {beats} beats", job_id, 1, [])


def test_f19_a_soak_of_random_faults(arena: Arena) -> None:
    job_ids, faults = [], 0
    arena.start_workers()
    ends, before = time.monotonic() + SOAK_SECONDS, None
    while time.monotonic() < ends:
        job_id = arena.request(first=len(job_ids) * SIZE.shards * SIZE.bars * 10)
        job_ids.append(job_id)
        deed = arena.rng.choice(["kill", "kill worker", "flush"])
        if deed == "flush":
            arena.wait_for_commits(job_id)
            with redis.Redis.from_url(arena.redis_url) as client:
                client.flushall()
            faults += 1
        else:
            faults += arena.arm(deed, arena.some_starts(job_id, 2), MID_SHARD)
        ends_clean(arena, job_id)
        before = before or connections_of(arena)
    report("F19", job_ids[-1], faults, [])
    assert all(verdict(job_id).is_clean for job_id in job_ids)
    assert connections_of(arena) <= before * 1.1 + 2


def connections_of(arena: Arena) -> int:
    with redis.Redis.from_url(arena.redis_url) as client:
        return len(client.client_list())


@pytest.mark.parametrize("without", ["fence", "reconciler"])
def test_f20_the_suite_fails_without_its_guards(arena: Arena, without: str) -> None:
    job_id = arena.request(shards=20)
    arena.put_tickets(20)  # without its reconciler nobody else does
    deed = "stop" if without == "fence" else "kill worker"
    arena.arm(deed, arena.some_starts(job_id, 2), ["publish"])
    arena.start_workers(beat=0, SEAMLESS_CHAOS_WITHOUT=without)
    if without == "fence":
        arena.wake_after(3 * TTL)
        arena.wait_until(lambda: verdict(job_id).duplicates > 0)
    else:
        arena.wait_until(lambda: len(arena.hits()) >= 1)
        time.sleep(4 * TTL)
        assert verdict(job_id).stuck
        assert not progress(job_id).has_ended
    report(f"F20 without {without}", job_id, 2, [])


@pytest.mark.parametrize("cut", ["redis", "postgresql", "both"])
def test_a_host_that_is_cut_off(arena: Arena, postgres: str, cut: str) -> None:
    """Two workers as separate hosts: one reaches the servers through links that are frozen."""
    there = arena.redis_url, arena.database_url
    with redis_proxy(arena) as to_redis, database_proxy(arena) as to_database:
        job_id = arena.request()
        arena.add_worker(SEAMLESS_CHAOS_CHUNK_SECONDS="0.2")
        arena.wait_for_commits(job_id)
        arena.redis_url, arena.database_url = there
        arena.add_worker(SEAMLESS_CHAOS_CHUNK_SECONDS="0.2")
        links = {"redis": [to_redis], "postgresql": [to_database], "both": [to_redis, to_database]}
        for link in links[cut]:
            link.set("freeze")
        time.sleep(3 * TTL)
        for link in links[cut]:
            link.set("pass")
        mended = time.time()
        ends_clean(arena, job_id)
        report(f"host cut off from {cut}", job_id, 1, first_commit_after(job_id, mended))
