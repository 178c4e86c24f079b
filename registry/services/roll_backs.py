"""Releases that a consumer rolled back: nothing offers them again by itself.

See docs/decisions/0013.
"""

from dataclasses import dataclass
from datetime import datetime

from registry.models import AuditEvent, Consumer, Mode, Release, Rollout


@dataclass(frozen=True, slots=True)
class RollBack:
    """When, and in whose words if the audit log still holds them (else empty)."""

    at: datetime
    by: str
    reason: str


def roll_back_of(consumer: Consumer, release: Release) -> RollBack | None:
    """The roll-back that ended the release for the consumer, if nothing has begun it anew since."""
    of_bundle = Rollout.objects.filter(consumer=consumer, bundle=release.bundle)
    last = of_bundle.filter(release=release).order_by("-pk").first()
    if last is None or last.mode != Mode.STRICT or last.ended_at is None:
        return None
    after = of_bundle.filter(mode=Mode.STRICT, pk__gt=last.pk).order_by("pk").first()
    if after is None or after.restores_id is None:
        return None
    said = (
        AuditEvent.objects.filter(
            action="rollout.roll_back",
            object_type="rollout",
            object_id=str(last.pk),
            outcome="ok",
        )
        .select_related("personal", "payload")
        .first()
    )
    if said is None:
        return RollBack(last.ended_at, "", "")
    return RollBack(last.ended_at, said.actor_name, said.reason)
