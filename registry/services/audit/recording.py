"""Appending: one event and one pending row in the transaction of what they record."""

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.transaction import TransactionManagementError

from registry.actors import Actor
from registry.audit.events import FORMAT, Event, Outcome, canonical_payload, leaf_hash, payload_of
from registry.models.audit import AuditEvent, AuditPending

_SAME_IN_PAYLOAD = (
    "action",
    "outcome",
    "reason",
    "before",
    "after",
    "request_id",
    "correlation_id",
    "source",
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
        actor=actor,
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


def _stored(event: Event) -> AuditEvent:
    payload = payload_of(event)
    canonical = canonical_payload(payload)
    return AuditEvent(
        at=event.at,
        actor_kind=payload["actor"]["kind"],
        actor_id=payload["actor"]["id"],
        actor_name=payload["actor"]["name"],
        object_type=payload["object"]["type"],
        object_id=payload["object"]["id"],
        payload_format=FORMAT,
        payload_canonical=canonical.decode(),
        leaf=leaf_hash(canonical),
        **{name: payload[name] for name in _SAME_IN_PAYLOAD},
    )
