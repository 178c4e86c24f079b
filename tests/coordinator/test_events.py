"""The coordinator's log events, as a snapshot: names and fields that dashboards and alerts read."""

import pytest
from prometheus_client.metrics import MetricWrapperBase
from structlog.testing import capture_logs

from coordinator import counters
from coordinator.models import BackfillShard
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.failing import mark_failed
from coordinator.services.running import run_shard

LEASE = {
    *("coordinator_id", "lease_key", "node_id", "interval", "batch_start", "batch_end", "world"),
    *("requested_as_of", "worker", "lease_until_ms", "completion_ratio", "epoch", "request_id"),
}
BATCH = {"batch_id", "attempt", "node_id", "interval", "start", "end", "error"}
ALWAYS = {"event", "log_level"}


def boom(*_):
    raise ValueError("boom")


def told(events):
    return {event["event"]: set(event) - ALWAYS for event in events}


def test_t38_a_shard_that_succeeds_tells_these_events_with_these_fields(house, handler):
    house.request((0, 100))
    with capture_logs() as events:
        run_shard(claim=claim_shard(holder="a", now=database_now()))
    assert told(events) == {
        "seamless.backfill.coordinator_claimed": LEASE,
        "seamless.backfill.attempt": BATCH | {"source"},
        "seamless.backfill.coordinator_completed": LEASE,
        "seamless.backfill.succeeded": BATCH | {"source"},
    }


def test_t38_a_shard_that_fails_is_retried_and_in_the_end_failed(house, handler, settings):
    settings.SEAMLESS_MAX_ATTEMPTS = 2
    settings.SEAMLESS_RETRY_BASE_SECONDS = 0.0
    handler.on_fetch = boom
    house.request((0, 100))
    with capture_logs() as events:
        for _ in range(2):
            run_shard(claim=claim_shard(holder="a", now=database_now()))
    fields = told(events)
    assert fields["seamless.backfill.coordinator_failed"] == LEASE | {"reason"}
    assert fields["seamless.backfill.retry"] == BATCH | {"request_id"}
    assert fields["seamless.backfill.failed"] == BATCH | {"request_id", "source"}
    failed = [e for e in events if e["event"] == "seamless.backfill.coordinator_failed"]
    assert {event["completion_ratio"] for event in failed} == {0.0}
    assert failed[0]["reason"] == "ValueError: boom"


def test_t43_a_shard_that_ends_without_its_rows_counts_once(house, handler, settings):
    settings.SEAMLESS_MAX_ATTEMPTS = 1
    handler.on_fetch = boom
    house.request((0, 100))
    labels = (house.node.node_id, "10")
    failures, retries = (c.labels(*labels)._value for c in (counters.FAILURES, counters.RETRIES))
    before = failures.get(), retries.get()
    run_shard(claim=claim_shard(holder="a", now=database_now()))
    assert (failures.get(), retries.get()) == (before[0] + 1, before[1])


def test_a_late_result_is_told_as_rejected_and_never_as_completed(house, handler):
    house.request((0, 100))
    claim = claim_shard(holder="a", now=database_now())
    mark_failed(shard_id=claim.shard_id, epoch=claim.epoch, reason="gone", now=database_now())
    before = counters.FENCE_REJECTED._value.get()
    with capture_logs() as events:
        run_shard(claim=claim)
    names = {event["event"] for event in events}
    assert "seamless.backfill.fence_rejected" in names
    assert "seamless.backfill.coordinator_completed" not in names
    assert counters.FENCE_REJECTED._value.get() == before + 1
    assert BackfillShard.objects.get().state == "failed"


@pytest.mark.parametrize(
    ("metric", "labels"),
    [
        (counters.LEASE_EXPIRED, ("reason",)),
        (counters.TAKEOVER_SECONDS, ()),
        (counters.FENCE_REJECTED, ()),
        (counters.RENEWAL_LATE_SECONDS, ()),
        (counters.REQUEUED, ()),
        (counters.FAILURES, ("node_id", "interval")),
        (counters.RETRIES, ("node_id", "interval")),
        (counters.SERIES_DROPPED, ()),
    ],
)
def test_the_counters_have_the_labels_that_are_agreed(metric, labels):
    assert metric._labelnames == labels


def test_the_names_of_the_counters_are_those_that_are_agreed():
    metrics = [m for m in vars(counters).values() if isinstance(m, MetricWrapperBase)]
    families = [family for metric in metrics for family in metric.describe()]
    names = {f.name + ("_total" if f.type == "counter" else "") for f in families}
    assert names >= {
        "backfill_lease_expired_total",
        "backfill_lease_takeover_seconds",
        "backfill_fence_rejected_total",
        "backfill_renewal_late_seconds",
        "backfill_reconcile_requeued_total",
        "backfill_failure_total",
        "backfill_retry_total",
        "backfill_series_dropped_total",
    }
