"""Leases on shards and the fence: whatever happens, rows are published once or not at all."""

import threading
from datetime import timedelta

import pytest
from django.db import InterfaceError, OperationalError, connection, transaction
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from coordinator.coverage import Window
from coordinator.lease_state import StaleLease, is_claimable
from coordinator.models import BackfillShard, Quarantine
from coordinator.ports import (
    CancelSignal,
    QuarantinedRow,
    ShardCancelled,
    ShardRefused,
    Staged,
)
from coordinator.services import publishing
from coordinator.services.claiming import claim_shard, claimable_shards, renew_claim
from coordinator.services.database_clock import database_now
from coordinator.services.failing import QUARANTINE_LIMIT, fail_lost_holder, mark_failed
from coordinator.services.heartbeat import Heartbeat
from coordinator.services.progress import progress
from coordinator.services.publishing import publish_shard
from coordinator.services.reconciling import reconcile
from coordinator.services.refusals import refused_ranges
from coordinator.services.running import run_shard
from registry.models import AuditEvent
from tests.coordinator.backfills import NOW, pointers

TTL = timedelta(seconds=30)
LATER = NOW + TTL + timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _no_jitter(settings):
    settings.SEAMLESS_LEASE_TTL_SECONDS = 30.0
    settings.SEAMLESS_RETRY_JITTER = 0.0
    settings.SEAMLESS_MAX_ATTEMPTS = 3


def claim(now=NOW, holder="a", **options):
    return claim_shard(holder=holder, now=now, **options)


def only_shard():
    return BackfillShard.objects.get()


