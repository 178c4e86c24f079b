import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from provider.as_of import Marks
from tests.databases import CommittedDatabase
from tests.provider.world import World, build_world


@pytest.fixture
def own_storage(tmp_path: Path, settings: Any) -> None:
    """Bars of this test alone; what happens behind an answer happens before it returns."""
    settings.SEAMLESS_BARS_DIR = tmp_path / "bars"
    settings.SEAMLESS_ARTIFACT_DIR = tmp_path / "artifacts"
    settings.SEAMLESS_CANARY_THREADS = 0


@pytest.fixture(autouse=True)
def _own_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pool and cache are made on first use, with the settings of that moment; of what worlds have
    read, nothing is known yet.
    """
    monkeypatch.setattr("provider.canary._pool", None)
    monkeypatch.setattr("provider.window_keys._cache", None)
    monkeypatch.setattr("provider.as_of._marks", Marks())


@pytest.fixture
def world(db: None, own_storage: None) -> World:
    return build_world()


@pytest.fixture
def upstream(committed_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world whose node has a source; nobody else runs shards, so the reader does.

    Threads that it left behind end with the test: the next one has another database.
    """
    monkeypatch.setattr("coordinator.services.local_runs.PICKUP_SECONDS", 0.05)
    yield committed_world
    for thread in threading.enumerate():
        if thread.name == "backfill-here":
            thread.join(30)


@pytest.fixture
def committed_world(committed_db: CommittedDatabase, own_storage: None) -> World:
    """For reads that backfill: other threads and processes see what was written."""
    return build_world(source={"type": "sample", "dataset": "stocks"})


@pytest.fixture(scope="module")
def bar_database() -> Iterator[str]:
    """A database of its own on the test run's PostgreSQL."""
    server = os.environ.get("SEAMLESS_TEST_POSTGRES_URL")
    if not server:
        pytest.skip("runs in the PostgreSQL leg: --database=postgres")
    name = f"bars_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
