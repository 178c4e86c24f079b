"""The coordinator's settings, read where they are used so that a test can override them."""

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
