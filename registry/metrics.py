"""Figures of the registry, read from the database at scrape time (see `coordinator.metrics`)."""

from collections.abc import Iterator

from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Max, Min, Sum
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from registry.models import AuditCheckpoint, AuditPending, Incident, Mode, Proposal, Rollout
from registry.models.subjects import ProposalState
from registry.services.gates import gates_of

MAX_CANARIES = 100


class RegistryCollector(Collector):
    """What is agreed, offered and sealed. With the database away it gives nothing."""

    def describe(self) -> list[Metric]:
        return []  # registering must not touch the database

    def collect(self) -> Iterator[Metric]:
        try:
            families = [*_audit(), _proposals(), _rollouts(), _incidents(), *_canaries()]
        except (DatabaseError, InterfaceError):
            return
        yield from families


def _audit() -> list[Metric]:
    waiting = AuditPending.objects.aggregate(rows=Count("pk"), oldest=Min("event__at"))
    oldest = waiting["oldest"]
    lag = max(0.0, (timezone.now() - oldest).total_seconds()) if oldest else 0.0
    size = AuditCheckpoint.objects.aggregate(size=Max("size"))["size"] or 0
    return [
        _gauge(
            "seamless_audit_pending_records",
            "Audit records that wait for their seal.",
            waiting["rows"],
        ),
        _gauge("seamless_audit_seal_lag_seconds", "Age of the oldest unsealed audit record.", lag),
        _gauge("seamless_audit_sealed_records", "Records under the last checkpoint.", size),
    ]


def _proposals() -> Metric:
    counts = dict(Proposal.objects.values_list("state").annotate(n=Count("pk")))
    family = GaugeMetricFamily("seamless_proposals", "Proposals by state.", labels=["state"])
    for state in ProposalState.values:
        family.add_metric([state], counts.get(state, 0))
    return family


def _rollouts() -> Metric:
    live = Rollout.objects.filter(ended_at=None).values_list("mode").annotate(n=Count("pk"))
    counts = dict(live)
    family = GaugeMetricFamily("seamless_rollouts", "Live rollouts by mode.", labels=["mode"])
    for mode in Mode.values:
        family.add_metric([mode], counts.get(mode, 0))
    return family


def _incidents() -> Metric:
    number = Incident.objects.filter(closed_at=None).count()
    return _gauge("seamless_incidents_open", "Incidents that nobody has closed.", number)


def _canaries() -> list[Metric]:
    """The newest canaries: what their gates say, and how much of their reads went unchecked."""
    labels = ["consumer", "bundle"]
    unchecked = GaugeMetricFamily(
        "seamless_canary_unchecked_ratio",
        "Share of a canary rollout's reads whose check was shed or crashed.",
        labels=labels,
    )
    gate = GaugeMetricFamily(
        "seamless_gate_open",
        "1 where a gate of a canary rollout is open.",
        labels=[*labels, "gate"],
    )
    live = Rollout.objects.filter(ended_at=None, mode=Mode.CANARY)
    related = live.select_related("consumer", "bundle__gate_policy", "release")
    tallies = related.annotate(
        seen=Sum("tallies__reads", default=0), shed=Sum("tallies__unchecked", default=0)
    )
    now = timezone.now()
    for rollout in tallies.order_by("-pk")[:MAX_CANARIES]:
        names = [rollout.consumer.name, rollout.bundle.name]
        reads = rollout.seen + rollout.shed
        unchecked.add_metric(names, rollout.shed / reads if reads else 0.0)
        for one in gates_of(rollout, now):
            gate.add_metric([*names, one.name], float(one.ok))
    return [unchecked, gate]


def _gauge(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, text)
    family.add_metric([], value)
    return family
