"""From where a read looks: backtests and dry runs see artefacts alone, live reads never go back."""

import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from coordinator.models import BackfillJob
from provider import artifact_files
from provider import as_of as moments
from provider.artifact_files import ArtifactDamaged
from provider.artifacts import directory_of
from provider.conformance import ConformancePipelineError, SchemaRefused
from provider.exporting import export
from provider.metrics import (
    AS_OF_ADVANCES,
    CACHE_HITS,
    CACHE_MISSES,
    COVERAGE_RATIO,
    DOMAIN_HOLDS,
)
from provider.models import Artifact, AsOfMark, PublishedReport
from provider.publishing import Order, publish_artifact
from provider.requests import ReadAnswer
from provider.seamless import (
    ExecutionDomain,
    SeamlessDataProvider,
    SeamlessDomainPolicyError,
    clock_for,
    measure,
)
from provider.sla import SeamlessSLAExceeded
from provider.stages import plan
from provider.stores.parquet import ParquetStore
from provider.window_cache import Key
from provider.window_keys import window_key
from registry.errors import InvalidInput
from registry.models import Node, SLAPolicyDocument
from registry.services import nodes, snapshot
from registry.services.behind_reads import flush_all
from tests.cast import NOW, OHLC, SYSTEM, approved
from tests.provider import test_exports as minutes_node
from tests.provider.world import DAY, FIRST, NODE, SESSIONS, Reader, World, bars

LAST = SESSIONS[-1]
KNOWN = datetime(2012, 7, 1, tzinfo=UTC)
LATER = KNOWN + timedelta(days=1)
NO_AS_OF = "as_of is required for backtest/dryrun domains"
NO_ARTIFACT = "artifact-backed data is required for backtest/dryrun domains"
KEPT = ["backtest", "dryrun"]
MOVING = ["live", "shadow"]

pytestmark = pytest.mark.usefixtures("redis_client")


def publish(house: World, **changes: Any) -> Artifact:
    order = {"node_id": NODE, "start": FIRST, "end": LAST, "as_of": KNOWN, **changes}
    return publish_artifact(actor=house.cast.olive, order=Order(**order), now=datetime.now(UTC))


def fetch(reader: Reader, start: int = FIRST, end: int = LAST, **question: Any) -> ReadAnswer:
    asked = {"node_id": NODE, "actor": SYSTEM, "now": datetime.now(UTC), **question}
    return SeamlessDataProvider().fetch(consumer=reader.consumer, start=start, end=end, **asked)


def other_rows(house: World) -> None:
    house.write(bars(close=pa.array([7.0] * 12)))


def closes(answer: ReadAnswer) -> list[float]:
    return list(answer.table.column("close").to_pylist())


def counted(counter: Any, *labels: str) -> Callable[[], float]:
    """By how much a counter has grown since."""
    value = counter.labels(*labels)._value
    before = value.get()
    return lambda: float(value.get() - before)


def holds(reason: str) -> Callable[[], float]:
    return counted(DOMAIN_HOLDS, NODE, str(DAY), reason)


@pytest.fixture
def stored(world: World) -> World:
    world.write(bars())
    return world


