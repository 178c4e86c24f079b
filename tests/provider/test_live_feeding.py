"""Live bars that have settled are stored once, by shards like any other's, whatever dies."""

import json
import os
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pyarrow.parquet as pq
import pytest
import redis
from django.core.management import call_command
from django.core.management.base import CommandError

from coordinator.lease_state import ShardState
from coordinator.models import BackfillJob, BackfillShard, PeriodicRound
from coordinator.services.claiming import Claim, claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.running import ShardRun, run_shard
from provider import tasks
from provider.conformance import SchemaRefused
from provider.live.feeding import Fed, feed_in_the_background, feed_node
from provider.metrics import LIVE_FAILURES
from provider.models import Segment
from provider.requests import ReadAnswer, Strategy
from provider.seamless import SeamlessDataProvider
from registry.models import AuditEvent, Consumer
from registry.services import nodes, tokens
from tests.cast import NOW, SYSTEM
from tests.databases import CommittedDatabase
from tests.provider.world import DAY, FIRST, NODE, SESSIONS, SYMBOLS, World, bars, build_world

LAST = SESSIONS[-1]
JUST_AFTER = datetime.fromtimestamp(LAST + DAY + 60, UTC)
LATER = JUST_AFTER + timedelta(days=2)
STREAM = "bars:us"
FEED = {"type": "redis", "stream": STREAM}


@pytest.fixture
def stream(redis_client: redis.Redis, settings: Any) -> redis.Redis:
    settings.SEAMLESS_LIVE_SERVERS = {"default": os.environ["REDIS_URL"]}
    return redis_client


@pytest.fixture
def fed_world(committed_db: CommittedDatabase, own_storage: None, stream: redis.Redis) -> World:
    return build_world(live=FEED)


def send(client: redis.Redis, sessions: list[int], symbols: Any = SYMBOLS, **cells: Any) -> None:
    for at in sessions:
        for symbol in symbols:
            session = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
            bar = {"session": session, "symbol": symbol, "close": 9.0, "volume": 5} | cells
            client.xadd(STREAM, {"bar": json.dumps(bar)})


def feed(world: World, now: datetime = JUST_AFTER) -> Fed:
    world.node.refresh_from_db()
    return feed_node(actor=SYSTEM, node=world.node, now=now)


def claimed(ahead: timedelta = timedelta()) -> Claim | None:
    return claim_shard(holder="worker", now=database_now() + ahead)


def run_all() -> list[ShardRun]:
    runs = []
    while (claim := claimed(timedelta(seconds=1))) is not None:
        runs.append(run_shard(claim=claim))
    return runs


def stored(world: World) -> list[dict[str, Any]]:
    """Every row of every published segment."""
    files = [world.folder / "segments" / f"{one.file}" for one in Segment.objects.all()]
    tables = [pq.read_table(file) for file in files]
    rows = [row for table in tables for row in table.to_pylist()]
    return sorted(rows, key=lambda row: (str(row["session"]), row["symbol"]))


def fetch(world: World, now: datetime = JUST_AFTER, **options: Any) -> ReadAnswer:
    consumer = Consumer.objects.filter(name="pricing").first() or world.reader().consumer
    return SeamlessDataProvider(**options).fetch(
        consumer=consumer, node_id=NODE, start=FIRST, end=LAST, actor=SYSTEM, now=now
    )


def test_what_has_settled_is_stored_by_an_ordinary_shard(
    fed_world: World, stream: redis.Redis
) -> None:
    send(stream, SESSIONS)
    fed = feed(fed_world)
    assert fed.settled == LAST - DAY  # the last two bars may still change
    runs = run_all()
    assert [run.state for run in runs] == [ShardState.DONE] * len(runs)
    job = BackfillJob.objects.get(pk=fed.job_ids[0])
    assert (job.origin, job.source, job.state) == ("live", "redis", "done")
    assert len(stored(fed_world)) == 10
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"backfill.request", "backfill.shard.claim", "backfill.shard.commit"} <= actions
    answer = fetch(fed_world)
    assert (answer.rows.rows, answer.coverage) == (12, 1.0)  # the newest bar comes from the feed
    stream.delete(STREAM)
    assert fetch(fed_world, partial_ok=True).rows.rows == 10


