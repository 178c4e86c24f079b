"""Whether backfills can run: Redis, its settings, the workers, the leases."""

from collections.abc import Iterator

import redis
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from coordinator.configuration import lease_times
from coordinator.lease_state import ShardState
from coordinator.models import BackfillShard
from coordinator.services.database_clock import database_now
from registry.health import Finding, asked

_TIMEOUT_SECONDS = 1.0
# Reliability rule R10: what a Redis that holds a queue should be set to.
_WANTED = {"appendonly": "yes", "maxmemory-policy": "noeviction"}


def coordinator_findings() -> Iterator[Finding]:
    reachable = asked("redis", _redis)
    yield reachable
    if reachable.state != "failed":
        yield asked("redis settings", redis_settings)
        yield asked("workers", _workers)
    yield asked("leases", _leases)


def _redis() -> Finding:
    try:
        with _client() as client:
            client.ping()
    except redis.RedisError as error:
        return Finding(
            "redis",
            "failed",
            f"{error}",
            "Start it, or correct REDIS_URL; until then the mode is `degraded`: reads repair their"
            " own gaps, nothing is lost.",
        )
    return Finding("redis", "ok", "answers")


def redis_settings() -> Finding:
    """Whether what Redis holds survives its restart, and is never thrown away for want of room."""
    try:
        with _client() as client:
            held = {name: client.config_get(name).get(name, "") for name in _WANTED}
    except redis.RedisError as error:
        fix = "Ask whoever runs it for: " + ", ".join(f"{k} {v}" for k, v in _WANTED.items())
        return Finding("redis settings", "warning", f"cannot be read: {error}", fix)
    wrong = {name: value for name, value in held.items() if value != _WANTED[name]}
    if wrong:
        return Finding(
            "redis settings",
            "warning",
            ", ".join(f"{name} is {value!r}" for name, value in wrong.items()),
            "CONFIG SET " + ", ".join(f"{name} {_WANTED[name]}" for name in wrong),
        )
    return Finding("redis settings", "ok", ", ".join(f"{k} {v}" for k, v in _WANTED.items()))


def _workers() -> Finding:
    try:
        answers = current_app.control.ping(timeout=_TIMEOUT_SECONDS)
    except (OperationalError, redis.RedisError, OSError) as error:
        return Finding("workers", "failed", str(error), "See whether the broker takes connections.")
    if not answers:
        return Finding(
            "workers",
            "failed",
            "no worker answers",
            "Start one: celery -A config worker --beat",
        )
    names = sorted(name for answer in answers for name in answer)
    return Finding("workers", "ok", ", ".join(names))


def _leases() -> Finding:
    late = database_now() - 2 * lease_times().ttl
    stuck = BackfillShard.objects.filter(state=ShardState.LEASED, expires_at__lt=late).count()
    if stuck:
        return Finding(
            "leases",
            "failed",
            f"{stuck} expired leases that nobody reaped",
            "Start a worker: every worker runs the reconciler.",
        )
    return Finding("leases", "ok", "none is stuck")


def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        decode_responses=True,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
    )
