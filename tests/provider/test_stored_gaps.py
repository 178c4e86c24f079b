"""What storage lacks, asked by a range: what an operator's backfill fetches."""

import pytest

from coordinator.coverage import CoverageRange
from coordinator.ports import stored_gaps as stored_gaps_port
from provider import stored_gaps as module
from provider.models import Segment
from provider.stored_gaps import stored_gaps
from registry.services.proposals import latest_version
from tests.provider.world import DAY, SESSIONS, World, bars

WHOLE = CoverageRange(SESSIONS[0], SESSIONS[-1])


def gaps(world: World, span: CoverageRange = WHOLE) -> list[CoverageRange]:
    version = latest_version(world.node.subject)
    assert version is not None
    return stored_gaps(world.node, version, [span])


def test_an_empty_store_lacks_every_session(world: World) -> None:
    assert gaps(world) == [WHOLE]  # the weekend is no bar between them


def test_what_one_series_lacks_is_lacking(world: World) -> None:
    world.write(bars(), "all.parquet")
    assert gaps(world) == []
    world.write(bars(symbols=["AAPL"]), "all.parquet")
    assert gaps(world) == [WHOLE]  # the weekend is no bar between them
    world.write(bars(SESSIONS[:2]), "all.parquet")
    assert gaps(world) == [(SESSIONS[2], SESSIONS[-1])]


def test_a_long_range_is_read_in_windows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write(bars(SESSIONS[:3]))
    whole = gaps(world)
    monkeypatch.setattr(module, "BARS_AT_ONCE", 2)
    assert gaps(world) == whole == [(SESSIONS[3], SESSIONS[-1])]


def test_what_has_not_happened_yet_is_not_lacking(world: World) -> None:
    far = SESSIONS[0] + 40_000 * DAY
    assert gaps(world, CoverageRange(far, far + 9 * DAY)) == []


def test_the_coordinator_asks_here(world: World) -> None:
    version = latest_version(world.node.subject)
    assert stored_gaps_port(world.node, version, [WHOLE]) == gaps(world)
    assert not Segment.objects.exists()
