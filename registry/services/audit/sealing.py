"""Sealing: pending events get their sequence numbers, the tree grows, the new head is published.

There is no cursor over events: a transaction that commits late leaves its pending row, and the next
sealing takes it. Causal order holds, since an event that saw another committed has a higher id.
"""

import time
from collections.abc import Sequence
from datetime import datetime

import structlog
from django.db import OperationalError, connection, transaction
from django.db.models import Subquery
from django.utils import timezone

from registry.audit.checkpoint import Checkpoint
from registry.audit.merkle import Edge, extend
from registry.errors import SeamlessError
from registry.models.audit import AuditCheckpoint, AuditLeaf, AuditNode, AuditPending
from registry.services.audit import publishing
from registry.services.audit.bulk import insert_rows
from registry.services.audit.head import edge_under, latest_checkpoint, log_origin
from registry.services.audit.signing import promote_next_key, signer_in_force

SEAL_LIMIT = 20_000
SEAL_WAIT_SECONDS = 2.0

_POLL_SECONDS = 0.05

_SEALER_LOCK = 0x5EA1_A0D1_7106  # any fixed number: the key of PostgreSQL's advisory lock

log = structlog.get_logger("seamless.audit")


def seal(*, now: datetime, limit: int = SEAL_LIMIT) -> Checkpoint | None:
    """Seal at most `limit` pending events, in the order of their ids, and publish the new head.

    Returns the new checkpoint, or None where nothing waits or another process is sealing. Must not
    run inside a transaction: what is published must already be committed. Raises `AuditLogForked`,
    before anything is sealed, where the database does not continue a published checkpoint,
    `CheckpointsUnavailable` where that cannot be told, and `AuditKeyUnavailable` where nothing can
    sign.
    """
    publishing.refuse_fork()
    sealed = _seal_pending(now, limit) if AuditPending.objects.exists() else None
    promote_next_key()
    publishing.publish(now=now)
    return sealed


def seal_without_publishing(*, now: datetime) -> Checkpoint | None:
    """As `seal`, for a request that waits: the next sealing publishes, which may take its time."""
    publishing.refuse_fork()
    return _seal_pending(now, SEAL_LIMIT) if AuditPending.objects.exists() else None


def seal_all(*, now: datetime) -> None:
    """Seal until nothing waits, or another process does it."""
    while seal(now=now):
        pass


def wait_until_sealed(event_id: int, *, seconds: float = SEAL_WAIT_SECONDS) -> int | None:
    """The size of the first checkpoint over a committed event, waited (and sealed) for so long.

    None where it is not sealed by then: it is recorded, and a later sealing takes it. Nobody waits
    longer than two seconds.
    """
    until = time.monotonic() + min(seconds, SEAL_WAIT_SECONDS)
    while (size := checkpoint_over(event_id)) is None and time.monotonic() < until:
        try:
            seal_without_publishing(now=timezone.now())
        except (SeamlessError, OperationalError):
            log.exception("audit_seal_failed", record=event_id)
            return checkpoint_over(event_id)
        if checkpoint_over(event_id) is None:
            time.sleep(_POLL_SECONDS)
    return size


def checkpoint_over(event_id: int) -> int | None:
    """The size of the first checkpoint that covers the event; None while it is only recorded."""
    seq = AuditLeaf.objects.filter(event_id=event_id).values("seq")[:1]
    found = AuditCheckpoint.objects.filter(size__gt=Subquery(seq)).order_by("size")
    return found.values_list("size", flat=True).first()


def _seal_pending(now: datetime, limit: int) -> Checkpoint | None:
    with transaction.atomic(durable=True):
        if not take_sealer_lock():
            return None
        edge = edge_under(latest_checkpoint())
        waiting = AuditPending.objects.order_by("event_id").values_list("event_id", "event__leaf")
        events = [(event, bytes(leaf)) for event, leaf in waiting[:limit]]
        if not events:
            return None
        new = _extend_log(edge, events, now)
    log.info("audit_sealed", size=new.size, rows=len(events))
    return new


def take_sealer_lock(*, wait: bool = False) -> bool:
    """For the transaction; False where another process holds it (unless `wait`).

    PostgreSQL: an advisory lock until commit. SQLite: BEGIN IMMEDIATE already is the lock.
    """
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_SEALER_LOCK])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_SEALER_LOCK])
        return bool(cursor.fetchone()[0])


def _extend_log(edge: Edge, events: Sequence[tuple[int, bytes]], now: datetime) -> Checkpoint:
    grown, completed = extend(edge, (leaf for _, leaf in events))
    numbered = enumerate(events, start=edge.size)
    insert_rows(
        AuditLeaf,
        ("seq", "event", "leaf"),
        [(seq, event, leaf) for seq, (event, leaf) in numbered],
    )
    insert_rows(
        AuditNode,
        ("level", "idx", "hash"),
        [(node.level, node.index, node.hash) for node in completed],
    )
    # By what was sealed just now, not "up to the last id": a late committer may have a lower one.
    sealed = AuditLeaf.objects.filter(seq__gte=edge.size).values("event_id")
    AuditPending.objects.filter(event_id__in=sealed).delete()
    new = Checkpoint(log_origin(), grown.size, grown.root())
    note = signer_in_force(now=now).note(new.body())
    AuditCheckpoint.objects.create(
        size=new.size, previous_size=edge.size, root=new.root, note=note, at=now
    )
    return new
