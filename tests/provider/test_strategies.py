"""How far a read goes, what its policy makes of it, and what the answer says of both."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from django.utils import timezone
from structlog.testing import capture_logs

from coordinator.coverage import CoverageRange
from coordinator.models import BackfillJob
from provider.blend import Piece
from provider.conformance import ConformancePipelineError, SchemaRefused
from provider.live import LiveRows, set_live_tail_factory
from provider.live.feed import node_tail
from provider.metrics import COVERAGE_RATIO, DOMAIN_HOLDS, SLA_VIOLATIONS
from provider.models import Segment
from provider.seamless import (
    BackfillStarted,
    NoData,
    ReadAnswer,
    SeamlessDataProvider,
    Strategy,
)
from provider.sla import OnViolation, SeamlessSLAExceeded
from provider.sources.sample import SampleSource
from registry.models import SLAPolicyDocument
from registry.services import nodes, snapshot
from tests.cast import SYSTEM
from tests.provider.world import DAY, FIRST, NODE, SESSIONS, Reader, World, bars

LAST = SESSIONS[-1]
JUST_AFTER = datetime.fromtimestamp(LAST + DAY + 60, UTC)
LONG_AFTER = datetime(2020, 1, 1, tzinfo=UTC)


def fetch(reader: Reader, start: int = FIRST, end: int = LAST, **options: Any) -> ReadAnswer:
    return SeamlessDataProvider(**options).fetch(**question(reader, start, end))


def question(
    reader: Reader, start: int = FIRST, end: int = LAST, now: datetime = LONG_AFTER
) -> dict[str, Any]:
    return {
        "consumer": reader.consumer,
        "node_id": NODE,
        "start": start,
        "end": end,
        "actor": SYSTEM,
        "now": now,
    }


def with_policy(world: World, **document: Any) -> None:
    nodes.save_sla_policy(actor=SYSTEM, name="tested", document=document, now=LONG_AFTER)
    world.node.sla = SLAPolicyDocument.objects.get(name="tested")
    world.node.save()
    snapshot.forget()  # no service was asked, so the version stands still


# --- strategies ---------------------------------------------------------------------------------


def test_fail_fast_serves_what_is_there_and_fetches_nothing(upstream: World) -> None:
    upstream.write(bars(SESSIONS[:2]))
    reader = upstream.reader()
    with pytest.raises(ConformancePipelineError):
        fetch(reader, strategy=Strategy.FAIL_FAST)
    answer = fetch(reader, strategy=Strategy.FAIL_FAST, partial_ok=True)
    assert answer.rows.rows == 4
    assert not BackfillJob.objects.exists()


def test_fail_fast_without_a_row_says_what_the_original_said(world: World) -> None:
    with pytest.raises(NoData) as refused:
        fetch(world.reader(), strategy=Strategy.FAIL_FAST)
    assert str(refused.value) == (
        f"No data available for range [{FIRST}, {LAST}] in fail-fast mode"
    )
    assert isinstance(refused.value, RuntimeError)


def test_partial_fill_serves_at_once_and_has_the_rest_fetched(upstream: World) -> None:
    upstream.write(bars(SESSIONS[:2]))
    answer = fetch(upstream.reader(), strategy=Strategy.PARTIAL_FILL)
    assert (answer.rows.rows, answer.coverage) == (4, pytest.approx(2 / 6))
    assert [job.is_running for job in answer.jobs] == [True]
    job = BackfillJob.objects.get()
    assert (job.pk, job.ended_at) == (answer.job_ids[0], None)


def test_partial_fill_with_nothing_to_serve_names_the_job(upstream: World) -> None:
    with pytest.raises(BackfillStarted) as started:
        fetch(upstream.reader(), strategy=Strategy.PARTIAL_FILL)
    assert started.value.job_ids == (BackfillJob.objects.get().pk,)
    assert started.value.status == 202


def test_seamless_skips_what_was_settled_lately_and_auto_backfill_asks_again(
    upstream: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = bars([])
    asked: list[int] = []

    def fetch_nothing(*_: Any, **__: Any) -> pa.Table:
        asked.append(1)
        return empty

    monkeypatch.setattr(SampleSource, "fetch", fetch_nothing)
    upstream.write(bars(SESSIONS[:3]))
    reader = upstream.reader()
    for strategy in (Strategy.SEAMLESS, Strategy.SEAMLESS, Strategy.AUTO_BACKFILL):
        SeamlessDataProvider(strategy=strategy, partial_ok=True).fetch(
            **question(reader) | {"now": timezone.now()}
        )
    assert len(asked) == 2


def test_t3_ensure_asks_the_source_for_exactly_what_is_missing(
    upstream: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    knows = SampleSource.can_fetch

    def can_fetch(self: SampleSource, span: Any) -> bool:
        asked.append(tuple(span))
        return knows(self, span)

    monkeypatch.setattr(SampleSource, "can_fetch", can_fetch)
    upstream.write(bars([SESSIONS[0], SESSIONS[3]]))
    provider, reader = SeamlessDataProvider(), upstream.reader()
    missing = provider.missing_ranges(**question(reader))
    assert provider.ensure_data_available(**question(reader)) is True
    assert asked == [(SESSIONS[1], SESSIONS[2]), (SESSIONS[4], SESSIONS[5])] == missing
    assert provider.missing_ranges(**question(reader)) == []


def test_t5_without_a_source_what_is_missing_stays_missing(world: World) -> None:
    world.write(bars(SESSIONS[:4]))
    provider, reader = SeamlessDataProvider(), world.reader()
    assert provider.ensure_data_available(**question(reader)) is False
    assert provider.missing_ranges(**question(reader)) == [(SESSIONS[4], SESSIONS[5])]


def test_w36_a_source_that_cannot_have_the_bars_is_not_asked_to_fetch(upstream: World) -> None:
    """The data set ends in 2013: the present is out of its reach, and no job is made."""
    assert SampleSource("stocks").can_fetch(CoverageRange(0, 1)) is False
    late = 1_577_923_200  # 2020-01-02, a session
    with pytest.raises(NoData):
        SeamlessDataProvider().fetch(
            **question(upstream.reader(), late, late, datetime(2020, 2, 1, tzinfo=UTC))
        )
    assert not BackfillJob.objects.exists()


def test_x17_w11_the_sync_gap_holds_on_every_path_that_waits(upstream: World) -> None:
    with_policy(upstream, max_sync_gap_bars=1)
    provider, reader = SeamlessDataProvider(), upstream.reader()
    with pytest.raises(SeamlessSLAExceeded, match="sync_gap"):
        provider.ensure_data_available(**question(reader))
    for strategy in (Strategy.SEAMLESS, Strategy.AUTO_BACKFILL):
        with pytest.raises(SeamlessSLAExceeded, match="sync_gap"):
            fetch(reader, strategy=strategy)
    assert not BackfillJob.objects.exists()


def test_x8_w8_a_failed_backfill_shows_in_the_answer(
    upstream: World, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.SEAMLESS_MAX_ATTEMPTS = 1

    def broken(*_: Any, **__: Any) -> pa.Table:
        raise ConnectionError("upstream is away")

    monkeypatch.setattr(SampleSource, "fetch", broken)
    upstream.write(bars(SESSIONS[:3]))
    answer = fetch(upstream.reader(), partial_ok=True)
    assert answer.report.flags["backfill_failed"] == 1
    assert "attempts_exhausted" in answer.report.warnings[-1]
    assert [(job.state, job.violations) for job in answer.jobs] == [
        ("violation", ("attempts_exhausted",))
    ]


# --- bars that are not over ---------------------------------------------------------------------


def test_bars_that_have_not_happened_yet_are_not_missing(world: World) -> None:
    world.write(bars(SESSIONS[:3]))
    now = datetime.fromtimestamp(SESSIONS[3], UTC)
    answer = SeamlessDataProvider().fetch(**question(world.reader(), now=now))
    assert (answer.coverage, answer.rows.rows) == (1.0, 6)


def test_t11_w27_unstable_bars_are_left_out_near_the_present_only(world: World) -> None:
    world.write(bars())
    reader, now = world.reader(), datetime.fromtimestamp(LAST, UTC)
    provider = SeamlessDataProvider(stabilization_bars=1)
    trimmed = provider.fetch(**question(reader, now=now))
    assert trimmed.metadata()["coverage_bounds"] == (FIRST, SESSIONS[-2])
    assert trimmed.metadata()["dataset_fingerprint"].startswith("sha256:")
    assert provider.fetch(**question(reader)).rows.rows == 12
    with pytest.raises(NoData, match="may still change"):
        provider.fetch(**question(reader, LAST, LAST, now))


# --- the SLA verdict ----------------------------------------------------------------------------


def test_t34_too_little_coverage_is_held_and_counted(world: World) -> None:
    world.write(bars(SESSIONS[:3]))
    with_policy(world, min_coverage=0.9, on_violation="hold")
    returns = DOMAIN_HOLDS.labels(NODE, str(DAY), "coverage_breach")._value
    before = returns.get()
    with capture_logs() as logs:
        answer = fetch(world.reader())
    assert answer.verdict.to_dict() == {
        "coverage_ratio": 0.5,
        "staleness_ms": None,
        "downgraded": True,
        "downgrade_mode": "hold",
        "downgrade_reason": "coverage_breach",
        "sla_violation": None,
    }
    assert COVERAGE_RATIO.labels(NODE, str(DAY))._value.get() == 0.5
    assert returns.get() - before == 1
    (event,) = [log for log in logs if log["event"] == "seamless.sla.downgrade"]
    assert event["dataset_fingerprint"] == answer.fingerprint


def test_t35_late_bars_are_held_where_the_window_reaches_the_present(world: World) -> None:
    world.write(bars(SESSIONS[:3]))
    with_policy(world, max_lag_seconds=1, on_violation="hold")
    reader = world.reader()
    late = SeamlessDataProvider().fetch(**question(reader, now=JUST_AFTER))
    assert (late.verdict.mode, late.verdict.reason) == (OnViolation.HOLD, "freshness_breach")
    assert late.report.flags["stale"] == 1
    past = SeamlessDataProvider().fetch(**question(reader, FIRST, SESSIONS[2]))
    assert (past.verdict.reason, past.verdict.staleness_seconds) == (None, None)


def test_late_bars_block_where_the_policy_fails_fast(world: World) -> None:
    world.write(bars())
    with_policy(world, max_lag_seconds=1)
    with pytest.raises(ConformancePipelineError) as blocked:
        SeamlessDataProvider().fetch(**question(world.reader(), now=JUST_AFTER))
    assert blocked.value.report.flags == {"stale": 1}


@pytest.fixture
def hung_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    over = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Piece]:
        over.wait(30)
        return []

    monkeypatch.setattr("provider.stores.parquet.ParquetStore.read", hang)
    yield
    over.set()


def live_with(pieces: Sequence[Piece], seconds: float = 0.0) -> Any:
    class Tail:
        asked: list[tuple[int, int]] = []
        reach_seconds = 10 * DAY

        def read(self, start: int, end: int, *, deadline: float | None) -> LiveRows:
            self.asked.append((start, end))
            time.sleep(seconds)
            return LiveRows(pieces)

    Tail.asked = []
    tail = Tail()
    set_live_tail_factory(lambda node, frame: tail)
    return tail


@pytest.fixture(autouse=True)
def _no_tail_after() -> Iterator[None]:
    yield
    set_live_tail_factory(node_tail)


@pytest.mark.usefixtures("hung_store")
def test_t33_a_storage_budget_that_ends_is_put_up_with_under_partial_fill(world: World) -> None:
    live_with([Piece("live", bars())])
    with_policy(world, max_wait_storage_ms=20, on_violation="partial_fill")
    violations = SLA_VIOLATIONS.labels(NODE, "storage_wait")._value
    before = violations.get()
    with capture_logs() as logs:
        answer = SeamlessDataProvider().fetch(**question(world.reader(), now=JUST_AFTER))
    assert answer.verdict.downgraded
    facts = answer.verdict.to_dict()
    assert (facts["downgrade_mode"], facts["downgrade_reason"]) == (
        "partial_fill",
        "sla_violation",
    )
    assert (facts["sla_violation"]["phase"], facts["sla_violation"]["budget_ms"]) == (
        "storage_wait",
        20,
    )
    assert violations.get() - before == 1
    assert "seamless.sla.downgrade" in {log["event"] for log in logs}


@pytest.mark.usefixtures("hung_store")
@pytest.mark.parametrize("mode", ["fail_fast", "partial_fill", "hold"])
def test_x14_w4_a_budget_that_leaves_nothing_to_serve_is_raised_itself(
    world: World, mode: str
) -> None:
    with_policy(world, max_wait_storage_ms=20, on_violation=mode)
    with pytest.raises(SeamlessSLAExceeded) as exceeded:
        fetch(world.reader())
    assert exceeded.value.phase == "storage_wait"


@pytest.mark.usefixtures("hung_store")
def test_the_total_is_put_up_with_by_no_policy(world: World) -> None:
    live_with([Piece("live", bars())])
    with_policy(world, total_deadline_ms=20, on_violation="partial_fill")
    with pytest.raises(SeamlessSLAExceeded, match="'total'"):
        SeamlessDataProvider().fetch(**question(world.reader(), now=JUST_AFTER))


@pytest.mark.parametrize("mode", ["partial_fill", "hold"])
def test_a_backfill_that_takes_too_long_goes_on_alone(
    upstream: World, monkeypatch: pytest.MonkeyPatch, settings: Any, mode: str
) -> None:
    settings.SEAMLESS_MAX_ATTEMPTS = 1  # what goes on alone ends with the test
    over = threading.Event()

    def hang(*_: Any, **__: Any) -> pa.Table:
        over.wait(30)
        raise TimeoutError("gave up")

    monkeypatch.setattr(SampleSource, "fetch", hang)
    with_policy(upstream, max_wait_backfill_ms=200, on_violation=mode)
    reader = upstream.reader()
    try:
        with pytest.raises(BackfillStarted):
            fetch(reader)
        upstream.write(bars(SESSIONS[:3]))
        answer = fetch(reader)
        assert (answer.coverage, answer.verdict.mode) == (0.5, mode)
        assert BackfillJob.objects.get().ended_at is None
    finally:
        over.set()


# --- the live tail ------------------------------------------------------------------------------


def test_the_live_tail_adds_what_no_store_has_and_overrides_nothing(world: World) -> None:
    world.write(bars(SESSIONS[:5]))
    tail = live_with([Piece("live", bars(SESSIONS[4:], close=pa.array([9.0] * 4)))])
    answer = SeamlessDataProvider().fetch(**question(world.reader(), now=JUST_AFTER))
    assert tail.asked == [(LAST, LAST)]
    assert answer.rows.rows == 12
    assert answer.table.column("close").to_pylist()[8:] == [108.0, 109.0, 9.0, 9.0]


def test_w18_live_rows_are_held_to_the_schema_like_any_other(world: World) -> None:
    world.write(bars(SESSIONS[:5]))
    live_with([Piece("live", bars(SESSIONS[5:], volume=pa.array([-1, -1])))])
    with pytest.raises(SchemaRefused):
        SeamlessDataProvider().fetch(**question(world.reader(), now=JUST_AFTER))


def test_the_past_has_no_live_tail(world: World) -> None:
    world.write(bars())
    tail = live_with([])
    fetch(world.reader())
    assert tail.asked == []


def test_x15_a_live_tail_that_hangs_costs_its_budget(world: World) -> None:
    world.write(bars(SESSIONS[:5]))
    live_with([], seconds=5)
    with_policy(world, max_wait_live_ms=20)
    began = time.monotonic()
    with pytest.raises(SeamlessSLAExceeded, match="live_wait"):
        SeamlessDataProvider().fetch(**question(world.reader(), now=JUST_AFTER))
    assert time.monotonic() - began < 4  # the hang is 5 s


# --- in process ---------------------------------------------------------------------------------


def test_an_answer_is_an_arrow_table_and_a_pandas_frame_on_demand(world: World) -> None:
    world.write(bars())
    answer = fetch(world.reader())
    assert answer.table.num_rows == 12
    frame = answer.to_pandas()
    assert list(frame.columns) == answer.table.column_names
    assert str(frame["volume"].dtype) == "Int64"
    assert answer.metadata()["rows"] == 12


def test_t12_the_same_fetch_has_the_same_fingerprint(world: World) -> None:
    world.write(bars())
    reader = world.reader()
    assert fetch(reader).fingerprint == fetch(reader).fingerprint
    assert fetch(reader, FIRST, FIRST).fingerprint != fetch(reader).fingerprint


def test_the_fingerprint_is_composed_of_what_a_backfill_hashed(upstream: World) -> None:
    """A window that was backfilled and the same rows in a file of somebody have one name."""
    reader = upstream.reader()
    filled = fetch(reader)
    assert all(segment.blocks for segment in Segment.objects.all())
    upstream.write(filled.table, "copy.parquet")
    assert fetch(reader).fingerprint == filled.fingerprint


def test_w25_reports_belong_to_the_asyncio_task_that_read(committed_world: World) -> None:
    committed_world.write(bars(SESSIONS[:3]))
    reader, provider = committed_world.reader(), SeamlessDataProvider(partial_ok=True)

    async def read(start: int) -> dict[str, int]:
        answer = await provider.afetch(**question(reader, start, start))
        await asyncio.sleep(0.01)
        report = provider.last_conformance_report
        assert report is answer.report
        return report.flags

    async def both() -> list[dict[str, int]]:
        return await asyncio.gather(read(SESSIONS[0]), read(SESSIONS[2]))

    with_policy(committed_world, on_violation="partial_fill")
    assert asyncio.run(both()) == [{}, {}]


def test_afetch_raises_what_fetch_raises(committed_world: World) -> None:
    reader = committed_world.reader()
    with pytest.raises(NoData):
        asyncio.run(SeamlessDataProvider(strategy=Strategy.FAIL_FAST).afetch(**question(reader)))
