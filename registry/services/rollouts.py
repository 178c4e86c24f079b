"""Canary to strict through gates, and back. One action, no moment in which nothing is enforced.

What a reader sees changes with the one transaction of an action: a strict rollout ends and its
successor begins in the same commit, and snapshots read them in one statement.
"""

from dataclasses import asdict
from datetime import datetime

from django.db.models import QuerySet

from registry.actors import Actor
from registry.errors import Conflict, InvalidInput, NotFound
from registry.gates import all_open
from registry.models import Mode, PromotionApproval, Role, Rollout
from registry.services.access import require_any_team, require_person, require_role
from registry.services.actions import ActionRecord, audited_action
from registry.services.gates import GatesClosed, gates_of, override_of
from registry.services.offers import lock_rollouts_of, rollout_facts, start_canary

PROMOTER = Actor.system("promoter")


class RolloutEnded(Conflict):
    code = "rollout_ended"
    title = "Rollout ended"


class AlreadyApproved(Conflict):
    code = "already_approved"
    title = "Already approved"


class NothingToRestore(Conflict):
    code = "nothing_to_restore"
    title = "No earlier strict release"


def rollout_by_id(rollout_id: int) -> Rollout:
    found = Rollout.objects.select_related("consumer", "bundle__gate_policy", "release")
    rollout = found.filter(pk=rollout_id).first()
    if rollout is None:
        raise NotFound(f"There is no rollout {rollout_id}.")
    return rollout


def all_rollouts(
    *, consumer: str = "", bundle: str = "", subject: str = "", mode: str = "", ended: bool = False
) -> QuerySet[Rollout]:
    """The newest first; ended ones only where they are asked for."""
    found = Rollout.objects.select_related("consumer", "bundle__gate_policy", "release")
    if consumer:
        found = found.filter(consumer__name=consumer)
    if bundle:
        found = found.filter(bundle__name=bundle)
    if subject:
        found = found.filter(release__members__subject__name=subject)
    if mode:
        found = found.filter(mode=mode)
    if not ended:
        found = found.filter(ended_at__isnull=True)
    return found.order_by("-pk")


def approve_promotion(
    *, actor: Actor, rollout_id: int, now: datetime, comment: str = ""
) -> PromotionApproval:
    """One reviewer's word that the canary may become strict."""
    with audited_action(
        "rollout.approve",
        actor=actor,
        object_type="rollout",
        object_id=rollout_id,
        now=now,
        reason=comment,
    ):
        require_any_team(actor, Role.REVIEWER)
        person = require_person(actor)
        rollout = _live(rollout_id, Mode.CANARY)
        if rollout.approvals.filter(approver_id=person).exists():
            raise AlreadyApproved(f"{actor.name} has approved rollout {rollout_id} already.")
        return PromotionApproval.objects.create(
            rollout=rollout, approver_id=person, comment=comment, created_at=now
        )


def promote_rollout(*, actor: Actor, rollout_id: int, now: datetime) -> Rollout:
    """End the canary and start the same release as strict, past open gates or an override."""
    with audited_action(
        "rollout.promote", actor=actor, object_type="rollout", object_id=rollout_id, now=now
    ) as entry:
        canary = _live(rollout_id, Mode.CANARY)
        require_role(actor, canary.consumer.owner_team, Role.CONSUMER_ADMIN)
        passed = _past_the_gates(canary, now)
        entry.before = rollout_facts(canary)
        _end(canary, now)
        strict = _replace_strict(canary, now, promoted_from=canary)
        entry.after = rollout_facts(strict) | passed
    return strict


def promote_ready(*, now: datetime) -> list[Rollout]:
    """Promote every canary whose policy promotes by itself and whose gates are all open."""
    waiting = Rollout.objects.filter(
        mode=Mode.CANARY, ended_at__isnull=True, bundle__gate_policy__promotes_itself=True
    ).select_related("consumer", "bundle__gate_policy", "release")
    promoted = []
    for canary in waiting.order_by("pk"):
        if all_open(gates_of(canary, now)):
            try:
                promoted.append(promote_rollout(actor=PROMOTER, rollout_id=canary.pk, now=now))
            except Conflict:
                continue  # a gate closed or the rollout ended meanwhile; the log has it
    return promoted


def ramp_rollout(*, actor: Actor, rollout_id: int, percent: int, now: datetime) -> Rollout:
    """Let a canary judge `percent` of the requests as strict already; 0 takes it back.

    The rest stays under the strict release before it. More than now needs what a promotion needs.
    """
    with audited_action(
        "rollout.ramp", actor=actor, object_type="rollout", object_id=rollout_id, now=now
    ) as entry:
        if not 0 <= percent <= 99:
            raise InvalidInput(
                f"A ramp is 0 to 99 percent, not {percent}; promote the rollout for all of it."
            )
        canary = _live(rollout_id, Mode.CANARY)
        require_role(actor, canary.consumer.owner_team, Role.CONSUMER_ADMIN)
        passed = _past_the_gates(canary, now) if percent > canary.ramp_percent else {}
        entry.before = {"ramp_percent": canary.ramp_percent}
        canary.ramp_percent = percent
        canary.save(update_fields=["ramp_percent"])
        entry.after = rollout_facts(canary) | {"ramp_percent": percent} | passed
    return canary


