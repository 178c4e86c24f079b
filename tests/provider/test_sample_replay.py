"""A replay judges what was sent: the retained samples of reads over the API."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from django.utils import timezone

from registry import replay
from registry.models import Node, Proposal, RetainedSample
from registry.services import replays
from registry.services.behind_reads import flush_all
from tests.cast import OHLC, approved
from tests.provider.world import World, bars
from tests.registry.test_lifecycle import drafted

pytestmark = pytest.mark.django_db
SECRET = 987.5


class NothingStored:
    """What is found can only come from the samples."""

    def ranges(self, node: Node, since: int, until: int) -> Sequence[tuple[int, int]]:
        return []

    def tables(self, *_: Any, **__: Any) -> Iterator[pa.Table]:
        raise AssertionError("there is no range to read")


@pytest.fixture(autouse=True)
def _nothing_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_stored", NothingStored())


def below(limit: float, **frame: Any) -> dict[str, Any]:
    """A candidate that refuses closes from `limit` on."""
    close = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": limit}
    return OHLC | {
        "properties": OHLC["properties"] | {"close": close},
        "x-seamless": OHLC["x-seamless"] | frame,
    }


def sampled(world: World, close: float = SECRET) -> None:
    world.write(bars(close=pa.array([100.0] * 11 + [close])))
    assert world.reader().data().status_code == 200
    flush_all()
    assert RetainedSample.objects.count() == 1


def report(world: World, proposal: Proposal) -> dict[str, Any]:
    now = timezone.now()
    run = replays.start_replay(actor=world.cast.olive, proposal_id=proposal.pk, now=now)
    list(replays.run_replays(clock=timezone.now, seconds=60))
    return replays.report_of(run)


def test_a_sample_that_the_candidate_refuses_is_in_the_report(world: World) -> None:
    sampled(world)
    found = report(world, drafted(world.cast, below(500)))
    assert (found["state"], found["rows"], found["invalid"]) == ("done", 12, 1)
    (failure,) = found["failures"]
    assert (failure["column"], failure["keyword"]) == ("close", "exclusiveMaximum")
    assert failure["places"] == [
        {"key": {"symbol": '"IBM"'}, "time": '"2012-06-08T00:00:00Z"', "value": "987.5"}
    ]


def test_samples_that_the_candidate_allows_count_as_rows_only(world: World) -> None:
    sampled(world)
    found = report(world, drafted(world.cast, below(1_000)))
    assert (found["rows"], found["invalid"], found["failures"]) == (12, 0, [])


def test_a_column_that_was_sensitive_when_sampled_is_not_judged(world: World) -> None:
    frame = OHLC["x-seamless"] | {"sensitive": ["close"]}
    approved(world.cast, OHLC | {"x-seamless": frame})
    sampled(world)
    found = report(world, drafted(world.cast, below(500)))
    assert (found["rows"], found["invalid"], found["failures"]) == (12, 0, [])


def test_a_column_that_the_candidate_makes_sensitive_shows_no_value(world: World) -> None:
    sampled(world)
    found = report(world, drafted(world.cast, below(500, sensitive=["close"])))
    (failure,) = found["failures"]
    assert (found["invalid"], failure["column"], failure["count"]) == (1, "close", 1)
    assert str(SECRET) not in str(found)


def test_samples_from_before_the_days_of_the_replay_do_not_count(world: World) -> None:
    sampled(world)
    RetainedSample.objects.update(taken_at=timezone.now() - timedelta(days=31))
    assert report(world, drafted(world.cast, below(500)))["rows"] == 0
