"""The quality rules of a node: which checks of the rows together its answers pass."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from provider.conformance import Rule
from provider.conformance.rules import InvalidRule, rule_from
from provider.models import QualityRules
from registry.actors import Actor
from registry.errors import InvalidInput
from registry.models import Node, Role
from registry.services.access import require_role
from registry.services.actions import audited_action
from registry.services.nodes import node_named

MOST_RULES = 20


def set_quality_rules(
    *, actor: Actor, node_id: str, rules: Sequence[Mapping[str, Any]], now: datetime
) -> QualityRules:
    """Replace a node's rules; an empty list takes them away. For owners of its subject.

    Raises InvalidInput for what is no rule, NotFound and NotAllowed.
    """
    with audited_action(
        "node.quality_rules", actor=actor, object_type="node", object_id=node_id, now=now
    ) as entry:
        node = node_named(node_id)
        require_role(actor, node.subject.owner_team, Role.OWNER)
        if len(rules) > MOST_RULES:
            raise InvalidInput(f"A node has at most {MOST_RULES} rules, not {len(rules)}.")
        try:
            for rule in rules:
                rule_from(rule)
        except InvalidRule as wrong:
            raise InvalidInput(f"The rules of {node_id}: {wrong}.", parameter=wrong.key) from None
        existing = QualityRules.objects.filter(node=node).first()
        entry.before = {"rules": existing.rules if existing else []}
        entry.after = {"rules": [dict(rule) for rule in rules]}
        return QualityRules.objects.update_or_create(
            node=node, defaults={"rules": entry.after["rules"], "changed_at": now}
        )[0]


def documents_of(node: Node) -> list[dict[str, Any]]:
    """The node's rules as they were set."""
    return QualityRules.objects.filter(node=node).values_list("rules", flat=True).first() or []


def rules_of(documents: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    return tuple(rule_from(document) for document in documents)
