"""A selection of records as a query."""

from typing import Any

from django.db.models import Q, QuerySet

from registry.audit.events import PERSONAL_OBJECTS
from registry.audit.selection import Selection
from registry.models.audit import AuditEvent, AuditPersonal


def matching(selection: Selection, prefix: str = "") -> Q:
    """The condition on an audit event (reached over `prefix`, as in "event__")."""
    kind, _, identity = selection.object.partition(":")
    exact = {
        "at__gte": selection.since,
        "at__lt": selection.until,
        "personal__actor_name": selection.actor,
        "action": selection.action,
        "object_type": kind,
        "consumer": selection.consumer,
        "outcome": selection.outcome,
        "request_id": selection.request_id,
        "correlation_id": selection.correlation_id,
    }
    exact[_object_column(kind)] = identity
    return Q(**{f"{prefix}{name}": value for name, value in exact.items() if value})


def mentioning(text: str) -> QuerySet[Any, Any]:
    """Ids of the events with this action, person, object, consumer or request, each by its index.

    A union, since no database uses several indexes for an OR over two tables.
    """
    exact = ("action", "object_id", "consumer", "request_id", "correlation_id")
    found: list[QuerySet[Any, Any]] = [
        AuditEvent.objects.filter(**{column: text}).values("pk") for column in exact
    ]
    found += [
        AuditPersonal.objects.filter(**{column: text}).values("pk")
        for column in ("actor_name", "object_id")
    ]
    return found[0].union(*found[1:])


def _object_column(kind: str) -> str:
    return "personal__object_id" if kind in PERSONAL_OBJECTS else "object_id"
