"""Exports that a worker writes: claimed, fenced, restarted when the worker dies, deleted in time.

A row says what must be done; no message is needed for it. Whoever runs next (every few seconds)
claims the oldest that waits, or one whose worker has shown no sign of life. An export that starts
again starts from its beginning, under the same checkpoint, and so gives the same records.
"""

import hashlib
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import structlog
from django.conf import settings
from django.db.models import F, Q

from registry.actors import Actor
from registry.errors import Conflict, NotFound, SeamlessError
from registry.models import AuditExport, ExportState, Role
from registry.services.access import require_any_team
from registry.services.actions import audited_action
from registry.services.audit.export_requests import extent_of
from registry.services.audit.exporting import FORMATS, open_source, written

GIVEN_UP_AFTER = timedelta(seconds=60)
BEAT_EVERY = timedelta(seconds=1)
ATTEMPTS = 3

Clock = Callable[[], datetime]

log = structlog.get_logger("seamless.audit")


class ExportNotReady(Conflict):
    code = "export_not_ready"
    title = "Export not ready"


class ExportExpired(SeamlessError):
    code = "export_expired"
    status = 410
    title = "Export expired"


class _Superseded(Exception):
    """Another worker has taken the export over."""


def run_next_export(*, clock: Clock) -> AuditExport | None:
    """Write one export, if any waits and none is being written; the export as it stands then."""
    export = _claim(clock())
    if export is None:
        return None
    own = file_of(export).with_name(f".{export.pk}.{export.attempt}")
    try:
        _write(export, own, clock)
    except _Superseded:
        log.warning("audit_export_superseded", export=export.pk, attempt=export.attempt)
    except Exception as error:
        log.exception("audit_export_failed", export=export.pk)
        _fail(export, error, clock())
    finally:
        own.unlink(missing_ok=True)
    export.refresh_from_db()
    return export


def fetch_export(*, actor: Actor, export_id: int, now: datetime) -> tuple[AuditExport, Path]:
    """The finished file, for auditors, until it expires; each fetching is recorded."""
    with audited_action(
        "audit.export.download",
        actor=actor,
        object_type="audit_export",
        object_id=export_id,
        now=now,
    ) as entry:
        found = finished_file(export_for(actor=actor, export_id=export_id), now)
        entry.after = {"sha256": found[0].sha256, "bytes": found[0].bytes}
        return found


def finished_file(export: AuditExport, now: datetime) -> tuple[AuditExport, Path]:
    """Raises `ExportNotReady` before it is written, `ExportExpired` after its time."""
    if export.state == ExportState.EXPIRED or (export.expires_at and export.expires_at <= now):
        raise ExportExpired("The file is deleted; ask for a new export.")
    if export.state != ExportState.DONE:
        raise ExportNotReady(f"The export is {export.state}; its file is not there yet.")
    return export, file_of(export)


def export_for(*, actor: Actor, export_id: int) -> AuditExport:
    require_any_team(actor, Role.AUDITOR)
    export = AuditExport.objects.select_related("requested_by").filter(pk=export_id).first()
    if export is None:
        raise NotFound(f"There is no export {export_id}.")
    return export


def expire_exports(*, now: datetime) -> int:
    """Delete the files whose time is over; how many."""
    over = AuditExport.objects.filter(state=ExportState.DONE, expires_at__lte=now)
    for export in (found := list(over)):
        file_of(export).unlink(missing_ok=True)
        over.filter(pk=export.pk).update(state=ExportState.EXPIRED)
    return len(found)


def file_of(export: AuditExport) -> Path:
    suffix = FORMATS[export.format].suffix
    return Path(settings.SEAMLESS_EXPORT_DIR) / f"audit-export-{export.pk}.{suffix}"


def _claim(now: datetime) -> AuditExport | None:
    alive = Q(state=ExportState.RUNNING, heartbeat_at__gt=now - GIVEN_UP_AFTER)
    if AuditExport.objects.filter(alive).exists():
        return None
    waiting = Q(state__in=[ExportState.QUEUED, ExportState.RUNNING]) & ~alive
    for export in AuditExport.objects.filter(waiting).order_by("pk"):
        mine = AuditExport.objects.filter(waiting, pk=export.pk, attempt=export.attempt)
        if export.attempt >= ATTEMPTS:
            mine.update(
                state=ExportState.FAILED,
                error=f"given up after {ATTEMPTS} attempts: its workers died",
                finished_at=now,
            )
        elif mine.update(
            state=ExportState.RUNNING, attempt=F("attempt") + 1, heartbeat_at=now, done=0
        ):
            export.refresh_from_db()
            return export
    return None


def _write(export: AuditExport, own: Path, clock: Clock) -> None:
    source = open_source(extent_of(export.request, export.size))
    own.parent.mkdir(parents=True, exist_ok=True)
    with own.open("xb") as file:
        out = _Hashed(file)
        told = clock()
        for done in written(out, source, export.format, now=told):
            if (now := clock()) - told >= BEAT_EVERY:
                _beat(export, now, done=done)
                told = now
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    _finish(export, own, done, size, out.digest.hexdigest(), clock())


def _finish(
    export: AuditExport, own: Path, done: int, size: int, sha256: str, now: datetime
) -> None:
    with audited_action(
        "audit.export.finish",
        actor=Actor.system("audit-exports"),
        object_type="audit_export",
        object_id=export.pk,
        now=now,
    ) as entry:
        _beat(
            export,
            now,
            state=ExportState.DONE,
            done=done,
            bytes=size,
            sha256=sha256,
            finished_at=now,
            expires_at=now + timedelta(hours=settings.SEAMLESS_EXPORT_HOURS),
        )
        own.replace(file_of(export))
        entry.after = {"records": done, "bytes": size, "sha256": sha256}


def _beat(export: AuditExport, now: datetime, **fields: object) -> None:
    mine = AuditExport.objects.filter(
        pk=export.pk, state=ExportState.RUNNING, attempt=export.attempt
    )
    if not mine.update(heartbeat_at=now, **fields):
        raise _Superseded


def _fail(export: AuditExport, error: Exception, now: datetime) -> None:
    """A refusal is told as it is; of anything else the log has the details."""
    told = error.detail if isinstance(error, SeamlessError) else type(error).__name__
    mine = AuditExport.objects.filter(pk=export.pk, attempt=export.attempt)
    mine.update(state=ExportState.FAILED, error=told, finished_at=now)


class _Hashed:
    """A file whose digest is taken as it is written; it cannot be rewound, like an answer."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()
