"""Windows kept in memory: complete ones only, bounded, and gone when anything changes."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from coordinator.grid import Grid
from provider.blend import Piece
from provider.conformance import ConformancePipeline, ConformancePipelineError, ExpectedSeries
from provider.metrics import CACHE_BYTES, CACHE_HITS, CACHE_MISSES
from provider.seamless import ReadAnswer, SeamlessDataProvider
from provider.stores.parquet import ParquetStore
from provider.window_cache import CheckedWindow, Fingerprint, WindowCache
from registry.frame import Frame
from registry.services import nodes
from tests.cast import SYSTEM, approved, with_property
from tests.provider.world import DAY, FIRST, NODE, SESSIONS, Reader, World, bars

LAST = SESSIONS[-1]
LATER = datetime(2012, 7, 1, tzinfo=UTC)


def window(rows: int = 2, **settings: Any) -> CheckedWindow:
    table = pa.table({"ts": pa.array(range(0, rows * 10, 10), pa.int64()), "v": [1.0] * rows})
    examined = ConformancePipeline(
        frame=Frame(time="ts", unit="s"),
        grid=Grid(10),
        expected=[ExpectedSeries({}, table.column("ts").to_numpy())],
        **settings,
    ).examine([Piece("x", table)])
    return CheckedWindow(
        examined.blended, examined.report, examined.marks, Fingerprint(lambda: "sha256:0")
    )


# --- the cache by itself ------------------------------------------------------------------------


def test_the_least_recently_read_goes_first_and_bytes_are_bounded() -> None:
    one = window()
    cache = WindowCache(one.nbytes * 2, 60)
    cache.put(("a",), one)
    cache.put(("b",), one)
    assert cache.get(("a",)) is one
    cache.put(("c",), one)
    assert [cache.get((name,)) is one for name in "abc"] == [True, False, True]
    assert cache.resident_bytes == one.nbytes * 2
    cache.put(("c",), one)
    assert cache.resident_bytes == one.nbytes * 2
    cache.clear()
    assert cache.resident_bytes == 0


def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    cache = WindowCache(10, 60)
    cache.put(("a",), window())
    assert (cache.get(("a",)), cache.resident_bytes) == (None, 0)


def test_t18_an_entry_ends_with_its_time() -> None:
    clock = [0.0]
    cache = WindowCache(1 << 20, 1, now=lambda: clock[0])
    cache.put(("a",), window())
    assert cache.get(("a",)) is not None
    clock[0] = 2.0
    assert cache.get(("a",)) is None
    assert cache.resident_bytes == 0


def test_x9_w26_empty_and_partial_windows_are_not_kept() -> None:
    cache = WindowCache(1 << 20, 60)
    cache.put(("empty",), window(0))
    whole = window()
    partial = CheckedWindow(whole.rows, whole.report, whole.marks, whole.fingerprint)
    object.__setattr__(partial.report, "coverage", 0.5)
    cache.put(("partial",), partial)
    assert cache.resident_bytes == 0


def test_a_fingerprint_is_made_once_and_only_when_it_is_asked_for() -> None:
    made: list[int] = []
    name = Fingerprint(lambda: made.append(1) or "sha256:1")  # type: ignore[func-returns-value]
    assert made == []
    assert (str(name), str(name), made) == ("sha256:1", "sha256:1", [1])


# --- in a read ----------------------------------------------------------------------------------


def fetch(reader: Reader, start: int = FIRST, end: int = LAST, **options: Any) -> ReadAnswer:
    now = options.pop("now", LATER)
    return SeamlessDataProvider(**options).fetch(
        consumer=reader.consumer, node_id=NODE, start=start, end=end, actor=SYSTEM, now=now
    )


def let_the_clock_pass(world: World, by: int = 60) -> None:
    """As if the files had been written a while before the read."""
    for path in world.folder.glob("*.parquet"):
        os.utime(path, (0, path.stat().st_mtime - by))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry per read of the store."""
    made: list[int] = []
    original = ParquetStore.read

    def counted(self: ParquetStore, *arguments: Any, **options: Any) -> Any:
        made.append(1)
        return original(self, *arguments, **options)

    monkeypatch.setattr(ParquetStore, "read", counted)
    return made


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' clock stands in 2012 and the files' in the present: a tick is never near."""
    monkeypatch.setattr("provider.stores.parquet.CLOCK_TICK", -1e12)


def count(counter: Any) -> float:
    return float(counter.labels(NODE, str(DAY))._value.get())


@pytest.mark.usefixtures("settled")
class TestReads:
    def test_t15_a_second_read_of_a_window_asks_the_store_for_no_row(
        self, world: World, reads: list[int]
    ) -> None:
        world.write(bars())
        reader = world.reader()
        hits, misses = count(CACHE_HITS), count(CACHE_MISSES)
        first, second = fetch(reader), fetch(reader)
        assert len(reads) == 1
        assert (count(CACHE_HITS) - hits, count(CACHE_MISSES) - misses) == (1, 1)
        assert (first.from_cache, second.from_cache) == (False, True)
        assert CACHE_BYTES._value.get() > 0
        assert second.table.equals(first.table)
        assert second.fingerprint == first.fingerprint

    def test_an_external_write_is_seen_at_once(self, world: World, reads: list[int]) -> None:
        world.write(bars())
        reader = world.reader()
        fetch(reader)
        world.write(bars(close=pa.array([7.0] * 12)))
        assert fetch(reader).table.column("close").to_pylist() == [7.0] * 12
        world.write(bars(SESSIONS[:1], close=pa.array([8.0] * 2)), "later.parquet")
        assert fetch(reader).table.column("close").to_pylist()[:2] == [8.0, 8.0]
        assert len(reads) == 3

    def test_t17_another_release_is_another_window(self, world: World, reads: list[int]) -> None:
        world.write(bars())
        strict, canary = world.reader(), world.reader("research", rollout="canary")
        fetch(strict)
        fetch(canary)
        approved(world.cast, with_property("vwap", {"type": ["number", "null"]}))
        fetch(canary)
        assert len(reads) == 3

    def test_a_verdict_is_never_kept(self, world: World) -> None:
        """The same consumer's strict rollout refuses what an ungoverned read was given."""
        world.write(bars(volume=pa.array([-1] * 12)))
        assert fetch(world.reader("free", rollout="canary"), partial_ok=True).rows.rows == 12
        with pytest.raises(ConformancePipelineError):
            fetch(world.reader(), partial_ok=True)

    def test_another_series_setting_is_another_window(self, world: World, reads: list[int]) -> None:
        world.write(bars())
        reader = world.reader()
        fetch(reader)
        nodes.change_node(
            actor=world.cast.olive,
            node_id=NODE,
            series=[{"key": {"symbol": "IBM"}, "since": None}],
            now=LATER,
        )
        fetch(reader, partial_ok=True)
        assert len(reads) == 2

    def test_what_is_incomplete_is_read_again(self, world: World, reads: list[int]) -> None:
        world.write(bars(SESSIONS[:3]))
        reader = world.reader()
        for _ in range(2):
            fetch(reader, partial_ok=True)
        assert len(reads) == 2

    def test_t16_staleness_grows_with_the_clock_on_a_hit(self, world: World) -> None:
        world.write(bars())
        reader = world.reader()
        now = datetime.fromtimestamp(LAST + DAY, UTC)
        first = fetch(reader, now=now).metadata()
        second = fetch(reader, now=now + timedelta(seconds=30))
        assert second.from_cache
        assert second.metadata()["staleness_ms"] == first["staleness_ms"] + 30_000
        assert not second.verdict.downgraded

    def test_the_cache_can_be_switched_off(
        self, world: World, reads: list[int], settings: Any
    ) -> None:
        settings.SEAMLESS_CACHE_BYTES = 0
        world.write(bars())
        reader = world.reader()
        fetch(reader)
        fetch(reader)
        assert len(reads) == 2


def test_files_written_within_a_tick_of_the_clock_are_not_kept(
    world: World, reads: list[int]
) -> None:
    """Two writes within one tick look alike, so nothing is kept until the tick is over."""
    world.write(bars())
    reader = world.reader()
    now = datetime.now(UTC)
    for _ in range(2):
        fetch(reader, now=now)
    assert len(reads) == 2
