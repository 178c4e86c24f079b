"""The frame of every business action: one transaction, one audit record, also for a refusal."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from registry.actors import Actor
from registry.audit.events import Outcome
from registry.errors import Hidden, NotAllowed, SeamlessError
from registry.services.audit import record
from registry.services.state import move_version

_WITHOUT_EFFECT_ON_READS = ("backfill.",)


@dataclass
class ActionRecord:
    """What the action adds to its audit record before it ends."""

    object_id: str
    reason: str = ""
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


@contextmanager
def audited_action(
    action: str,
    *,
    actor: Actor,
    object_type: str,
    object_id: object,
    now: datetime,
    reason: str = "",
) -> Iterator[ActionRecord]:
    """Run the body and its audit record in one durable transaction, and move the version.

    A `SeamlessError` rolls the body back and is recorded as denied (who) or refused (what) in a
    transaction of its own, then goes on up. Durable: an action inside another action's transaction
    would lose its refusal with it, so that is a programming error.
    """
    entry = ActionRecord(object_id=str(object_id), reason=reason)

    def write(outcome: Outcome, why: str, after: dict[str, Any] | None) -> None:
        record(
            actor=actor,
            action=action,
            object_type=object_type,
            object_id=entry.object_id,
            now=now,
            outcome=outcome,
            reason=why,
            before=entry.before,
            after=after,
        )

    try:
        with transaction.atomic(durable=True):
            yield entry
            write("ok", entry.reason, entry.after)
            if not action.startswith(_WITHOUT_EFFECT_ON_READS):
                move_version()
    except SeamlessError as refusal:
        with transaction.atomic():
            who = isinstance(refusal, NotAllowed | Hidden)
            write("denied" if who else "refused", f"{refusal.code}: {refusal.detail}", None)
        if isinstance(refusal, Hidden):
            refusal.recorded = True
        raise
