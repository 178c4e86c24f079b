"""A shadow replay over a real store, and reads whose version goes away."""

import json
from datetime import timedelta
from typing import Any

import pyarrow as pa
from django.utils import timezone

from provider.replay_rows import ROWS_A_SHARD, StoredBars
from registry.models import Proposal
from registry.services import proposals, replays, versions
from tests.cast import NOW, approved, with_property
from tests.provider.world import DAY, FIRST, SESSIONS, World, bars


def drafted(world: World, document: Any) -> Proposal:
    outcome = proposals.propose_schema(
        actor=world.cast.olive, subject="market.ohlc", document=json.dumps(document), now=NOW
    )
    assert outcome.proposal is not None
    return outcome.proposal


def replayed(world: World, document: Any) -> dict[str, Any]:
    """Started some days after the bars of the world."""
    now = NOW.fromtimestamp(SESSIONS[-1], NOW.tzinfo) + timedelta(days=2)
    proposal = drafted(world, document)
    run = replays.start_replay(actor=world.cast.olive, proposal_id=proposal.pk, now=now, days=30)
    list(replays.run_replays(clock=lambda: now, seconds=60))
    return replays.report_of(run)


def test_a_candidate_is_judged_by_what_reads_would_check(world: World) -> None:
    world.write(bars())
    cheap = with_property("close", {"type": "number", "maximum": 103})
    report = replayed(world, cheap)
    assert (report["state"], report["rows"], report["invalid"]) == ("done", 12, 8)
    (failure,) = report["failures"]
    assert (failure["column"], failure["keyword"], failure["count"]) == ("close", "maximum", 8)
    assert failure["places"][0] == {
        "key": {"symbol": '"AAPL"'},
        "time": '"2012-06-05T00:00:00Z"',
        "value": "104.0",
    }


def test_rows_with_an_unreadable_time_are_judged_once(world: World) -> None:
    world.write(bars())
    world.write(
        pa.table({"session": ["no time"], "symbol": ["IBM"], "close": [1.0], "volume": [1]}),
        "odd.parquet",
    )
    report = replayed(world, with_property("vwap", {"type": "number"}))
    assert (report["rows"], report["invalid"]) == (13, 1)


def test_the_ranges_hold_every_bar_once(world: World) -> None:
    for series in (1, 40_000):
        world.node.series = [{"key": {"symbol": str(n)}} for n in range(series)]
        until = FIRST + 100 * DAY + 7
        ranges = StoredBars().ranges(world.node, FIRST - 3, until)
        held = [
            time
            for start, end in ranges
            for time in range(FIRST, until, DAY)
            if start <= time <= end
        ]
        assert held == list(range(FIRST, until, DAY))
        assert all((end - start) // DAY * series <= ROWS_A_SHARD for start, end in ranges)


def test_reads_say_when_their_version_goes_away_with_a_canary_or_without(world: World) -> None:
    world.write(bars())
    with_canary, without = world.reader("alpha"), world.reader("beta")
    assert "Deprecation" not in with_canary.data()
    approved(world.cast, with_property("vwap", {"type": "number"}))
    rollout = without.consumer.rollouts.get(mode="canary", ended_at=None)
    type(rollout).objects.filter(pk=rollout.pk).update(ended_at=timezone.now())
    versions.deprecate_version(
        actor=world.cast.olive,
        subject="market.ohlc",
        number=1,
        sunset_at=NOW + timedelta(days=400),
        reason="vwap is here",
        now=NOW,
    )
    answers = [reader.data() for reader in (with_canary, without)]
    assert [answer["Seamless-Canary"] for answer in answers] == ["market/2", "none"]
    for answer in answers:
        assert answer["Deprecation"] == f"@{int(NOW.timestamp())}"
        assert answer["Sunset"] == "Tue, 06 Apr 2027 12:00:00 GMT"