def test_a_round_that_is_repeated_asks_for_nothing_more(
    fed_world: World, stream: redis.Redis
) -> None:
    assert feed(fed_world).ranges == ()  # nothing has arrived
    send(stream, SESSIONS)
    first, second = feed(fed_world), feed(fed_world)
    assert second.job_ids == first.job_ids  # the jobs that are under way
    run_all()
    assert feed(fed_world).ranges == ()
    fed = feed(fed_world, LATER)
    assert [tuple(span) for span in fed.ranges] == [(LAST, LAST)]
    run_all()
    assert len(stored(fed_world)) == 12
    assert feed(fed_world, LATER).ranges == ()


def test_a_stored_bar_stands_whatever_the_feed_says_later(
    fed_world: World, stream: redis.Redis
) -> None:
    """A series that came late is added; the other one's bar is not stored a second time."""
    send(stream, SESSIONS[:2], ["AAPL"], close=1.0)
    feed(fed_world)
    run_all()
    send(stream, SESSIONS[:2], ["AAPL"], close=2.0)
    assert feed(fed_world).ranges == ()
    send(stream, SESSIONS[:2], ["IBM"], close=3.0)
    feed(fed_world)
    run_all()
    assert [(row["symbol"], row["close"]) for row in stored(fed_world)] == [
        ("AAPL", 1.0),
        ("IBM", 3.0),
    ] * 2
    assert "overlap" not in fetch(fed_world, partial_ok=True).report.flags


def test_bars_that_others_stored_are_not_stored_again(
    fed_world: World, stream: redis.Redis
) -> None:
    send(stream, SESSIONS)
    feed(fed_world)
    fed_world.write(bars(SESSIONS[:3]))  # between the round and the shard
    run_all()
    assert {row["session"].timestamp() for row in stored(fed_world)} == {*SESSIONS[3:5]}


@pytest.mark.parametrize("wrong", [{"volume": -1}, {"volume": "many"}])
def test_rows_that_break_the_schema_are_set_aside_and_not_asked_for_again(
    fed_world: World, stream: redis.Redis, settings: Any, wrong: dict[str, Any]
) -> None:
    send(stream, SESSIONS[:1], **wrong)
    send(stream, SESSIONS[1:3])
    feed(fed_world)
    (run,) = run_all()
    assert run.state is ShardState.VIOLATION
    shard = BackfillShard.objects.get()
    assert (shard.violation, shard.quarantine.count()) == ("schema_refused", 2)
    assert feed(fed_world).ranges == ()
    with pytest.raises(SchemaRefused):
        fetch(fed_world)
    send(stream, SESSIONS[:1])  # mended by its sender
    settings.SEAMLESS_ASK_AGAIN_SECONDS = -(10**9)  # shards end by the real clock: long after
    feed(fed_world)
    run_all()
    assert len(stored(fed_world)) == 6


def test_a_feed_that_is_away_is_asked_again_in_the_next_round(
    fed_world: World, stream: redis.Redis, settings: Any
) -> None:
    send(stream, SESSIONS)
    settings.SEAMLESS_LIVE_SERVERS = {"default": "redis://127.0.0.1:1/0"}
    failures = LIVE_FAILURES.labels(NODE, str(DAY))._value
    before = failures.get()
    assert feed_in_the_background(node_pk=fed_world.node.pk, now=JUST_AFTER) is None
    assert (failures.get(), BackfillJob.objects.count()) == (before + 1, 0)
    settings.SEAMLESS_LIVE_SERVERS = {"default": os.environ["REDIS_URL"]}
    assert feed_in_the_background(node_pk=fed_world.node.pk, now=JUST_AFTER) is not None
    claim = claimed()
    assert claim is not None
    settings.SEAMLESS_LIVE_SERVERS = {"default": "redis://127.0.0.1:1/0"}
    assert run_shard(claim=claim).state is ShardState.FAILED  # and is tried again
    assert feed_in_the_background(node_pk=0, now=JUST_AFTER) is None


