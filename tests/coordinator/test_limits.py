"""How fast sources are asked: places, tokens, patience; and in which order shards come."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from coordinator.lease_state import WANTED_PRIORITY, queue_rank
from coordinator.models import BackfillJob, BackfillShard, SourceLimit
from coordinator.ports import SourceBusy
from coordinator.services import failing
from coordinator.services.claiming import claim_shard
from coordinator.services.limits import (
    block_source,
    closed_sources,
    limit_states,
    save_source_limit,
    source_wait,
)
from coordinator.services.reconciling import pass_ticket_on
from coordinator.services.running import run_shard
from coordinator.source_names import source_name
from coordinator.token_bucket import TokenBucket
from registry.errors import InvalidInput, NotAllowed
from registry.models import AuditEvent
from tests.coordinator.backfills import NOW, READER, make_node

HTTP = {"type": "http", "url": "https://key:secret@API.example.com/v1"}


@pytest.fixture
def busy_house(house, settings):
    """Ten shards of one bar from a source with an address."""
    settings.SEAMLESS_SHARD_BARS = 1
    house.node.source = HTTP
    house.node.save()
    house.request((0, 90))
    return house


def limit(oscar, **fields):
    return save_source_limit(actor=oscar, **{"name": "http:api.example.com", "now": NOW} | fields)


def claims(now=NOW):
    found = []
    while (granted := claim_shard(holder="w", now=now)) is not None:
        found.append(granted)
    return found


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ({}, ""),
        ({"type": 5}, ""),
        ({"type": "sample", "dataset": "stocks"}, "sample"),
        (HTTP, "http:api.example.com"),
        ({"type": "http", "base_url": "http://127.0.0.1:81/x"}, "http:127.0.0.1:81"),
        ({"type": "seamless", "host": "other.example"}, "seamless:other.example"),
        ({"type": "http", "url": 7}, "http"),
    ],
)
def test_nodes_that_fetch_from_one_host_share_its_limits(source, name):
    assert source_name(source) == name


# --- the token bucket ----------------------------------------------------------------------------


@given(
    per_minute=st.floats(1, 6_000),
    burst=st.integers(1, 50),
    steps=st.lists(st.floats(0, 30), max_size=60),
)
def test_no_stretch_of_time_sees_more_than_the_rate_and_one_burst(per_minute, burst, steps):
    per_second = per_minute / 60
    bucket, now, taken = TokenBucket(float(burst), NOW, per_second, burst), NOW, 0
    for seconds in steps:
        now += timedelta(seconds=seconds)
        while (less := bucket.refilled(now).taken()) is not None:
            bucket, taken = less, taken + 1
        bucket = bucket.refilled(now)
        assert taken <= burst + (now - NOW).total_seconds() * per_second + 1e-6
        later = bucket.refilled(now + bucket.wait + timedelta(microseconds=2))
        assert later.taken() is not None or later.tokens > 1 - 1e-4


def test_a_clock_that_went_back_refills_nothing():
    bucket = TokenBucket(0.0, NOW, 1.0, 5)
    assert bucket.refilled(NOW - timedelta(hours=1)) == bucket


# --- limits of sources ---------------------------------------------------------------------------


def test_a_source_is_asked_for_no_more_shards_at_once_than_it_allows(busy_house, oscar):
    limit(oscar, max_running=3)
    held = claims()
    assert len(held) == 3
    for granted in held[:2]:
        failing.mark_failed(shard_id=granted.shard_id, epoch=1, reason="x", now=NOW)
    assert len(claims()) == 2
    assert closed_sources(NOW) == {"http:api.example.com"}


def test_an_expired_lease_frees_its_place(busy_house, oscar):
    limit(oscar, max_running=1)
    assert len(claims()) == 1
    assert len(claims(NOW + timedelta(seconds=31))) == 1


def test_a_full_source_holds_up_no_other(busy_house, oscar):
    limit(oscar, max_running=1)
    other = make_node(busy_house.version, "other", source={"type": "sample"})
    busy_house.request((0, 0), node=other)
    assert [granted.task.node_id for granted in claims()] == [busy_house.node.node_id, "other"]


def test_the_limit_of_all_together_counts_every_source(busy_house, oscar):
    limit(oscar, name="*", max_running=2)
    busy_house.request((0, 20), node=make_node(busy_house.version, "other"))
    assert len(claims()) == 2


def test_tokens_are_shared_by_all_who_claim_and_come_back_with_time(busy_house, oscar):
    limit(oscar, per_minute=60, burst=2)
    assert len(claims()) == 2
    assert source_wait("http:api.example.com", NOW) == timedelta(seconds=1)
    assert len(claims(NOW + timedelta(seconds=1))) == 1
    assert len(claims(NOW + timedelta(seconds=60))) == 2


def test_saving_a_limit_again_keeps_its_tokens(busy_house, oscar):
    limit(oscar, per_minute=60, burst=5)
    assert len(claims()) == 5
    limit(oscar, per_minute=120, burst=5)
    assert claims() == []


def test_a_source_that_asks_for_patience_is_left_alone_by_everybody(busy_house, handler):
    def busy(*_):
        raise SourceBusy(120, "429 Too Many Requests")

    handler.on_fetch = busy
    run = run_shard(claim=claim_shard(holder="w", now=NOW))
    shard = BackfillShard.objects.get(attempts=0, epoch=1)
    assert (run.state, shard.state, shard.held_back) == ("failed", "failed", 1)
    assert shard.last_error == "SourceBusy: 429 Too Many Requests"
    (state,) = limit_states(NOW)
    until = state.limit.blocked_until
    assert claim_shard(holder="w", now=until - timedelta(seconds=1)) is None
    assert claim_shard(holder="w", now=until) is not None
    (event,) = AuditEvent.objects.filter(action="backfill.shard.hold_back")
    assert event.after["source"] == "http:api.example.com"


def test_a_source_that_asks_for_patience_for_ever_ends_its_shards_some_day(
    busy_house, handler, settings, monkeypatch
):
    settings.SEAMLESS_MAX_ATTEMPTS = 2
    monkeypatch.setattr(failing, "MOST_HELD_BACK", 3)
    BackfillShard.objects.exclude(range_start=0).update(next_attempt_at=NOW + timedelta(days=9))

    def busy(*_):
        raise SourceBusy(1)

    handler.on_fetch = busy
    now = NOW
    while BackfillShard.objects.get(range_start=0).state != "violation":
        now += timedelta(days=1)
        SourceLimit.objects.update(blocked_until=None)
        BackfillShard.objects.filter(range_start=0, state="failed").update(next_attempt_at=now)
        granted = claim_shard(holder="w", now=now)
        assert granted is not None
        run_shard(claim=granted)
        assert len(handler.fetched) < 10
    assert BackfillShard.objects.get(range_start=0).violation == "attempts_exhausted"


def test_a_block_is_never_shortened_and_an_hour_at_most(db):
    block_source("s", wait=timedelta(minutes=10), now=NOW)
    assert block_source("s", wait=timedelta(minutes=1), now=NOW) == NOW + timedelta(minutes=10)
    assert block_source("s", wait=timedelta(days=1), now=NOW) == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"max_running": 0},
        {"per_minute": 0},
        {"per_minute": float("nan")},
        {"burst": 0},
        {"name": ""},
        {"name": "x" * 301},
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_and_the_refusal_recorded(house, oscar, fields):
    with pytest.raises(InvalidInput):
        limit(oscar, **fields)
    assert AuditEvent.objects.get(action="backfill.limit").outcome == "refused"
    assert not SourceLimit.objects.exists()


def test_only_operators_set_limits(house):
    with pytest.raises(NotAllowed):
        limit(READER, max_running=1)


def test_the_database_refuses_a_limit_under_which_nothing_could_run(house):
    for fields in ({"max_running": 0}, {"per_minute": 0}, {"burst": 0}):
        with pytest.raises(IntegrityError), transaction.atomic():
            SourceLimit.objects.create(name="s", refilled_at=NOW, **fields)


def test_concurrent_claims_never_take_the_last_place_twice(committed_house, settings):
    settings.SEAMLESS_SHARD_BARS = 1
    committed_house.request((0, 390))
    SourceLimit.objects.create(name="*", max_running=5, refilled_at=NOW)
    start, granted, errors = threading.Barrier(6), [], []

    def claim_some():
        try:
            start.wait()
            granted.extend(claims())
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=claim_some) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(granted) == 5


def test_a_used_ticket_is_passed_on_at_the_pace_of_the_source(busy_house, oscar, monkeypatch):
    from coordinator.services import reconciling

    passed = []
    monkeypatch.setattr(
        reconciling,
        "announce",
        lambda n, delay=timedelta(0): passed.append((n, delay.total_seconds())),
    )
    limit(oscar, per_minute=6, burst=1)
    claims()
    pass_ticket_on(source="http:api.example.com", now=NOW)
    assert passed == [(1, 10.0)]
    other = make_node(busy_house.version, "other", source={"type": "sample"})
    busy_house.request((0, 0), node=other)
    pass_ticket_on(source="http:api.example.com", now=NOW)
    assert passed[1:] == [(1, 0.0)]  # there is something that need not wait
    BackfillJob.objects.update(state="paused")
    assert pass_ticket_on(source="http:api.example.com", now=NOW) == 0


# --- order ---------------------------------------------------------------------------------------


@given(
    asked=st.lists(
        st.tuples(st.integers(0, 10_000), st.sampled_from([-50, 0, 50, WANTED_PRIORITY])),
        min_size=2,
        max_size=30,
    )
)
def test_priority_is_a_head_start_so_nobody_waits_behind_those_who_come_an_hour_later(asked):
    """Whoever asked first with the same priority is first, and no priority lasts for ever."""
    shards = [(queue_rank(NOW + timedelta(seconds=at), p), at, p) for at, p in asked]
    for rank, at, priority in shards:
        for other_rank, other_at, other_priority in shards:
            if priority == other_priority and at < other_at:
                assert rank < other_rank
            if at + (other_priority - priority) * 36 < other_at:
                assert rank < other_rank


def test_live_reads_cannot_starve_a_backfill(house, handler):
    """An hour of reads, each wanted now: then the old shard has its turn."""
    house.request((0, 0))
    for minutes in range(0, 130, 10):
        now = NOW + timedelta(minutes=minutes)
        house.request((1000 + minutes * 10,) * 2, wanted_now=True, now=now)
        granted = claim_shard(holder="w", now=now)
        if granted.range == (0, 0):
            break
        run_shard(claim=granted)
    assert 60 <= minutes <= 70


def test_shards_come_oldest_first_unless_asked_for_the_other_way(house, settings):
    from django.db import transaction as tx

    from coordinator.services.requesting import Wish, carry_out, outline_of

    settings.SEAMLESS_SHARD_BARS = 5
    wish = Wish(house.node, [(0, 140), (200, 290)], house.version, newest_first=True)
    with tx.atomic():
        carry_out(outline_of(wish), actor=READER, now=NOW, requested_by="test")
    starts = [granted.range.start for granted in claims()]
    assert starts == [250, 200, 100, 50, 0]
