"""Every metric that an instance exposes, as the code declares it."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from config import http_metrics  # noqa: F401  (declares its metrics)
from config.queue_metrics import QueueCollector
from coordinator import counters  # noqa: F401
from coordinator.metrics import BackfillCollector
from provider import metrics  # noqa: F401
from registry.metrics import RegistryCollector

_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
}


@dataclass(frozen=True, slots=True)
class Declared:
    """`name` as Prometheus writes it, a counter with its `_total`."""

    name: str
    type: str
    labels: tuple[str, ...]
    text: str
    buckets: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        base = self.name.removesuffix("_total")
        return tuple(base + suffix for suffix in _SUFFIXES[self.type])


def scrape_collectors() -> tuple[Collector, ...]:
    """What asks the database and the broker at scrape time, in the process that is scraped."""
    return BackfillCollector(), RegistryCollector(), QueueCollector()


def declared_metrics() -> list[Declared]:
    """By name. Asks the database: the figures read from it are declared by reading them."""
    return sorted([*_counted(), *_read()], key=lambda metric: metric.name)


def exposed_series() -> set[str]:
    return {series for metric in declared_metrics() for series in metric.series}


def _counted() -> Iterator[Declared]:
    collectors = REGISTRY._collector_to_names
    for collector in collectors:
        if isinstance(collector, MetricWrapperBase):
            bounds = tuple(getattr(collector, "_upper_bounds", ()))
            yield _declared(
                collector._name,
                str(collector._type),
                tuple(collector._labelnames),
                collector._documentation,
                bounds,
            )


def _read() -> Iterator[Declared]:
    for collector in scrape_collectors():
        for family in collector.collect():
            labels = tuple(getattr(family, "_labelnames", ()))
            yield _declared(family.name, family.type, labels, family.documentation)


def _declared(
    name: str, kind: str, labels: tuple[str, ...], text: str, buckets: tuple[float, ...] = ()
) -> Declared:
    return Declared(name + "_total" if kind == "counter" else name, kind, labels, text, buckets)
