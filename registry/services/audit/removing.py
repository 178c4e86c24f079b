"""Taking out what may not stay: a person's fields (erasure), old payloads (retention).

The rows go, the leaves stay, and so do all proofs. Each removal is recorded with the numbers of the
records that it emptied, in the same transaction; the verifier accepts no other gap.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from registry.actors import Actor
from registry.audit.export import instant
from registry.audit.removal import ERASURE, REMOVALS, RETENTION, runs
from registry.errors import InvalidInput
from registry.models import Role
from registry.models.audit import AuditLeaf, AuditPayload, AuditPersonal
from registry.services.access import require_any_team
from registry.services.actions import ActionRecord, audited_action
from registry.services.audit.head import log_origin
from registry.services.audit.key_history import ROTATION
from registry.services.audit.sealing import seal_all, take_sealer_lock

REMOVAL_LIMIT = 10_000
_BATCH = 500  # below every database's limit of parameters

KEPT = (ROTATION, *REMOVALS)
"""What the verifier needs to judge the rest is never dropped."""


@dataclass(frozen=True, slots=True)
class _Removal:
    """What to take out; `before`: records from then on stay."""

    action: str
    wanted: Q
    before: datetime | None = None

    def stated(self) -> dict[str, str]:
        return {} if self.before is None else {"before": instant(self.before)}


def erase_person(*, actor: Actor, username: str, now: datetime, reason: str) -> int:
    """Delete the personal fields of every sealed record by or on a person; how many.

    Needs an operator. A record keeps its commitment and everything else. Where two people are in
    one record (who did it, and to whom), both leave it. The reason stays: do not name them there.
    """
    by_them = Q(event__actor_kind="user", event__personal__actor_name=username)
    on_them = Q(event__object_type="user", event__personal__object_id=username)
    removal = _Removal(ERASURE, by_them | on_them)
    return _remove_all(removal, actor=actor, now=now, reason=reason)


def drop_payloads(*, actor: Actor, before: datetime, now: datetime, reason: str) -> int:
    """Delete payload and personal fields of every sealed record from before a time; how many.

    Needs an operator. Records younger than SEAMLESS_AUDIT_KEEP_DAYS are refused, and those that
    name keys and removals are kept.
    """
    old = Q(event__at__lt=before, event__payload__isnull=False) & ~Q(event__action__in=KEPT)
    removal = _Removal(RETENTION, old, before)
    return _remove_all(removal, actor=actor, now=now, reason=reason)


def _remove_all(removal: _Removal, *, actor: Actor, now: datetime, reason: str) -> int:
    """In portions, each with its own record; the last one may state that nothing was left."""
    seal_all(now=now)
    total = 0
    while True:
        with audited_action(
            removal.action,
            actor=actor,
            object_type="audit_log",
            object_id=log_origin(),
            now=now,
            reason=reason,
        ) as entry:
            require_any_team(actor, Role.OPERATOR)
            _refuse_young(removal, now)
            removed = _remove_some(removal, entry)
        total += removed
        if removed < REMOVAL_LIMIT:
            seal_all(now=now)
            return total


def _refuse_young(removal: _Removal, now: datetime) -> None:
    days: int = settings.SEAMLESS_AUDIT_KEEP_DAYS
    if removal.before is not None and removal.before > now - timedelta(days=days):
        raise InvalidInput(
            f"Payloads are kept for {days} days (SEAMLESS_AUDIT_KEEP_DAYS);"
            f" {removal.before:%Y-%m-%d} is later than that."
        )


def _remove_some(removal: _Removal, entry: ActionRecord) -> int:
    take_sealer_lock(wait=True)  # of two removals at once, each would name the other's records too
    leaves = AuditLeaf.objects.filter(removal.wanted).order_by("seq")
    found = list(leaves.values_list("seq", "event_id")[:REMOVAL_LIMIT])
    entry.after = {
        **removal.stated(),
        "count": len(found),
        "records": runs(seq for seq, _ in found),
    }
    for start in range(0, len(found), _BATCH):
        _delete(removal, [event for _, event in found[start : start + _BATCH]])
    return len(found)


def _delete(removal: _Removal, events: list[int]) -> None:
    AuditPersonal.objects.filter(pk__in=events).delete()
    if removal.action == RETENTION:
        AuditPayload.objects.filter(pk__in=events).delete()