@pytest.fixture
def reader(stored: World) -> Reader:
    return stored.reader()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all files had been written a while ago."""
    monkeypatch.setattr("provider.stores.parquet.CLOCK_TICK", -1e12)
    monkeypatch.setattr("provider.artifact_files.CLOCK_TICK", -1e12)


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer["Content-Type"] == "application/problem+json", answer.content[:300]
    body = dict(json.loads(answer.content))
    assert (answer.status_code, body["code"]) == (status, code)
    return body


# --- the gate -----------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", KEPT)
def test_t19_without_as_of_there_is_no_backtest(reader: Reader, domain: str) -> None:
    grown = holds("missing_as_of")
    with capture_logs() as logs, pytest.raises(SeamlessDomainPolicyError) as refused:
        fetch(reader, domain=domain, world="paper")
    assert str(refused.value) == NO_AS_OF
    assert isinstance(refused.value, RuntimeError)
    (event,) = logs
    assert event["event"] == "seamless.domain_gate.missing_as_of"
    assert (event["node_id"], event["interval"]) == (NODE, DAY)
    assert (event["execution_domain"], event["world_id"]) == (domain, "paper")
    assert grown() == 1
    body = problem(reader.data(domain=domain), 400, "as_of_required")
    assert body["detail"] == NO_AS_OF


@pytest.mark.parametrize("domain", KEPT)
def test_t20_without_an_artifact_there_is_no_dry_run(reader: Reader, domain: str) -> None:
    grown = holds("missing_artifact")
    with capture_logs() as logs, pytest.raises(SeamlessDomainPolicyError) as refused:
        fetch(reader, domain=domain, as_of=KNOWN)
    assert str(refused.value) == NO_ARTIFACT
    (event,) = logs
    assert event["event"] == "seamless.domain_gate.missing_artifact"
    assert (event["execution_domain"], event["world_id"]) == (domain, "")
    assert event["requested_as_of"] == "2012-07-01T00:00:00Z"
    assert grown() == 1
    answer = reader.data(domain=domain, as_of="2012-07-01T00:00:00Z")
    assert problem(answer, 409, "artifact_required")["detail"] == NO_ARTIFACT


@pytest.mark.parametrize("domain", KEPT)
def test_a_backtest_reads_what_was_published_and_not_what_is_stored(
    stored: World, reader: Reader, domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = publish(stored)
    other_rows(stored)

    def refuse(*_: Any) -> None:
        raise AssertionError("a backtest touched the store")

    monkeypatch.setattr("provider.domains.open_store", refuse)
    answer = fetch(reader, domain=domain, as_of=LATER)
    assert closes(answer) == [100.0 + n for n in range(12)]
    assert answer.fingerprint == made.dataset_fingerprint
    facts = answer.metadata()
    assert facts["execution_domain"] == domain
    assert (facts["artifact"], facts["manifest_uri"]) == (made.address, made.manifest_uri)
    assert (facts["as_of"], facts["requested_as_of"]) == (
        "2012-07-01T00:00:00Z",
        "2012-07-02T00:00:00Z",
    )


def test_the_newest_artifact_of_what_was_known_by_then_answers(
    stored: World, reader: Reader
) -> None:
    first = publish(stored)
    other_rows(stored)
    second = publish(stored, as_of=LATER)

    def of(as_of: datetime) -> str | None:
        return str(fetch(reader, domain="backtest", as_of=as_of).metadata()["artifact"])

    assert of(KNOWN) == of(LATER - timedelta(microseconds=1)) == first.address
    assert of(LATER) == of(LATER + timedelta(days=100)) == second.address
    with pytest.raises(SeamlessDomainPolicyError):
        of(KNOWN - timedelta(microseconds=1))


def test_an_artifact_answers_the_windows_inside_it_of_its_own_world(
    stored: World, reader: Reader
) -> None:
    publish(stored, start=SESSIONS[1], end=SESSIONS[3], world="paper")
    question = {"domain": "backtest", "as_of": KNOWN, "world": "paper"}
    inside = fetch(reader, SESSIONS[1], SESSIONS[2], **question)
    assert closes(inside) == [102.0, 103.0, 104.0, 105.0]
    assert inside.coverage == 1.0
    for start, end, world in (
        (FIRST, LAST, "paper"),
        (FIRST, SESSIONS[2], "paper"),
        (SESSIONS[2], SESSIONS[4], "paper"),
        (SESSIONS[4], LAST, "paper"),
        (SESSIONS[1], SESSIONS[1], ""),
        (SESSIONS[1], SESSIONS[1], "Paper"),
    ):
        with pytest.raises(SeamlessDomainPolicyError, match="artifact-backed"):
            fetch(reader, start, end, **question | {"world": world})


def test_no_path_past_the_gate_reads_the_store(stored: World, reader: Reader) -> None:
    """A request that nobody sent through the gate is refused where its rows would be read."""
    request = replace(fetch(reader).request, domain=ExecutionDomain.BACKTEST, as_of=KNOWN)
    with pytest.raises(SeamlessDomainPolicyError):
        measure(request)


# --- the answer ---------------------------------------------------------------------------------


FORMS = ["json", "columns", "ndjson", "csv", "arrow", "parquet"]
BACKTEST = {"domain": "backtest", "as_of": "2012-07-02T00:00:00Z"}


@pytest.mark.parametrize("form", FORMS)
def test_a_backtest_is_the_same_bytes_whatever_becomes_of_the_store(
    stored: World, reader: Reader, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = publish(stored)
    first = reader.data(**BACKTEST, format=form)
    assert first.status_code == 200, first.content
    assert first["Seamless-Domain"] == "backtest"
    assert first["Seamless-As-Of"] == "2012-07-01T00:00:00Z"
    assert first["Seamless-Artifact"] == made.manifest_uri
    assert first["Seamless-Dataset-Fingerprint"] == made.dataset_fingerprint
    other_rows(stored)
    monkeypatch.setattr("provider.window_keys._cache", None)  # as another process would
    again = reader.data(**BACKTEST, format=form)
    assert again.content == first.content
    own = {"Server-Timing", "X-Request-ID"}
    assert {k: v for k, v in again.items() if k not in own} == {
        k: v for k, v in first.items() if k not in own
    }
    (stored.folder / "bars.parquet").unlink()
    assert reader.data(**BACKTEST, format=form).content == first.content


def test_a_plain_read_says_nothing_of_domains(reader: Reader) -> None:
    names = {"Seamless-Domain", "Seamless-World", "Seamless-As-Of", "Seamless-Artifact"}
    assert not names & set(reader.data().headers)


def test_the_named_moment_leads_to_the_same_artifact_for_ever(
    stored: World, reader: Reader
) -> None:
    """Who asked as of a later moment pins the answer by the moment it names."""
    publish(stored)
    first = reader.data(**BACKTEST)
    other_rows(stored)
    publish(stored, as_of=KNOWN + timedelta(hours=1))
    assert reader.data(**BACKTEST).content != first.content
    pinned = reader.data(domain="backtest", as_of=first["Seamless-As-Of"])
    assert pinned.content == first.content


def test_strict_checks_still_apply(stored: World, reader: Reader) -> None:
    """The reader is held to version 1, the rows were published under version 2, which asks less."""
    wider = OHLC["properties"] | {"volume": {"type": "integer"}}
    approved(stored.cast, OHLC | {"properties": wider})
    stored.write(bars(volume=pa.array([-1] * 12)))
    publish(stored)
    with pytest.raises(SchemaRefused):
        fetch(reader, domain="backtest", as_of=KNOWN, partial_ok=True)
    problem(reader.data(**BACKTEST, partial_ok="true"), 409, "schema_refused")


def test_holes_of_an_artifact_are_refused_reported_and_repaired_by_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(bars(SESSIONS[:4]))
    publish(world, partial_ok=True)
    monkeypatch.setattr("provider.stages.refused_ranges", lambda **_: pytest.fail("of the store"))
    for caller in ("stages", "holes"):
        monkeypatch.setattr(f"provider.{caller}.start_backfill", lambda *_, **__: 1 / 0)
    reader = world.reader()
    nodes.change_node(
        actor=world.cast.olive,
        node_id=NODE,
        source={"type": "sample", "dataset": "stocks"},
        now=datetime.now(UTC),
    )
    with pytest.raises(ConformancePipelineError):
        fetch(reader, domain="backtest", as_of=KNOWN)
    COVERAGE_RATIO.labels(NODE, str(DAY)).set(1)
    answer = reader.data(**BACKTEST, partial_ok="true")
    assert (answer.status_code, answer["Seamless-Coverage"]) == (200, "0.666667")
    assert BackfillJob.objects.count() == 0
    assert COVERAGE_RATIO.labels(NODE, str(DAY))._value.get() == 1
    assert PublishedReport.objects.count() == 0
    report = json.loads(reader.get(answer["Seamless-Report"]).content)
    assert report["flags"] == {"trailing_gap": 4}


def test_a_backtest_asks_no_live_tail_and_is_never_late(
    stored: World, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provider.stages.live_tail", lambda *_: pytest.fail("asked the live tail"))
    just_after = datetime.fromtimestamp(LAST + DAY, UTC)
    publish(stored, as_of=just_after)
    late = fetch(reader, domain="backtest", as_of=just_after, now=just_after)
    assert (late.rows.rows, late.verdict.staleness_seconds) == (12, None)
    trimmed = SeamlessDataProvider().read(replace(late.request, stabilization_bars=3))
    assert trimmed.rows.rows == 12  # what was published moves no more


def damage(made: Artifact) -> None:
    data = directory_of(made) / "data.parquet"
    data.chmod(0o644)
    pq.write_table(bars(close=pa.array([7.0] * 12)), data)


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.usefixtures("settled")
def test_a_tampered_artifact_is_refused_also_where_its_rows_are_in_memory(
    stored: World, reader: Reader, warm: bool
) -> None:
    made = publish(stored)
    if warm:
        fetch(reader, domain="backtest", as_of=KNOWN)
        assert fetch(reader, domain="backtest", as_of=KNOWN).from_cache
    damage(made)
    with pytest.raises(ArtifactDamaged, match=r"data\.parquet has another content"):
        fetch(reader, domain="backtest", as_of=KNOWN)
    body = problem(reader.data(**BACKTEST), 503, "artifact_damaged")
    assert body["artifact"] == made.address
    assert "restore its directory" in body["detail"]


def test_every_byte_is_compared_once_and_again_when_a_file_was_touched(
    stored: World, reader: Reader, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = publish(stored)
    checks: list[str] = []
    original = artifact_files.check_artifact

    def counting(directory: Any, address: str) -> Any:
        checks.append(address)
        return original(directory, address)

    monkeypatch.setattr(artifact_files, "check_artifact", counting)
    for number in range(3):
        fetch(reader, FIRST, SESSIONS[number], domain="backtest", as_of=KNOWN)
    assert len(checks) == 1
    data = directory_of(made) / "data.parquet"
    os.utime(data, (0, 0))
    fetch(reader, domain="backtest", as_of=KNOWN)
    assert len(checks) == 2


def test_an_artifact_that_changes_while_it_is_read_is_refused(
    stored: World, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, original = publish(stored), ParquetStore.read

    def read(self: ParquetStore, *arguments: Any, **options: Any) -> Any:
        if self.directory == directory_of(made):
            damage(made)
        return original(self, *arguments, **options)

    monkeypatch.setattr(ParquetStore, "read", read)
    with pytest.raises(ArtifactDamaged, match="changed while it was read"):
        fetch(reader, domain="backtest", as_of=KNOWN)


def test_files_of_this_very_moment_are_compared_each_time(
    stored: World, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change within the same tick of the file system's clock would look like none."""
    publish(stored)
    monkeypatch.setattr("provider.artifact_files.CLOCK_TICK", 3_600.0)
    checks: list[int] = []
    original = artifact_files.check_artifact
    monkeypatch.setattr(
        artifact_files, "check_artifact", lambda *given: checks.append(1) or original(*given)
    )
    for number in range(2):
        fetch(reader, FIRST, SESSIONS[number], domain="backtest", as_of=KNOWN)
    assert len(checks) == 2


