"""The log's public keys: which one signs now, and which records named the others."""

from collections.abc import Sequence
from datetime import datetime

from registry.audit.export import NamedKey, ProvenRecord
from registry.audit.signed_notes import PublicKey
from registry.models.audit import AuditEvent, AuditKey
from registry.services.audit.tree import inclusion_proofs

ROTATION = "audit.rotate_key"


def current_key() -> PublicKey | None:
    """The key that signs a checkpoint over what is sealed by now; None before the first sealing.

    A rotation takes effect where it stands in the log: a checkpoint that does not cover its record
    yet is still the old key's.
    """
    rotations = AuditEvent.objects.filter(action=ROTATION, outcome="ok", sealed__isnull=False)
    keys = public_keys()
    return PublicKey.parse(keys[rotations.count()]) if keys else None


def is_rotation_pending() -> bool:
    keys = public_keys()
    return bool(keys) and str(current_key()) != keys[-1]


def adopt(key: PublicKey, *, now: datetime) -> None:
    AuditKey.objects.create(key=str(key), at=now)


def named_keys(size: int) -> list[NamedKey]:
    """The history that explains a checkpoint of `size` records, oldest first."""
    keys = public_keys() if size else []
    rotations = sealed_records([ROTATION], size) if len(keys) > 1 else []
    proven = proven_records(rotations, size)
    return [
        *(NamedKey(key) for key in keys[:1]),
        *(NamedKey(event.after["new_key"], proven[event.pk]) for event in rotations),
    ]


def sealed_records(actions: Sequence[str], size: int) -> list[AuditEvent]:
    """The successful ones of these actions among the first `size` records, in their order."""
    found = AuditEvent.objects.filter(action__in=actions, outcome="ok", sealed__seq__lt=size)
    return list(found.select_related("sealed", "payload").order_by("sealed__seq"))


def proven_records(events: Sequence[AuditEvent], size: int) -> dict[int, ProvenRecord]:
    """Each with its proof in the tree of `size`, by the event's id."""
    proofs = inclusion_proofs([event.sealed.seq for event in events], size) if events else {}
    return {
        event.pk: ProvenRecord(
            event.sealed.seq,
            event.payload_format,
            event.payload_canonical,
            proofs[event.sealed.seq],
        )
        for event in events
    }


def public_keys() -> list[str]:
    """All of them, oldest first; the last one signs, once its rotation is sealed."""
    return list(AuditKey.objects.order_by("pk").values_list("key", flat=True))
