"""Appending: one event and one pending row in the transaction of what they record."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.transaction import TransactionManagementError

from registry.actors import Actor
from registry.audit.events import FORMAT, Event, Outcome, leaf_hash, name, sealable
from registry.models.audit import AuditEvent, AuditPending
from registry.models.people import Membership

_SAME_IN_PAYLOAD = (
    "action",
    "outcome",
    "reason",
    "before",
    "after",
    "request_id",
    "correlation_id",
)


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
    """Append one audit record to the caller's transaction: two INSERTs, no lock.

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
        actor=_with_roles(actor),
        action=action,
        object_type=object_type,
        object_id=object_id,
        outcome=outcome,
        reason=reason,
        before=before,
        after=after,
    )
    stored = _stored(event)
    stored.save(force_insert=True)
    AuditPending.objects.create(event=stored)
    return stored


def _with_roles(actor: Actor) -> Actor:
    if actor.kind != "user" or actor.roles or not actor.id.isdecimal():
        return actor
    held = Membership.objects.filter(user_id=int(actor.id)).values_list("role", "team__name")
    return replace(actor, roles=tuple(sorted(f"{role}:{team}" for role, team in held)))


def _stored(event: Event) -> AuditEvent:
    sealed = sealable(event)
    payload, personal = json.loads(sealed.payload), json.loads(sealed.personal)
    return AuditEvent(
        at=event.at,
        actor_kind=payload["actor"]["kind"],
        actor_roles=payload["actor"]["roles"],
        actor_id=personal["actor"]["id"],
        actor_name=personal["actor"]["name"],
        source=personal["source"],
        object_type=payload["object"]["type"],
        object_id=name(event.object_id),
        payload_format=FORMAT,
        payload_canonical=sealed.payload.decode(),
        personal=sealed.personal.decode(),
        leaf=leaf_hash(sealed.payload),
        **{column: payload[column] for column in _SAME_IN_PAYLOAD},
    )
