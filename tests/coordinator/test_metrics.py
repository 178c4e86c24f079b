"""What `/metrics` says about backfills comes from the database at that moment."""

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from coordinator import metrics
from coordinator.metrics import BackfillCollector
from coordinator.mode import Mode
from coordinator.models import BackfillJob
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.running import run_shard
from tests.coordinator.backfills import NOW


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
    shown = [scraped("backfill_completion_ratio", **labels_of(house, job)) for job in created]
    assert shown == [None, 0.0, 0.0]
    assert scraped("backfill_series_dropped") == 1.0


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
