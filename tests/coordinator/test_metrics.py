"""What `/metrics` says about backfills comes from the database at that moment."""

from datetime import timedelta

import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from coordinator import counters, metrics
from coordinator.metrics import BackfillCollector
from coordinator.mode import Mode
from coordinator.models import BackfillJob, ServiceLease, SourceLimit
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.running import run_shard
from coordinator.services.service_leases import (
    claim_service_lease,
    complete_service_lease,
    fail_service_lease,
    renew_service_lease,
)
from tests.coordinator.backfills import NOW, READER, make_node


@pytest.fixture
def scraped():
    registry = CollectorRegistry()
    registry.register(BackfillCollector())
    return lambda name, **labels: registry.get_sample_value(name, labels)


def labels_of(house, job_id):
    key = BackfillJob.objects.get(pk=job_id).lease_key
    return {"node_id": house.node.node_id, "interval": "10", "lease_key": key}


def test_the_completion_ratio_of_a_job_is_committed_of_expected_bars(
    house, handler, scraped, settings
):
    settings.SEAMLESS_SHARD_BARS = 5
    (job_id,) = house.request((0, 90)).created
    labels = labels_of(house, job_id)
    assert scraped("backfill_completion_ratio", **labels) == 0.0
    run_shard(claim=claim_shard(holder="a", now=NOW))
    assert scraped("backfill_completion_ratio", **labels) == 0.5
    run_shard(claim=claim_shard(holder="a", now=NOW))
    assert scraped("backfill_completion_ratio", **labels) == 1.0


def test_jobs_that_ended_over_an_hour_ago_are_gone(house, handler, scraped):
    (job_id,) = house.request((0, 90)).created
    labels = labels_of(house, job_id)
    run_shard(claim=claim_shard(holder="a", now=NOW))
    BackfillJob.objects.update(ended_at=database_now() - timedelta(minutes=61))
    assert scraped("backfill_completion_ratio", **labels) is None


def test_no_more_than_the_newest_series_are_shown_and_the_rest_is_counted(
    house, scraped, monkeypatch
):
    monkeypatch.setattr(metrics, "MAX_SERIES", 2)
    created = house.request((0, 0), (100, 100), (200, 200)).created
    before = counters.SERIES_DROPPED._value.get()
    shown = [scraped("backfill_completion_ratio", **labels_of(house, job)) for job in created]
    assert shown == [None, 0.0, 0.0]
    assert counters.SERIES_DROPPED._value.get() == before + len(created)  # one a scrape


def test_a_range_asked_for_again_is_one_series_the_newest(house, handler, scraped):
    first = house.request((0, 90)).created[0]
    run_shard(claim=claim_shard(holder="a", now=NOW))
    house.request((0, 90))
    assert scraped("backfill_completion_ratio", **labels_of(house, first)) == 0.0


def test_shards_jobs_and_stuck_leases_are_counted(house, scraped, settings):
    settings.SEAMLESS_SHARD_BARS = 5
    house.request((0, 140))
    claim_shard(holder="a", now=NOW)  # long ago, by the database's clock
    assert scraped("backfill_shards", state="pending") == 2
    assert scraped("backfill_shards", state="leased") == 1
    assert scraped("backfill_shards", state="failed") == 0
    assert scraped("backfill_jobs_in_progress") == 1
    assert scraped("backfill_stuck_leases") == 1
    assert scraped("backfill_oldest_pending_seconds") > 0


def test_the_mode_is_shown_also_without_the_database(db, scraped, monkeypatch):
    assert scraped("lease_coordinator_mode", mode="full") == 1.0
    monkeypatch.setattr(metrics, "coordinator_mode", lambda: Mode.LOCAL)
    assert scraped("lease_coordinator_mode", mode="local") == 1.0
    assert scraped("lease_coordinator_mode", mode="full") == 0.0
    assert scraped("backfill_jobs_in_progress") is None


def ratio_of(scraped, key, node_id="unknown", interval="unknown"):
    return scraped("backfill_completion_ratio", node_id=node_id, interval=interval, lease_key=key)


def test_t36_a_service_lease_counts_in_the_metrics_of_the_node_that_begins_its_key(house, scraped):
    key, now = f"{house.node.node_id}:10:0:100::", database_now()
    lease = claim_service_lease(actor=READER, key=key, lease_ms=60_000, now=now)
    held = {"key": key, "token": lease.token}
    renew_service_lease(lease_ms=60_000, completion_ratio=0.25, now=now, **held)
    assert ratio_of(scraped, key, house.node.node_id, "10") == 0.25
    complete_service_lease(actor=READER, now=now, **held)
    assert ratio_of(scraped, key, house.node.node_id, "10") == 1.0


def test_x24_ids_with_colons_and_slashes_are_found_and_look_alikes_are_not(house, scraped):
    node_id = house.node.node_id
    make_node(house.version, node_id.removesuffix(":10s"))  # a shorter one that begins the key too
    for key in (f"{node_id}:10:0:100::2025-01-01T00:00:00Z", f"{node_id}/x:10:0:100::"):
        claim_service_lease(actor=READER, key=key, lease_ms=60_000, now=database_now())
    assert ratio_of(scraped, f"{node_id}:10:0:100::2025-01-01T00:00:00Z", node_id, "10") == 0.0
    shorter = node_id.removesuffix(":10s")
    assert ratio_of(scraped, f"{node_id}/x:10:0:100::", shorter, "10") == 0.0


def test_a_key_of_no_node_is_unknown_and_ended_leases_go_away(house, scraped):
    now = database_now()
    lease = claim_service_lease(actor=READER, key="elsewhere", lease_ms=60_000, now=now)
    assert ratio_of(scraped, "elsewhere") == 0.0
    fail_service_lease(actor=READER, key="elsewhere", token=lease.token, reason="x", now=now)
    assert ratio_of(scraped, "elsewhere") == 0.0
    ServiceLease.objects.update(updated_at=now - timedelta(minutes=61))
    assert ratio_of(scraped, "elsewhere") is None


def test_a_finished_backfill_tells_its_latency_and_its_newest_bar(house, handler, scraped):
    labels = {"node_id": house.node.node_id, "interval": "10"}
    count = "gap_repair_latency_ms_count"
    before = REGISTRY.get_sample_value(count, labels) or 0
    house.request((0, 100))
    run_shard(claim=claim_shard(holder="a", now=NOW))
    assert REGISTRY.get_sample_value(count, labels) == before + 1
    assert scraped("backfill_last_timestamp", **labels) == 100


def test_a_rate_limit_tells_how_many_shards_may_begin(house, scraped):
    limit = {"per_minute": 60.0, "burst": 5, "tokens": 3.0, "refilled_at": database_now()}
    SourceLimit.objects.create(name="http:api.example", **limit)
    left = scraped("seamless_rl_tokens_available", limiter="http:api.example")
    assert left == pytest.approx(3.0, abs=2.0)  # a token a second comes back meanwhile
