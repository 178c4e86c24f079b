"""Records written before payloads and personal fields had tables of their own move there, and back.

The rows hold what they held, so that an export still shows the hashed bytes.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from registry.triggers import remove_triggers
from tests.databases import CommittedDatabase, as_owner

OLD, NEW = [("registry", "0004_usage")], [("registry", "0005_signed_audit")]
EVENTS: list[dict[str, Any]] = [
    {"actor_kind": "user", "object_type": "user", "object_id": "ada"},
    {"actor_kind": "consumer", "object_type": "node", "object_id": "ohlcv:1"},
    {"actor_kind": "system", "object_type": "consumer", "object_id": "risk"},
]
PAYLOAD = '{"after":{"a":1},"before":null,"reason":"because"}'


def migrated(target: list[tuple[str, str]]) -> Any:
    """As `manage.py migrate` does it, as the owner of the tables."""
    remove_triggers(sender=None, using="default", plan=target)
    executor = MigrationExecutor(connection)
    executor.migrate(target)
    return executor.loader.project_state(target).apps.get_model


@pytest.fixture(autouse=True)
def _as_the_owner(committed_db: CommittedDatabase) -> Iterator[None]:
    with as_owner():
        yield


def test_records_move_into_the_new_tables_and_back() -> None:
    old = migrated(OLD)("registry", "AuditEvent")
    for event in EVENTS:
        old.objects.create(
            at=datetime(2026, 1, 2, tzinfo=UTC),
            actor_id="7",
            actor_name="Ada",
            action="x.y",
            outcome="ok",
            reason="because",
            after={"a": 1},
            source="192.0.2.1",
            payload_format=1,
            payload_canonical=PAYLOAD,
            leaf=b"x" * 32,
            **event,
        )
    model = migrated(NEW)
    events = model("registry", "AuditEvent").objects.order_by("pk")
    assert list(events.values_list("object_id", "consumer", "personal__object_id")) == [
        ("", "", "ada"),
        ("ohlcv:1", "Ada", ""),
        ("risk", "risk", ""),
    ]
    texts = ("payload__text", "personal__actor_name", "personal__source", "personal__text")
    assert set(events.values_list(*texts)) == {(PAYLOAD, "Ada", "192.0.2.1", "")}
    back = migrated(OLD)("registry", "AuditEvent").objects.order_by("pk")
    assert list(back.values_list("actor_kind", "object_type", "object_id")) == [
        tuple(event.values()) for event in EVENTS
    ]
    columns = ("actor_id", "actor_name", "source", "payload_canonical", "reason")
    assert set(back.values_list(*columns)) == {("7", "Ada", "192.0.2.1", PAYLOAD, "because")}
    assert [event.after for event in back] == [{"a": 1}] * 3