def test_a_warm_backtest_asks_the_database_once(stored: World, reader: Reader) -> None:
    publish(stored)
    fetch(reader, domain="backtest", as_of=KNOWN)
    with CaptureQueriesContext(connection) as live:
        fetch(reader)
    with CaptureQueriesContext(connection) as kept:
        fetch(reader, domain="backtest", as_of=KNOWN)
    assert len(kept) <= len(live) + 1


# --- large windows ------------------------------------------------------------------------------


@pytest.fixture
def minutes(world: World, settings: Any) -> World:
    """A node of one-minute bars that are checked in batches."""
    nodes.register_node(
        actor=world.cast.olive,
        node_id=minutes_node.NODE,
        subject="market.ohlc",
        interval=minutes_node.MINUTE,
        series=[{"key": {"symbol": name}, "since": None} for name in ("AAPL", "IBM")],
        store={"type": "parquet"},
        source={},
        anchor=minutes_node.START,
        now=NOW,
    )
    minutes_node.write(minutes_node.bars())
    settings.SEAMLESS_BATCH_ROWS = 512
    return world


def publish_minutes(house: World) -> Artifact:
    start = minutes_node.START
    end = start + (minutes_node.BARS - 1) * minutes_node.MINUTE
    return publish(house, node_id=minutes_node.NODE, start=start, end=end, as_of=datetime.now(UTC))


