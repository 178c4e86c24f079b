"""Bars in a real QuestDB: the suite of every store, what only it does, and a server that dies."""

import json
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from django.utils import timezone

from config.stack.processes import Guardian
from coordinator.models import BackfillShard
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.reconciling import reconcile
from coordinator.services.requesting import request_backfill
from coordinator.services.running import run_shard
from provider.questdb import EnhancedQuestDBProvider, NotInQuestDB
from provider.stores.protocol import SegmentExists, StoreUnreadable
from provider.stores.questdb import QuestDBStore
from provider.stores.questdb_wire import questdb_at
from provider.stores.suite import StoreSuite, bars, times_of
from registry.actors import Actor
from registry.models import SchemaVersion
from registry.services import snapshot
from tests.databases import CommittedDatabase
from tests.provider.world import NODE, SESSIONS, SYMBOLS, build_world
from tests.questdb_server import QuestDBServer, why_not

pytestmark = pytest.mark.stack

COLUMN_TYPES = {
    "int64": "LONG",
    "int32": "INT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "timestamp[ms, tz=UTC]": "TIMESTAMP",
    "timestamp[s]": "TIMESTAMP",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuestDBServer]:
    if reason := why_not():
        pytest.skip(reason)
    guardian = Guardian(grace=5, lock_descriptor=None)
    questdb = QuestDBServer(tmp_path_factory.mktemp("questdb"), guardian)
    try:
        questdb.start()
        yield questdb
    finally:
        questdb.process.stop()
        guardian.close()


@pytest.fixture(autouse=True)
def _what_follows_an_answer_precedes_it(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SEAMLESS_CANARY_THREADS = 0
    monkeypatch.setattr("provider.canary._pool", None)


class QuestDBHarness:
    def __init__(self, server: QuestDBServer) -> None:
        self.server = server
        self.table = f"bars_{secrets.token_hex(4)}"

    def open(self, *, time: str | None = "ts", unit: str | None = "s") -> QuestDBStore:
        return QuestDBStore(self.server.url, self.table, time=time, unit=unit)

    def write_as_others(self, table: pa.Table) -> None:
        columns = ", ".join(f'"{one.name}" {COLUMN_TYPES[str(one.type)]}' for one in table.schema)
        self.run(f'CREATE TABLE IF NOT EXISTS "{self.table}" ({columns})')
        places = ", ".join(["%s"] * table.num_columns)
        for row in table.to_pylist():
            self.run(f'INSERT INTO "{self.table}" VALUES ({places})', *row.values())

    def run(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.server.wire_url, autocommit=True) as connection:
            connection.execute(statement, values)  # type: ignore[call-overload]


@pytest.fixture
def harness(server: QuestDBServer) -> QuestDBHarness:
    return QuestDBHarness(server)


class TestQuestDB(StoreSuite):
    @pytest.fixture
    def harness(self, server: QuestDBServer) -> QuestDBHarness:
        return QuestDBHarness(server)


def test_types_of_a_table_of_others_arrive_exactly(harness: QuestDBHarness) -> None:
    harness.run(
        f'CREATE TABLE "{harness.table}" (ts TIMESTAMP, ns TIMESTAMP_NS, day DATE, side SYMBOL,'
        " id UUID, few SHORT, real FLOAT, flag BOOLEAN, one CHAR) TIMESTAMP(ts) PARTITION BY DAY"
    )
    harness.run(
        f"INSERT INTO \"{harness.table}\" VALUES ('1970-01-01T00:00:10.000001Z',"
        " '1970-01-01T00:00:00.000000007Z', '2020-02-29', 'sell',"
        " '00000000-0000-0000-0000-000000000001', 7, 0.5, true, 'x'),"
        " ('1970-01-01T00:00:20Z', NULL, NULL, NULL, NULL, 0, NULL, false, NULL)"
    )
    questdb_at(harness.server.url).wait_until_applied(harness.table)
    (piece,) = harness.open(unit=None).read(10, 20, [])
    assert [str(kind) for kind in piece.table.schema.types] == [
        "timestamp[us, tz=UTC]",
        "timestamp[ns, tz=UTC]",
        "timestamp[ms, tz=UTC]",
        "string",
        "string",
        "int16",
        "float",
        "bool",
        "string",
    ]
    first, second = (list(row.values()) for row in piece.table.to_pylist())
    assert first[0].microsecond == 1
    assert piece.table.column("ns")[0].value == 7
    assert first[3:] == ["sell", "00000000-0000-0000-0000-000000000001", 7, 0.5, True, "x"]
    assert second[1:5] == [None, None, None, None]


def test_a_type_that_cannot_be_read_is_named(harness: QuestDBHarness) -> None:
    harness.run(f'CREATE TABLE "{harness.table}" (ts LONG, blob BINARY)')
    with pytest.raises(StoreUnreadable, match="'blob' has the type BINARY"):
        harness.open().read(0, 1, [])
    assert harness.open().read(0, 1, [], columns=["ts"]) == []


def test_names_that_differ_in_case_alone_stay_apart(harness: QuestDBHarness) -> None:
    store = harness.open()
    rows = pa.table({"ts": [0], "a": [1], "A": [2], 'q"; DROP': ["x"], "": [3]})
    staged = store.stage(rows, 1, 1)
    (piece,) = store.read(0, 0, [staged.name])
    assert piece.table.to_pylist() == rows.to_pylist()


def test_a_column_that_changed_its_type_is_read_as_each_segment_had_it(
    harness: QuestDBHarness,
) -> None:
    store = harness.open()
    number = store.stage(bars(0), 1, 1)
    text = store.stage(pa.table({"ts": [10], "symbol": ["A"], "v": ["1.5 EUR"]}), 2, 1)
    pieces = store.read(0, 10, [number.name, text.name])
    assert [piece.table.column("v").to_pylist() for piece in pieces] == [[1.0], ["1.5 EUR"]]


LAST_OF_9999 = 253_402_300_799


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (-100, -50, [-50, None]),
        (-49, -1, [None]),
        (-10, 10, [0, 1, None]),
        (0, 0, [0, None]),
        (1, LAST_OF_9999, [1, LAST_OF_9999, None]),
        (LAST_OF_9999 + 1, LAST_OF_9999 + 5, [LAST_OF_9999 + 5, None]),
        (-100, LAST_OF_9999 + 5, [-50, 0, 1, LAST_OF_9999, LAST_OF_9999 + 5, None]),
    ],
)
def test_times_that_questdb_does_not_have_are_found_by_what_they_are(
    harness: QuestDBHarness, start: int, end: int, found: list[int | None]
) -> None:
    """Beside those at the bounds of what it has; a row without a time is in every window, once."""
    store = harness.open()
    times = [-50, 0, 1, LAST_OF_9999, LAST_OF_9999 + 5, None]
    staged = store.stage(pa.table({"ts": pa.array(times, pa.int64())}), 1, 1)
    pieces = store.read(start, end, [staged.name])
    assert [time for piece in pieces for time in piece.table.column("ts").to_pylist()] == found


