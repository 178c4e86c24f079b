"""Databases for tests that commit: each gets a fresh copy of the migrated one.

Django's `flush` between such tests is no way: append-only tables refuse it.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
from django.db import connection, connections
from psycopg import sql

_copies = count(1)


@dataclass(frozen=True)
class CommittedDatabase:
    """`url`: as DATABASE_URL, for other processes. `vendor`: "sqlite" or "postgresql".

    `owner_url`: as DATABASE_OWNER_URL; on SQLite there is no other role.
    """

    url: str
    vendor: str
    owner_url: str


def test_folder() -> Path:
    return Path(os.environ["SEAMLESS_TEST_FOLDER"])


def worker_name() -> str:
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


def name_test_database() -> None:
    """Give this worker a test database of its own; on SQLite a file, never memory."""
    own = f"test_{worker_name()}"
    file = str(test_folder() / f"{own}.sqlite3")
    connection.settings_dict["TEST"]["NAME"] = file if connection.vendor == "sqlite" else own


@contextmanager
def connecting_as_owner() -> Iterator[None]:
    """On PostgreSQL, new connections are the owner's, who makes and migrates databases."""
    application = dict(connection.settings_dict)
    if connection.vendor == "postgresql":
        connection.close()
        owner = urlsplit(os.environ["DATABASE_OWNER_URL"])
        connection.settings_dict["USER"] = unquote(owner.username or "")
        connection.settings_dict["PASSWORD"] = unquote(owner.password or "")
    try:
        yield
    finally:
        if connection.vendor == "postgresql":
            connection.close()
            for name in ("USER", "PASSWORD"):
                connection.settings_dict[name] = application[name]


@contextmanager
def as_owner() -> Iterator[None]:
    """Within: the role that owns the tables (of PostgreSQL; SQLite knows no roles)."""
    if connection.vendor != "postgresql":
        yield
        return
    owner = urlsplit(os.environ["DATABASE_OWNER_URL"]).username or ""
    _set_role(sql.SQL("SET ROLE {}").format(sql.Identifier(unquote(owner))))
    try:
        yield
    finally:
        if not connection.needs_rollback:  # a rollback brings the role back by itself
            _set_role(sql.SQL("RESET ROLE"))


def _set_role(statement: sql.Composable) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement.as_string())


def _with_owner(url: str) -> str:
    if connection.vendor != "postgresql":
        return url
    owner = urlsplit(os.environ["DATABASE_OWNER_URL"])
    return owner._replace(path=urlsplit(url).path).geturl()


@contextmanager
def fresh_copy() -> Iterator[CommittedDatabase]:
    """Point every connection of this process at a copy of the migrated database, and back."""
    template = connection.settings_dict["NAME"]
    name = f"copy_{worker_name()}_{next(_copies)}"
    copy = _sqlite_copy if connection.vendor == "sqlite" else _postgres_copy
    connections.close_all()
    with copy(template, name) as (copied_name, url):
        connection.settings_dict["NAME"] = copied_name
        try:
            yield CommittedDatabase(url, connection.vendor, _with_owner(url))
        finally:
            connections.close_all()
            connection.settings_dict["NAME"] = template


@contextmanager
def _sqlite_copy(template: str, name: str) -> Iterator[tuple[str, str]]:
    file = test_folder() / f"{name}.sqlite3"
    with closing(sqlite3.connect(template)) as old, closing(sqlite3.connect(file)) as new:
        old.backup(new)  # a plain copy of the file would miss what is still in its WAL
    yield str(file), f"sqlite:///{file}"
    for leftover in test_folder().glob(f"{file.name}*"):
        leftover.unlink()


@contextmanager
def _postgres_copy(template: str, name: str) -> Iterator[tuple[str, str]]:
    server = os.environ["SEAMLESS_TEST_POSTGRES_URL"]
    names = {"copy": sql.Identifier(name), "template": sql.Identifier(template)}
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {copy} TEMPLATE {template}").format(**names))
    try:
        yield name, urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    finally:  # by force: a thread of the test may still be connected
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {copy} WITH (FORCE)").format(**names))
