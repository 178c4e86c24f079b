"""Who asks for an export of the audit log: auditors, and it is recorded."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from registry.actors import Actor
from registry.audit.selection import Selection
from registry.errors import InvalidInput, SeamlessError
from registry.models import AuditExport, Role
from registry.services.access import require_any_team, require_person
from registry.services.actions import audited_action
from registry.services.audit.exporting import FORMATS, Extent, Source, open_source
from registry.services.audit.head import log_origin


class ExportTooLarge(SeamlessError):
    """More than one answer may hold; `limit` says how much that is."""

    code = "export_too_large"
    status = 413
    title = "Export too large"


def begin_export(
    *, actor: Actor, extent: Extent, format: str, now: datetime, limit: int | None = None
) -> Source:
    """Open what the caller then writes out by itself, at most `limit` records of it."""
    with _asked(actor, extent, format, now) as source:
        if limit is not None and (count := source.count()) > limit:
            raise ExportTooLarge(
                f"{count} records are too many for one answer ({limit}): ask for a job with"
                " POST /api/v1/audit/exports.",
                records=count,
                limit=limit,
            )
        return source


def request_export(*, actor: Actor, extent: Extent, format: str, now: datetime) -> AuditExport:
    """Leave the export to a worker; the file is fetched with `export_jobs.fetch_export`."""
    with _asked(actor, extent, format, now) as source:
        return AuditExport.objects.create(
            requested_by_id=require_person(actor),
            format=format,
            request=request_of(extent),
            size=source.checkpoint.size,
            total=source.count(),
            created_at=now,
        )


@contextmanager
def _asked(actor: Actor, extent: Extent, format: str, now: datetime) -> Iterator[Source]:
    """The record of an export: written before its first byte is, with what it covers."""
    with audited_action(
        "audit.export", actor=actor, object_type="audit_log", object_id=log_origin(), now=now
    ) as entry:
        require_any_team(actor, Role.AUDITOR)
        if format not in FORMATS:
            raise InvalidInput(f"Unknown format {format!r}; there are {', '.join(FORMATS)}.")
        source = open_source(extent)
        entry.after = {"format": format, "size": source.checkpoint.size, **request_of(extent)}
        yield source


def request_of(extent: Extent) -> dict[str, Any]:
    """The extent as JSON, without its upper end."""
    return {
        "filter": extent.selection.given(),
        "from_seq": extent.from_seq,
        "earlier": list(extent.earlier),
    }


def extent_of(request: Mapping[str, Any], to_size: int) -> Extent:
    return Extent(
        Selection.read(request["filter"]), request["from_seq"], to_size, tuple(request["earlier"])
    )
