"""Talking to one QuestDB: queries over its PostgreSQL wire, rows in over HTTP.

The address is `questdb://user:password@host:8812/qdb?http_port=9000` (`https=1` for TLS on the HTTP
side). What goes wrong is told without it.
"""

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Timer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import httpx2
import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from provider.stores.protocol import StoreUnreadable

SCHEME = "questdb"
CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 60.0
MOST_CONNECTIONS = 8
_SHORTEST_POLL, _LONGEST_POLL = 0.001, 0.02  # seconds

Rows = list[tuple[Any, ...]]


class QuestDB:
    """One server; connects when it is first asked. Safe for many threads, anew after a fork."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != SCHEME or not parts.hostname:
            raise ValueError(f"its address must read {SCHEME}://user:password@host:8812/qdb")
        query = parse_qs(parts.query)
        self._host = parts.hostname
        self._arguments: dict[str, Any] = {
            "host": parts.hostname,
            "port": parts.port or 8812,
            "dbname": parts.path.strip("/") or "qdb",
            "user": parts.username or "admin",
            "password": parts.password or "quest",
            "autocommit": True,
            "connect_timeout": int(CONNECT_SECONDS),
        }
        secure = query.get("https", ["0"])[0] == "1"
        http_port = query.get("http_port", ["9000"])[0]
        if not http_port.isdecimal():
            raise ValueError(f"http_port is {http_port!r}, not a port number")
        host = f"[{self._host}]" if ":" in self._host else self._host
        self._http_address = f"{'https' if secure else 'http'}://{host}:{http_port}"
        self._open: tuple[int, ConnectionPool[Any], httpx2.Client] | None = None

    def query(self, text: str, *, seconds: float | None = None) -> Rows:
        """The rows of one statement, binary; it is cancelled when the time is over."""
        limit = STATEMENT_SECONDS if seconds is None else min(seconds, STATEMENT_SECONDS)
        with (
            self._translated(),
            self._pool().connection(timeout=CONNECT_SECONDS) as connection,
            _cancelled_after(limit, connection),
            connection.cursor(binary=True) as cursor,
        ):
            cursor.execute(text.encode())
            return list(cursor.fetchall()) if cursor.description else []

    def write(self, bodies: Iterable[bytes]) -> None:
        """Requests of the line protocol, each one transaction of its table.

        The next body is made while one is sent.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="questdb-lines") as sender:
            sent: Future[None] | None = None
            for body in bodies:
                if sent is not None:
                    sent.result()
                sent = sender.submit(self._send, body)
            if sent is not None:
                sent.result()

    def _send(self, body: bytes) -> None:
        with self._translated():
            answer = self._http().post("/write", params={"precision": "u"}, content=body)
        if answer.status_code != 204:
            raise StoreUnreadable(f"QuestDB refused rows: {_message(answer)}")

    def wait_until_applied(self, table: str, *, seconds: float = STATEMENT_SECONDS) -> None:
        """Return once readers see what was written so far; StoreUnreadable where they do not."""
        goal: int | None = None
        deadline, pause = time.monotonic() + seconds, _SHORTEST_POLL
        while True:
            found = self.query(
                "SELECT writerTxn, sequencerTxn, suspended FROM wal_tables()"
                f" WHERE name = {literal(table)}"
            )
            if not found:
                return
            ((written, sequenced, suspended),) = found
            goal = sequenced if goal is None else goal
            if written >= goal:
                return
            if suspended:
                raise StoreUnreadable(
                    f"the table {table!r} is suspended in QuestDB: see its log, then"
                    f" ALTER TABLE {table} RESUME WAL",
                    table=table,
                )
            if time.monotonic() > deadline:
                raise StoreUnreadable(
                    f"{goal - written} writes to {table!r} are not readable after {seconds:g} s",
                    table=table,
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL)

    def columns(self, table: str) -> dict[str, str]:
        """Type by name of a table's columns; none where there is no such table."""
        if not self.query(f"SELECT 1 FROM tables() WHERE table_name = {literal(table)}"):
            return {}
        found = self.query(f'SELECT "column", "type" FROM table_columns({literal(table)})')
        return dict(cast("list[tuple[str, str]]", found))

    def _pool(self) -> ConnectionPool[Any]:
        return self._clients()[1]

    def _http(self) -> httpx2.Client:
        return self._clients()[2]

    def _clients(self) -> tuple[int, ConnectionPool[Any], httpx2.Client]:
        if self._open is None or self._open[0] != os.getpid():
            pool: ConnectionPool[Any] = ConnectionPool(
                kwargs=self._arguments,
                min_size=0,
                max_size=MOST_CONNECTIONS,
                open=True,
                timeout=CONNECT_SECONDS,
                reconnect_timeout=CONNECT_SECONDS,
                check=ConnectionPool.check_connection,
            )
            login = (str(self._arguments["user"]), str(self._arguments["password"]))
            http = httpx2.Client(
                base_url=self._http_address,
                auth=login,
                timeout=httpx2.Timeout(STATEMENT_SECONDS, connect=CONNECT_SECONDS),
            )
            self._open = (os.getpid(), pool, http)
        return self._open

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (psycopg.Error, PoolTimeout) as error:
            raise StoreUnreadable(f"QuestDB at {self._host}: {_reason(error)}") from error
        except httpx2.HTTPError as error:
            raise StoreUnreadable(f"QuestDB at {self._host}: {type(error).__name__}") from error


@contextmanager
def _cancelled_after(seconds: float, connection: psycopg.Connection[Any]) -> Iterator[None]:
    timer = Timer(seconds, _cancel, (connection,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cancel(connection: psycopg.Connection[Any]) -> None:
    try:
        connection.cancel_safe(timeout=CONNECT_SECONDS)
    except psycopg.Error:
        connection.close()


def _reason(error: Exception) -> str:
    if isinstance(error, PoolTimeout):
        return "it takes no connections"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _message(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"


_servers: dict[str, QuestDB] = {}


def questdb_at(url: str) -> QuestDB:
    """The process's connections to a server."""
    return _servers.setdefault(url, QuestDB(url))


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
