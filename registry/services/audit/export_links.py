"""Links to one export's file that need no sign-in: for an auditor's curl, or an auditor outside.

A link is a secret that an auditor makes and hands on. It opens one file, until it expires or is
revoked; each use is recorded under the link's public prefix, and so is each that is refused.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from registry.actors import Actor
from registry.errors import Conflict, InvalidInput, NotFound, SeamlessError
from registry.models import AuditExport, AuditExportLink
from registry.services.access import require_person
from registry.services.actions import audited_action
from registry.services.audit.export_jobs import export_for, finished_file
from registry.services.audit.refusing import record_refusal
from registry.tokens import digest_of, new_token, prefix_of

LONGEST = timedelta(days=7)


class ExportLinkEnded(SeamlessError):
    code = "export_link_ended"
    status = 410
    title = "Export link ended"


class ExportLinkRevoked(Conflict):
    code = "export_link_revoked"
    title = "Export link revoked already"


def make_export_link(
    *, actor: Actor, export_id: int, lifetime: timedelta, now: datetime
) -> tuple[AuditExportLink, str]:
    """A link to the export, finished or not, and its secret, which is shown this once.

    Raises InvalidInput for a lifetime beyond `LONGEST`, NotFound and NotAllowed.
    """
    with audited_action(
        "audit.export.link", actor=actor, object_type="audit_export", object_id=export_id, now=now
    ) as entry:
        export = export_for(actor=actor, export_id=export_id)
        if not timedelta(0) < lifetime <= LONGEST:
            raise InvalidInput(f"A link lives at most {LONGEST.days} days.")
        token = new_token()
        link = AuditExportLink.objects.create(
            export=export,
            prefix=token.prefix,
            digest=token.digest,
            made_by_id=require_person(actor),
            made_at=now,
            expires_at=now + lifetime,
        )
        entry.after = {"link": link.prefix, "expires_at": link.expires_at.isoformat()}
    return link, token.secret


def revoke_export_link(
    *, actor: Actor, export_id: int, prefix: str, reason: str, now: datetime
) -> AuditExportLink:
    """End a link before its time, which any auditor may.

    Raises NotFound, NotAllowed and ExportLinkRevoked.
    """
    with audited_action(
        "audit.export.unlink",
        actor=actor,
        object_type="audit_export",
        object_id=export_id,
        now=now,
        reason=reason,
    ) as entry:
        export = export_for(actor=actor, export_id=export_id)
        link = export.links.select_for_update().filter(prefix=prefix).first()
        if link is None:
            raise NotFound(f"Export {export_id} has no link {prefix[:20]!r}.")
        if link.revoked_at is not None:
            raise ExportLinkRevoked(f"Link {prefix} is revoked since {link.revoked_at:%Y-%m-%d}.")
        link.revoked_at = now
        link.save(update_fields=["revoked_at"])
        entry.before = {"link": link.prefix, "expires_at": link.expires_at.isoformat()}
    return link


def fetch_by_link(*, caller: Actor, secret: str, now: datetime) -> tuple[AuditExport, Path]:
    """The finished file, for whoever holds the secret.

    Raises NotFound for a secret that is none, ExportLinkEnded, and what `fetch_export` raises of
    the file. Every one of them is recorded.
    """
    link = AuditExportLink.objects.filter(digest=digest_of(secret)).first()
    if link is None:
        _record_refusal(caller, prefix_of(secret) or "none", "no such link", now)
        raise NotFound("There is no such link.")
    holder = replace(caller, id=link.prefix, name=f"link {link.prefix}")
    if ended := _ended(link, now):
        _record_refusal(holder, link.prefix, ended, now)
        raise ExportLinkEnded(f"This link is {ended}; ask who gave it to you for another one.")
    with audited_action(
        "audit.export.download",
        actor=holder,
        object_type="audit_export",
        object_id=link.export_id,
        now=now,
    ) as entry:
        export, file = finished_file(link.export, now)
        entry.after = {"sha256": export.sha256, "bytes": export.bytes, "link": link.prefix}
        return export, file


def _ended(link: AuditExportLink, now: datetime) -> str:
    """Why it opens nothing any more; empty while it does."""
    if link.revoked_at is not None:
        return "revoked"
    return "expired" if link.expires_at <= now else ""


def _record_refusal(caller: Actor, prefix: str, why: str, now: datetime) -> None:
    """The first of a minute at once, the others counted: anybody can cause it."""
    record_refusal(
        actor=caller,
        action="audit.export.download",
        object_type="audit_export_link",
        object_id=prefix,
        now=now,
        kind=(prefix, why, caller.source),
        reason=why,
        limit_kinds=True,
    )
