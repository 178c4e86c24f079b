"""A few records, sealed, exported and verified, for the tests of the audit log."""

from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from django.db import transaction

from registry.actors import Actor
from registry.audit.checkpoint import Checkpoint
from registry.audit.verify import Demands, Report, read_note, verify_export
from registry.models import AuditEvent
from registry.services.audit import record
from registry.services.audit.exporting import Extent, open_source, written

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
OWNER = Actor("user", "7", "Ada", request_id="r1", correlation_id="c1", source="192.0.2.1")
PROGRAM = Actor("consumer", "3", "pricing")


def recorded(number: int = 1, **changes: Any) -> AuditEvent:
    given_ = {"actor": OWNER, "action": "proposal.approve", "object_type": "proposal", "now": NOW}
    with transaction.atomic():
        return record(**{**given_, "object_id": str(number), **changes})


def record_many(count: int) -> list[AuditEvent]:
    return [recorded(number) for number in range(count)]


def exported(**options: Any) -> bytes:
    out = BytesIO()
    for _ in written(out, open_source(Extent(**options)), "jsonl", now=NOW):
        pass
    return out.getvalue()


def judged(data: bytes, *checkpoints: Checkpoint) -> Report:
    earlier = tuple(read_note(checkpoint.body()) for checkpoint in checkpoints)
    return verify_export(data.splitlines(keepends=True), Demands(earlier))


def verified(data: bytes, *checkpoints: Checkpoint) -> int:
    return judged(data, *checkpoints).code
