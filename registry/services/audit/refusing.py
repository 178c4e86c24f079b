"""Recording refusals that a caller can cause at will, without letting a flood into the log.

Of each kind the first of a minute becomes a record at once, with its request id; the rest are
counted in one row, and once the minute is over one more record tells how many they were.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F

from registry.actors import Actor
from registry.audit.events import Outcome, recordable
from registry.canonical import canonicalize
from registry.models.refusals import RefusalTally
from registry.services.audit.recording import record

KINDS_A_MINUTE = 100
_SUMMARIES = 1_000  # of one transaction; the next run goes on

log = structlog.get_logger("seamless.audit")


def record_refusal(
    *,
    actor: Actor,
    action: str,
    object_type: str,
    object_id: str,
    now: datetime,
    kind: tuple[str, ...],
    outcome: Outcome = "denied",
    reason: str = "",
    after: Mapping[str, Any] | None = None,
    limit_kinds: bool = False,
) -> None:
    """Record the refusal, or count it where one of this `kind` was recorded this minute.

    `limit_kinds`: strangers choose what is in the kind (an address, a name), so that after a
    hundred kinds of a minute the next ones count as one. Must not run inside a transaction that
    the refusal rolls back.
    """
    facts = {
        "actor": asdict(actor) | {"request_id": "", "correlation_id": "", "roles": []},
        "object_type": object_type,
        "object_id": object_id,
        "outcome": outcome,
        "reason": reason,
        "after": dict(after or {}) | {"first_request_id": actor.request_id},
    }
    minute = minute_of(now)
    with transaction.atomic():
        if not _is_first(action, kind, minute, recordable(facts), limit_kinds):
            return
        record(
            actor=actor,
            action=action,
            object_type=object_type,
            object_id=object_id,
            now=now,
            outcome=outcome,
            reason=reason,
            after=dict(after) if after else None,
        )


def record_refusal_if_possible(**refusal: Any) -> None:
    """The same for a refusal that stands also while the database is away."""
    try:
        record_refusal(**refusal)
    except (OperationalError, InterfaceError):
        log.exception("audit_refusal_not_recorded", action=refusal.get("action"))


def summarise_refusals(*, now: datetime) -> int:
    """One record for each kind that came again in a minute that is over; how many records."""
    over = minute_of(now)
    if not RefusalTally.objects.filter(minute__lt=over).exists():
        return 0
    with transaction.atomic():
        repeated = [tally for tally in _taken(over) if tally.repeats]
        for tally in repeated:
            _summarise(tally, now)
    return len(repeated)


def minute_of(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0)


def _is_first(
    action: str,
    kind: tuple[str, ...],
    minute: datetime,
    facts: dict[str, Any],
    limit_kinds: bool,
) -> bool:
    if _counted(_key(action, kind), minute):
        return False
    same = RefusalTally.objects.filter(minute=minute, action=action)
    if limit_kinds and same.count() >= KINDS_A_MINUTE:
        kind = ("more",)
        facts = _of_many(facts)
        if _counted(_key(action, kind), minute):
            return False
    key = _key(action, kind)
    row = {"action": action, "facts": facts}
    _, created = RefusalTally.objects.get_or_create(key=key, minute=minute, defaults=row)
    return created or not _counted(key, minute)


def _counted(key: str, minute: datetime) -> bool:
    tally = RefusalTally.objects.filter(key=key, minute=minute)
    return bool(tally.update(repeats=F("repeats") + 1))


def _of_many(facts: dict[str, Any]) -> dict[str, Any]:
    """What the kinds beyond the limit have in common: nobody and nothing in particular."""
    nobody = asdict(Actor("unknown", "", "many")) | {"roles": []}
    return facts | {"actor": nobody, "object_id": "many"}


def _key(action: str, kind: tuple[str, ...]) -> str:
    return hashlib.sha256(canonicalize(recordable([action, *kind]))).hexdigest()


def _taken(over: datetime) -> list[RefusalTally]:
    """Tallies of minutes that are over, deleted: of two processes one gets each."""
    table = RefusalTally._meta.db_table
    stamp = RefusalTally._meta.get_field("minute").get_db_prep_value(over, connection)
    return list(
        RefusalTally.objects.raw(
            f'DELETE FROM "{table}" WHERE id IN (SELECT id FROM "{table}"'
            ' WHERE "minute" < %s ORDER BY id LIMIT %s) RETURNING *',
            [stamp, _SUMMARIES],
        )
    )


def _summarise(tally: RefusalTally, now: datetime) -> None:
    facts = tally.facts
    minute = tally.minute.isoformat().replace("+00:00", "Z")
    record(
        actor=Actor(**facts["actor"] | {"roles": tuple(facts["actor"]["roles"])}),
        action=tally.action,
        object_type=facts["object_type"],
        object_id=facts["object_id"],
        now=now,
        outcome=facts["outcome"],
        reason=facts["reason"],
        after=facts["after"] | {"repeated": tally.repeats, "minute": minute},
    )
