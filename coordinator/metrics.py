"""Figures read from the database at scrape time, in one exporter: nothing here can drift."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from coordinator import counters
from coordinator.configuration import lease_times
from coordinator.lease_state import (
    ACTIVE_JOB_STATES,
    UNFINISHED_SHARD_STATES,
    JobState,
    ShardState,
)
from coordinator.mode import Mode, coordinator_mode
from coordinator.models import BackfillJob, BackfillShard, ServiceLease
from coordinator.services.database_clock import database_now
from coordinator.services.limits import limit_states

MAX_SERIES = 500
ENDED_WITHIN = timedelta(hours=1)
UNKNOWN = "unknown"

Ratio = tuple[str, str, str, float]


class BackfillCollector(Collector):
    """Backfill jobs and service leases that are active or ended within an hour, 500 at most.

    Register it in the one process that answers `/metrics`: prometheus' multiprocess mode has no
    custom collectors and never drops a label. With the database away only the mode is given.
    """

    def describe(self) -> list[Metric]:
        return []  # registering must not touch the database

    def collect(self) -> Iterator[Metric]:
        mode = coordinator_mode()
        yield _mode(mode)
        if mode is Mode.LOCAL:
            return
        try:
            families = [*_ratios(), *_shards(), _last_bars(), _tokens()]
        except (DatabaseError, InterfaceError):
            return
        yield from families


def _mode(current: Mode) -> Metric:
    family = GaugeMetricFamily(
        "lease_coordinator_mode", "1 for the coordinator's mode.", labels=["mode"]
    )
    for mode in Mode:
        family.add_metric([mode], float(mode is current))
    return family


def _ratios() -> list[Metric]:
    """Jobs before leases, the newest first; what finds no room is counted."""
    ratio = GaugeMetricFamily(
        "backfill_completion_ratio",
        "Committed of expected bars of a backfill job, or what a lease's holder reported.",
        labels=["node_id", "interval", "lease_key"],
    )
    since = database_now() - ENDED_WITHIN
    jobs, leases = _jobs_shown(since), _leases_shown(since)
    seen: set[str] = set()
    for node_id, interval, key, value in [*_job_ratios(jobs), *_lease_ratios(leases)][:MAX_SERIES]:
        if key not in seen:  # the newest job of a range that was asked for again
            seen.add(key)
            ratio.add_metric([node_id, interval, key], value)
    counters.SERIES_DROPPED.inc(max(0, jobs.count() + leases.count() - MAX_SERIES))
    return [ratio]


def _jobs_shown(since: datetime) -> QuerySet[BackfillJob]:
    return BackfillJob.objects.filter(Q(state__in=ACTIVE_JOB_STATES) | Q(ended_at__gte=since))


def _leases_shown(since: datetime) -> QuerySet[ServiceLease]:
    """Held ones, also a while after they have expired unnoticed, and those that ended lately."""
    held = Q(state=ServiceLease.State.HELD, expires_at__gte=since)
    return ServiceLease.objects.filter(held | Q(updated_at__gte=since))


def _job_ratios(jobs: QuerySet[BackfillJob]) -> Iterator[Ratio]:
    committed = Sum("shards__expected_bars", filter=Q(shards__state=ShardState.DONE))
    rows = jobs.annotate(committed=committed).order_by("-pk")
    fields = ("node__node_id", "interval", "lease_key", "committed", "expected_bars")
    for node_id, interval, key, done, expected in rows.values_list(*fields)[:MAX_SERIES]:
        yield node_id, str(interval), key, (done or 0) / expected


def _lease_ratios(leases: QuerySet[ServiceLease]) -> Iterator[Ratio]:
    rows = leases.order_by("-updated_at", "-pk")
    fields = ("node__node_id", "node__interval", "key", "completion_ratio")
    for node_id, interval, key, value in rows.values_list(*fields)[:MAX_SERIES]:
        yield node_id or UNKNOWN, str(interval or UNKNOWN), key, value


def _shards() -> list[Metric]:
    now = database_now()
    states = GaugeMetricFamily("backfill_shards", "Unfinished shards.", labels=["state"])
    unfinished = BackfillShard.objects.filter(state__in=UNFINISHED_SHARD_STATES)
    counts = dict(unfinished.values_list("state").annotate(n=Count("pk")))
    for state in sorted(UNFINISHED_SHARD_STATES):
        states.add_metric([state], counts.get(state, 0))
    jobs = GaugeMetricFamily("backfill_jobs_in_progress", "Active backfill jobs.")
    jobs.add_metric([], BackfillJob.objects.filter(state__in=ACTIVE_JOB_STATES).count())
    # Expired for longer than a reaper could have slept through.
    late = now - 2 * lease_times().ttl
    stuck = GaugeMetricFamily("backfill_stuck_leases", "Expired leases nobody reaped; must be 0.")
    stuck.add_metric([], unfinished.filter(state=ShardState.LEASED, expires_at__lt=late).count())
    oldest = GaugeMetricFamily(
        "backfill_oldest_pending_seconds", "How long the oldest due shard has waited."
    )
    due = unfinished.filter(next_attempt_at__lte=now).aggregate(at=Min("next_attempt_at"))["at"]
    oldest.add_metric([], (now - due).total_seconds() if due else 0.0)
    return [states, jobs, stuck, oldest]


def _last_bars() -> Metric:
    family = GaugeMetricFamily(
        "backfill_last_timestamp",
        "The newest bar time that a finished backfill has brought, epoch seconds.",
        labels=["node_id", "interval"],
    )
    done = BackfillJob.objects.filter(state=JobState.DONE).values_list("node__node_id", "interval")
    for node_id, interval, last in done.annotate(last=Max("range_end")).order_by()[:MAX_SERIES]:
        family.add_metric([node_id, str(interval)], last)
    return family


def _tokens() -> Metric:
    family = GaugeMetricFamily(
        "seamless_rl_tokens_available",
        "Shards that may begin at once under a source's rate limit.",
        labels=["limiter"],
    )
    for state in limit_states(database_now()):
        if state.limit.per_minute is not None:
            family.add_metric([state.limit.name], state.tokens)
    return family
