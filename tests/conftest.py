"""What all tests share: Hypothesis profiles, the databases, Redis.

- `db` or `@pytest.mark.django_db`: one transaction on the migrated database, rolled back.
- `committed_db`: a fresh copy of the migrated database; commits, threads and processes welcome.
- `redis_client`: an empty Redis database, of this xdist worker alone.

All tests that use the database carry the mark `database` by themselves and run a second time on
PostgreSQL (`make test`).
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.test import TestCase, TransactionTestCase
from django.test.utils import override_settings, setup_databases, teardown_databases
from hypothesis import HealthCheck, settings
from pytest_django import DjangoDbBlocker

from tests.databases import (
    CommittedDatabase,
    connecting_as_owner,
    fresh_copy,
    name_test_database,
)
from tests.servers import NO_POSTGRES

# No deadline and no "too slow": a busy machine is no bug.
settings.register_profile(
    "ci", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("long", settings.get_profile("ci"), max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

DATABASE_FIXTURES = {"db", "committed_db", "django_db_setup"}
FLUSHING_FIXTURES = {"transactional_db", "live_server", "django_db_serialized_rollback"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before `-m` deselects: mark what uses the database, refuse what would flush it."""
    no_postgres = pytest.mark.skip(reason=NO_POSTGRES)
    for item in items:
        if flushes(item):
            raise pytest.UsageError(
                f"{item.nodeid} would flush the database, which append-only tables refuse: "
                "use the fixture `committed_db` instead."
            )
        if uses_database(item):
            item.add_marker(pytest.mark.database)
            if "SEAMLESS_TEST_NO_POSTGRES" in os.environ:
                item.add_marker(no_postgres)


def uses_database(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    return bool(fixtures & DATABASE_FIXTURES) or item.get_closest_marker("django_db") is not None


def flushes(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    test_class = getattr(item, "cls", None)
    return (
        bool(FLUSHING_FIXTURES & set(getattr(item, "fixturenames", ())))
        or (marker is not None and bool(marker.kwargs.get("transaction")))
        or (
            isinstance(test_class, type)
            and issubclass(test_class, TransactionTestCase)
            and not issubclass(test_class, TestCase)
        )
    )


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """The migrated database of this worker, also where only `committed_db` asks for it."""
    name_test_database()
    with django_db_blocker.unblock(), connecting_as_owner():
        made = setup_databases(
            verbosity=0, interactive=False, aliases={"default": False}, serialized_aliases=set()
        )
    yield
    with django_db_blocker.unblock(), connecting_as_owner():
        teardown_databases(made, verbosity=0)


@pytest.fixture
def committed_db(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CommittedDatabase]:
    """A copy of the migrated database for one test; processes it starts see it too."""
    with django_db_blocker.unblock(), fresh_copy() as database:
        monkeypatch.setenv("DATABASE_URL", database.url)
        if database.vendor == "postgresql":
            monkeypatch.setenv("DATABASE_OWNER_URL", database.owner_url)
        yield database


@pytest.fixture
def redis_client() -> Iterator[redis.Redis]:
    """A client of this worker's Redis database, emptied; the address is in REDIS_URL."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.flushdb()
        yield client


@pytest.fixture(autouse=True, scope="session")
def _fast_passwords_and_static_files() -> Iterator[None]:
    """Argon2 costs tenths of a second a password on purpose, and the tests make hundreds;
    WhiteNoise reads every static file for each test client. What a process does each second by
    itself, a test that rolls back does at once.
    """
    with override_settings(
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        WHITENOISE_AUTOREFRESH=True,
        SEAMLESS_SNAPSHOT_SECONDS=0.0,
        SEAMLESS_EVIDENCE_SECONDS=0.0,
    ):
        yield


@pytest.fixture(autouse=True)
def _own_evidence(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reads are counted for this test alone, and written when it says so."""
    from registry.services.samples import Reservoir
    from registry.services.usage import UsageBatch

    monkeypatch.setattr("registry.services.usage._batch", UsageBatch())
    monkeypatch.setattr("registry.services.samples._reservoir", Reservoir())
    with override_settings(SEAMLESS_EVIDENCE_SECONDS=0):
        yield


@pytest.fixture(autouse=True)
def _own_checkpoints(tmp_path: Path) -> Iterator[None]:
    """A log that starts anew must not meet the checkpoints of another."""
    with override_settings(SEAMLESS_CHECKPOINT_DIR=tmp_path / "checkpoints"):
        yield


@pytest.fixture(autouse=True)
def _own_snapshot() -> Iterator[None]:
    """What was read from another test's database must not be answered by."""
    from registry.services import behind_reads, evidence, last_used, snapshot

    yield
    for memory in (behind_reads, evidence, last_used, snapshot):
        memory.forget()
