"""The head of the log, and the tree under it as the database holds it."""

from django.conf import settings

from registry.audit.checkpoint import Checkpoint
from registry.audit.merkle import EMPTY_ROOT, Edge
from registry.errors import SeamlessError
from registry.models.audit import AuditCheckpoint
from registry.services.audit.tree import stored_edge

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
    return empty_log() if stored is None else as_checkpoint(stored)


def as_checkpoint(stored: AuditCheckpoint) -> Checkpoint:
    return Checkpoint(log_origin(), stored.size, bytes(stored.root))


def empty_log() -> Checkpoint:
    return Checkpoint(log_origin(), 0, EMPTY_ROOT)


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
