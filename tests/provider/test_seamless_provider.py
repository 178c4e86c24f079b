"""The seamless provider in process: complete data in time, or a clear refusal."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from django.db import connection
from django.utils import timezone

from coordinator.coverage import CoverageRange, Window
from coordinator.models import BackfillJob, BackfillShard
from coordinator.ports import CancelSignal, ShardTask
from provider.backfill import NodeShardHandler
from provider.conformance import ConformancePipelineError, SchemaRefused
from provider.models import Segment
from provider.node_view import committed_segments
from provider.seamless import NoData, ReadAnswer, SeamlessDataProvider
from provider.sla import SeamlessSLAExceeded
from provider.sources.sample import SampleSource
from registry.errors import NotFound
from registry.models import SLAPolicyDocument
from registry.services import nodes, snapshot
from tests.cast import SYSTEM
from tests.provider.world import FIRST, NODE, SESSIONS, Reader, World, bars

# The sample upstream has these symbols and sessions; its prices are real.
LAST = SESSIONS[-1]


def fetch(reader: Reader, start: int = FIRST, end: int = LAST, **options: Any) -> ReadAnswer:
    return SeamlessDataProvider(**options).fetch(
        consumer=reader.consumer,
        node_id=NODE,
        start=start,
        end=end,
        actor=SYSTEM,
        now=timezone.now(),
    )


def with_policy(world: World, **document: Any) -> None:
    nodes.save_sla_policy(actor=SYSTEM, name="tested", document=document, now=timezone.now())
    world.node.sla = SLAPolicyDocument.objects.get(name="tested")
    world.node.save()
    snapshot.forget()  # no service was asked, so the version stands still


@pytest.fixture
def reader(world: World) -> Reader:
    return world.reader()


# --- storage alone ------------------------------------------------------------------------------


def test_x3_a_single_bar_range_is_one_row_a_series(world: World, reader: Reader) -> None:
    world.write(bars())
    assert fetch(reader, FIRST, FIRST).rows.rows == 2


def test_x5_rows_on_both_sides_of_a_hole_are_all_served(world: World, reader: Reader) -> None:
    world.write(bars(SESSIONS[:2] + SESSIONS[3:]))
    answer = fetch(reader, partial_ok=True)
    assert answer.rows.rows == 10
    assert answer.report.flags == {"gap": 2}


def test_x6_gaps_are_counted_per_symbol(world: World, reader: Reader) -> None:
    world.write(bars(symbols=["AAPL"]))
    report = fetch(reader, partial_ok=True).report
    assert {s.key["symbol"]: (s.observed, s.expected) for s in report.series} == {
        "AAPL": (6, 6),
        "IBM": (0, 6),
    }


def test_t9_two_files_that_overlap_give_each_bar_once(world: World, reader: Reader) -> None:
    world.write(bars(SESSIONS[:4]), "a.parquet")
    world.write(bars(SESSIONS[2:], close=pa.array([1.5] * 8)), "b.parquet")
    answer = fetch(reader)
    assert answer.rows.rows == 12
    table = answer.rows.table()
    assert table.column("close").to_pylist()[4:] == [1.5] * 8  # the later file wins


def test_t25_duplicates_in_one_file_block(world: World, reader: Reader) -> None:
    world.write(pa.concat_tables([bars(), bars(SESSIONS[:1])]))
    with pytest.raises(ConformancePipelineError) as blocked:
        fetch(reader)
    assert blocked.value.report.flags["duplicate_ts"] == 2
    assert "duplicate" in blocked.value.report.warnings[0]


def test_t26_partial_ok_serves_them_with_the_report(world: World, reader: Reader) -> None:
    world.write(pa.concat_tables([bars(), bars(SESSIONS[:1])]))
    provider = SeamlessDataProvider(partial_ok=True)
    answer = provider.fetch(
        consumer=reader.consumer,
        node_id=NODE,
        start=FIRST,
        end=LAST,
        actor=SYSTEM,
        now=timezone.now(),
    )
    assert answer.rows.rows == 12
    assert provider.last_conformance_report == answer.report


def test_the_last_report_belongs_to_the_context_that_read(world: World, reader: Reader) -> None:
    world.write(bars())
    fetch(reader)
    seen: list[object] = []
    other = threading.Thread(
        target=lambda: seen.append(SeamlessDataProvider().last_conformance_report)
    )
    other.start()
    other.join()
    assert seen == [None]
    assert SeamlessDataProvider().last_conformance_report is not None


def test_a_schema_mismatch_raises_schema_refused_whatever_partial_ok_says(
    world: World, reader: Reader
) -> None:
    world.write(bars(volume=pa.array([-1] * 12)))
    with pytest.raises(SchemaRefused):
        fetch(reader, partial_ok=True)
    report = SeamlessDataProvider().last_conformance_report
    assert report is not None
    assert report.findings[0].keyword == "minimum"


def test_nothing_stored_and_no_source_is_no_data(world: World, reader: Reader) -> None:
    with pytest.raises(NoData, match="no row in"):
        fetch(reader)


def test_a_window_without_a_bar_and_a_foreign_node_are_refused(
    world: World, reader: Reader
) -> None:
    with pytest.raises(ValueError, match="no bar"):
        fetch(reader, FIRST + 1, FIRST + 2)
    with pytest.raises(NotFound):
        SeamlessDataProvider().fetch(
            consumer=reader.consumer,
            node_id="other",
            start=FIRST,
            end=LAST,
            actor=SYSTEM,
            now=timezone.now(),
        )


# --- SLA ----------------------------------------------------------------------------------------


def slow(seconds: float) -> Any:
    def read(*_: Any, **__: Any) -> list[Any]:
        time.sleep(seconds)
        return []

    return read


def test_t29_a_store_that_hangs_costs_the_budget_and_not_the_hang(
    world: World, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_policy(world, max_wait_storage_ms=50)
    monkeypatch.setattr("provider.stores.parquet.ParquetStore.read", slow(5))
    began = time.monotonic()
    with pytest.raises(SeamlessSLAExceeded) as exceeded:
        fetch(reader)
    # The hang is 5 s; margin for a busy machine: 4 s.
    assert time.monotonic() - began < 4
    assert exceeded.value.phase == "storage_wait"
    assert exceeded.value.budget_ms == 50


def test_t32_the_total_budget_is_held_too(
    world: World, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_policy(world, max_wait_storage_ms=60_000, total_deadline_ms=50)
    monkeypatch.setattr("provider.stores.parquet.ParquetStore.read", slow(5))
    with pytest.raises(SeamlessSLAExceeded) as exceeded:
        fetch(reader)
    assert exceeded.value.phase == "total"


def test_t34_enough_coverage_is_served_without_partial_ok(world: World, reader: Reader) -> None:
    world.write(bars(SESSIONS[:5]))
    with_policy(world, min_coverage=0.8)
    assert fetch(reader).coverage == pytest.approx(5 / 6)
    with_policy(world, min_coverage=0.9)
    with pytest.raises(ConformancePipelineError):
        fetch(reader)


# --- backfill -----------------------------------------------------------------------------------


def test_missing_bars_are_fetched_once_and_the_answer_is_complete(upstream: World) -> None:
    upstream.write(bars(SESSIONS[:2]))
    reader = upstream.reader()
    answer = fetch(reader)
    assert (answer.coverage, answer.rows.rows) == (1.0, 12)
    assert BackfillJob.objects.get().state == "done"
    again = fetch(reader)
    assert (again.job_ids, again.rows.rows) == ((), 12)
    assert Segment.objects.count() == BackfillShard.objects.count()


def test_t39_two_readers_at_once_share_the_backfill(upstream: World) -> None:
    reader = upstream.reader()

    def read(_: int) -> int:
        try:
            return fetch(reader).rows.rows
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(read, range(2))) == [12, 12]
    ranges = list(BackfillShard.objects.values_list("range_start", "range_end"))
    assert len(ranges) == len(set(ranges))
    assert set(BackfillShard.objects.values_list("attempts", flat=True)) == {1}


def test_what_upstream_lacks_is_not_asked_for_again_and_again(
    upstream: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = SampleSource("stocks").fetch(CoverageRange(0, 0), [], None)
    asked: list[int] = []

    def fetch_nothing(*_: Any, **__: Any) -> pa.Table:
        asked.append(1)
        return empty

    monkeypatch.setattr("provider.sources.sample.SampleSource.fetch", fetch_nothing)
    upstream.write(bars(SESSIONS[:3]))
    reader = upstream.reader()
    for _ in range(3):
        assert fetch(reader, partial_ok=True).coverage == 0.5
    assert len(asked) == 1


def test_t31_more_missing_bars_than_a_reader_may_wait_for(upstream: World) -> None:
    with_policy(upstream, max_sync_gap_bars=1)
    with pytest.raises(SeamlessSLAExceeded) as exceeded:
        fetch(upstream.reader())
    assert exceeded.value.phase == "sync_gap"
    assert not BackfillJob.objects.exists()


def test_x13_a_source_that_hangs_costs_the_backfill_budget(
    upstream: World, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.SEAMLESS_MAX_ATTEMPTS = 1  # what goes on alone ends with the test
    released = threading.Event()

    def hang(*_: Any, **__: Any) -> pa.Table:
        released.wait(30)
        raise TimeoutError("gave up")

    monkeypatch.setattr("provider.sources.sample.SampleSource.fetch", hang)
    with_policy(upstream, max_wait_backfill_ms=300)
    try:
        began = time.monotonic()
        with pytest.raises(SeamlessSLAExceeded) as exceeded:
            fetch(upstream.reader())
        # The hang is 30 s; margin for a busy machine: 15 s.
        assert time.monotonic() - began < 15
        assert exceeded.value.phase == "backfill_wait"
        # The requester detached; the work it shared goes on.
        assert BackfillJob.objects.get().ended_at is None
    finally:
        released.set()


@pytest.mark.parametrize("cell", [float("nan"), float("-inf"), "a\0b"])
def test_quarantine_holds_what_json_and_databases_do_not(
    upstream: World, monkeypatch: pytest.MonkeyPatch, cell: object
) -> None:
    good = SampleSource.fetch

    def drifted(self: SampleSource, *arguments: Any) -> pa.Table:
        table = good(self, *arguments)
        position = table.column_names.index("close")
        return table.set_column(position, "close", pa.array([cell] * table.num_rows))

    monkeypatch.setattr("provider.sources.sample.SampleSource.fetch", drifted)
    upstream.write(bars(SESSIONS[:3]))
    with pytest.raises(SchemaRefused):
        fetch(upstream.reader())
    shown = BackfillShard.objects.get().quarantine.first().row["close"]
    assert shown in {"nan", "-inf", "a\ufffdb"}


def test_rows_that_break_the_schema_go_to_quarantine_and_strict_is_refused(
    upstream: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = SampleSource.fetch

    def drifted(self: SampleSource, *arguments: Any) -> pa.Table:
        table = good(self, *arguments)
        position = table.column_names.index("volume")
        return table.set_column(position, "volume", pa.array([-1] * table.num_rows, pa.int64()))

    monkeypatch.setattr("provider.sources.sample.SampleSource.fetch", drifted)
    upstream.write(bars(SESSIONS[:3]))
    with pytest.raises(SchemaRefused) as refused:
        fetch(upstream.reader())
    found = {finding.flag: finding for finding in refused.value.report.findings}
    assert found["quarantined"].keyword == "minimum"
    shard = BackfillShard.objects.get()
    assert (shard.state, shard.violation) == ("violation", "schema_refused")
    assert shard.quarantine.count() > 0
    assert not Segment.objects.exists()
    other = fetch(upstream.reader("research", rollout="canary"), partial_ok=True)
    assert other.coverage == 0.5  # any other read sees the gap


def test_what_is_staged_is_read_by_nobody_and_discarded_without_a_trace(upstream: World) -> None:
    handler = NodeShardHandler(upstream.node)
    span = CoverageRange(FIRST, LAST)
    bound = upstream.node.subject.versions.get()
    task = ShardTask(1, 1, NODE, upstream.node.interval, span, bound.pk)
    table = handler.fetch(span, time.monotonic() + 60, CancelSignal())
    staged = handler.stage(table, task, epoch=1)
    files = upstream.folder / "segments"
    assert [path.name for path in files.glob("*.parquet")] == ["1.1.parquet"]
    assert committed_segments(upstream.node, Window(FIRST, LAST, upstream.node.interval)) == []
    for _ in range(2):
        handler.discard(staged)
    assert list(files.iterdir()) == []
