"""The coordinator's settings, read where they are used so that a test can override them."""

from datetime import timedelta

from django.conf import settings

from coordinator.lease_state import RetryPolicy
from coordinator.lease_times import LeaseTimes


def lease_times() -> LeaseTimes:
    return LeaseTimes(ttl_seconds=getattr(settings, "SEAMLESS_LEASE_TTL_SECONDS", 30.0))


def retry_policy() -> RetryPolicy:
    return RetryPolicy(
        base_seconds=getattr(settings, "SEAMLESS_RETRY_BASE_SECONDS", 0.5),
        jitter=getattr(settings, "SEAMLESS_RETRY_JITTER", 0.25),
        max_attempts=getattr(settings, "SEAMLESS_MAX_ATTEMPTS", 6),
    )


def shard_bars() -> int:
    """Bars of the grid in one shard."""
    return int(getattr(settings, "SEAMLESS_SHARD_BARS", 900))


def reconcile_every() -> timedelta:
    return timedelta(seconds=getattr(settings, "SEAMLESS_RECONCILE_SECONDS", 5.0))


def waiting_reads() -> int:
    """How many reads of one web process may wait for backfills: half of its threads."""
    return max(1, int(getattr(settings, "SEAMLESS_WEB_THREADS", 8)) // 2)


def quarantine_kept() -> timedelta:
    return timedelta(days=getattr(settings, "SEAMLESS_QUARANTINE_DAYS", 90))