def test_many_rows_go_in_several_requests_and_come_back_whole(harness: QuestDBHarness) -> None:
    store, rows = harness.open(), 120_000
    table = pa.table({"ts": pa.array(range(rows)), "v": pa.array(range(rows), pa.float64())})
    staged = store.stage(table, 1, 1)
    (piece,) = store.read(0, rows, [staged.name])
    assert piece.table.equals(table)
    (last,) = store.read(rows - 1, rows - 1, [staged.name])
    assert last.table.column("ts").to_pylist() == [rows - 1]


def test_what_a_crashed_stage_left_is_in_no_answer(harness: QuestDBHarness) -> None:
    """Half of other rows under the same shard and epoch: their mark is another one."""
    store = harness.open()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(QuestDBStore, "_expect_rows", _fail)
        with pytest.raises(StoreUnreadable):
            store.stage(bars(0, 10, 20), 1, 1)
    staged = store.stage(bars(0, 30), 1, 1)
    assert times_of(store, 0, 100, [staged.name]) == [[0, 30]]
    with pytest.raises(SegmentExists):
        store.stage(bars(0, 10, 20), 1, 1)


def _fail(*_: object) -> None:
    raise StoreUnreadable("the process ended here")


def test_a_query_over_its_time_is_ended_in_the_server(harness: QuestDBHarness) -> None:
    server = questdb_at(harness.server.url)
    started = time.monotonic()
    with pytest.raises(StoreUnreadable):
        server.query(
            "SELECT sum(a.x * b.x) FROM long_sequence(1000000) a"
            " CROSS JOIN long_sequence(1000000) b",
            seconds=0.3,
        )
    assert time.monotonic() - started < 30  # the query alone would take minutes
    assert server.query("SELECT 1") == [(1,)]


