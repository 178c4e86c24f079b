"""Synthetic trouble for drills: the metrics of a bad hour, in a registry that nobody else reads.

Same names, labels and buckets as the live metrics, so that rules and dashboards react to them; a
Prometheus for drills scrapes the scratch endpoint, or reads the text file. Nothing here touches the
live registry: a drill never hides or fakes what really happens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from provider.metrics import SLA_BUCKETS


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a drill pretends of one node."""

    node_id: str
    interval: int = 60
    repetitions: int = 10
    phase: str = "total"
    seconds: float = 300.0
    flag: str = "gap"
    ratio: float = 0.25


def sla_violation(trouble: Trouble, registry: CollectorRegistry) -> None:
    """`repetitions` reads that took `seconds` in `phase`."""
    histogram = Histogram(
        "seamless_sla_deadline_seconds",
        "Drill.",
        ["node_id", "phase"],
        buckets=SLA_BUCKETS,
        registry=registry,
    )
    exceeded = Counter("seamless_sla_violation", "Drill.", ["node_id", "phase"], registry=registry)
    for _ in range(trouble.repetitions):
        histogram.labels(trouble.node_id, trouble.phase).observe(trouble.seconds)
    exceeded.labels(trouble.node_id, trouble.phase).inc(trouble.repetitions)


def flag_spike(trouble: Trouble, registry: CollectorRegistry) -> None:
    """`repetitions` flags of one kind."""
    labels = ["node_id", "interval", "flag_type"]
    flags = Counter("seamless_conformance_flag", "Drill.", labels, registry=registry)
    flags.labels(trouble.node_id, str(trouble.interval), trouble.flag).inc(trouble.repetitions)


def stuck_lease(trouble: Trouble, registry: CollectorRegistry) -> None:
    """A backfill that stands at `ratio`, with `repetitions` leases that nobody reaps."""
    labels = ["node_id", "interval", "lease_key"]
    completion = Gauge("backfill_completion_ratio", "Drill.", labels, registry=registry)
    completion.labels(trouble.node_id, str(trouble.interval), "drill").set(trouble.ratio)
    stuck = Gauge("backfill_stuck_leases", "Drill.", registry=registry)
    stuck.set(trouble.repetitions)


DRILLS: Mapping[str, Callable[[Trouble, CollectorRegistry], None]] = {
    "sla-violation": sla_violation,
    "flag-spike": flag_spike,
    "stuck-lease": stuck_lease,
}


def rehearse(kind: str, trouble: Trouble) -> CollectorRegistry:
    """A scratch registry with this trouble in it. KeyError for a kind that is none."""
    registry = CollectorRegistry()
    DRILLS[kind](trouble, registry)
    return registry
