"""The head of the log, and the tree under it as the database holds it."""

from functools import reduce
from operator import or_

from django.conf import settings
from django.db.models import Q

from registry.audit.checkpoint import Checkpoint
from registry.audit.merkle import EMPTY_ROOT, Edge, edge_at, edge_nodes
from registry.errors import SeamlessError
from registry.models.audit import AuditCheckpoint, AuditLeaf, AuditNode

DEFAULT_ORIGIN = "seamless.local/audit"


class AuditLogForked(SeamlessError):
    """The log does not continue what was published: restored from a backup, or rewritten."""

    code = "audit_log_forked"
    status = 500
    title = "Audit log forked"


def log_origin() -> str:
    """The name of this log in its checkpoints: a URL without a scheme (C2SP)."""
    return str(getattr(settings, "SEAMLESS_AUDIT_ORIGIN", DEFAULT_ORIGIN))


def latest_checkpoint() -> Checkpoint:
    """The head of the log; of the empty log before the first sealing."""
    stored = AuditCheckpoint.objects.order_by("-size").first()
    size, root = (stored.size, bytes(stored.root)) if stored else (0, EMPTY_ROOT)
    return Checkpoint(log_origin(), size, root)


def edge_under(head: Checkpoint) -> Edge:
    """The tree under `head`, read back; raises `AuditLogForked` where it is no longer that tree."""
    edge = stored_edge(head.size)
    if edge is None or edge.root() != head.root:
        raise AuditLogForked(
            f"the stored Merkle tree no longer has the root of checkpoint {head.size}; nothing was"
            " sealed. Keep the database as it is and compare an export with that checkpoint.",
            size=head.size,
        )
    return edge


def stored_edge(size: int) -> Edge | None:
    """The right edge of the first `size` records, None where the tree does not reach so far."""
    wanted = edge_nodes(size)
    nodes = [Q(level=level, idx=idx) for level, idx in wanted if level > 0]
    found = {
        (level, idx): bytes(hash_)
        for level, idx, hash_ in AuditNode.objects.filter(
            reduce(or_, nodes, Q(level=-1))
        ).values_list("level", "idx", "hash")
    }
    for leaf in AuditLeaf.objects.filter(seq=size - 1).values_list("leaf", flat=True):
        found[0, size - 1] = bytes(leaf)
    if any(node not in found for node in wanted):
        return None
    return edge_at(lambda level, idx: found[level, idx], size)