@pytest.mark.parametrize("seed", range(4))
def test_each_settled_bar_is_stored_once_whatever_dies(
    fed_world: World, stream: redis.Redis, settings: Any, seed: int
) -> None:
    """Bars come late, twice and in parts; rounds overlap; workers die after any step."""
    settings.SEAMLESS_SHARD_BARS = 2
    chance = random.Random(seed)
    cells = [(session, symbol) for session in SESSIONS for symbol in SYMBOLS]
    dead: list[Claim] = []
    for _ in range(30):
        step = chance.choice(["arrive", "arrive", "feed", "run", "die", "wake"])
        if step == "arrive":
            session, symbol = chance.choice(cells)
            send(stream, [session], [symbol], close=float(chance.randint(1, 99)))
        elif step == "feed":
            feed(fed_world, chance.choice([JUST_AFTER, LATER]))
        elif step == "run" and (claim := claimed(timedelta(hours=1))) is not None:
            run_shard(claim=claim)  # an hour ahead: leases of the dead are over
        elif step == "die" and (claim := claimed(timedelta(hours=1))) is not None:
            dead.append(claim)
        elif step == "wake" and dead:
            run_shard(claim=dead.pop(chance.randrange(len(dead))))
    for session, symbol in cells:
        send(stream, [session], [symbol], close=50.0)
    for _ in range(2):
        feed(fed_world, LATER)
        while (claim := claimed(timedelta(hours=1))) is not None:
            run_shard(claim=claim)
    times = Counter((row["session"], row["symbol"]) for row in stored(fed_world))
    assert (len(times), set(times.values())) == (12, {1})
    assert set(BackfillShard.objects.values_list("state", flat=True)) == {"done"}


def test_bars_that_may_still_change_are_not_backfilled_from_the_source(
    committed_world: World, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordinator.services.local_runs.PICKUP_SECONDS", 0.05)
    nodes.change_node(actor=committed_world.cast.olive, node_id=NODE, live=FEED, now=NOW)
    committed_world.write(bars(SESSIONS[:1]))
    fetch(committed_world, partial_ok=True, strategy=Strategy.PARTIAL_FILL)
    (job,) = BackfillJob.objects.all()
    assert tuple(job.range) == (SESSIONS[1], LAST - DAY)


def test_what_a_feed_did_not_bring_is_still_asked_of_the_source(
    committed_world: World, stream: redis.Redis
) -> None:
    nodes.change_node(actor=committed_world.cast.olive, node_id=NODE, live=FEED, now=NOW)
    send(stream, SESSIONS[:2], ["AAPL"])
    feed(committed_world)
    run_all()
    answer = fetch(committed_world, partial_ok=True, strategy=Strategy.PARTIAL_FILL)
    asked = BackfillJob.objects.get(pk=answer.job_ids[0])
    assert (asked.origin, tuple(asked.range)) == ("source", (FIRST, LAST - DAY))


# --- who calls it -------------------------------------------------------------------------------


def command(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    token = tokens.issue_personal_token(
        actor=world.cast.olive,
        user=world.cast.user("olive"),
        scopes=["govern"],
        lifetime=timedelta(hours=1),
        now=database_now(),
    )
    monkeypatch.setenv("SEAMLESS_TOKEN", token.secret)
    out = StringIO()
    call_command("live", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_feeds_and_waits(
    fed_world: World, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr("coordinator.services.local_runs.PICKUP_SECONDS", 0.05)
    assert "Nothing to store" in command(fed_world, monkeypatch, "feed", NODE)
    recent = int(database_now().timestamp()) // DAY * DAY - 60 * DAY
    sessions = [recent + DAY * n for n in range(7)]  # a week, whatever day it begins on
    send(stream, sessions)
    said = command(fed_world, monkeypatch, "feed", NODE)
    assert "ended: jobs" in said
    rows = stored(fed_world)
    assert 8 <= len(rows) <= 14
    assert BackfillJob.objects.first().requested_by == f"live feed of {NODE}"
    settings.SEAMLESS_LIVE_SERVERS = {"default": "redis://127.0.0.1:1/0"}
    with pytest.raises(CommandError, match="gave no rows"):
        command(fed_world, monkeypatch, "feed", NODE)
    nodes.change_node(actor=fed_world.cast.olive, node_id=NODE, live={}, now=NOW)
    with pytest.raises(CommandError, match="no live feed"):
        command(fed_world, monkeypatch, "feed", NODE)


def test_a_round_of_all_feeds_is_sent_once(
    fed_world: World, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(tasks.feed_live_node, "apply_async", lambda **call: sent.append(call))
    tasks.feed_live_nodes()
    tasks.feed_live_nodes()
    assert [call["args"] for call in sent] == [[fed_world.node.pk]]
    PeriodicRound.objects.all().delete()
    nodes.change_node(actor=fed_world.cast.olive, node_id=NODE, live={}, now=NOW)
    tasks.feed_live_nodes()
    assert len(sent) == 1
    tasks.feed_live_node(fed_world.node.pk)  # its feed was taken away meanwhile
    assert not BackfillJob.objects.exists()
