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
from urllib.parse import urlsplit

import psycopg
from django.db import connection, connections
from psycopg import sql

_copies = count(1)


@dataclass(frozen=True)
class CommittedDatabase:
    """`url`: as DATABASE_URL, for other processes. `vendor`: "sqlite" or "postgresql"."""

    url: str
    vendor: str


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
def fresh_copy() -> Iterator[CommittedDatabase]:
    """Point every connection of this process at a copy of the migrated database, and back."""
    template = connection.settings_dict["NAME"]
    name = f"copy_{worker_name()}_{next(_copies)}"
    copy = _sqlite_copy if connection.vendor == "sqlite" else _postgres_copy
    connections.close_all()
    with copy(template, name) as (copied_name, url):
        connection.settings_dict["NAME"] = copied_name
        try:
            yield CommittedDatabase(url, connection.vendor)
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
        yield name, urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:  # by force: a thread of the test may still be connected
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {copy} WITH (FORCE)").format(**names))
