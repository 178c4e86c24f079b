"""A selection of records as a query."""

from django.db.models import Q

from registry.audit.selection import Selection


def matching(selection: Selection, prefix: str = "") -> Q:
    """The condition on an audit event (reached over `prefix`, as in "event__")."""
    kind, _, identity = selection.object.partition(":")
    exact = {
        "at__gte": selection.since,
        "at__lt": selection.until,
        "actor_name": selection.actor,
        "action": selection.action,
        "object_type": kind,
        "object_id": identity,
        "outcome": selection.outcome,
        "request_id": selection.request_id,
        "correlation_id": selection.correlation_id,
    }
    wanted = Q(**{f"{prefix}{name}": value for name, value in exact.items() if value})
    return wanted & _of_consumer(selection.consumer, prefix) if selection.consumer else wanted


def _of_consumer(name: str, prefix: str) -> Q:
    """By it, on it, or on something whose record names it."""
    found = Q(**{f"{prefix}actor_kind": "consumer", f"{prefix}actor_name": name})
    found |= Q(**{f"{prefix}object_type": "consumer", f"{prefix}object_id": name})
    for state in ("before", "after"):
        found |= Q(**{f"{prefix}{state}__consumer": name})
    return found
