"""Incidents: opened by a strict refusal or a person, closed by a person or 24 clean hours."""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F

from registry.actors import Actor
from registry.errors import Conflict, InvalidInput, NotFound
from registry.gates import CLEAN_HOURS
from registry.models import Incident, Node, Role, Rollout
from registry.services.access import require_person, require_role
from registry.services.actions import audited_action
from registry.services.audit import record
from registry.services.consumers import consumer_named
from registry.services.releases import bundle_named

WATCH = Actor.system("incidents")
KEEPERS = (Role.CONSUMER_ADMIN, Role.OPERATOR, Role.REVIEWER)


class IncidentClosed(Conflict):
    code = "incident_closed"
    title = "Incident closed"


def open_incident(
    *, actor: Actor, consumer: str, bundle: str, reason: str, now: datetime
) -> Incident:
    """A person says that something is wrong: no gate of the bundle opens for the consumer."""
    with audited_action(
        "incident.open",
        actor=actor,
        object_type="consumer",
        object_id=consumer,
        now=now,
        reason=reason,
    ) as entry:
        person = require_person(actor)
        reader = consumer_named(consumer)
        require_role(actor, reader.owner_team, *KEEPERS)
        if not reason.strip():
            raise InvalidInput("An incident needs a reason.")
        if not reader.subscriptions.filter(bundle__name=bundle).exists():
            raise NotFound(f"{consumer} does not subscribe to {bundle!r}.")
        incident = Incident.objects.create(
            consumer=reader,
            bundle=bundle_named(bundle),
            opened_by_id=person,
            reason=reason,
            opened_at=now,
            last_seen_at=now,
        )
        entry.after = {"incident": incident.pk, "bundle": bundle}
    return incident


def note_refusal(*, rollout_id: int, node: Node, reason: str, now: datetime) -> None:
    """Open the incident of a strict refusal, or count the refusal into the open one."""
    rollout = Rollout.objects.select_related("consumer", "bundle").get(pk=rollout_id)
    if _count_again(rollout, node, now):
        return
    try:
        with transaction.atomic():
            _open(rollout, node, reason, now)
    except IntegrityError:  # another refusal opened it in between
        _count_again(rollout, node, now)


def close_incident(*, actor: Actor, incident_id: int, reason: str, now: datetime) -> Incident:
    with audited_action(
        "incident.close",
        actor=actor,
        object_type="incident",
        object_id=incident_id,
        now=now,
        reason=reason,
    ):
        person = require_person(actor)
        found = Incident.objects.select_for_update(of=("self",)).select_related(
            "consumer__owner_team", "bundle"
        )
        incident = found.filter(pk=incident_id).first()
        if incident is None:
            raise NotFound(f"There is no incident {incident_id}.")
        require_role(actor, incident.consumer.owner_team, *KEEPERS)
        if not reason.strip():
            raise InvalidInput("Closing an incident needs a reason.")
        if incident.closed_at is not None:
            raise IncidentClosed(f"Incident {incident_id} is closed already.")
        incident.closed_at, incident.closed_by_id, incident.closing = now, person, reason
        incident.save(update_fields=["closed_at", "closed_by", "closing"])
    return incident


def close_clean_incidents(*, now: datetime) -> int:
    """Close what was not seen again for 24 hours."""
    over = Incident.objects.filter(closed_at__isnull=True, last_seen_at__lte=now - CLEAN_HOURS)
    closed = 0
    for incident in over.order_by("pk"):
        with transaction.atomic():
            # Once more in the update: it may have been seen or closed in between.
            if not over.filter(pk=incident.pk).update(closed_at=now, closing="24 clean hours"):
                continue
            _record("incident.close", incident, now, reason="24 clean hours")
            closed += 1
    return closed


def _count_again(rollout: Rollout, node: Node, now: datetime) -> int:
    return Incident.objects.filter(
        consumer=rollout.consumer,
        bundle=rollout.bundle,
        node=node,
        opened_by__isnull=True,
        closed_at__isnull=True,
    ).update(count=F("count") + 1, last_seen_at=now)


def _open(rollout: Rollout, node: Node, reason: str, now: datetime) -> None:
    incident = Incident.objects.create(
        consumer=rollout.consumer,
        bundle=rollout.bundle,
        release_id=rollout.release_id,
        node=node,
        reason=reason,
        opened_at=now,
        last_seen_at=now,
    )
    _record("incident.open", incident, now, reason=reason)


def _record(action: str, incident: Incident, now: datetime, *, reason: str) -> None:
    record(
        actor=WATCH,
        action=action,
        object_type="incident",
        object_id=str(incident.pk),
        now=now,
        reason=reason,
        after={"consumer": incident.consumer.name, "bundle": incident.bundle.name},
    )