def test_a_large_window_is_published_and_read_in_batches(minutes: World, settings: Any) -> None:
    made = publish_minutes(minutes)
    assert made.rows == 2 * minutes_node.BARS
    data = pq.ParquetFile(directory_of(made) / "data.parquet")
    assert data.num_row_groups > 1
    reader, question = minutes.reader(), {"domain": "dryrun", "as_of": made.manifest["as_of"]}
    large = minutes_node.ask(reader, **question)
    assert large.streaming
    settings.SEAMLESS_BATCH_ROWS = 1_000_000
    once = minutes_node.ask(reader, **question)
    assert minutes_node.body(large) == once.content
    names = ("Seamless-Artifact", "Seamless-As-Of", "Seamless-Dataset-Fingerprint")
    assert [large[name] for name in names] == [once[name] for name in names]
    assert once["Seamless-Dataset-Fingerprint"] == made.dataset_fingerprint


def test_a_large_answer_that_goes_back_is_held_and_counted(minutes: World) -> None:
    reader = minutes.reader()
    labels = (minutes_node.NODE, str(minutes_node.MINUTE), "as_of_regression")
    grown = counted(DOMAIN_HOLDS, *labels)
    first = minutes_node.ask(reader, as_of="2025-01-01T00:00:00Z")
    back = minutes_node.ask(reader, as_of="2024-12-31T23:59:00Z")
    assert minutes_node.body(first) == minutes_node.body(back)
    assert "Seamless-Downgraded" not in first
    assert (back.streaming, back["Seamless-Downgraded"]) == (True, "as_of_regression")
    assert grown() == 1


