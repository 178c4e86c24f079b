"""Comparing governed tables with the audit log: what changed without a record gets one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import connection, transaction

from registry.actors import Actor
from registry.models.unrecorded import UnrecordedChange
from registry.services.audit.recording import record

ACTION = "audit.unrecorded_change"
REPORT_LIMIT = 10_000  # rows of one transaction; the next report goes on

log = structlog.get_logger("seamless.audit")


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """What one database role did to one table. `rows` is None where TRUNCATE hid the number."""

    table: str
    operation: str
    role: str
    rows: int | None
    statements: int
    first_at: str
    last_at: str

    def __str__(self) -> str:
        rows = "all rows" if self.rows is None else f"{self.rows} rows"
        by = f" by the role {self.role}" if self.role else ""
        return f"{self.operation} on {self.table}: {rows}{by}, {self.first_at} to {self.last_at}"


def report_unrecorded_changes(*, now: datetime) -> Sequence[Unrecorded]:
    """Write an audit record for each kind of change that has none, and return them.

    Each change is reported once, also by two processes at a time.
    """
    if not UnrecordedChange.objects.exists():
        return ()
    with transaction.atomic():
        found = _grouped(_taken())
        for change in found:
            record(
                actor=Actor.system("audit.reconcile"),
                action=ACTION,
                object_type="table",
                object_id=change.table,
                now=now,
                reason="changed past the services: there is no record by whoever did it",
                after=asdict(change),
            )
    for change in found:
        log.error("audit_unrecorded_change", **asdict(change))
    return found


def _taken() -> list[dict[str, Any]]:
    """The oldest changes, deleted: what two processes delete, one of them gets."""
    table = UnrecordedChange._meta.db_table
    names = ("id", "at", "table", "operation", "rows", "role")
    columns = ", ".join(f'"{name}"' for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f'DELETE FROM "{table}" WHERE id IN (SELECT id FROM "{table}" ORDER BY id LIMIT %s)'
            f" RETURNING {columns}",
            [REPORT_LIMIT],
        )
        return sorted(
            (dict(zip(names, row, strict=True)) for row in cursor.fetchall()),
            key=lambda change: change["id"],
        )


def _grouped(changes: Sequence[dict[str, Any]]) -> list[Unrecorded]:
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for change in changes:
        kind = (change["table"], change["operation"], change["role"])
        groups.setdefault(kind, []).append(change)
    return [_summary(*kind, group) for kind, group in groups.items()]


def _summary(table: str, operation: str, role: str, group: Sequence[dict[str, Any]]) -> Unrecorded:
    rows = [change["rows"] for change in group]
    return Unrecorded(
        table=table,
        operation=operation,
        role=role,
        rows=None if None in rows else sum(rows),
        statements=len(group),
        first_at=str(group[0]["at"]),
        last_at=str(group[-1]["at"]),
    )
