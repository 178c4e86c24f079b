"""The reconciler's rounds: one at a time, by whoever is there, with or without beat."""

import threading
from datetime import timedelta

from celery import signals
from django.db import connection

from coordinator import own_rounds, tasks
from coordinator.models import BackfillShard, PeriodicRound
from coordinator.own_rounds import OwnRounds
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.reconciling import reconcile_when_due
from coordinator.services.rounds import take_round
from tests.coordinator.backfills import NOW

FIVE = timedelta(seconds=5)


def take(now, by="a"):
    return take_round(name="r", every=FIVE, now=now, by=by)


def test_a_round_is_had_once_in_its_time(db):
    assert take(NOW)
    assert not take(NOW + timedelta(seconds=4), "b")
    assert take(NOW + FIVE, "b")
    assert PeriodicRound.objects.get().by == "b"


def test_a_clock_set_back_stops_no_rounds(db):
    assert take(NOW)
    assert not take(NOW - timedelta(seconds=4))
    assert take(NOW - timedelta(hours=1))


def test_of_many_who_ask_at_once_one_has_the_round(committed_db):
    for now in (NOW, NOW + FIVE):
        start, won = threading.Barrier(6), []

        def ask(start=start, won=won, now=now):
            start.wait()
            if take(now):
                won.append(1)
            connection.close()

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won == [1]


def test_two_beats_or_none_make_no_more_rounds_than_one(house):
    claim_shard(holder="dead", now=NOW)
    assert reconcile_when_due(now=NOW, by="beat") is not None
    assert reconcile_when_due(now=NOW, by="another beat") is None


def test_a_round_forgets_what_is_kept_for_a_time_only(house, settings):
    from coordinator.models import IdempotentRequest, Quarantine

    house.request((0, 0))
    shard = BackfillShard.objects.get()
    for days in (0, 91):
        Quarantine.objects.create(
            shard=shard, epoch=1, row={}, created_at=NOW - timedelta(days=days)
        )
        IdempotentRequest.objects.create(
            caller="u",
            method="POST",
            path="/",
            key=str(days),
            body_digest="x",
            started_at=NOW - timedelta(days=days),
        )
    reconcile_when_due(now=NOW, by="a")
    assert Quarantine.objects.count() == IdempotentRequest.objects.count() == 1


def test_every_worker_process_starts_its_own_rounds_after_the_fork():
    receivers = [ref() for _, ref in signals.worker_process_init.receivers]
    assert own_rounds._begin in receivers
    assert tasks.own_rounds is own_rounds


def test_the_rounds_of_a_process_reap_without_beat(committed_house, settings):
    settings.SEAMLESS_RECONCILE_SECONDS = 0.05
    committed_house.request((0, 0))
    claim_shard(holder="dead", now=database_now() - timedelta(minutes=5))
    rounds = OwnRounds()
    rounds.start()
    try:
        for _ in range(400):
            if BackfillShard.objects.get().state == "failed":
                break
            threading.Event().wait(0.05)
    finally:
        rounds.stop()
    assert BackfillShard.objects.get().state == "failed"


def test_a_round_that_fails_does_not_end_the_rounds(monkeypatch, settings):
    settings.SEAMLESS_RECONCILE_SECONDS = 0.01
    asked, twice = [], threading.Event()

    def fail(**_):
        asked.append(1)
        if len(asked) == 2:
            twice.set()
        raise RuntimeError("no database")

    monkeypatch.setattr(own_rounds, "database_now", lambda: NOW)
    monkeypatch.setattr(own_rounds.reconciling, "reconcile_when_due", fail)
    rounds = OwnRounds()
    rounds.start()
    assert twice.wait(20)
    rounds.stop()
