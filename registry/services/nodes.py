"""Nodes and SLA policies."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from registry.actors import Actor
from registry.errors import Conflict, InvalidInput, NotFound
from registry.models import Node, Role, SLAPolicyDocument
from registry.names import NODE_ID_RULE, is_node_id
from registry.policies import SLAPolicy
from registry.services.access import require_any_team, require_role
from registry.services.actions import audited_action
from registry.services.subjects import subject_named


def save_sla_policy(
    *, actor: Actor, name: str, document: Mapping[str, Any], now: datetime
) -> SLAPolicyDocument:
    """A named SLA policy, validated; saving again replaces it (the audit log keeps both)."""
    with audited_action(
        "sla_policy.save", actor=actor, object_type="sla_policy", object_id=name, now=now
    ) as entry:
        require_any_team(actor, Role.OWNER, Role.OPERATOR)
        try:
            policy = SLAPolicy.from_dict(document)
        except ValueError as error:
            raise InvalidInput(f"The SLA policy {name!r} is wrong: {error}") from None
        existing = SLAPolicyDocument.objects.filter(name=name).first()
        entry.before = existing.document if existing else None
        entry.after = policy.to_dict()
        return SLAPolicyDocument.objects.update_or_create(
            name=name, defaults={"document": policy.to_dict()}
        )[0]


def register_node(
    *,
    actor: Actor,
    node_id: str,
    subject: str,
    interval: int,
    store: Mapping[str, Any],
    source: Mapping[str, Any],
    series: Sequence[Mapping[str, Any]],
    now: datetime,
    anchor: int = 0,
    calendar: str = "",
    sla: str = "",
    description: str = "",
) -> Node:
    """A governed data set under a subject that the actor's team owns."""
    with audited_action(
        "node.register", actor=actor, object_type="node", object_id=node_id, now=now
    ) as entry:
        line = subject_named(subject)
        require_role(actor, line.owner_team, Role.OWNER)
        if not is_node_id(node_id):
            raise InvalidInput(f"{node_id!r} is not a node id: {NODE_ID_RULE}.")
        if Node.objects.filter(node_id=node_id).exists():
            raise Conflict(f"The node {node_id!r} exists already.")
        if interval < 1:
            raise InvalidInput(f"The interval is in whole seconds from 1 up, not {interval}.")
        policy = SLAPolicyDocument.objects.filter(name=sla).first() if sla else None
        if sla and policy is None:
            raise NotFound(f"There is no SLA policy {sla!r}.")
        settings = {
            "interval": interval,
            "anchor": anchor,
            "calendar": calendar,
            "series": [_series(item) for item in series],
            "store": dict(store),
            "source": dict(source),
        }
        entry.after = {"subject": subject, "sla": sla, **settings}
        return Node.objects.create(
            node_id=node_id, subject=line, sla=policy, description=description, **settings
        )


def _series(item: Mapping[str, Any]) -> dict[str, Any]:
    key, since = item.get("key"), item.get("since")
    if not isinstance(key, Mapping) or set(item) - {"key", "since"}:
        raise InvalidInput(
            f'A series is {{"key": {{column: value}}, "since": seconds}}, not {item}'
        )
    if since is not None and not isinstance(since, int):
        raise InvalidInput(f"`since` is in epoch seconds, not {since!r}")
    return {"key": dict(key), "since": since}