def metric(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


def raising(error):
    def act(*_):
        raise error

    return act


def test_a_claim_mints_the_epoch_in_the_database(house):
    house.request((0, 100))
    granted = claim()
    shard = only_shard()
    assert (granted.epoch, granted.attempt, granted.range) == (1, 1, (0, 100))
    assert (shard.state, shard.holder, shard.expires_at) == ("leased", "a", NOW + TTL)
    assert granted.task.node_id == house.node.node_id
    assert claim(holder="b") is None


def test_a_shard_named_or_a_job_named_is_the_one_claimed(house, settings):
    settings.SEAMLESS_SHARD_BARS = 5
    (first,) = house.request((0, 90)).created
    (second,) = house.request((200, 210)).created
    assert claim(job_ids=[second]).range == (200, 210)
    last = BackfillShard.objects.filter(job=first).order_by("-pk")[0]
    assert claim(shard_id=last.pk).range == (50, 90)


def test_an_expired_lease_is_taken_over_under_the_next_epoch(house):
    house.request((0, 100))
    first = claim()
    before = metric("backfill_lease_expired_total", reason="taken_over")
    assert claim(NOW + TTL, "b") is None
    second = claim(LATER, "b")
    assert (second.epoch, second.attempt) == (first.epoch + 1, 2)
    assert metric("backfill_lease_expired_total", reason="taken_over") == before + 1


def test_renewing_moves_the_expiry_until_somebody_else_has_the_shard(house):
    house.request((0, 100))
    first = claim()
    assert renew_claim(claim=first, now=LATER) == LATER + TTL
    assert claim(LATER, "b") is None
    claim(LATER + 2 * TTL, "b")
    with pytest.raises(StaleLease):
        renew_claim(claim=first, now=LATER)


def test_a_run_publishes_the_rows_and_ends_the_shard(house, handler):
    house.request((0, 100))
    run = run_shard(claim=claim())
    shard = only_shard()
    assert (run.state, run.n_rows) == ("done", 11)
    assert (shard.state, shard.n_rows, shard.last_error) == ("done", 11, "")
    assert shard.checksum.startswith("sha256:")
    assert pointers() == [(shard.pk, 1, 11)]
    assert handler.discarded == []


def test_x22_a_stale_epoch_never_publishes(house, handler):
    house.request((0, 100))
    slow = claim()
    handler.on_stage = lambda shard, epoch: claim(LATER, "b") if epoch == 1 else None
    rejected = metric("backfill_fence_rejected_total")
    run = run_shard(claim=slow)
    assert run.state is None
    assert pointers() == []
    assert handler.discarded == [(slow.shard_id, 1)]
    assert metric("backfill_fence_rejected_total") == rejected + 1
    assert only_shard().state == "leased"


def test_a_late_holder_that_was_not_yet_superseded_commits_and_its_successor_does_not(
    house, handler
):
    """The case an epoch alone does not cover: expiry passed, nobody took over, then both commit."""
    house.request((0, 100))
    late = claim()
    assert run_shard(claim=late).state == "done"
    assert claim(LATER, "b") is None
    staged = handler.stage(handler.fetch(late.range, 0.0, CancelSignal()), late.task, late.epoch)
    with pytest.raises(StaleLease):
        publish_shard(claim=late, handler=handler, staged=staged, now=LATER)
    assert len(pointers()) == 1


def test_a_message_delivered_twice_commits_once(house, handler):
    house.request((0, 100))
    shard_id = only_shard().pk
    for _ in range(2):
        granted = claim(shard_id=shard_id)
        if granted is not None:
            run_shard(claim=granted)
    assert len(pointers()) == 1
    assert len(handler.fetched) == 1


def test_x25_a_crash_between_stage_and_publish_leaves_no_pointer_and_another_finishes(
    house, handler
):
    house.request((0, 100))
    first = claim()
    table = handler.fetch(first.range, 0.0, CancelSignal())
    handler.stage(table, first.task, first.epoch)  # and the process is gone
    assert pointers() == []
    assert progress(first.job_id).ratio == 0.0
    reconcile(now=LATER)
    assert only_shard().state == "failed"
    second = claim(LATER + timedelta(seconds=1), "b")
    assert run_shard(claim=second).state == "done"
    assert pointers() == [(first.shard_id, 2, 11)]
    assert progress(first.job_id).ratio == 1.0


def test_a_crash_inside_the_fenced_transaction_publishes_nothing(house, handler):
    """What publish wrote before it failed is gone with the transaction."""
    house.request((0, 100))

    def publish_then_crash(staged):
        handler.on_publish = lambda _: None
        handler.publish(staged, connection)
        raise RuntimeError("disk full")

    handler.on_publish = publish_then_crash
    run = run_shard(claim=claim())
    assert (run.state, run.error) == ("failed", "RuntimeError: disk full")
    assert pointers() == []
    assert len(handler.discarded) == 1
    assert not AuditEvent.objects.filter(action="backfill.shard.commit").exists()


def test_without_its_audit_record_nothing_is_published(house, handler, monkeypatch):
    house.request((0, 100))
    granted = claim()
    monkeypatch.setattr(publishing, "record", raising(RuntimeError("no audit")))
    assert run_shard(claim=granted).state == "failed"
    assert pointers() == []


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_connection_lost_at_commit_is_resolved_by_looking(house, handler, monkeypatch, error):
    """COMMIT arrived, its answer did not: the rows are there, so nothing is discarded or redone."""
    house.request((0, 100))
    commit = publishing._commit

    def committed_but_unheard(*arguments):
        commit(*arguments)
        raise error("server closed the connection unexpectedly")

    monkeypatch.setattr(publishing, "_commit", committed_but_unheard)
    run = run_shard(claim=claim())
    assert run.state == "done"
    assert handler.discarded == []
    assert len(pointers()) == 1


def test_a_failure_backs_off_and_is_tried_again(house, handler):
    house.request((0, 100))
    handler.on_fetch = raising(OSError("source away"))
    granted = claim()
    run = run_shard(claim=granted)
    shard = only_shard()
    assert run.state == "failed"
    assert (shard.last_error, shard.attempts) == ("OSError: source away", 1)
    assert claim(shard.next_attempt_at - timedelta(microseconds=1)) is None
    handler.on_fetch = lambda *_: None
    again = claim(shard.next_attempt_at)
    assert again.epoch == 2
    assert run_shard(claim=again).state == "done"


def test_the_backoff_grows_with_every_attempt(house):
    house.request((0, 100))
    now, waits = NOW, []
    for _ in range(2):
        granted = claim(now)
        mark_failed(shard_id=granted.shard_id, epoch=granted.epoch, reason="x", now=now)
        due = only_shard().next_attempt_at
        waits.append((due - now).total_seconds())
        now = due
    assert waits == [0.5, 1.0]


def test_poison_ends_as_a_violation_with_its_last_error_and_others_finish(house, handler, settings):
    settings.SEAMLESS_SHARD_BARS = 5
    (job_id,) = house.request((0, 100)).created
    handler.on_fetch = lambda wanted, _: raising(ValueError("poison"))() if not wanted[0] else None
    far = database_now() + timedelta(days=1)  # past every backoff
    while (granted := claim(far)) is not None:
        run_shard(claim=granted)
    assert progress(job_id).has_ended
    assert progress(job_id).state == "violation"
    assert progress(job_id).shards == {"done": 2, "violation": 1}
    assert [fetched.start for fetched in handler.fetched].count(0) == 3
    poisoned = BackfillShard.objects.get(state="violation")
    assert (poisoned.violation, poisoned.last_error) == ("attempts_exhausted", "ValueError: poison")
    report = AuditEvent.objects.get(action="backfill.violation").after
    assert report["missing"] == [
        {
            "range": [0, 40],
            "shards": 1,
            "code": "attempts_exhausted",
            "error": "ValueError: poison",
        }
    ]
    assert report["expected_bars"] - report["written_bars"] == 5


def test_a_holder_that_keeps_dying_ends_as_a_violation(house):
    house.request((0, 100))
    now = NOW
    for _ in range(3):
        assert claim(now) is not None
        now += TTL + timedelta(seconds=1)
        reconcile(now=now)
        now += timedelta(minutes=1)
    shard = only_shard()
    assert (shard.state, shard.violation) == ("violation", "attempts_exhausted")
    assert shard.last_error == "LeaseExpired: a went silent"
    assert progress(shard.job_id).has_ended


@pytest.mark.parametrize(("base_seconds", "is_due"), [(1, True), (90, False)])
def test_what_an_expired_lease_held_is_due_a_backoff_after_the_last_sign_of_life(
    house, settings, base_seconds, is_due
):
    settings.SEAMLESS_RETRY_BASE_SECONDS, settings.SEAMLESS_RETRY_JITTER = base_seconds, 0
    house.request((0, 100))
    assert claim() is not None
    reconcile(now=LATER)
    assert only_shard().next_attempt_at == NOW + timedelta(seconds=base_seconds)
    assert (claim(LATER, "b") is not None) is is_due


def test_failing_is_idempotent_and_fenced(house):
    house.request((0, 100))
    first = claim()
    fail = {"shard_id": first.shard_id, "reason": "x", "now": NOW}
    assert mark_failed(epoch=1, **fail) == "failed"
    assert mark_failed(epoch=1, **fail) is None
    claim(NOW + timedelta(seconds=1), "b")
    assert mark_failed(epoch=1, **fail) is None
    assert only_shard().state == "leased"


def test_a_lost_holder_is_failed_at_once_and_nobody_else(house):
    house.request((0, 100))
    granted = claim(holder="host:task-1")
    assert granted is not None
    lost = {"reason": "WorkerLostError", "now": NOW}
    assert fail_lost_holder(holder="host:task-2", **lost) is None
    assert fail_lost_holder(holder="host:task-1", **lost) == "failed"
    assert fail_lost_holder(holder="host:task-1", **lost) is None


def test_refused_rows_end_the_shard_at_once_and_go_to_quarantine(house, handler):
    house.request((0, 100))
    finding = {"keyword": "type", "column": "v", "count": 1}
    rows = [QuarantinedRow(row={"t": 0, "v": "x"}, diagnostics=[finding])]
    handler.on_stage = raising(ShardRefused("schema_refused", [finding], rows))
    run = run_shard(claim=claim())
    shard = only_shard()
    assert run.state == "violation"
    assert (shard.state, shard.violation, shard.attempts) == ("violation", "schema_refused", 1)
    assert shard.diagnostics == [finding]
    kept = Quarantine.objects.get()
    assert (kept.epoch, kept.row, kept.diagnostics) == (1, {"t": 0, "v": "x"}, [finding])
    assert pointers() == []


def test_a_stale_holder_cannot_refuse_a_shard(house, handler):
    house.request((0, 100))

    def superseded(_shard, _epoch):
        claim(LATER, "b")
        raise ShardRefused("schema_refused", [])

    handler.on_stage = superseded
    assert run_shard(claim=claim()).state is None
    assert only_shard().state == "leased"


def test_rows_set_aside_beside_published_ones_are_kept_up_to_a_limit(house, handler, monkeypatch):
    house.request((0, 100))
    rows = [QuarantinedRow(row={"t": n}, diagnostics=[]) for n in range(QUARANTINE_LIMIT + 5)]
    stage = handler.stage

    def with_rows(table, shard, epoch):
        staged = stage(table, shard, epoch)
        return Staged(staged.n_rows, staged.checksum, staged.payload, rows)

    handler.stage = with_rows
    assert run_shard(claim=claim()).state == "done"
    assert Quarantine.objects.count() == QUARANTINE_LIMIT


def test_refused_ranges_stand_until_a_later_backfill_makes_them_good(house, handler):
    house.request((0, 100))
    handler.on_stage = raising(ShardRefused("schema_refused", [{"keyword": "type"}]))
    run_shard(claim=claim())
    (refused,) = refused_ranges(node=house.node, window=Window(50, 300, 10))
    assert (refused.range, refused.diagnostics) == ((0, 100), [{"keyword": "type"}])
    assert refused_ranges(node=house.node, window=Window(110, 300, 10)) == []
    handler.on_stage = lambda *_: None
    house.request((0, 50))
    run_shard(claim=claim())
    assert len(refused_ranges(node=house.node, window=Window(0, 300, 10))) == 1
    house.request((0, 100))
    run_shard(claim=claim())
    assert refused_ranges(node=house.node, window=Window(0, 300, 10)) == []


def test_a_handler_told_to_stop_costs_an_attempt_and_publishes_nothing(house, handler):
    house.request((0, 100))
    signal = CancelSignal()

    def stop(_wanted, cancel):
        signal.set("enough")
        cancel.raise_if_set()

    handler.on_fetch = stop
    run = run_shard(claim=claim(), signal=signal)
    assert (run.state, run.error) == ("failed", "ShardCancelled: enough")
    assert pointers() == []


def test_a_lease_lost_while_staging_discards_what_was_staged(house, handler):
    house.request((0, 100))
    signal = CancelSignal()
    handler.on_stage = lambda *_: signal.set("lost")
    run_shard(claim=claim(), signal=signal)
    assert len(handler.discarded) == 1
    assert pointers() == []


def test_without_a_handler_the_attempt_fails_and_says_what_to_do(house, monkeypatch):
    house.request((0, 100))
    monkeypatch.setattr("coordinator.ports._factories", {})
    run = run_shard(claim=claim())
    assert run.state == "failed"
    assert "INSTALLED_APPS" in run.error


def test_t51_the_events_of_a_run_name_the_batch_and_the_request(house, handler):
    house.request((0, 100))
    with capture_logs() as events:
        run_shard(claim=claim())
    names = [event["event"].removeprefix("seamless.backfill.") for event in events]
    assert names == ["coordinator_claimed", "attempt", "coordinator_completed", "succeeded"]
    for event in events:
        assert event["node_id"] == house.node.node_id
        assert event["interval"] == 10
    assert events[1]["batch_id"] == f"{house.node.node_id}:10:0:100"
    assert "token" not in str(events)


def test_the_claiming_query_is_the_pure_rule(house):
    house.request((0, 100))
    at = {-1: NOW - TTL, 0: NOW, 1: NOW + TTL}
    for state in ("pending", "failed", "leased"):
        for attempts in range(5):
            for offset in at.values():
                leased = state == "leased"
                BackfillShard.objects.update(
                    state=state,
                    attempts=attempts,
                    epoch=1,
                    holder="a" if leased else "",
                    leased_at=NOW,
                    expires_at=offset if leased else None,
                    next_attempt_at=None if leased else offset,
                )
                rule = is_claimable(only_shard().lease, now=NOW, max_attempts=3)
                assert claimable_shards(NOW).exists() == rule, (state, attempts, offset)


def test_the_reconciler_makes_up_for_tickets_that_were_lost(house, monkeypatch, settings):
    """As many as are due, less those that wait: a long queue never grows by being looked at."""
    from coordinator.services import reconciling

    settings.SEAMLESS_SHARD_BARS = 1
    house.request((0, 90))
    waiting, announced = [0], []
    monkeypatch.setattr(reconciling, "tickets_waiting", lambda: waiting[0])
    monkeypatch.setattr(reconciling, "announce", lambda n, **_: announced.append(n) or n)
    for tickets in (0, 7, 10, None):
        waiting[0] = tickets
        reconcile(now=NOW)
    assert announced == [10, 3, 0]


def test_a_request_announces_its_shards_after_its_commit(
    house, monkeypatch, settings, django_capture_on_commit_callbacks
):
    from coordinator.services import requesting

    settings.SEAMLESS_SHARD_BARS = 5
    announced = []
    monkeypatch.setattr(requesting, "announce", announced.append)
    with django_capture_on_commit_callbacks(execute=True):
        house.request((0, 90))
        assert announced == []
    assert announced == [2]


def test_x22_a_heartbeat_outlives_the_ttl_while_the_handler_moves(
    committed_house, handler, settings
):
    settings.SEAMLESS_LEASE_TTL_SECONDS = 0.3
    committed_house.request((0, 100))
    granted = claim_shard(holder="a", now=database_now())
    signal, renewed = CancelSignal(), threading.Event()
    with Heartbeat(granted, signal):
        while not renewed.wait(0.02):
            signal.progressed()
            if only_shard().expires_at > granted.expires_at + timedelta(seconds=0.5):
                renewed.set()
    assert not signal.is_set()
    assert only_shard().epoch == 1


def test_a_heartbeat_renews_no_lease_beyond_its_longest_age(committed_house, handler, settings):
    """A handler that always moves and never ends is left to its successor all the same."""
    settings.SEAMLESS_LEASE_TTL_SECONDS = 0.1
    committed_house.request((0, 100))
    signal = CancelSignal()
    with Heartbeat(claim_shard(holder="a", now=database_now()), signal):
        while not signal.wait(0.01):
            signal.progressed()
    assert signal.reason in (
        "the lease has reached its longest age",
        "another holder has the live lease",
    )


def test_a_heartbeat_stops_for_a_handler_that_stands_still(committed_house, handler, settings):
    settings.SEAMLESS_LEASE_TTL_SECONDS = 0.15
    committed_house.request((0, 100))
    signal = CancelSignal()
    with Heartbeat(claim_shard(holder="a", now=database_now()), signal):
        assert signal.wait(20)
    assert signal.reason == "the handler no longer moves"


def test_a_heartbeat_tells_the_handler_that_the_lease_is_lost(committed_house, handler, settings):
    settings.SEAMLESS_LEASE_TTL_SECONDS = 0.3
    committed_house.request((0, 100))
    granted = claim_shard(holder="a", now=database_now())
    settings.SEAMLESS_LEASE_TTL_SECONDS = 60.0
    claim_shard(holder="b", now=database_now() + timedelta(seconds=1))
    settings.SEAMLESS_LEASE_TTL_SECONDS = 0.3
    signal = CancelSignal()
    with Heartbeat(granted, signal):
        while not signal.wait(0.02):
            signal.progressed()
    assert "epoch 1 no longer holds the shard" in signal.reason


def test_x26_many_who_claim_at_once_win_every_shard_once(committed_house, handler, settings):
    settings.SEAMLESS_SHARD_BARS = 1
    committed_house.request((0, 190))
    start, claims, errors = threading.Barrier(4), [], []

    def drain(name):
        try:
            start.wait()
            while (granted := claim(holder=name)) is not None:
                claims.append(granted)
                run_shard(claim=granted)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=drain, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len({granted.shard_id for granted in claims}) == len(claims) == 20
    assert len(pointers()) == 20
    assert set(BackfillShard.objects.values_list("state", flat=True)) == {"done"}


def test_a_shard_locked_for_its_commit_is_passed_over_by_claims_and_reaper(committed_house):
    """PostgreSQL: never stolen in mid-commit. SQLite: there is no other writer meanwhile."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer: while a commit is open nobody can claim")
    committed_house.request((0, 100))
    claim()
    locked, release, seen = threading.Event(), threading.Event(), {}

    def hold():
        with transaction.atomic():
            BackfillShard.objects.select_for_update().get()
            locked.set()
            release.wait(20)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    locked.wait(20)
    seen["claim"] = claim(LATER, "b")
    seen["reaped"] = reconcile(now=LATER).reaped
    release.set()
    thread.join()
    assert seen == {"claim": None, "reaped": 0}
    assert claim(LATER, "b").epoch == 2


def test_a_cancel_signal_keeps_its_first_reason_and_measures_stillness():
    now = [0.0]
    signal = CancelSignal(clock=lambda: now[0])
    now[0] = 5.0
    assert signal.seconds_still() == 5.0
    signal.progressed()
    assert signal.seconds_still() == 0.0
    signal.raise_if_set()
    signal.set("first")
    signal.set("second")
    with pytest.raises(ShardCancelled, match="first"):
        signal.raise_if_set()
