"""Sealing: pending events get their sequence numbers, the tree grows, the new head is published.

There is no cursor over events: a transaction that commits late leaves its pending row, and the next
sealing takes it. Causal order holds, since an event that saw another committed has a higher id.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import structlog
from django.conf import settings
from django.db import connection, transaction

from registry.audit.checkpoint import Checkpoint
from registry.audit.merkle import Edge, extend
from registry.audit.publication import CheckpointFolder
from registry.errors import Unavailable
from registry.models.audit import AuditCheckpoint, AuditLeaf, AuditNode, AuditPending
from registry.services.audit.head import (
    AuditLogForked,
    edge_under,
    latest_checkpoint,
    log_origin,
    stored_edge,
)

SEAL_LIMIT = 20_000

_SEALER_LOCK = 0x5EA1_A0D1_7106  # any fixed number: the key of PostgreSQL's advisory lock

log = structlog.get_logger("seamless.audit")


class CheckpointsUnavailable(Unavailable):
    """The folder of published checkpoints cannot be used, so nothing can be sealed."""

    code = "audit_checkpoints_unavailable"
    title = "Audit checkpoints unavailable"


def seal(*, now: datetime, limit: int = SEAL_LIMIT) -> Checkpoint | None:
    """Seal at most `limit` pending events, in the order of their ids, and publish the new head.

    Returns the new checkpoint, or None where nothing waits or another process is sealing. Must not
    run inside a transaction: what is published must already be committed. Raises `AuditLogForked`,
    before anything is sealed, where the database does not continue the published checkpoint, and
    `CheckpointsUnavailable` where that cannot be told.
    """
    _refuse_fork()
    sealed = _seal_pending(now, limit) if AuditPending.objects.exists() else None
    _publish()
    return sealed


def _seal_pending(now: datetime, limit: int) -> Checkpoint | None:
    with transaction.atomic(durable=True):
        if not _take_sealer_lock():
            return None
        edge = edge_under(latest_checkpoint())
        waiting = AuditPending.objects.order_by("event_id").values_list("event_id", "event__leaf")
        events = [(event, bytes(leaf)) for event, leaf in waiting[:limit]]
        if not events:
            return None
        new = _extend_log(edge, events, now)
    log.info("audit_sealed", size=new.size, rows=len(events))
    return new


def _take_sealer_lock() -> bool:
    """PostgreSQL: an advisory lock until commit. SQLite: BEGIN IMMEDIATE already is the lock."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_SEALER_LOCK])
        return bool(cursor.fetchone()[0])


def _extend_log(edge: Edge, events: Sequence[tuple[int, bytes]], now: datetime) -> Checkpoint:
    grown, completed = extend(edge, (leaf for _, leaf in events))
    AuditLeaf.objects.bulk_create(
        AuditLeaf(seq=seq, event_id=event, leaf=leaf)
        for seq, (event, leaf) in enumerate(events, start=edge.size)
    )
    AuditNode.objects.bulk_create(
        AuditNode(level=node.level, idx=node.index, hash=node.hash) for node in completed
    )
    # By what was sealed just now, not "up to the last id": a late committer may have a lower one.
    sealed = AuditLeaf.objects.filter(seq__gte=edge.size).values("event_id")
    AuditPending.objects.filter(event_id__in=sealed).delete()
    new = Checkpoint(log_origin(), grown.size, grown.root())
    AuditCheckpoint.objects.create(
        size=new.size, previous_size=edge.size, root=new.root, note=new.body(), at=now
    )
    return new


def _refuse_fork() -> None:
    _refuse_fork_from(_last_published(_folder()))


def _refuse_fork_from(published: Checkpoint | None) -> None:
    """Raise `AuditLogForked` unless the tree as it was at `published.size` has that root."""
    if published is None:
        return
    edge = stored_edge(published.size)
    if published.origin != log_origin() or edge is None or edge.root() != published.root:
        held = latest_checkpoint().size
        raise AuditLogForked(
            f"the published checkpoint has {published.size} records of {published.origin!r};"
            f" this database ({held} records of {log_origin()!r}) does not continue it: it was"
            f" restored, rewritten or replaced, and nothing is sealed. Keep {_folder().file}: it"
            " proves the fork. Only when that is settled, move it away to go on from here.",
            published=published.size,
            held=held,
        )


def _publish() -> None:
    """Bring the folder up to the head in the database; the lock makes a late process harmless."""
    folder = _folder()
    if _last_published(folder) == latest_checkpoint():
        return
    try:
        with folder.publishing():
            published, head = _last_published(folder), latest_checkpoint()
            _refuse_fork_from(published)
            if head.size > (published.size if published else 0):
                folder.write(head)
    except OSError as error:
        raise _unusable(folder, error) from error


def _last_published(folder: CheckpointFolder) -> Checkpoint | None:
    try:
        return folder.last()
    except (OSError, ValueError) as error:
        raise _unusable(folder, error) from error


def _unusable(folder: CheckpointFolder, error: Exception) -> CheckpointsUnavailable:
    return CheckpointsUnavailable(
        f"published checkpoints in {folder.folder}: {error}. Records wait unsealed until this is"
        " repaired (SEAMLESS_CHECKPOINT_DIR)."
    )


def _folder() -> CheckpointFolder:
    return CheckpointFolder(Path(settings.SEAMLESS_CHECKPOINT_DIR))
