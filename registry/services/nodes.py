"""Nodes and SLA policies."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from registry.actors import Actor
from registry.errors import Conflict, InvalidInput, NotFound
from registry.frame import Frame, frame_of
from registry.models import Node, Role, SLAPolicyDocument, Subject
from registry.names import NODE_ID_RULE, is_node_id
from registry.node_settings import NodeSettings, check_node_settings, discover_series
from registry.policies import SLAPolicy
from registry.services.access import require_any_team, require_role
from registry.services.actions import audited_action
from registry.services.proposals import latest_version
from registry.services.subjects import subject_named

_POLICY_NAME = re.compile(r"[A-Za-z0-9_-]{1,50}", re.ASCII)


def save_sla_policy(
    *, actor: Actor, name: str, document: Mapping[str, Any], now: datetime
) -> SLAPolicyDocument:
    """A named SLA policy, validated; saving again replaces it (the audit log keeps both)."""
    with audited_action(
        "sla_policy.save", actor=actor, object_type="sla_policy", object_id=name, now=now
    ) as entry:
        require_any_team(actor, Role.OWNER, Role.OPERATOR)
        policy = _checked_policy(name, document)
        existing = SLAPolicyDocument.objects.filter(name=name).first()
        entry.before = existing.document if existing else None
        entry.after = policy.to_dict()
        return SLAPolicyDocument.objects.update_or_create(
            name=name, defaults={"document": policy.to_dict()}
        )[0]


def save_sla_policies(
    *, actor: Actor, documents: Mapping[str, Mapping[str, Any]], now: datetime
) -> list[SLAPolicyDocument]:
    """Save all of them, each with its audit record; where one is wrong, none."""
    for name, document in documents.items():
        _checked_policy(name, document)
    return [
        save_sla_policy(actor=actor, name=name, document=document, now=now)
        for name, document in documents.items()
    ]


def sla_policies() -> list[SLAPolicyDocument]:
    return list(SLAPolicyDocument.objects.order_by("name"))


def _checked_policy(name: str, document: Mapping[str, Any]) -> SLAPolicy:
    if not _POLICY_NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is not a policy's name: use letters, digits, - and _.")
    try:
        return SLAPolicy.from_dict(document)
    except ValueError as error:
        raise InvalidInput(f"The SLA policy {name!r} is wrong: {error}") from None


def register_node(
    *,
    actor: Actor,
    node_id: str,
    subject: str,
    interval: int,
    store: Mapping[str, Any],
    source: Mapping[str, Any],
    now: datetime,
    live: Mapping[str, Any] | None = None,
    series: Sequence[Mapping[str, Any]] | None = None,
    anchor: int = 0,
    calendar: str = "",
    sla: str = "",
    description: str = "",
) -> Node:
    """A governed data set under a subject that the actor's team owns.

    Without `series` it expects those that its store holds now.
    """
    if series is None:  # looking into a store may take a while: before the transaction
        series = discover_series(actor=actor, node_id=node_id, subject=subject, store=store)
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
        settings: dict[str, Any] = {
            "interval": interval,
            "anchor": anchor,
            "calendar": calendar,
            "series": [_series(item) for item in series],
            "store": dict(store),
            "source": dict(source),
            "live": dict(live or {}),
        }
        check_node_settings(NodeSettings(node_id=node_id, frame=_frame(line), **settings))
        entry.after = {"subject": subject, "sla": sla, **settings}
        return Node.objects.create(
            node_id=node_id,
            subject=line,
            sla=_policy_named(sla),
            description=description,
            **settings,
        )


# What may change under a node that is in use. The grid and the store are what its segments,
# certificates and reports speak of: those of another grid or store are another node's.
CHANGEABLE = ("description", "calendar", "series", "source", "live", "sla")


def change_node(*, actor: Actor, node_id: str, now: datetime, **changes: Any) -> Node:
    """Change some of `CHANGEABLE`. Raises InvalidInput, NotFound and NotAllowed."""
    with audited_action(
        "node.change", actor=actor, object_type="node", object_id=node_id, now=now
    ) as entry:
        node = locked_node(node_id)
        require_role(actor, node.subject.owner_team, Role.OWNER)
        if unknown := sorted(set(changes) - set(CHANGEABLE)):
            raise InvalidInput(
                f"{unknown[0]!r} of a node cannot be changed; {', '.join(CHANGEABLE)} can. "
                "Register another node for another grid or store."
            )
        before = _facts(node)
        if "series" in changes:
            changes["series"] = [_series(item) for item in changes["series"]]
        if "sla" in changes:
            changes["sla"] = _policy_named(changes["sla"])
        for name, value in changes.items():
            setattr(node, name, value)
        settings = {name: getattr(node, name) for name in _SETTINGS}
        check_node_settings(NodeSettings(frame=_frame(node.subject), **settings))
        node.save(update_fields=sorted(changes))
        after = _facts(node)
        changed = [name for name in after if before[name] != after[name]]
        entry.before = {name: before[name] for name in changed}
        entry.after = {name: after[name] for name in changed}
        return node


def node_named(node_id: str) -> Node:
    """The node with its team. Raises NotFound."""
    node = Node.objects.select_related("subject__owner_team", "sla").filter(node_id=node_id).first()
    if node is None:
        raise NotFound(f"There is no node {node_id!r}.")
    return node


def node_for(*, actor: Actor, node_id: str) -> Node:
    """The node, for those who own or run it. Raises NotFound and NotAllowed."""
    node = node_named(node_id)
    require_role(actor, node.subject.owner_team, Role.OWNER, Role.OPERATOR)
    return node


def node_facts(node: Node) -> dict[str, Any]:
    """All settings of a node, as plain JSON."""
    return {
        "subject": node.subject.name,
        **{n: getattr(node, n) for n in _SETTINGS},
        **_facts(node),
    }


_SETTINGS = ("node_id", "interval", "anchor", "calendar", "series", "store", "source", "live")


def _facts(node: Node) -> dict[str, Any]:
    facts = {name: getattr(node, name) for name in CHANGEABLE}
    return facts | {"sla": node.sla.name if node.sla else ""}


def locked_node(node_id: str) -> Node:
    """The node, nobody else's to change until the transaction ends. Raises NotFound."""
    nodes = Node.objects.select_for_update(of=("self",)).select_related("subject__owner_team")
    node = nodes.filter(node_id=node_id).first()
    if node is None:
        raise NotFound(f"There is no node {node_id!r}.")
    return node


def _frame(subject: Subject) -> Frame | None:
    newest = latest_version(subject)
    return None if newest is None else frame_of(newest.content.document)


def _policy_named(name: str) -> SLAPolicyDocument | None:
    policy = SLAPolicyDocument.objects.filter(name=name).first() if name else None
    if name and policy is None:
        raise NotFound(f"There is no SLA policy {name!r}.")
    return policy


def _series(item: Mapping[str, Any]) -> dict[str, Any]:
    key, since = item.get("key"), item.get("since")
    if not isinstance(key, Mapping) or set(item) - {"key", "since"}:
        raise InvalidInput(
            f'A series is {{"key": {{column: value}}, "since": seconds}}, not {item}'
        )
    if since is not None and not isinstance(since, int):
        raise InvalidInput(f"`since` is in epoch seconds, not {since!r}")
    return {"key": dict(key), "since": since}
