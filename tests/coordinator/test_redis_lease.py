"""The live lease on a real Valkey or Redis, and what happens when that is away."""

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from coordinator.breaker import CircuitBreaker
from coordinator.leases import KEY_PREFIX, WAKE_CHANNEL, LeaseAnswer, LiveLeases

HELD, LOST, UNREACHABLE = LeaseAnswer.HELD, LeaseAnswer.LOST, LeaseAnswer.UNREACHABLE
KEY = "ab" * 32


@pytest.fixture
def leases(redis_client):
    return LiveLeases(os.environ["REDIS_URL"])


def hold(leases, epoch=1, holder="a", ttl_seconds=30.0):
    return leases.hold(KEY, epoch=epoch, holder=holder, ttl_seconds=ttl_seconds)


def test_the_same_holder_gets_yes_again_and_another_does_not(leases):
    assert [hold(leases), hold(leases)] == [HELD, HELD]
    assert hold(leases, holder="b") is LOST


def test_a_newer_epoch_takes_over_and_an_older_one_never_comes_back(leases):
    hold(leases, epoch=9, holder="a")
    assert hold(leases, epoch=10, holder="b") is HELD
    assert hold(leases, epoch=9, holder="a") is LOST


def test_every_hold_beats_and_moves_the_expiry(leases, redis_client):
    hold(leases, ttl_seconds=1.0)
    hold(leases, ttl_seconds=30.0)
    assert redis_client.hget(KEY_PREFIX + KEY, "beat") == b"2"
    assert redis_client.pttl(KEY_PREFIX + KEY) > 1_000


def test_a_lease_always_expires(leases, redis_client):
    hold(leases, ttl_seconds=5.0)
    assert 0 < redis_client.pttl(KEY_PREFIX + KEY) <= 5_000


def test_the_next_heartbeat_repairs_a_flush(leases, redis_client):
    hold(leases, epoch=3)
    redis_client.flushdb()
    assert hold(leases, epoch=3) is HELD
    assert redis_client.hget(KEY_PREFIX + KEY, "epoch") == b"3"


def test_only_the_holder_releases_and_the_release_wakes(leases, redis_client):
    hold(leases)
    with redis_client.pubsub() as listener:
        listener.subscribe(WAKE_CHANNEL)
        listener.get_message(timeout=5)
        assert leases.release(KEY, epoch=1, holder="b") is LOST
        assert leases.release(KEY, epoch=2, holder="a") is LOST
        assert leases.release(KEY, epoch=1, holder="a") is HELD
        woken = listener.get_message(timeout=5)
    assert woken["data"] == (KEY_PREFIX + KEY).encode()
    assert not redis_client.exists(KEY_PREFIX + KEY)
    assert leases.release(KEY, epoch=1, holder="a") is LOST


def test_one_of_many_holders_of_an_epoch_wins(leases):
    start = threading.Barrier(8)

    def race(name):
        start.wait()
        return hold(leases, holder=name)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(race, "abcdefgh"))
    assert sorted(answers) == [HELD] + [LOST] * 7


def test_nothing_is_connected_before_the_first_question():
    LiveLeases("redis://nobody.invalid:1/0")


def test_a_redis_that_is_away_is_unreachable_and_never_lost():
    leases = LiveLeases(f"redis://127.0.0.1:{_free_port()}/0")
    assert hold(leases) is UNREACHABLE
    assert leases.release(KEY, epoch=1, holder="a") is UNREACHABLE
    assert leases.is_reachable() is False


def test_a_redis_that_accepts_and_says_nothing_is_asked_once_per_cooldown():
    """A black hole costs its timeout once; then the breaker answers without a try."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked = CountingClock()
        leases = LiveLeases(
            f"redis://127.0.0.1:{silent.getsockname()[1]}/0",
            timeout=0.05,
            breaker=CircuitBreaker(cooldown=1.0, clock=asked),
        )
        assert [hold(leases) for _ in range(50)] == [UNREACHABLE] * 50
        silent.setblocking(False)
        connections = 0
        try:
            while True:
                silent.accept()[0].close()
                connections += 1
        except BlockingIOError:
            pass
    assert connections == 1


def test_a_redis_that_refuses_to_write_is_unreachable(leases, redis_client):
    """Out of memory, read-only, a wrong type: nothing is known about who holds the lease."""
    redis_client.set(KEY_PREFIX + KEY, "not a hash")
    assert hold(leases) is UNREACHABLE


def test_after_an_outage_three_good_answers_bring_it_back(redis_client):
    breaker = CircuitBreaker(cooldown=0.0)
    leases = LiveLeases(os.environ["REDIS_URL"], breaker=breaker)
    leases.report_failure(redis.ConnectionError("gone"))
    assert [leases.is_reachable() for _ in range(4)] == [False, False, True, True]


class CountingClock:
    """Stands still."""

    def __call__(self) -> float:
        return 100.0


def test_a_breaker_opens_at_once_tries_once_per_cooldown_and_closes_after_three():
    now = [0.0]
    breaker = CircuitBreaker(cooldown=1.0, recover_after=3, clock=lambda: now[0])
    assert breaker.allows()
    assert breaker.failed() is True
    assert breaker.failed() is False
    assert not breaker.allows()
    now[0] = 1.0
    assert [breaker.allows(), breaker.allows()] == [True, False]
    assert [breaker.succeeded() for _ in range(3)] == [False, False, True]
    assert breaker.is_closed
    assert breaker.allows()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
