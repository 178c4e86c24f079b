"""A release offered to a consumer starts as a canary; the strict release goes on blocking."""

from datetime import datetime

from registry.actors import Actor
from registry.models import Consumer, Mode, Release, Rollout
from registry.services.audit import record


def offer_release(
    *, actor: Actor, consumer: Consumer, release: Release, now: datetime
) -> Rollout | None:
    """Inside the caller's transaction: replace the live canary, unless this release is live."""
    live = Rollout.objects.select_for_update().filter(
        consumer=consumer, bundle=release.bundle, ended_at__isnull=True
    )
    if live.filter(release=release).exists():
        return None
    live.filter(mode=Mode.CANARY).update(ended_at=now)
    rollout = Rollout.objects.create(
        consumer=consumer,
        bundle=release.bundle,
        release=release,
        mode=Mode.CANARY,
        started_at=now,
    )
    record(
        actor=actor,
        action="rollout.start",
        object_type="rollout",
        object_id=str(rollout.pk),
        now=now,
        after=rollout_facts(rollout),
    )
    return rollout


def rollout_facts(rollout: Rollout) -> dict[str, object]:
    return {
        "consumer": rollout.consumer.name,
        "bundle": rollout.bundle.name,
        "release": rollout.release.number,
        "fingerprint": rollout.release.fingerprint,
        "mode": rollout.mode,
    }
