"""Every store and every source, slow, hung, of the wrong type, half there, cut off: the caller gets
complete data in time or a clear refusal, and the next read is as if nothing had been."""

import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from coordinator.models import BackfillShard
from provider.blend import Piece
from provider.conformance import ConformancePipelineError, SchemaRefused
from provider.models import Segment
from provider.seamless import ReadAnswer, SeamlessDataProvider, Strategy
from provider.sla import SeamlessSLAExceeded
from provider.sources.sample import SampleSource
from provider.stores.opening import open_store
from provider.stores.parquet import ParquetStore
from provider.stores.postgres import PostgresStore
from provider.stores.protocol import StoreUnreadable
from registry.frame import frame_of
from registry.models import SLAPolicyDocument
from registry.services import nodes
from tests.cast import OHLC, SYSTEM
from tests.provider.world import FIRST, NODE, SESSIONS, Reader, World, bars, build_world

LAST = SESSIONS[-1]
LATER = datetime(2020, 1, 1, tzinfo=UTC)
STORES = {"parquet": ParquetStore, "postgresql": PostgresStore}


def fetch(reader: Reader, **options: Any) -> ReadAnswer:
    return SeamlessDataProvider(**options).fetch(
        consumer=reader.consumer,
        node_id=NODE,
        start=FIRST,
        end=LAST,
        actor=SYSTEM,
        now=LATER,
    )


def with_policy(world: World, **document: Any) -> None:
    nodes.save_sla_policy(actor=SYSTEM, name="tested", document=document, now=LATER)
    world.node.sla = SLAPolicyDocument.objects.get(name="tested")
    world.node.save()


@pytest.fixture(params=STORES)
def stored(request: pytest.FixtureRequest, own_storage: None, settings: Any) -> World:
    """A node with all its bars in one of the stores."""
    kind = request.param
    if kind == "parquet":
        request.getfixturevalue("db")
        world = build_world()
        world.write(bars())
        return world
    url = request.getfixturevalue("bar_database")
    request.getfixturevalue("db")
    settings.SEAMLESS_STORE_DATABASES = {"house": url}
    table = f"faults_{secrets.token_hex(4)}"
    fill(url, table)
    return build_world(store={"type": "postgresql", "database": "house", "table": table})


