"""The log's public keys: which one signs now, and which records named the others."""

from datetime import datetime

from registry.audit.export import NamedKey
from registry.audit.signed_notes import PublicKey
from registry.models.audit import AuditEvent, AuditKey
from registry.services.audit.tree import inclusion_proofs

ROTATION = "audit.rotate_key"


def current_key() -> PublicKey | None:
    """The key that the next checkpoint must be signed with; None before the first."""
    stored = AuditKey.objects.order_by("-pk").values_list("key", flat=True).first()
    return None if stored is None else PublicKey.parse(stored)


def adopt(key: PublicKey, *, now: datetime) -> None:
    AuditKey.objects.create(key=str(key), at=now)


def named_keys(size: int) -> list[NamedKey]:
    """The history that explains a checkpoint of `size` records, oldest first."""
    keys = list(AuditKey.objects.order_by("pk").values_list("key", flat=True)) if size else []
    rotations = _sealed_rotations(size) if len(keys) > 1 else []
    proofs = inclusion_proofs([event.sealed.seq for event in rotations], size)
    named = [
        NamedKey(
            _named_by(event),
            event.sealed.seq,
            event.payload_format,
            event.payload_canonical,
            proofs[event.sealed.seq],
        )
        for event in rotations
    ]
    return [*(NamedKey(key) for key in keys[:1]), *named]


def _sealed_rotations(size: int) -> list[AuditEvent]:
    found = AuditEvent.objects.filter(action=ROTATION, outcome="ok", sealed__seq__lt=size)
    return list(found.select_related("sealed", "payload").order_by("sealed__seq"))


def _named_by(rotation: AuditEvent) -> str:
    after: dict[str, str] = rotation.after or {}
    return after["new_key"]
