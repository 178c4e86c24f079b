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
        prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]
        try:
            with redis.Redis.from_url(
                settings.REDIS_URL,
                socket_timeout=_TIMEOUT_SECONDS,
                socket_connect_timeout=_TIMEOUT_SECONDS,
            ) as client:
                waiting = client.llen(f"{prefix}{QUEUE}")
                unacknowledged = client.hlen(f"{prefix}unacked")
        except redis.RedisError:
            return
        family = GaugeMetricFamily(
            "seamless_celery_messages",
            "Messages in the broker, by what they wait for.",
            labels=["state"],
        )
        family.add_metric(["waiting"], waiting)
        family.add_metric(["unacknowledged"], unacknowledged)
        yield family
