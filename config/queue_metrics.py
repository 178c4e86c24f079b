"""What waits in the broker, asked of Redis at scrape time; nothing is said where it is away."""

from collections.abc import Iterator

import redis
from django.conf import settings
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

QUEUE = "celery"
_TIMEOUT_SECONDS = 0.5


class QueueCollector(Collector):
    def describe(self) -> list[Metric]:
        return []  # registering must not touch Redis

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "seamless_celery_messages",
            "Messages in the broker, by what they wait for; no series where Redis is away.",
            labels=["state"],
        )
        for state, count in self._counts():
            family.add_metric([state], count)
        yield family

    def _counts(self) -> list[tuple[str, int]]:
        prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]
        try:
            with redis.Redis.from_url(
                settings.REDIS_URL,
                socket_timeout=_TIMEOUT_SECONDS,
                socket_connect_timeout=_TIMEOUT_SECONDS,
            ) as client:
                return [
                    ("waiting", client.llen(f"{prefix}{QUEUE}")),
                    ("unacknowledged", client.hlen(f"{prefix}unacked")),
                ]
        except redis.RedisError:
            return []