def roll_back_rollout(*, actor: Actor, rollout_id: int, now: datetime, reason: str) -> Rollout:
    """Put the strict release before this one back, at once."""
    with audited_action(
        "rollout.roll_back",
        actor=actor,
        object_type="rollout",
        object_id=rollout_id,
        now=now,
        reason=reason,
    ) as entry:
        current = _live(rollout_id, Mode.STRICT)
        require_role(actor, current.consumer.owner_team, Role.CONSUMER_ADMIN)
        earlier = _earlier_strict(current)
        if earlier is None:
            raise NothingToRestore(
                f"{current.consumer} had no other strict release of {current.bundle} before. "
                "Demote the rollout to a canary to stop it from blocking."
            )
        return _restore(entry, current, earlier, now)


def demote_rollout(*, actor: Actor, rollout_id: int, now: datetime, reason: str) -> Rollout:
    """Make a strict rollout a canary again; the strict release before it, if any, is put back.

    A newer canary of the bundle ends. The first strict release of a consumer has none before it:
    then nothing blocks any more, which the record says.
    """
    with audited_action(
        "rollout.demote",
        actor=actor,
        object_type="rollout",
        object_id=rollout_id,
        now=now,
        reason=reason,
    ) as entry:
        current = _live(rollout_id, Mode.STRICT)
        require_role(actor, current.consumer.owner_team, Role.CONSUMER_ADMIN)
        earlier = _earlier_strict(current)
        if earlier is None:
            entry.before = rollout_facts(current)
            entry.after = {"consumer": current.consumer.name, "mode": "canary", "strict": None}
            _end(current, now)
        else:
            _restore(entry, current, earlier, now)
        return start_canary(
            actor=actor, consumer=current.consumer, release=current.release, now=now
        )


def _past_the_gates(canary: Rollout, now: datetime) -> dict[str, object]:
    """What let it pass, for the record. Raises GatesClosed."""
    gates = gates_of(canary, now)
    if all_open(gates):
        return {"gates": [gate.name for gate in gates]}
    override = override_of(canary, now)
    if override is not None:
        return {
            "override": override.pk,
            "closed_gates": [gate.name for gate in gates if not gate.ok],
            "override_reason": override.reason,
        }
    closed = ", ".join(gate.name for gate in gates if not gate.ok)
    raise GatesClosed(
        f"Rollout {canary.pk} may not become strict yet: {closed}. See gates.",
        gates=[asdict(gate) for gate in gates],
    )


def _earlier_strict(current: Rollout) -> Rollout | None:
    """What was strict before it; before a restored one, what was before its original."""
    origin = current
    while origin.restores is not None:
        origin = origin.restores
    before = Rollout.objects.filter(
        consumer=current.consumer, bundle=current.bundle, mode=Mode.STRICT, pk__lt=origin.pk
    ).exclude(release=current.release)
    return before.order_by("-pk").first()


def _restore(entry: ActionRecord, current: Rollout, earlier: Rollout, now: datetime) -> Rollout:
    entry.before = rollout_facts(current)
    restored = _replace_strict(earlier, now, restores=earlier)
    entry.after = rollout_facts(restored)
    return restored


def _live(rollout_id: int, mode: Mode) -> Rollout:
    """The live rollout, the consumer's rollouts locked."""
    known = Rollout.objects.filter(pk=rollout_id, mode=mode).values_list("consumer", flat=True)
    for consumer_id in known:
        lock_rollouts_of(consumer_id)
    rollout = (
        Rollout.objects.select_for_update(of=("self",))
        .select_related("consumer__owner_team", "bundle__gate_policy", "release")
        .filter(pk=rollout_id, mode=mode)
        .first()
    )
    if rollout is None:
        raise NotFound(f"There is no {mode} rollout {rollout_id}.")
    if rollout.ended_at is not None:
        raise RolloutEnded(f"Rollout {rollout_id} ended at {rollout.ended_at:%Y-%m-%dT%H:%M:%SZ}.")
    return rollout


def _end(rollout: Rollout, now: datetime) -> None:
    if not Rollout.objects.filter(pk=rollout.pk, ended_at__isnull=True).update(ended_at=now):
        raise RolloutEnded(f"Rollout {rollout.pk} was ended by someone else.")


def _replace_strict(template: Rollout, now: datetime, **origin: Rollout) -> Rollout:
    Rollout.objects.filter(
        consumer=template.consumer,
        bundle=template.bundle,
        mode=Mode.STRICT,
        ended_at__isnull=True,
    ).update(ended_at=now)
    return Rollout.objects.create(
        consumer=template.consumer,
        bundle=template.bundle,
        release=template.release,
        mode=Mode.STRICT,
        started_at=now,
        **origin,
    )
