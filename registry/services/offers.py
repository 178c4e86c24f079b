"""A release offered to a consumer starts as a canary; the strict release goes on blocking."""

from datetime import datetime

from registry.actors import Actor
from registry.models import Consumer, Mode, Release, Rollout
from registry.services.audit import record


def offer_release(
    *, actor: Actor, consumer: Consumer, release: Release, now: datetime
) -> Rollout | None:
    """Inside the caller's transaction: replace the live canary, unless this release is live."""
    lock_rollouts_of(consumer.pk)
    live = Rollout.objects.filter(consumer=consumer, bundle=release.bundle, ended_at__isnull=True)
    if live.filter(release=release).exists():
        return None
    return start_canary(actor=actor, consumer=consumer, release=release, now=now)


def start_canary(*, actor: Actor, consumer: Consumer, release: Release, now: datetime) -> Rollout:
    """Inside the caller's transaction, the rollouts of the consumer locked."""
    Rollout.objects.filter(
        consumer=consumer, bundle=release.bundle, mode=Mode.CANARY, ended_at__isnull=True
    ).update(ended_at=now)
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


def lock_rollouts_of(consumer_id: int) -> None:
    """Whoever starts or ends rollouts of a consumer holds its row until the transaction ends."""
    Consumer.objects.select_for_update().get(pk=consumer_id)


def rollout_facts(rollout: Rollout) -> dict[str, object]:
    return {
        "consumer": rollout.consumer.name,
        "bundle": rollout.bundle.name,
        "release": rollout.release.number,
        "fingerprint": rollout.release.fingerprint,
        "mode": rollout.mode,
        **({"ramp_percent": rollout.ramp_percent} if rollout.ramp_percent else {}),
    }
