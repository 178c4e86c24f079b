"""Leases on opaque keys for programs without our database.

The key is the caller's and never split. The token is given to the holder once; its SHA-256 is kept.
A lease that has expired may be taken over; until it is, its holder may still complete it.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from coordinator.models import ServiceLease
from registry.actors import Actor
from registry.errors import Conflict, NotFound
from registry.services.audit import record


class LeaseHeldElsewhere(Conflict):
    code = "lease_held"
    title = "Lease held elsewhere"


class LeaseLost(Conflict):
    code = "lease_lost"
    title = "Lease lost"


class NoSuchLease(NotFound):
    code = "no_such_lease"
    title = "No such lease"


@dataclass(frozen=True, slots=True)
class GrantedLease:
    key: str
    epoch: int
    expires_at: datetime
    completion_ratio: float
    token: str = field(repr=False)


def claim_service_lease(*, actor: Actor, key: str, lease_ms: int, now: datetime) -> GrantedLease:
    """The lease on a key that is free, ended or expired. Raises LeaseHeldElsewhere."""
    token = secrets.token_urlsafe(32)
    expires_at = now + timedelta(milliseconds=lease_ms)
    with transaction.atomic():
        lease = _locked(key) or _first_of(key, actor, now)
        if lease.state == ServiceLease.State.HELD and lease.expires_at > now:
            raise _held(lease)
        lease.state = ServiceLease.State.HELD
        lease.epoch += 1
        lease.token_digest = _digest(token)
        lease.holder = actor.name
        lease.expires_at = expires_at
        lease.reason = ""
        lease.updated_at = now
        _save(lease)
        _record(actor, "lease.claim", lease, now)
    return GrantedLease(key, lease.epoch, expires_at, lease.completion_ratio, token)


def complete_service_lease(*, actor: Actor, key: str, token: str, now: datetime) -> float:
    """End a lease with its work done; the completion ratio. Raises NoSuchLease and LeaseLost."""
    return _finish(actor, key, token, now, ServiceLease.State.COMPLETED, 1.0, "")


def fail_service_lease(*, actor: Actor, key: str, token: str, reason: str, now: datetime) -> float:
    """Give a lease back with its work not done. Raises NoSuchLease and LeaseLost."""
    return _finish(actor, key, token, now, ServiceLease.State.FAILED, 0.0, reason)


def _finish(
    actor: Actor,
    key: str,
    token: str,
    now: datetime,
    state: ServiceLease.State,
    ratio: float,
    reason: str,
) -> float:
    with transaction.atomic():
        lease = _locked(key)
        if lease is None:
            raise NoSuchLease(f"Nobody has claimed {key!r}.")
        ours = secrets.compare_digest(lease.token_digest, _digest(token))
        if not ours or lease.state != ServiceLease.State.HELD:
            raise LeaseLost(
                f"The lease on {key!r} is no longer held with this token; drop the result."
            )
        lease.state, lease.completion_ratio, lease.reason = state, ratio, reason
        lease.updated_at = now
        _save(lease)
        _record(actor, f"lease.{'complete' if ratio else 'fail'}", lease, now)
    return ratio


def _locked(key: str) -> ServiceLease | None:
    return ServiceLease.objects.select_for_update().filter(key=key).first()


def _first_of(key: str, actor: Actor, now: datetime) -> ServiceLease:
    """An unsaved lease; whoever saves the same key second is refused by the unique key."""
    return ServiceLease(key=key, epoch=0, expires_at=now, updated_at=now, holder=actor.name)


def _save(lease: ServiceLease) -> None:
    try:
        with transaction.atomic():
            lease.save()
    except IntegrityError:
        raise _held(lease) from None


def _held(lease: ServiceLease) -> LeaseHeldElsewhere:
    return LeaseHeldElsewhere(
        f"The lease on {lease.key!r} is held until {lease.expires_at:%Y-%m-%dT%H:%M:%SZ}; "
        "try again then."
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _record(actor: Actor, action: str, lease: ServiceLease, now: datetime) -> None:
    record(
        actor=actor,
        action=action,
        object_type="service_lease",
        object_id=lease.key,
        now=now,
        reason=lease.reason,
        after={"state": lease.state, "epoch": lease.epoch, "holder": lease.holder},
    )
