"""Appending: one event, its two texts and a pending row in the transaction of what they record."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Model
from django.db.transaction import TransactionManagementError
from structlog.contextvars import get_contextvars

from registry.actors import Actor
from registry.audit.events import (
    FORMAT,
    PERSONAL_OBJECTS,
    Event,
    Outcome,
    consumer_of,
    leaf_hash,
    name,
    sealable,
)
from registry.models.audit import AuditEvent, AuditPayload, AuditPending, AuditPersonal
from registry.models.people import Membership, Team
from registry.safety_net import settle
from registry.services.audit.receipts import collect


def record(
    *,
    actor: Actor,
    action: str,
    object_type: str,
    object_id: str,
    now: datetime,
    outcome: Outcome = "ok",
    reason: str = "",
    before: Any = None,
    after: Any = None,
) -> AuditEvent:
    """Append one audit record to the caller's transaction: INSERTs only, no lock.

    A person's roles of this moment are read and recorded with it.

    `before` and `after` are JSON values without secrets. Raises `TransactionManagementError`
    outside `transaction.atomic()`, where the record could outlive or miss its action, and
    `registry.canonical.NotCanonical` for values that JSON cannot say.
    """
    if not connection.in_atomic_block:
        raise TransactionManagementError(
            f"audit record {action!r} outside a transaction: call record() inside"
            " transaction.atomic(), together with the change that it records"
        )
    event = Event(
        at=now,
        actor=_with_roles(_in_context(actor)),
        action=action,
        object_type=object_type,
        object_id=object_id,
        outcome=outcome,
        reason=reason,
        before=before,
        after=after,
    )
    stored = _append(event)
    collect(stored.pk)
    settle(connection)
    return stored


def _in_context(actor: Actor) -> Actor:
    """With the ids of the request at hand, where the caller gave none: what a task does for it."""
    ids = get_contextvars()
    return replace(
        actor,
        request_id=actor.request_id or str(ids.get("request_id", "")),
        correlation_id=actor.correlation_id or str(ids.get("correlation_id", "")),
    )


def _with_roles(actor: Actor) -> Actor:
    if actor.kind != "user" or actor.roles or not actor.id.isdecimal():
        return actor
    with connection.cursor() as cursor:
        cursor.execute(_roles_query(), [int(actor.id)])
        held = cursor.fetchall()
    return replace(actor, roles=tuple(sorted(f"{role}:{team}" for role, team in held)))


@cache
def _roles_query() -> str:
    """Written once: making it by the ORM each time costs more than the database's answer."""
    held, team = Membership._meta.db_table, Team._meta.db_table
    return (
        f'SELECT held.role, team.name FROM "{held}" held JOIN "{team}" team ON team.id'
        " = held.team_id WHERE held.user_id = %s"
    )


def _append(event: Event) -> AuditEvent:
    """The stored event, with its personal fields and payload at hand."""
    sealed = sealable(event)
    stored = _stored(event, leaf_hash(sealed.payload))
    rest = (
        _personal(event, sealed.personal.decode()),
        AuditPayload(text=sealed.payload.decode()),
        AuditPending(),
    )
    insert = _in_one_statement if connection.vendor == "postgresql" else _one_by_one
    insert(stored, rest)
    for row in rest:
        row.event = stored  # and the other way round: stored.personal, stored.payload
    return stored


def _stored(event: Event, leaf: bytes) -> AuditEvent:
    return AuditEvent(
        at=event.at,
        actor_kind=event.actor.kind,
        action=name(event.action),
        object_type=name(event.object_type),
        object_id="" if event.object_type in PERSONAL_OBJECTS else name(event.object_id),
        consumer=consumer_of(event),
        outcome=event.outcome,
        request_id=name(event.actor.request_id),
        correlation_id=name(event.actor.correlation_id),
        payload_format=FORMAT,
        leaf=leaf,
    )


def _personal(event: Event, text: str) -> AuditPersonal:
    return AuditPersonal(
        actor_id=name(event.actor.id),
        actor_name=name(event.actor.name),
        source=name(event.actor.source),
        object_id=name(event.object_id) if event.object_type in PERSONAL_OBJECTS else "",
        text=text,
    )


def _one_by_one(stored: AuditEvent, rest: Sequence[Any]) -> None:
    stored.save(force_insert=True)
    for row in rest:
        row.event_id = stored.pk
        row.save(force_insert=True)


def _in_one_statement(stored: AuditEvent, rest: Sequence[Model]) -> None:
    """One round trip to the server instead of four: what a record costs is mostly waiting."""
    values = [value for row in (stored, *rest) for value in _values(row)]
    with connection.cursor() as cursor:
        cursor.execute(_statement(tuple(type(row) for row in rest)), values)
        (stored.pk,) = cursor.fetchone()
    stored._state.adding = False


@cache
def _statement(rest: tuple[type[Model], ...]) -> str:
    event, own = AuditEvent._meta.db_table, _own_columns(AuditEvent)
    columns = ", ".join(f'"{column}"' for column in own)
    given = ", ".join(["%s"] * len(own))
    first = f'event AS (INSERT INTO "{event}" ({columns}) VALUES ({given}) RETURNING id)'
    others = [f"row{place} AS ({_insert(model)})" for place, model in enumerate(rest)]
    return f"WITH {', '.join([first, *others])} SELECT id FROM event"


def _insert(model: type[Model]) -> str:
    own = _own_columns(model)
    columns = "".join(f', "{column}"' for column in own)
    return (
        f'INSERT INTO "{model._meta.db_table}" (event_id{columns})'
        f" SELECT id{', %s' * len(own)} FROM event"
    )


@cache
def _own_columns(model: type[Model]) -> tuple[str, ...]:
    """Its columns without the event's id, which are called like its attributes."""
    fields = model._meta.local_concrete_fields
    return tuple(field.attname for field in fields if not field.primary_key)


def _values(row: Model) -> list[Any]:
    """Texts, bytes and times in UTC, which the driver takes as they are."""
    return [getattr(row, column) for column in _own_columns(type(row))]
