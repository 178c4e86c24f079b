"""Requests become jobs and shards, once; jobs end with a certificate or a violation report."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from coordinator.lease_state import lease_key
from coordinator.models import BackfillJob, BackfillShard
from coordinator.services import requesting
from coordinator.services.claiming import claim_shard
from coordinator.services.finishing import (
    cancel_job,
    certificate_of,
    close_finished_jobs,
)
from coordinator.services.job_rows import JobHasEnded, NoSuchJob
from coordinator.services.progress import progress
from coordinator.services.requesting import BackfillTooLarge
from coordinator.services.running import run_shard
from registry.errors import InvalidInput
from registry.models import AuditEvent
from tests.coordinator.backfills import NOW, READER, make_node, make_version, pointers
from tests.databases import as_owner


def ranges_of(job_ids):
    jobs = BackfillJob.objects.filter(pk__in=job_ids).order_by("range_start")
    return [(job.range_start, job.range_end) for job in jobs]


def audited(action):
    return list(AuditEvent.objects.filter(action=action).order_by("pk"))


def drain(now=NOW):
    while (claim := claim_shard(holder="w", now=now)) is not None:
        run_shard(claim=claim)


def test_a_request_becomes_one_job_per_gap_cut_into_bar_aligned_shards(house, settings):
    settings.SEAMLESS_SHARD_BARS = 5
    request = house.request((0, 100), (200, 200))
    assert request.joined == ()
    assert ranges_of(request.created) == [(0, 100), (200, 200)]
    job = BackfillJob.objects.get(pk=request.created[0])
    shards = [(s.range_start, s.range_end, s.expected_bars) for s in job.shards.order_by("pk")]
    assert shards == [(0, 40, 5), (50, 90, 5), (100, 100, 1)]
    assert (job.state, job.expected_bars, job.request_id) == ("pending", 11, "req-7")
    assert job.lease_key == lease_key(house.node.node_id, 10, 0, 100, house.version.pk)


def test_an_identical_request_joins_and_creates_nothing(house):
    first = house.request((0, 100))
    second = house.request((0, 100))
    assert (second.created, second.joined) == ((), first.created)
    assert len(audited("backfill.request")) == 1


def test_x23_an_overlapping_request_creates_only_the_rest(house):
    first = house.request((20, 60))
    second = house.request((0, 100), (300, 310))
    assert second.joined == first.created
    assert ranges_of(second.created) == [(0, 10), (70, 100), (300, 310)]
    assert second.job_ids == [*first.created, *second.created]


def test_what_has_ended_is_asked_for_again(house, oscar):
    first = house.request((0, 100))
    cancel_job(actor=oscar, job_id=first.created[0], reason="wrong source", now=NOW)
    assert ranges_of(house.request((0, 100)).created) == [(0, 100)]


def test_a_request_for_nothing_does_nothing(house):
    assert house.request().job_ids == []
    assert audited("backfill.request") == []


def test_requests_of_other_versions_and_nodes_share_nothing(house):
    other = make_node(house.version, "ohlcv:x:ETH/USDT:10s")
    house.request((0, 100))
    assert house.request((0, 100), node=other).joined == ()


@pytest.mark.parametrize("missing", [(5, 25), (0, 15)])
def test_a_range_off_the_grid_is_refused(house, missing):
    with pytest.raises(InvalidInput, match="off the grid"):
        house.request(missing)


def test_a_version_of_another_subject_is_refused(house):
    with pytest.raises(InvalidInput, match="another subject"):
        house.request((0, 100), bound_version=make_version("market.trades"))


def test_too_many_gaps_or_shards_are_refused(house, settings, monkeypatch):
    monkeypatch.setattr(requesting, "MAX_RANGES", 2)
    with pytest.raises(BackfillTooLarge, match="separate gaps"):
        house.request((0, 0), (20, 20), (40, 40))
    settings.SEAMLESS_SHARD_BARS = 1
    monkeypatch.setattr(requesting, "MAX_SHARDS", 10)
    with pytest.raises(BackfillTooLarge, match="11 shards"):
        house.request((0, 100))
    assert not BackfillJob.objects.exists()


def test_expected_bars_count_every_series_since_it_exists_and_on_open_days_only(house):
    day = 86_400
    node = make_node(
        house.version,
        "stocks",
        interval=day,
        calendar="XNYS",
        series=[
            {"key": {"symbol": "IBM"}, "since": None},
            {"key": {"symbol": "FB"}, "since": 1_337_299_200},
        ],
    )
    monday = 1_336_953_600  # 2012-05-14; FB began on the Friday of that week
    request = house.request((monday, monday + 7 * day), node=node)
    job = BackfillJob.objects.get(pk=request.created[0])
    assert job.expected_bars == 6 + 2


def test_a_range_without_expected_bars_makes_no_job(house):
    saturday = 1_337_385_600
    node = make_node(house.version, "stocks", interval=86_400, calendar="XNYS")
    assert house.request((saturday, saturday + 86_400), node=node).job_ids == []


def test_the_database_itself_refuses_overlapping_active_jobs(house):
    (job_id,) = house.request((0, 100)).created
    job = BackfillJob.objects.get(pk=job_id)
    job.pk, job.range_start, job.range_end = None, 100, 150
    with pytest.raises(IntegrityError), transaction.atomic():
        job.save(force_insert=True)
    job.range_start = 110
    job.save(force_insert=True)


def test_the_database_refuses_to_reopen_a_job_over_another(house, oscar):
    (first,) = house.request((0, 100)).created
    cancel_job(actor=oscar, job_id=first, reason="", now=NOW)
    house.request((50, 50))
    with pytest.raises(IntegrityError), transaction.atomic():
        BackfillJob.objects.filter(pk=first).update(state="running", ended_at=None)


@pytest.mark.parametrize(
    "fields",
    [
        {"range_start": 310},
        {"range_end": 305},
        {"interval": 0},
        {"expected_bars": 0},
        {"state": "done"},
        {"state": "running", "ended_at": NOW},
        {"state": "unheard of"},
    ],
)
def test_the_database_refuses_a_job_that_makes_no_sense(house, fields):
    (job_id,) = house.request((0, 100)).created
    sound = {"pk": None, "range_start": 200, "range_end": 300}
    job = BackfillJob.objects.get(pk=job_id)
    for name, value in (sound | fields).items():
        setattr(job, name, value)
    with pytest.raises(IntegrityError), transaction.atomic():
        job.save(force_insert=True)


def test_the_database_keeps_the_range_of_a_job_and_never_forgets_one(house):
    house.request((0, 100))
    with pytest.raises(IntegrityError), transaction.atomic():
        BackfillJob.objects.update(range_end=200)
    with as_owner(), pytest.raises(IntegrityError), transaction.atomic():
        BackfillShard.objects.all().delete()


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "leased"},
        {"state": "leased", "holder": "w", "epoch": 1, "leased_at": NOW},
        {"next_attempt_at": None},
        {"state": "done", "next_attempt_at": None, "done_at": NOW, "epoch": 1},
        {"state": "violation", "next_attempt_at": None, "done_at": NOW},
        {"range_start": 5},
    ],
)
def test_the_database_refuses_a_shard_that_nobody_would_drive_on(house, fields):
    house.request((0, 100))
    with pytest.raises(IntegrityError), transaction.atomic():
        BackfillShard.objects.update(**fields)


def test_an_epoch_never_falls_and_an_ended_shard_reopens_only_under_a_new_one(house, handler):
    house.request((0, 100))
    drain()
    again = {"state": "pending", "next_attempt_at": NOW, "done_at": None}
    for fields in ({"epoch": 0}, again):
        with pytest.raises(IntegrityError), transaction.atomic():
            BackfillShard.objects.update(**fields)
    assert BackfillShard.objects.update(**again, epoch=2) == 1


def test_a_waiting_reader_raises_the_shards_it_waits_on_and_no_others(house, settings):
    settings.SEAMLESS_SHARD_BARS = 5
    house.request((0, 140))
    house.request((60, 70), wanted_now=True)
    claim = claim_shard(holder="w", now=NOW)
    assert claim.range == (50, 90)
    assert BackfillShard.objects.filter(wanted_now=True).count() == 1


def test_a_paused_job_runs_only_what_a_reader_waits_for(house, settings):
    settings.SEAMLESS_SHARD_BARS = 5
    (job_id,) = house.request((0, 140)).created
    BackfillJob.objects.filter(pk=job_id).update(state="paused")
    assert claim_shard(holder="w", now=NOW) is None
    house.request((60, 70), wanted_now=True)
    assert claim_shard(holder="w", now=NOW).range == (50, 90)
    assert claim_shard(holder="w", now=NOW) is None


def test_a_job_runs_from_its_first_claim_and_ends_with_a_certificate(house, handler, settings):
    settings.SEAMLESS_SHARD_BARS = 5
    (job_id,) = house.request((0, 100)).created
    run_shard(claim=claim_shard(holder="w", now=NOW))
    halfway = progress(job_id)
    assert (halfway.state, halfway.committed_bars, halfway.expected_bars) == ("running", 5, 11)
    assert halfway.shards == {"done": 1, "pending": 2}
    drain()
    assert (progress(job_id).ratio, progress(job_id).has_ended) == (1.0, True)
    (event,) = audited("backfill.certificate")
    assert event.object_id == str(job_id)
    assert (event.after["expected_bars"], event.after["written_bars"]) == (11, 11)
    assert [entry["range"] for entry in event.after["done"]] == [[0, 40], [50, 90], [100, 100]]
    assert event.after["missing"] == []
    assert event.after["schema"]["fingerprint"] == house.version.resolved_fingerprint


def test_a_certificate_says_what_the_source_did_not_have(house, handler):
    handler.rows_missing = 3
    (job_id,) = house.request((0, 100)).created
    drain()
    certificate = certificate_of(BackfillJob.objects.get(pk=job_id))
    assert (certificate["state"], certificate["expected_bars"]) == ("done", 11)
    assert certificate["written_bars"] == 8
    assert progress(job_id).written_bars == 8


def test_cancelling_ends_what_is_unfinished_and_keeps_what_is_done(house, handler, settings, oscar):
    settings.SEAMLESS_SHARD_BARS = 5
    (job_id,) = house.request((0, 100)).created
    run_shard(claim=claim_shard(holder="w", now=NOW))
    claim = claim_shard(holder="w", now=NOW)
    cancel_job(actor=oscar, job_id=job_id, reason="wrong source", now=NOW)
    assert run_shard(claim=claim).state is None
    assert len(pointers()) == 1
    assert progress(job_id).state == "cancelled"
    assert progress(job_id).shards == {"done": 1, "violation": 2}
    codes = BackfillShard.objects.filter(state="violation").values_list("violation", flat=True)
    assert set(codes) == {"cancelled"}
    (event,) = audited("backfill.job.cancel")
    assert (event.actor_name, event.reason) == ("oscar", "wrong source")


def test_what_cannot_be_cancelled_is_refused(house, oscar):
    with pytest.raises(NoSuchJob):
        cancel_job(actor=oscar, job_id=404, reason="", now=NOW)
    (job_id,) = house.request((0, 100)).created
    cancel_job(actor=oscar, job_id=job_id, reason="", now=NOW)
    with pytest.raises(JobHasEnded):
        cancel_job(actor=oscar, job_id=job_id, reason="", now=NOW)


def test_closing_is_harmless_while_a_shard_is_unfinished_and_when_done_twice(house, handler):
    (job_id,) = house.request((0, 100)).created
    assert close_finished_jobs(now=NOW) == []
    claim = claim_shard(holder="w", now=NOW)
    run_shard(claim=claim)
    assert close_finished_jobs(now=NOW + timedelta(seconds=9), job_ids=[job_id]) == []
    assert len(audited("backfill.certificate")) == 1


def test_every_step_has_its_audit_record(house, handler):
    house.request((0, 100))
    drain()
    actions = [event.action for event in AuditEvent.objects.order_by("pk")]
    assert actions == [
        "backfill.request",
        "backfill.shard.claim",
        "backfill.shard.commit",
        "backfill.certificate",
    ]
    assert AuditEvent.objects.get(action="backfill.request").actor_name == READER.name


def test_concurrent_equal_and_overlapping_requests_make_one_set_of_jobs(committed_house):
    """Eight threads at once: every bar is in exactly one active job."""
    start, errors = threading.Barrier(8), []

    def ask(number):
        try:
            start.wait()
            committed_house.request((10 * (number % 4), 200))
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    bars = [
        bar
        for start_, end in ranges_of(BackfillJob.objects.values_list("pk", flat=True))
        for bar in range(start_, end + 1, 10)
    ]
    assert sorted(bars) == list(range(0, 201, 10))
