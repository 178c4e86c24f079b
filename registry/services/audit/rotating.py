"""Changing the key that signs checkpoints: recorded in the log, signed by the key before."""

from datetime import datetime

from registry.actors import Actor
from registry.audit.signed_notes import PublicKey
from registry.errors import Conflict, InvalidInput
from registry.models import Role
from registry.models.audit import AuditKey
from registry.services.access import require_any_team
from registry.services.actions import audited_action
from registry.services.audit.head import log_origin
from registry.services.audit.key_history import ROTATION, adopt, is_rotation_pending
from registry.services.audit.sealing import seal_all, take_sealer_lock
from registry.services.audit.signing import prepare_next_signer, signer_in_force


class RotationPending(Conflict):
    code = "rotation_pending"
    title = "Rotation pending"


def rotate_key(*, actor: Actor, now: datetime, reason: str) -> PublicKey:
    """Name a new key in the log and seal that record with it.

    Needs an operator. Keys in files: the new one is made here. Keys in the environment: it is
    SEAMLESS_AUDIT_NEXT_KEY, until it takes the place of SEAMLESS_AUDIT_KEY.
    """
    with audited_action(
        ROTATION,
        actor=actor,
        object_type="audit_key",
        object_id=log_origin(),
        now=now,
        reason=reason,
    ) as entry:
        require_any_team(actor, Role.OPERATOR)
        take_sealer_lock(wait=True)
        current = signer_in_force(now=now)
        if is_rotation_pending():
            raise RotationPending("A rotation waits for its seal; rotate again once it is sealed.")
        successor = prepare_next_signer()
        _refuse_a_used_key(successor.public)
        adopt(successor.public, now=now)
        entry.after = dict(current.name_successor(log_origin(), successor.public))
    seal_all(now=now)
    return successor.public


def _refuse_a_used_key(key: PublicKey) -> None:
    if AuditKey.objects.filter(key=str(key)).exists():
        raise InvalidInput(f"The log was signed with {key} before; a rotation needs a new key.")
