"""Leases on opaque keys for programs without our database.

The key is the caller's and never split. The token is given to the holder once; its SHA-256 is kept.
A lease that has expired may be taken over; until it is, its holder may still renew or complete it.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models.functions import Length

from coordinator import counters
from coordinator.models import ServiceLease
from registry.actors import Actor
from registry.errors import Conflict, NotFound
from registry.models import Node
from registry.services.audit import record

LISTED = 200

log = structlog.get_logger("seamless.backfill")


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
        expired_at = lease.expires_at if lease.state == ServiceLease.State.HELD else None
        if expired_at is not None and expired_at > now:
            raise _held(lease)
        lease.node = node_of_key(key)
        lease.state = ServiceLease.State.HELD
        lease.epoch += 1
        lease.token_digest = _digest(token)
        lease.holder = actor.name
        lease.completion_ratio = 0.0
        lease.expires_at = expires_at
        lease.reason = ""
        lease.updated_at = now
        _save(lease)
        _record(actor, "lease.claim", lease, now)
    if expired_at is not None:
        counters.LEASE_EXPIRED.labels("taken_over").inc()
        counters.TAKEOVER_SECONDS.observe((now - expired_at).total_seconds())
    log.info("seamless.backfill.coordinator_claimed", **_fields(lease))
    return _granted(lease, token)


def renew_service_lease(
    *,
    key: str,
    token: str,
    lease_ms: int,
    now: datetime,
    completion_ratio: float | None = None,
) -> GrantedLease:
    """Move the end of a lease on; an expired one revives as long as nobody took it over.

    `completion_ratio`: how far its holder says it is. Not audited: a heartbeat decides nothing.
    Raises NoSuchLease and LeaseLost.
    """
    with transaction.atomic():
        lease = _held_with(key, token)
        lease.expires_at = now + timedelta(milliseconds=lease_ms)
        lease.updated_at = now
        if completion_ratio is not None:
            lease.completion_ratio = completion_ratio
        lease.save(update_fields=["expires_at", "updated_at", "completion_ratio"])
    return _granted(lease, token)


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
        lease = _held_with(key, token)
        lease.state, lease.completion_ratio, lease.reason = state, ratio, reason
        lease.updated_at = now
        _save(lease)
        _record(actor, f"lease.{'complete' if ratio else 'fail'}", lease, now)
    if state == ServiceLease.State.COMPLETED:
        log.info("seamless.backfill.coordinator_completed", **_fields(lease))
    else:
        log.warning("seamless.backfill.coordinator_failed", reason=reason, **_fields(lease))
    return ratio


def listed_service_leases(*, holder: str | None, state: str = "") -> list[ServiceLease]:
    """The leases that changed last, at most 200: of one holder, or of all (None)."""
    leases = ServiceLease.objects.select_related("node").defer("token_digest")
    if holder is not None:
        leases = leases.filter(holder=holder)
    if state:
        leases = leases.filter(state=state)
    return list(leases.order_by("-updated_at", "-pk")[:LISTED])


def node_of_key(key: str) -> Node | None:
    """The node with the longest id that is the key or its beginning up to a colon.

    Only asked which registered ids the key begins with: it is not taken apart.
    """
    beginnings = [key[:at] for at, letter in enumerate(key) if letter == ":"]
    found = Node.objects.filter(node_id__in=[*beginnings, key])
    return found.order_by(Length("node_id").desc()).first()


def _held_with(key: str, token: str) -> ServiceLease:
    """The lease, locked, if this token still holds it. Raises NoSuchLease and LeaseLost."""
    lease = _locked(key)
    if lease is None:
        raise NoSuchLease(f"Nobody has claimed {key!r}.")
    ours = secrets.compare_digest(lease.token_digest, _digest(token))
    if not ours or lease.state != ServiceLease.State.HELD:
        raise LeaseLost(f"The lease on {key!r} is no longer held with this token; drop the result.")
    return lease


def _granted(lease: ServiceLease, token: str) -> GrantedLease:
    return GrantedLease(lease.key, lease.epoch, lease.expires_at, lease.completion_ratio, token)


def _locked(key: str) -> ServiceLease | None:
    leases = ServiceLease.objects.select_related("node").select_for_update(of=("self",))
    return leases.filter(key=key).first()


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


def _fields(lease: ServiceLease) -> dict[str, Any]:
    """What the coordinator's events carry, as far as an opaque key tells it. Never the token."""
    return {
        "coordinator_id": "lease-service",
        "lease_key": lease.key,
        "node_id": lease.node.node_id if lease.node else "unknown",
        "interval": lease.node.interval if lease.node else None,
        "worker": lease.holder,
        "epoch": lease.epoch,
        "lease_until_ms": int(lease.expires_at.timestamp() * 1000),
        "completion_ratio": lease.completion_ratio,
    }


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