def test_a_server_that_is_away_is_named_without_its_password(harness: QuestDBHarness) -> None:
    store = QuestDBStore(
        "questdb://admin:hidden-word@127.0.0.1:1/qdb?http_port=1", "bars", time="ts", unit="s"
    )
    for act in (lambda: store.read(0, 1, []), lambda: store.stage(bars(0), 1, 1)):
        with pytest.raises(StoreUnreadable) as refused:
            act()
        assert "hidden-word" not in str(refused.value)


@pytest.mark.parametrize("url", ["postgresql://x/y", "questdb://", "questdb://h/q?http_port=x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"http_port is|its address must read"):
        QuestDBStore(url, "bars", time="ts", unit="s")


def test_a_governed_read_backfills_into_questdb_and_serves_from_it(
    committed_db: CommittedDatabase, server: QuestDBServer, settings: Any
) -> None:
    settings.SEAMLESS_STORE_DATABASES = {"house": server.url}
    world = build_world(
        source={"type": "sample", "dataset": "stocks"},
        store={"type": "questdb", "database": "house", "table": f"us_{secrets.token_hex(4)}"},
    )
    answer = world.reader().data()
    assert answer.status_code == 200, answer.content
    assert answer["Seamless-Coverage"] == "1"
    assert len(json.loads(answer.content)) == len(SESSIONS) * len(SYMBOLS)
    world.node.source = {}
    world.node.save()
    again = world.reader("second").data()
    assert (again.status_code, again.content) == (200, answer.content)


def test_the_provider_of_the_original_reads_it_with_the_pipeline_on(
    committed_db: CommittedDatabase, server: QuestDBServer, settings: Any
) -> None:
    settings.SEAMLESS_STORE_DATABASES = {"house": server.url}
    world = build_world(
        source={"type": "sample", "dataset": "stocks"},
        store={"type": "questdb", "database": "house", "table": f"us_{secrets.token_hex(4)}"},
    )
    reader = world.reader()
    provider = EnhancedQuestDBProvider()
    question = {
        "consumer": reader.consumer,
        "node_id": NODE,
        "start": SESSIONS[0],
        "end": SESSIONS[-1],
        "actor": Actor.system("test"),
        "now": timezone.now(),
    }
    answer = provider.fetch(**question)
    assert answer.table.num_rows == len(SESSIONS) * len(SYMBOLS)
    assert provider.last_conformance_report == answer.report
    world.node.store = {"type": "parquet"}
    world.node.save()
    snapshot.forget()
    with pytest.raises(NotInQuestDB, match="'parquet'"):
        provider.fetch(**question)


def test_killing_the_server_during_a_backfill_loses_and_doubles_nothing(
    committed_db: CommittedDatabase, server: QuestDBServer, settings: Any
) -> None:
    """kill -9 three times while shards are staged; attempts that failed go again."""
    settings.SEAMLESS_STORE_DATABASES = {"house": server.url}
    settings.SEAMLESS_SHARD_BARS = 10
    settings.SEAMLESS_RETRY_BASE_SECONDS = 0.05
    settings.SEAMLESS_MAX_ATTEMPTS = 50
    world = build_world(
        source={"type": "sample", "dataset": "stocks"},
        store={"type": "questdb", "database": "house", "table": f"us_{secrets.token_hex(4)}"},
    )
    first, last = SESSIONS[0], SESSIONS[0] + 260 * 86_400
    request_backfill(
        actor=Actor.system("test"),
        node=world.node,
        missing=[(first, last)],
        bound_version=SchemaVersion.objects.get(),
        now=timezone.now(),
        requested_by="test",
    )
    killer = threading.Thread(target=_kill_three_times, args=(server,))
    killer.start()
    deadline = time.monotonic() + 120
    while BackfillShard.objects.exclude(state="done").exists() and time.monotonic() < deadline:
        claim = claim_shard(holder="test", now=database_now())
        if claim is None:
            time.sleep(0.05)
            reconcile(now=database_now())
        else:
            run_shard(claim=claim)
    killer.join()
    assert set(BackfillShard.objects.values_list("state", flat=True)) == {"done"}
    assert BackfillShard.objects.filter(attempts__gt=1).exists(), "no attempt met a dead server"
    answer = world.reader().data(start=first, end=last)
    assert (answer.status_code, answer["Seamless-Coverage"]) == (200, "1"), answer.content
    seen = [(row["symbol"], row["session"]) for row in json.loads(answer.content)]
    assert len(seen) == len(set(seen))


def _kill_three_times(server: QuestDBServer) -> None:
    for _ in range(3):
        time.sleep(0.4)
        server.process.kill()
        time.sleep(0.3)
        server.start()
