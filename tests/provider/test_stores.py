"""Our stores against the suite that every store must pass, and what only PostgreSQL can do."""

import json
import secrets
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import adbc_driver_postgresql.dbapi as postgres
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg import sql

from provider.stores import suite
from provider.stores.opening import UnknownStore, WrongStoreSettings, open_store
from provider.stores.parquet import ParquetStore
from provider.stores.postgres import PostgresStore
from provider.stores.protocol import StoreUnreadable
from provider.stores.suite import StoreSuite, bars, times_of
from registry.frame import Frame
from registry.models import Node, SLAPolicyDocument
from registry.services import snapshot
from tests.databases import CommittedDatabase
from tests.provider.world import SESSIONS, build_world

FRAME = Frame(time="ts", unit="s", key=("symbol",), sensitive=frozenset())


class ParquetHarness:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, *, time: str | None = "ts", unit: str | None = "s") -> ParquetStore:
        return ParquetStore(self.folder / "node", time=time, unit=unit)

    def write_as_others(self, table: pa.Table) -> None:
        directory = self.open().directory
        directory.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, directory / "others.parquet")


class PostgresHarness:
    def __init__(self, url: str) -> None:
        self.url = url
        self.table = f"bars_{secrets.token_hex(4)}"

    def open(self, *, time: str | None = "ts", unit: str | None = "s") -> PostgresStore:
        return PostgresStore(self.url, f"public.{self.table}", time=time, unit=unit)

    def write_as_others(self, table: pa.Table) -> None:
        with (
            postgres.connect(self.url, autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            cursor.adbc_ingest(self.table, table, mode="create_append")

    def run(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(table=sql.Identifier(self.table)))


class TestParquet(StoreSuite):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> ParquetHarness:
        return ParquetHarness(tmp_path)


@pytest.fixture
def harness(bar_database: str) -> PostgresHarness:
    return PostgresHarness(bar_database)


@pytest.mark.database
class TestPostgres(StoreSuite):
    @pytest.fixture
    def harness(self, bar_database: str) -> PostgresHarness:
        return PostgresHarness(bar_database)


@pytest.mark.database
def test_types_of_a_table_of_others_arrive_exactly(harness: PostgresHarness) -> None:
    harness.run("CREATE TYPE {table}_side AS ENUM ('buy', 'sell')".replace("{table}", "s"))
    harness.run(
        "CREATE TABLE {table} (ts timestamptz, side s_side, price numeric(12,4), size numeric,"
        " id uuid, day date, few int[], note varchar(9))"
    )
    harness.run(
        "INSERT INTO {table} VALUES ('1970-01-01T00:00:10+00', 'sell', 1.25, 0.10,"
        " '00000000-0000-0000-0000-000000000001', '2020-02-29', '{{1,2}}', 'x'),"
        " ('1970-01-01T00:00:20+00', NULL, NULL, 12345.6, NULL, NULL, NULL, NULL)"
    )
    (piece,) = harness.open(unit=None).read(0, 100, [])
    assert [str(kind) for kind in piece.table.schema.types] == [
        "timestamp[us, tz=UTC]",
        "string",
        "decimal128(12, 4)",
        "decimal128(7, 2)",
        "string",
        "date32[day]",
        "list<item: int32>",
        "string",
    ]
    first = piece.table.to_pylist()[0]
    assert (first["side"], str(first["price"]), str(first["size"])) == ("sell", "1.2500", "0.10")
    (narrow,) = harness.open(unit=None).read(0, 10, [], columns=["few"])
    assert narrow.table.to_pylist() == [{"few": [1, 2]}]


@pytest.mark.database
@pytest.mark.parametrize(
    ("column", "cell", "says"),
    [("jsonb", "{}", "has the type jsonb"), ("numeric", "NaN", "not finite")],
)
def test_what_cannot_be_read_exactly_is_refused_by_name(
    harness: PostgresHarness, column: str, cell: str, says: str
) -> None:
    harness.run(f"CREATE TABLE {{table}} (ts bigint, odd {column})")
    cell = cell.replace("{", "{{").replace("}", "}}")
    harness.run(f"INSERT INTO {{table}} VALUES (1, '{cell}')")
    with pytest.raises(StoreUnreadable, match=says) as caught:
        harness.open().read(0, 10, [])
    assert caught.value.extra["column"] == "odd"
    assert times_of_only(harness) == [1]


def times_of_only(harness: PostgresHarness) -> list[int]:
    (piece,) = harness.open().read(0, 10, [], columns=["ts"])
    return piece.table.column("ts").to_pylist()


@pytest.mark.database
def test_new_rows_must_fit_the_columns_of_the_table(harness: PostgresHarness) -> None:
    store = harness.open()
    store.stage(pa.table({"ts": [1], "v": [1]}), 1, 1)
    assert store.stage(pa.table({"ts": [2], "v": [2.0]}), 2, 1).rows == 1  # 2.0 is 2
    with pytest.raises(StoreUnreadable, match="does not fit exactly"):
        store.stage(pa.table({"ts": [2], "v": [2.5]}), 3, 1)
    assert times_of(store, 0, 9, ["1.1"]) == [[1]]


@pytest.mark.database
@pytest.mark.parametrize("name", ["seamless_segment", "x" * 64, "\u00e9" * 32])
def test_a_column_name_that_the_table_could_not_keep_is_refused(
    harness: PostgresHarness, name: str
) -> None:
    with pytest.raises(StoreUnreadable, match="cannot be a column"):
        harness.open().stage(pa.table({"ts": [1], name: [1]}), 1, 1)


@pytest.mark.database
def test_rows_without_times_are_refused(harness: PostgresHarness) -> None:
    for table in (pa.table({"v": [1]}), pa.table({"ts": pa.nulls(1)})):
        with pytest.raises(StoreUnreadable, match="no times"):
            harness.open().stage(table, 1, 1)


@pytest.mark.database
def test_segments_take_the_types_of_the_table_of_others(harness: PostgresHarness) -> None:
    harness.run("CREATE TABLE {table} (ts bigint, price numeric(8,2), v double precision)")
    store = harness.open()
    staged = store.stage(pa.table({"ts": [1], "price": [3], "v": [4]}), 1, 1)
    (piece,) = store.read(0, 9, [staged.name])
    assert [str(kind) for kind in piece.table.schema.types] == [
        "int64",
        "decimal128(8, 2)",
        "double",
    ]


@pytest.mark.database
def test_months_lie_in_partitions_of_their_own(harness: PostgresHarness) -> None:
    harness.open().stage(bars(0, 31 * suite.DAY, 32 * suite.DAY), 1, 1)
    with psycopg.connect(harness.url) as connection:
        rows = connection.execute(
            "SELECT c.relname::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
            " WHERE inhparent = %s::regclass AND pg_relation_size(c.oid) > 0 ORDER BY 1",
            [f"{harness.table}__segments"],
        ).fetchall()
    assert [name for (name,) in rows] == [
        f"{harness.table}__segments_197001",
        f"{harness.table}__segments_197002",
    ]


@pytest.mark.database
def test_a_read_is_stopped_by_the_server_when_its_time_is_up(harness: PostgresHarness) -> None:
    harness.run("CREATE VIEW {table} AS SELECT 1::bigint AS ts, pg_sleep(30)::text AS v")
    with pytest.raises(StoreUnreadable, match="statement timeout"):
        harness.open().read(0, 10, [], seconds=0.2)


@pytest.mark.database
def test_a_connection_that_died_idle_is_not_used_again(harness: PostgresHarness) -> None:
    store = harness.open()
    harness.write_as_others(bars(1))
    assert times_of(store, 0, 9) == [[1]]
    harness.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert times_of(store, 0, 9) == [[1]]


@pytest.mark.database
def test_a_store_that_is_away_is_told_without_its_address(bar_database: str) -> None:
    url = "postgresql://someone:hidden-word@127.0.0.1:1/nowhere?connect_timeout=2"
    with pytest.raises(StoreUnreadable) as caught:
        PostgresStore(url, "bars", time="ts", unit="s").read(0, 1, [])
    assert "hidden-word" not in str(caught.value)


@pytest.mark.parametrize("table", ["", "a.b.c", 'a"b', "a b", "a;drop", "x" * 64, "é"])
def test_what_is_no_table_name_is_refused(table: str) -> None:
    with pytest.raises(ValueError, match="is not a table"):
        PostgresStore("postgresql://", table, time="ts", unit="s")


@pytest.mark.parametrize(
    ("store", "error", "says"),
    [
        ({}, UnknownStore, "there are parquet, postgresql"),
        ({"type": ["x"]}, UnknownStore, "there are"),
        ({"type": "parquet", "paths": "/etc"}, WrongStoreSettings, "'paths' is no setting"),
        ({"type": "parquet", "path": "/etc"}, WrongStoreSettings, "SEAMLESS_PARQUET_ROOTS"),
        ({"type": "parquet", "path": ["x"]}, WrongStoreSettings, "a directory's path"),
        ({"type": "postgresql", "table": "t"}, WrongStoreSettings, "SEAMLESS_STORE_DATABASES"),
        (
            {"type": "postgresql", "database": "house", "table": 5},
            WrongStoreSettings,
            "a table's name",
        ),
        (
            {"type": "postgresql", "database": "house", "table": "a b"},
            WrongStoreSettings,
            "is not a table",
        ),
    ],
)
def test_wrong_store_settings_are_named(
    settings_of_house: None, store: dict[str, Any], error: type[Exception], says: str
) -> None:
    node = Node(node_id="n", store=store)
    with pytest.raises(error, match=says):
        open_store(node, FRAME)


@pytest.fixture
def settings_of_house(settings: Any) -> None:
    settings.SEAMLESS_STORE_DATABASES = {"house": "postgresql:///house"}


def test_a_directory_of_yours_lies_below_a_root_that_the_operator_names(
    settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    settings.SEAMLESS_PARQUET_ROOTS = [str(root)]
    for path in ("root", "root/../outside", "root/link", "outside"):
        node = Node(node_id="n", store={"type": "parquet", "path": str(tmp_path / path)})
        with pytest.raises(WrongStoreSettings):
            open_store(node, FRAME)
    inside = Node(node_id="n", store={"type": "parquet", "path": str(root / "bars")})
    found = open_store(inside, FRAME)
    assert isinstance(found, ParquetStore)
    assert found.directory == root / "bars"


def test_store_settings_open_a_store(settings_of_house: None) -> None:
    node = Node(
        node_id="n", store={"type": "postgresql", "database": "house", "table": "bars.daily"}
    )
    assert isinstance(open_store(node, FRAME), PostgresStore)
    assert isinstance(open_store(Node(node_id="n", store={"type": "parquet"}), FRAME), ParquetStore)


def test_a_governed_read_backfills_into_postgresql_and_serves_from_it(
    committed_db: CommittedDatabase, bar_database: str, own_storage: None, settings: Any
) -> None:
    settings.SEAMLESS_STORE_DATABASES = {"house": bar_database}
    world = build_world(
        source={"type": "sample", "dataset": "stocks"},
        store={"type": "postgresql", "database": "house", "table": f"us_{secrets.token_hex(4)}"},
    )
    reader = world.reader()
    answer = reader.data()
    assert answer.status_code == 200, answer.content
    assert answer["Seamless-Coverage"] == "1"
    assert len(json.loads(answer.content)) == len(SESSIONS) * 2
    world.node.source = {}
    world.node.save()
    snapshot.forget()  # no service was asked, so the version stands still
    again = reader.data()
    assert (again.status_code, again.content, again["ETag"]) == (
        200,
        answer.content,
        answer["ETag"],
    )


def test_a_store_that_is_away_answers_503_and_leaks_nothing(
    db: None, own_storage: None, settings: Any
) -> None:
    settings.SEAMLESS_STORE_DATABASES = {
        "house": "postgresql://someone:hidden-word@127.0.0.1:1/nowhere?connect_timeout=2"
    }
    world = build_world(store={"type": "postgresql", "database": "house", "table": "bars"})
    answer = world.reader().data()
    assert (answer.status_code, json.loads(answer.content)["code"]) == (503, "store_unreadable")
    assert b"hidden-word" not in answer.content


def test_a_read_over_its_budget_ends_in_the_store_too(
    db: None, bar_database: str, own_storage: None, settings: Any
) -> None:
    settings.SEAMLESS_STORE_DATABASES = {"house": bar_database}
    slow = PostgresHarness(bar_database)
    columns = f"to_timestamp({SESSIONS[0]}) AS session, pg_sleep(30)::text AS symbol"
    slow.run(f"CREATE VIEW {{table}} AS SELECT {columns}")
    world = build_world(store={"type": "postgresql", "database": "house", "table": slow.table})
    world.node.sla = SLAPolicyDocument.objects.create(
        name="brisk", document={"max_wait_storage_ms": 200}
    )
    world.node.save()
    snapshot.forget()  # no service was asked, so the version stands still
    answer = world.reader().data()
    body = json.loads(answer.content)
    assert (answer.status_code, body["code"], body["phase"]) == (
        504,
        "sla_exceeded",
        "storage_wait",
    )
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state = 'active' AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(bar_database, autocommit=True) as connection:
        deadline = monotonic() + 10  # the statement alone would take 30 s
        while connection.execute(running).fetchone() != (0,) and monotonic() < deadline:
            sleep(0.05)
        assert connection.execute(running).fetchone() == (0,)