def fill(url: str, table: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(table)
        connection.execute(
            sql.SQL(
                "CREATE TABLE {} (session timestamptz, symbol text, close float8, volume int8)"
            ).format(name)
        )
        for row in bars().to_pylist():
            connection.execute(
                sql.SQL("INSERT INTO {} VALUES (%s, %s, %s, %s)").format(name), list(row.values())
            )


def cut(url: str) -> None:
    """End every connection to the database but this one."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def fault(world: World, monkeypatch: pytest.MonkeyPatch, read: Callable[..., Any]) -> None:
    """From now on the node's store answers reads like this; it gets the read that works."""
    kind = STORES[world.node.store["type"]]
    good = kind.read
    monkeypatch.setattr(
        kind, "read", lambda self, *given, **named: read(lambda: good(self, *given, **named))
    )


# --- stores -------------------------------------------------------------------------------------


def test_a_slow_store_is_waited_for_within_its_budget(
    stored: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_policy(stored, max_wait_storage_ms=60_000)

    def slow(read: Callable[[], Any]) -> Any:
        time.sleep(0.2)
        return read()

    fault(stored, monkeypatch, slow)
    assert fetch(stored.reader()).rows.rows == 12


def test_a_hung_store_costs_the_budget(stored: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with_policy(stored, max_wait_storage_ms=50)
    over = threading.Event()
    fault(stored, monkeypatch, lambda read: over.wait(30))
    try:
        began = time.monotonic()
        with pytest.raises(SeamlessSLAExceeded, match="storage_wait"):
            fetch(stored.reader())
        assert time.monotonic() - began < 15  # the hang is 30 s
    finally:
        over.set()


def test_a_store_that_answers_another_type_is_refused_by_strict(
    stored: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_text(read: Callable[[], Any]) -> Any:
        return [
            Piece(piece.source, piece.table.set_column(at, "close", texts))
            for piece in read()
            for at in [piece.table.column_names.index("close")]
            for texts in [piece.table.column("close").cast(pa.string())]
        ]

    reader = stored.reader()
    with monkeypatch.context() as patched:
        fault(stored, patched, as_text)
        with pytest.raises(SchemaRefused):
            fetch(reader, partial_ok=True)
    assert fetch(reader).rows.rows == 12


def test_half_an_answer_of_a_store_is_a_gap_and_not_an_answer(
    stored: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(read: Callable[[], Any]) -> Any:
        return [Piece(piece.source, piece.table.slice(0, 6)) for piece in read()]

    reader = stored.reader()
    with monkeypatch.context() as patched:
        fault(stored, patched, half)
        with pytest.raises(ConformancePipelineError) as blocked:
            fetch(reader)
        assert blocked.value.report.coverage == 0.5
    assert fetch(reader).rows.rows == 12


@pytest.mark.parametrize(
    "error", [StoreUnreadable("cut off"), ConnectionError("reset by peer"), MemoryError()]
)
def test_a_store_that_breaks_off_is_an_error_and_the_next_read_is_whole(
    stored: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(read: Callable[[], Any]) -> Any:
        read()
        raise error

    reader = stored.reader()
    with monkeypatch.context() as patched:
        fault(stored, patched, broken)
        with pytest.raises(type(error)):
            fetch(reader)
        assert reader.data().status_code in (500, 503)
    assert fetch(reader).rows.rows == 12


def test_connections_that_the_server_cut_are_replaced(
    db: None, own_storage: None, bar_database: str, settings: Any
) -> None:
    settings.SEAMLESS_STORE_DATABASES = {"house": bar_database}
    table = f"cut_{secrets.token_hex(4)}"
    fill(bar_database, table)
    world = build_world(store={"type": "postgresql", "database": "house", "table": table})
    reader = world.reader()
    assert fetch(reader).rows.rows == 12
    cut(bar_database)
    assert fetch(reader).rows.rows == 12


def test_a_connection_cut_in_the_middle_of_a_read_is_told_without_its_address(
    db: None, own_storage: None, bar_database: str, settings: Any
) -> None:
    settings.SEAMLESS_STORE_DATABASES = {"house": bar_database}
    table = f"cut_{secrets.token_hex(4)}"
    fill(bar_database, table)
    world = build_world(store={"type": "postgresql", "database": "house", "table": table})
    store = open_store(world.node, frame_of(OHLC))

    def cut_in_the_middle() -> None:
        with store._cursor(None) as cursor:
            cut(bar_database)
            cursor.execute("SELECT 1")
            cursor.fetchall()

    with pytest.raises(StoreUnreadable) as refused:
        cut_in_the_middle()
    assert "postgresql://" not in str(refused.value)
    assert len(store.read(FIRST, LAST, [])) == 1


# --- sources ------------------------------------------------------------------------------------


@pytest.fixture
def source(upstream: World, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Any:
    """Sets how the node's source answers a fetch; it gets the fetch that works."""
    settings.SEAMLESS_MAX_ATTEMPTS = 2
    settings.SEAMLESS_RETRY_BASE_SECONDS = 0.05
    good = SampleSource.fetch

    def answers(fetch: Callable[..., pa.Table]) -> None:
        monkeypatch.setattr(
            SampleSource,
            "fetch",
            lambda self, *given: fetch(lambda: good(self, *given)),
        )

    return answers


def all_ended() -> bool:
    states = set(BackfillShard.objects.values_list("state", flat=True))
    return bool(states) and states <= {"done", "violation"}


def test_a_slow_source_completes_the_answer(upstream: World, source: Any) -> None:
    def slow(fetch: Callable[[], pa.Table]) -> pa.Table:
        time.sleep(0.2)
        return fetch()

    source(slow)
    answer = fetch(upstream.reader())
    assert (answer.coverage, all_ended()) == (1.0, True)


def test_a_source_of_the_wrong_type_is_set_aside_and_strict_is_refused(
    upstream: World, source: Any
) -> None:
    def as_text(fetch: Callable[[], pa.Table]) -> pa.Table:
        table = fetch()
        at = table.column_names.index("close")
        return table.set_column(at, "close", table.column("close").cast(pa.string()))

    source(as_text)
    upstream.write(bars(SESSIONS[:3]))
    with pytest.raises(SchemaRefused):
        fetch(upstream.reader())
    assert all_ended()
    assert not Segment.objects.exists()


@pytest.mark.parametrize("answer", [None, "bars", 7])
def test_a_source_that_answers_no_table_fails_its_attempts(
    upstream: World, source: Any, answer: Any
) -> None:
    source(lambda fetch: answer)
    upstream.write(bars(SESSIONS[:3]))
    seen = fetch(upstream.reader(), partial_ok=True)
    assert (seen.coverage, all_ended()) == (0.5, True)
    assert seen.report.flags["backfill_failed"] >= 1


def test_half_an_answer_of_a_source_is_kept_and_the_rest_is_a_gap(
    upstream: World, source: Any
) -> None:
    source(lambda fetch: fetch().slice(0, 6))
    seen = fetch(upstream.reader(), partial_ok=True)
    assert (seen.rows.rows, all_ended()) == (6, True)
    assert sum(one.observed or 0 for one in seen.report.series) == 6
    assert seen.coverage < 1


def test_a_source_that_breaks_off_once_is_asked_again(upstream: World, source: Any) -> None:
    broken: list[int] = []

    def once(fetch: Callable[[], pa.Table]) -> pa.Table:
        if not broken:
            broken.append(1)
            raise ConnectionError("reset by peer")
        return fetch()

    source(once)
    assert fetch(upstream.reader()).coverage == 1.0


def test_a_source_that_stays_away_ends_the_job_and_is_said(upstream: World, source: Any) -> None:
    def away(fetch: Callable[[], pa.Table]) -> pa.Table:
        raise ConnectionError("no route to upstream")

    source(away)
    upstream.write(bars(SESSIONS[:3]))
    reader = upstream.reader()
    seen = fetch(reader, partial_ok=True)
    assert (seen.coverage, all_ended()) == (0.5, True)
    assert {code for job in seen.jobs for code in job.violations} == {"attempts_exhausted"}
    assert fetch(reader, strategy=Strategy.FAIL_FAST, partial_ok=True).rows.rows == 6
