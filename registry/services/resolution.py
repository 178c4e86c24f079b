"""Which release judges a read: the one question that every response answers to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F

from registry.errors import NotFound
from registry.models import BundleMember, Consumer, Mode, Node, ReleaseMember, SchemaVersion
from registry.names import is_node_id
from registry.services.proposals import latest_version
from registry.services.references import stored_references
from registry.spans import span


@dataclass(frozen=True, slots=True)
class BoundVersion:
    """One schema version as a check sees it; `release` facts are empty for an ungoverned read."""

    version_id: int
    subject: str
    number: int
    fingerprint: str
    resolved_fingerprint: str
    document: dict[str, Any]
    references: Mapping[str, Any]
    rollout_id: int | None = None
    bundle: str = ""
    release: int | None = None
    release_fingerprint: str = ""
    deprecated_at: datetime | None = None
    sunset_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """The strict and the canary version of one consumer for one node; `governed` if by rollout."""

    node: Node
    bound: BoundVersion
    strict: BoundVersion | None
    canary: BoundVersion | None
    governed: bool


def readable_node(consumer: Consumer, node_id: str) -> Node:
    """The node, if its subject is in a subscribed bundle or it was granted by name; else 404."""
    found = Node.objects.select_related("subject", "sla").filter(node_id=node_id)
    node = found.first() if is_node_id(node_id) else None
    if node is not None and _may_read(consumer, node):
        return node
    raise NotFound(f"There is no node {node_id!r} that {consumer} may read.")


def readable_nodes(consumer: Consumer) -> list[Node]:
    nodes = Node.objects.select_related("subject")
    granted = nodes.filter(grants__consumer=consumer)
    subscribed = nodes.filter(subject__memberships__bundle__subscriptions__consumer=consumer)
    return list((granted | subscribed).distinct().order_by("node_id"))


@span("seamless.schema.resolve")
def resolve(consumer: Consumer, node: Node) -> Resolution:
    """Strict and canary of the live rollouts; without any, a canary of the newest version."""
    newest = latest_version(node.subject)
    if newest is None:
        raise NotFound(f"The subject {node.subject} of {node.node_id} has no approved version yet.")
    bound = _bound(newest)
    live = {
        member.mode: _bound(member.version, member)
        for member in _live_members(consumer, node.subject_id)
    }
    governed = bool(live)
    return Resolution(
        node=node,
        bound=bound,
        strict=live.get(Mode.STRICT),
        canary=live.get(Mode.CANARY) if governed else bound,
        governed=governed,
    )


def _may_read(consumer: Consumer, node: Node) -> bool:
    return (
        BundleMember.objects.filter(
            subject_id=node.subject_id, bundle__subscriptions__consumer=consumer
        ).exists()
        or consumer.grants.filter(node=node).exists()
    )


def _live_members(consumer: Consumer, subject_id: int) -> list[Any]:
    return list(
        ReleaseMember.objects.filter(
            subject_id=subject_id,
            release__rollouts__consumer=consumer,
            release__rollouts__ended_at__isnull=True,
        )
        .select_related("version__content", "version__subject", "release__bundle")
        .annotate(mode=F("release__rollouts__mode"), rollout_id=F("release__rollouts__pk"))
    )


def _bound(version: SchemaVersion, member: Any = None) -> BoundVersion:
    origin = (
        {}
        if member is None
        else {
            "rollout_id": member.rollout_id,
            "bundle": member.release.bundle.name,
            "release": member.release.number,
            "release_fingerprint": member.release.fingerprint,
        }
    )
    return BoundVersion(
        version_id=version.pk,
        subject=version.subject.name,
        number=version.number,
        fingerprint=version.content.fingerprint,
        resolved_fingerprint=version.resolved_fingerprint,
        document=version.content.document,
        references=stored_references(version.content.canonical),
        deprecated_at=version.deprecated_at,
        sunset_at=version.sunset_at,
        **origin,
    )
