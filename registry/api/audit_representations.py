"""How the audit log looks in answers. Hashes are lower-case hex, as in an export."""

from collections.abc import Sequence
from typing import Any

from registry.audit.checkpoint import Checkpoint
from registry.models import AuditCheckpoint, AuditEvent, AuditExport, AuditExportLink, ExportState
from registry.services.audit.searching import ConsistencyProof, InclusionProof


def record_json(event: AuditEvent) -> dict[str, Any]:
    """`event` comes from `searching.with_seals`."""
    sealed = getattr(event, "sealed", None)
    return {
        "id": event.pk,
        "state": "recorded" if sealed is None else "sealed",
        "seq": None if sealed is None else sealed.seq,
        "checkpoint": event.checkpoint,  # type: ignore[attr-defined]
        "at": event.at,
        "actor": {
            "kind": event.actor_kind,
            "id": event.actor_id,
            "name": event.actor_name,
            "roles": event.actor_roles,
        },
        "source": event.source,
        "action": event.action,
        "object": {"type": event.object_type, "id": event.object_name},
        "consumer": event.consumer,
        "outcome": event.outcome,
        "reason": event.reason,
        "before": event.before,
        "after": event.after,
        "request_id": event.request_id,
        "correlation_id": event.correlation_id,
    }


def proven_record_json(event: AuditEvent, proof: InclusionProof | None) -> dict[str, Any]:
    """With the texts that were hashed; null where they were taken out."""
    personal = getattr(event, "personal", None)
    return {
        **record_json(event),
        "hashed": {
            "format": event.payload_format,
            "payload": event.payload_canonical or None,
            "personal": personal.text or None if personal else None,
            "leaf": bytes(event.leaf).hex(),
        },
        "proof": None if proof is None else inclusion_json(proof),
    }


def inclusion_json(proof: InclusionProof) -> dict[str, Any]:
    return {
        "seq": proof.seq,
        "size": proof.size,
        "root": proof.root.hex(),
        "hashes": _hexes(proof.hashes),
        "checkpoint": proof.note,
    }


def consistency_json(proof: ConsistencyProof) -> dict[str, Any]:
    return {
        "from": _head_json(proof.old),
        "to": _head_json(proof.new),
        "hashes": _hexes(proof.hashes),
    }


def checkpoint_json(checkpoint: AuditCheckpoint) -> dict[str, Any]:
    return {
        "size": checkpoint.size,
        "previous_size": checkpoint.previous_size,
        "root": bytes(checkpoint.root).hex(),
        "at": checkpoint.at,
        "note": checkpoint.note,
    }


def export_json(export: AuditExport) -> dict[str, Any]:
    link = f"/api/v1/audit/exports/{export.pk}"
    return {
        "id": export.pk,
        "state": export.state,
        "format": export.format,
        **export.request,
        "size": export.size,
        "requested_by": export.requested_by.get_username(),
        "created_at": export.created_at,
        "progress": {"done": export.done, "total": export.total, "percent": export.percent},
        "finished_at": export.finished_at,
        "bytes": export.bytes,
        "sha256": export.sha256,
        "expires_at": export.expires_at,
        "error": export.error,
        "link": link,
        "file": f"{link}/file" if export.state == ExportState.DONE else None,
    }


def link_json(link: AuditExportLink) -> dict[str, Any]:
    return {
        "link": link.prefix,
        "made_by": link.made_by.get_username(),
        "made_at": link.made_at,
        "expires_at": link.expires_at,
        "revoked_at": link.revoked_at,
    }


def _head_json(head: Checkpoint) -> dict[str, Any]:
    return {"size": head.size, "root": head.root.hex()}


def _hexes(hashes: Sequence[bytes]) -> list[str]:
    return [node.hex() for node in hashes]
