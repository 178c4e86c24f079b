"""Readers that wait: they raise shards, detach, count no more when they are gone, leave threads."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from coordinator.coverage import CoverageRange
from coordinator.models import BackfillJob, BackfillShard, BackfillWaiter
from coordinator.services import local_runs, progress, waiting
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.finishing import cancel_job
from coordinator.services.outcomes import outcomes_of
from coordinator.services.progress import have_ended
from coordinator.services.reconciling import reconcile
from coordinator.services.running import run_shard
from coordinator.services.waiters import detach
from coordinator.services.waiting import TooManyWaiting, finish_request
from tests.coordinator.backfills import NOW, pointers


@pytest.fixture(autouse=True)
def _small_shards(settings):
    settings.SEAMLESS_SHARD_BARS = 5


def queue():
    """(first bar, priority, wanted) of what is unfinished, as it would be claimed."""
    shards = BackfillShard.objects.order_by("rank", "pk")
    return [(s.range_start, s.priority, s.wanted_now) for s in shards]


def test_a_requester_that_detaches_takes_its_raise_along(house):
    house.request((0, 140))
    before = queue()
    reader = house.request((60, 70), wanted_now=True)
    assert queue()[0] == (50, 100, True)
    assert detach(waiters=reader.waiters, now=NOW) == 1
    assert queue() == before
    assert not BackfillWaiter.objects.exists()


def test_what_another_reader_waits_for_stays_raised(house):
    house.request((0, 140))
    first = house.request((0, 70), wanted_now=True)
    second = house.request((60, 140), wanted_now=True)
    assert detach(waiters=first.waiters, now=NOW) == 1
    assert queue() == [(50, 100, True), (100, 100, True), (0, 0, False)]
    assert detach(waiters=second.waiters, now=NOW) == 2
    assert [wanted for _, _, wanted in queue()] == [False] * 3


def test_a_reader_whose_process_died_counts_until_its_budget_ends(house):
    house.request((60, 70), wanted_now=True, wanted_until=NOW + timedelta(seconds=10))
    assert reconcile(now=NOW + timedelta(seconds=9)).dismissed == 0
    assert reconcile(now=NOW + timedelta(seconds=10)).dismissed == 1
    assert queue() == [(60, 0, False)]


def test_no_reader_waits_longer_than_the_longest_wait(house, settings):
    settings.SEAMLESS_LONGEST_WAIT_SECONDS = 60.0
    house.request((0, 0), wanted_now=True, wanted_until=NOW + timedelta(days=1))
    assert BackfillWaiter.objects.get().until == NOW + timedelta(seconds=60)


def test_shards_of_a_paused_job_rest_again_when_their_reader_has_gone(house):
    (job_id,) = house.request((0, 140)).created
    BackfillJob.objects.filter(pk=job_id).update(state="paused")
    reader = house.request((60, 70), wanted_now=True)
    detach(waiters=reader.waiters, now=NOW)
    assert claim_shard(holder="w", now=NOW) is None


def test_detaching_twice_or_after_the_job_has_ended_is_harmless(house, oscar):
    reader = house.request((0, 140), wanted_now=True)
    cancel_job(actor=oscar, job_id=reader.created[0], reason="", now=NOW)
    assert detach(waiters=reader.waiters, now=NOW) == 0
    assert detach(waiters=reader.waiters, now=NOW) == 0


def soon(seconds=60.0):
    return time.monotonic() + seconds


def test_a_read_waits_for_what_it_asked_and_then_detaches(committed_house, handler, monkeypatch):
    monkeypatch.setattr(local_runs, "PICKUP_SECONDS", 0.05)
    reader = committed_house.request((0, 90), wanted_now=True)
    assert finish_request(reader, soon()) is True
    assert len(pointers()) == 2
    assert not BackfillWaiter.objects.exists()


def test_a_read_waits_for_its_own_ranges_of_a_long_job(committed_house, handler):
    """Also where the job is paused: what the read does not need stays undone."""
    (long,) = committed_house.request((0, 990)).created
    BackfillJob.objects.update(state="paused")
    reader = committed_house.request((60, 70), (500, 500), wanted_now=True)
    while (claim := claim_shard(holder="w", now=database_now())) is not None:
        run_shard(claim=claim)
    assert finish_request(reader, soon(0.0)) is True
    assert sorted(fetched.start for fetched in handler.fetched) == [50, 500]
    ((_, state, unfinished),) = [
        (one.job_id, one.state, one.unfinished)
        for one in outcomes_of([long], within=CoverageRange(60, 70))
    ]
    assert (state, unfinished) == ("paused", 0)
    assert outcomes_of([long])[0].is_running


def test_of_very_many_ranges_the_hull_is_waited_for(committed_house, monkeypatch):
    monkeypatch.setattr(progress, "RANGES_TOLD_APART", 1)
    request = committed_house.request((0, 0), (500, 500))
    ranges = [CoverageRange(0, 0), CoverageRange(500, 500)]
    assert not have_ended(request.job_ids, ranges)
    BackfillShard.objects.all().update(
        state="violation", violation="x", done_at=NOW, next_attempt_at=None
    )
    assert have_ended(request.job_ids, ranges)


def test_a_read_whose_budget_ends_detaches_and_the_work_goes_on(committed_house, handler):
    reader = committed_house.request((0, 90), wanted_now=True)
    assert finish_request(reader, soon(0.0)) is False
    assert not BackfillWaiter.objects.exists()
    assert BackfillJob.objects.get().state == "pending"
    assert [wanted for _, _, wanted in queue()] == [False, False]


def test_reads_that_wait_never_hold_more_than_half_of_the_web_threads(
    committed_house, handler, settings, monkeypatch
):
    """Above that: 503 with Retry-After at once; its jobs stay, and a place that is free again is
    given again.
    """
    settings.SEAMLESS_WEB_THREADS = 4
    let_go, inside = threading.Event(), threading.Semaphore(0)

    def hold(job_ids, deadline, ranges):
        inside.release()
        return let_go.wait(60)

    monkeypatch.setattr(waiting, "finish_jobs", hold)
    first, second, third = (
        committed_house.request((n * 1000, n * 1000), wanted_now=True) for n in range(3)
    )

    def wait(request):
        finish_request(request, soon())
        connection.close()

    threads = [threading.Thread(target=wait, args=(one,)) for one in (first, second)]
    for thread in threads:
        thread.start()
    assert inside.acquire(timeout=20)
    assert inside.acquire(timeout=20)
    with pytest.raises(TooManyWaiting) as refused:
        finish_request(third, soon())
    assert (refused.value.status, refused.value.extra["retry_after"]) == (503, 2)
    assert BackfillJob.objects.count() == 3
    assert not BackfillWaiter.objects.filter(pk__in=third.waiters).exists()
    let_go.set()
    for thread in threads:
        thread.join()
    assert finish_request(third, soon()) is True


def test_who_waits_for_nothing_needs_no_place(house, settings):
    settings.SEAMLESS_WEB_THREADS = 2
    assert waiting._places.take()
    try:
        assert finish_request(house.request(wanted_now=True), soon(0.0)) is True
    finally:
        waiting._places.give_back()


def test_a_database_that_goes_away_while_a_read_detaches_fails_nobody(committed_house, monkeypatch):
    def away(**_):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(waiting, "finish_jobs", lambda *_: True)
    monkeypatch.setattr(waiting, "detach", away)
    reader = committed_house.request((0, 0), wanted_now=True)
    assert finish_request(reader, soon()) is True
