"""A Redis that may be away: asked behind a circuit breaker, so that its absence costs little."""

from collections.abc import Callable
from typing import Any

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from coordinator.breaker import CircuitBreaker

TIMEOUT_SECONDS = 0.5

log = structlog.get_logger("seamless.backfill")


class GuardedRedis:
    """One Redis. Nothing is connected before the first question."""

    def __init__(
        self, url: str, *, timeout: float = TIMEOUT_SECONDS, breaker: CircuitBreaker | None = None
    ) -> None:
        self._breaker = breaker or CircuitBreaker()
        self._client = redis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # A reply that was lost is asked for again by whoever asks next, not by the client.
            retry=Retry(NoBackoff(), 0),
        )

    def is_reachable(self) -> bool:
        """Whether Redis answers; after an outage, only once it has answered three times."""
        return self._ask(self._client.ping) is not None and self._breaker.is_closed

    def report_failure(self, error: Exception) -> None:
        """Somebody else met Redis away (the task queue shares it)."""
        if self._breaker.failed():
            log.warning("seamless.coordinator.redis_unreachable", error=str(error))

    def _ask(self, question: Callable[[], Any]) -> Any:
        """The answer; None with Redis away, at once while the breaker is open."""
        if not self._breaker.allows():
            return None
        try:
            answer = question()
        except (redis.RedisError, OSError) as error:
            self.report_failure(error)
            return None
        if self._breaker.succeeded():
            log.info("seamless.coordinator.redis_recovered")
        return answer
