"""Which release judges a read: the one question that every response answers to."""

from dataclasses import dataclass

from registry.errors import Hidden, NotFound
from registry.models import Consumer, Node
from registry.names import is_node_id
from registry.ramps import in_ramp
from registry.services import snapshot
from registry.services.snapshot import BoundVersion, Governed
from registry.spans import span

__all__ = [
    "BoundVersion",
    "Resolution",
    "readable_governed",
    "readable_node",
    "readable_nodes",
    "resolve",
]


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
    known = snapshot.current()
    node = known.nodes.get(node_id) if is_node_id(node_id) else None
    if node is not None and known.may_read(consumer.pk, node):
        return node
    refusal = NotFound if node is None else Hidden
    raise refusal(f"There is no node {node_id!r} that {consumer} may read.")


def readable_nodes(consumer: Consumer) -> list[Node]:
    known = snapshot.current()
    nodes = [node for node in known.nodes.values() if known.may_read(consumer.pk, node)]
    return sorted(nodes, key=lambda node: node.node_id)


@span("seamless.schema.resolve")
def resolve(consumer: Consumer, node: Node, window: tuple[int, int] | None = None) -> Resolution:
    """Strict and canary of the live rollouts; without any, a canary of the newest version.

    `window` (first and last bar asked for) decides whether a growing rollout judges this request.
    """
    known = snapshot.current()
    newest = known.newest.get(node.subject_id)
    if newest is None:
        raise NotFound(f"The subject {node.subject} of {node.node_id} has no approved version yet.")
    live = known.governed.get((consumer.pk, node.subject_id))
    if live is None:
        return Resolution(node, bound=newest, strict=None, canary=newest, governed=False)
    if _is_ramped(live, consumer, node, window):
        return Resolution(node, bound=newest, strict=live.canary, canary=None, governed=True)
    return Resolution(node, bound=newest, strict=live.strict, canary=live.canary, governed=True)


def readable_governed(consumer: Consumer) -> list[Resolution]:
    """Every node it may read that has a version, with what judges its reads."""
    known = snapshot.current()
    return [
        resolve(consumer, node)
        for node in readable_nodes(consumer)
        if node.subject_id in known.newest
    ]


def _is_ramped(
    live: Governed, consumer: Consumer, node: Node, window: tuple[int, int] | None
) -> bool:
    if not live.ramp_percent or window is None:
        return False
    return in_ramp(consumer.name, node.node_id, window, live.ramp_percent)