def test_what_storage_did_not_say_in_time_is_not_published_as_missing(
    minutes: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy that holds puts up with it in an answer; an artefact would say it for ever."""
    policy = {"max_wait_storage_ms": 1_000, "on_violation": "hold"}
    nodes.save_sla_policy(actor=SYSTEM, name="holds", document=policy, now=NOW)
    nodes.change_node(
        actor=minutes.cast.olive, node_id=minutes_node.NODE, sla="holds", now=datetime.now(UTC)
    )
    original, reads, over = ParquetStore.read, [], threading.Event()

    def hang_once(self: ParquetStore, *arguments: Any, **options: Any) -> Any:
        reads.append(1)
        if len(reads) == 2:
            over.wait(30)
        return original(self, *arguments, **options)

    monkeypatch.setattr(ParquetStore, "read", hang_once)
    try:
        with pytest.raises(SeamlessSLAExceeded):
            publish_minutes(minutes)
    finally:
        over.set()
    assert Artifact.objects.count() == 0


def test_an_export_passes_the_gate_too(stored: World, reader: Reader) -> None:
    request = replace(fetch(reader).request, domain=ExecutionDomain.BACKTEST)
    with pytest.raises(SeamlessDomainPolicyError, match="as_of is required"):
        export(request, lambda *_: None)


# --- as_of only advances ------------------------------------------------------------------------


@pytest.mark.parametrize("domain", MOVING)
def test_t21_an_as_of_that_goes_back_is_held(reader: Reader, domain: str) -> None:
    grown = holds("as_of_regression")
    at = datetime(2025, 1, 1, tzinfo=UTC)
    assert not fetch(reader, domain=domain, as_of=at).verdict.downgraded
    with capture_logs() as logs:
        back = fetch(reader, domain=domain, as_of=at - timedelta(minutes=1))
    assert back.rows.rows == 12
    facts = back.metadata()
    assert (facts["downgrade_mode"], facts["downgrade_reason"]) == ("hold", "as_of_regression")
    assert grown() == 1
    (event,) = [log for log in logs if log["event"] == "seamless.domain_gate.downgrade"]
    assert (event["node_id"], event["interval"]) == (NODE, DAY)
    assert (event["execution_domain"], event["world_id"]) == (domain, "")
    assert event["reason"] == "as_of_regression"


def test_t21_over_http_the_answer_says_so(reader: Reader) -> None:
    assert "Seamless-Downgraded" not in reader.data(as_of="2025-01-01T00:00:00Z")
    back = reader.data(as_of="2024-12-31T23:59:00Z")
    assert (back.status_code, back["Seamless-Downgraded"]) == (200, "as_of_regression")
    assert back["Seamless-As-Of"] == "2024-12-31T23:59:00Z"
    assert back.content == reader.data().content


def test_t22_advances_are_counted_and_the_same_moment_is_none(reader: Reader) -> None:
    grown = counted(AS_OF_ADVANCES, NODE)
    at = datetime(2025, 1, 1, tzinfo=UTC)
    for moment, so_far in ((at, 1), (at, 1), (at + timedelta(seconds=1), 2), (at, 2)):
        fetch(reader, as_of=moment)
        assert grown() == so_far


def test_live_and_shadow_share_the_moment_and_worlds_and_nodes_do_not(
    stored: World, reader: Reader
) -> None:
    at = datetime(2025, 1, 1, tzinfo=UTC)
    before = at - timedelta(days=1)

    def held(**question: Any) -> bool:
        return fetch(reader, as_of=before, **question).verdict.downgraded

    fetch(reader, as_of=at)
    assert held(domain="shadow")
    assert held()
    assert not held(world="paper")
    other = Node.objects.get(node_id=NODE)
    other.pk, other.node_id = None, "ohlc:other"
    other.save()
    assert moments.advance(other, "", before)


def test_a_backtest_neither_advances_nor_goes_back(stored: World, reader: Reader) -> None:
    publish(stored)
    grown = counted(AS_OF_ADVANCES, NODE)
    fetch(reader, domain="backtest", as_of=LATER)
    assert not fetch(reader, domain="backtest", as_of=KNOWN).verdict.downgraded
    assert grown() == 0


def test_a_publication_is_no_live_read(stored: World, reader: Reader) -> None:
    grown = counted(AS_OF_ADVANCES, NODE)
    publish(stored, as_of=LATER)
    assert grown() == 0
    assert not fetch(reader, as_of=KNOWN).verdict.downgraded


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Go on as a process that has seen nothing yet."""
    return lambda: monkeypatch.setattr("provider.as_of._marks", moments.Marks())


def test_a_moment_is_of_all_processes_at_once(world: World, process: Callable[[], None]) -> None:
    assert moments.advance(world.node, "", LATER)
    process()
    assert not moments.advance(world.node, "", KNOWN)
    assert AsOfMark.objects.count() == 0  # a read writes nothing to the database


def test_an_emptied_redis_forgets_nothing_that_was_written(
    world: World, process: Callable[[], None], redis_client: redis.Redis
) -> None:
    moments.advance(world.node, "", LATER)
    flush_all()
    redis_client.flushdb()
    process()
    assert not moments.advance(world.node, "", KNOWN)
    redis_client.flushdb()
    assert not moments.advance(world.node, "", KNOWN)  # this process knows it by now


def test_with_redis_away_a_process_goes_by_the_database_and_its_own_reads(
    world: World, process: Callable[[], None], settings: Any
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert moments.advance(world.node, "", KNOWN)
    assert moments.advance(world.node, "", LATER)
    assert not moments.advance(world.node, "", KNOWN)
    flush_all()
    process()
    assert not moments.advance(world.node, "", KNOWN)
    assert moments.advance(world.node, "", LATER)


def test_what_is_written_behind_never_goes_back(world: World, process: Callable[[], None]) -> None:
    moments.advance(world.node, "", LATER)
    flush_all()
    process()
    moments._marks.bring_forward((world.node.pk, ""), KNOWN)
    flush_all()
    assert AsOfMark.objects.get().as_of == LATER


def test_worlds_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provider.as_of.MOST_WORLDS", 3)
    for name in "abc":
        moments.advance(world.node, name, KNOWN)
    with pytest.raises(InvalidInput, match="3 worlds"):
        moments.advance(world.node, "d", KNOWN)
    assert moments.advance(world.node, "a", LATER)
    flush_all()
    with pytest.raises(InvalidInput, match="3 worlds"):
        moments.advance(world.node, "d", KNOWN)


def test_a_moment_is_accepted_exactly_where_none_later_was(
    world: World, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any order of reads by three processes, with what was written lost from Redis now and then."""
    step = st.tuples(st.integers(0, 2), st.integers(-5, 5), st.booleans())

    @given(st.lists(step, max_size=12))
    def holds_for(steps: list[tuple[int, int, bool]]) -> None:
        redis_client.flushdb()
        AsOfMark.objects.all().delete()
        processes = [moments.Marks() for _ in range(3)]
        newest: datetime | None = None
        for number, days, emptied in steps:
            monkeypatch.setattr("provider.as_of._marks", processes[number])
            if emptied and newest is not None:
                AsOfMark.objects.update_or_create(
                    node=world.node, world="", defaults={"as_of": newest}
                )
                redis_client.flushdb()
            as_of = KNOWN + timedelta(days=days)
            assert moments.advance(world.node, "", as_of) == (newest is None or as_of >= newest)
            newest = as_of if newest is None else max(newest, as_of)

    holds_for()


# --- W35: which moments there are ---------------------------------------------------------------


@pytest.mark.parametrize(
    "as_of",
    [datetime(2012, 7, 1), date(2012, 7, 1), 1_341_100_800, "2012-07-01T00:00:00Z", 1.5],
    ids=["naive", "date", "seconds", "text", "float"],
)
@pytest.mark.parametrize("domain", KEPT + MOVING)
def test_w35_moments_of_other_kinds_are_refused(
    stored: World, reader: Reader, as_of: Any, domain: str
) -> None:
    publish(stored)
    with pytest.raises(InvalidInput, match="datetime with a zone"):
        fetch(reader, domain=domain, as_of=as_of)


@pytest.mark.parametrize("text", ["1341100800", "2012-07-01", "2012-07-01T00:00:00", "now", ""])
def test_w35_over_http_a_moment_has_its_zone(reader: Reader, text: str) -> None:
    body = problem(reader.data(as_of=text), 400, "invalid_input")
    assert (body["parameter"], "with its zone" in body["detail"]) == ("as_of", True)


def test_w35_moments_compare_across_zones(stored: World, reader: Reader) -> None:
    made = publish(stored)
    tokyo = timezone(timedelta(hours=9))
    same = KNOWN.astimezone(tokyo)
    assert fetch(reader, domain="backtest", as_of=same).metadata()["artifact"] == made.address
    fetch(reader, as_of=KNOWN)
    grown = counted(AS_OF_ADVANCES, NODE)
    assert not fetch(reader, as_of=same).verdict.downgraded
    assert grown() == 0
    assert reader.data(domain="backtest", as_of="2012-07-01T09:00:00+09:00").status_code == 200


def test_nothing_is_known_as_of_the_future(reader: Reader) -> None:
    with pytest.raises(InvalidInput, match="in the future"):
        fetch(reader, as_of=datetime(2999, 1, 1, tzinfo=UTC))
    problem(reader.data(as_of="2999-01-01T00:00:00Z"), 400, "invalid_input")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [({"domain": "paper"}, "domain"), ({"domain": ""}, "domain"), ({"world": "w" * 201}, "world")],
)
def test_a_domain_or_world_that_is_none_is_refused(
    reader: Reader, query: dict[str, Any], parameter: str
) -> None:
    assert problem(reader.data(**query), 400, "invalid_input")["parameter"] == parameter
    with pytest.raises(InvalidInput):
        fetch(reader, **query)


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("settled")
class TestKeys:
    def test_t17_another_as_of_is_another_window(self, reader: Reader) -> None:
        hits = counted(CACHE_HITS, NODE, str(DAY))
        misses = counted(CACHE_MISSES, NODE, str(DAY))
        for as_of in (KNOWN, LATER):
            fetch(reader, as_of=as_of)
        assert (misses(), hits()) == (2, 0)
        fetch(reader, as_of=LATER)
        assert (misses(), hits()) == (2, 1)

    def test_t23_x9_world_as_of_and_domain_are_in_the_key(
        self, stored: World, reader: Reader
    ) -> None:
        publish(stored)
        publish(stored, world="paper")
        keys = [
            key_of(fetch(reader, **question))
            for question in (
                {},
                {"domain": "shadow"},
                {"world": "paper"},
                {"as_of": KNOWN},
                {"domain": "backtest", "as_of": KNOWN},
                {"domain": "dryrun", "as_of": KNOWN},
                {"domain": "dryrun", "as_of": LATER},
                {"domain": "dryrun", "as_of": LATER, "world": "paper"},
            )
        ]
        assert len(set(keys)) == len(keys)

    def test_a_backtest_is_told_unchanged_before_a_row_is_read(
        self, stored: World, reader: Reader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish(stored)
        first = reader.data(**BACKTEST)
        monkeypatch.setattr("provider.artifact_files.ArtifactStore.read", lambda *_, **__: 1 / 0)
        assert held(reader, first["ETag"], **BACKTEST).status_code == 304
        other = held(reader, first["ETag"], domain="backtest", as_of="2012-06-01T00:00:00Z")
        problem(other, 409, "artifact_required")

    def test_an_as_of_that_went_back_is_never_told_unchanged_unread(self, reader: Reader) -> None:
        first = reader.data(as_of="2025-01-01T00:00:00Z")
        reader.data(as_of="2025-01-02T00:00:00Z")
        back = held(reader, first["ETag"], as_of="2025-01-01T00:00:00Z")
        assert back["Seamless-Downgraded"] == "as_of_regression"

    def test_a_cursor_belongs_to_its_viewpoint(self, stored: World, reader: Reader) -> None:
        publish(stored)
        page = reader.data(**BACKTEST, limit=5)
        cursor = page["Seamless-Next-Cursor"]
        rest = reader.data(**BACKTEST, limit=5, cursor=cursor)
        assert rest.status_code == 200
        problem(reader.data(limit=5, cursor=cursor), 400, "invalid_input")


def key_of(answer: ReadAnswer) -> Key:
    key = window_key(answer.request, plan(answer.request, clock_for(answer.request)))
    assert key is not None
    return key


def held(reader: Reader, etag: str, **query: Any) -> Any:
    headers = {"Authorization": f"Bearer {reader.token}", "If-None-Match": etag}
    window = {"start": FIRST, "end": LAST, **query}
    return Client(raise_request_exception=False).get(
        f"/api/v1/nodes/{NODE}/data", window, headers=headers
    )


# --- the bounds of a policy, with the original's numbers ----------------------------------------

TENS = "ohlc:tens"


@pytest.fixture
def tens(world: World) -> Callable[..., World]:
    """A node of ten-second bars with one series and a policy, and bars at the given seconds."""

    def make(seconds: range, **policy: Any) -> World:
        nodes.save_sla_policy(actor=SYSTEM, name="tens", document=policy, now=NOW)
        node = nodes.register_node(
            actor=world.cast.olive,
            node_id=TENS,
            subject="market.ohlc",
            interval=10,
            series=[{"key": {"symbol": "AAPL"}, "since": None}],
            store={"type": "parquet"},
            source={},
            sla="tens",
            now=NOW,
        )
        assert SLAPolicyDocument.objects.filter(name="tens").exists()
        snapshot.forget()
        folder = world.folder.parent / "ohlc%3Atens"
        folder.mkdir(parents=True)
        pq.write_table(bars(list(seconds), ["AAPL"]), folder / "bars.parquet")
        return World(world.cast, node)

    return make


def ten(reader: Reader, start: int, end: int, **question: Any) -> ReadAnswer:
    return fetch(reader, start, end, node_id=TENS, **question)


def test_t24_too_little_coverage_of_a_live_read_is_held(tens: Callable[..., World]) -> None:
    """Of the bars 0 to 100, five of eleven."""
    reader = tens(range(0, 50, 10), min_coverage=0.95, on_violation="hold").reader()
    grown = counted(DOMAIN_HOLDS, TENS, "10", "coverage_breach")
    at = datetime(2025, 1, 1, tzinfo=UTC)
    with capture_logs() as logs:
        answer = ten(reader, 0, 100, as_of=at)
    facts = answer.metadata()
    assert (facts["downgrade_mode"], facts["downgrade_reason"]) == ("hold", "coverage_breach")
    assert facts["coverage_ratio"] == pytest.approx(5 / 11)
    assert answer.rows.rows == 5
    assert grown() == 1
    (event,) = [log for log in logs if log["event"] == "seamless.sla.downgrade"]
    assert event["dataset_fingerprint"] == answer.fingerprint
    assert event["as_of"] == "2025-01-01T00:00:00Z"


def test_t35_bars_that_are_late_at_the_present_are_held(tens: Callable[..., World]) -> None:
    """Bars up to 100, at 10000 s, with a lag of one second allowed."""
    reader = tens(range(0, 110, 10), max_lag_seconds=1, on_violation="hold").reader()
    grown = counted(DOMAIN_HOLDS, TENS, "10", "freshness_breach")
    now = datetime.fromtimestamp(10_000, UTC)
    late = ten(reader, 0, 10_000, now=now).metadata()
    assert (late["downgrade_mode"], late["downgrade_reason"]) == ("hold", "freshness_breach")
    assert late["staleness_ms"] == 9_900_000
    assert grown() == 1
    past = ten(reader, 0, 100, now=now).metadata()
    assert (past["downgraded"], past["staleness_ms"]) == (False, None)


def test_a_backtest_is_held_to_the_coverage_of_its_policy_and_never_late(
    tens: Callable[..., World],
) -> None:
    house = tens(range(0, 50, 10), min_coverage=0.95, max_lag_seconds=1, on_violation="hold")
    now = datetime.fromtimestamp(111, UTC)
    publish_artifact(
        actor=house.cast.olive,
        order=Order(node_id=TENS, start=0, end=100, partial_ok=True),
        now=now,
    )
    answer = ten(house.reader(), 0, 100, domain="backtest", as_of=now, now=now).metadata()
    assert answer["downgrade_reason"] == "coverage_breach"
    assert answer["staleness_ms"] is None
