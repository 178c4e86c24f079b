"""Canary to strict through gates, and back. One action, no moment in which nothing is enforced."""

from dataclasses import asdict
from datetime import datetime

from django.db.models import Sum

from registry.actors import Actor
from registry.errors import Conflict, NotFound
from registry.gates import Gate, GateRules, Observed, all_open, judge_gates
from registry.models import Mode, PromotionApproval, Role, Rollout
from registry.services.access import require_any_team, require_person, require_role
from registry.services.actions import audited_action
from registry.services.offers import rollout_facts


class GatesClosed(Conflict):
    code = "gates_closed"
    title = "Gates closed"


class RolloutEnded(Conflict):
    code = "rollout_ended"
    title = "Rollout ended"


class AlreadyApproved(Conflict):
    code = "already_approved"
    title = "Already approved"


class NothingToRestore(Conflict):
    code = "nothing_to_restore"
    title = "No earlier strict release"


def gates_of(rollout: Rollout, now: datetime) -> tuple[Gate, ...]:
    """The bundle's gate policy, judged on what this canary has recorded so far."""
    policy = rollout.bundle.gate_policy
    rules = GateRules(
        observation=policy.observation,
        minimum_reads=policy.minimum_reads,
        maximum_violations=policy.maximum_violations,
        required_approvals=policy.required_approvals,
    )
    tally = rollout.tallies.aggregate(reads=Sum("reads"), violations=Sum("violations"))
    observed = Observed(
        started_at=rollout.started_at,
        reads=tally["reads"] or 0,
        violations=tally["violations"] or 0,
        approvals=rollout.approvals.values("approver").distinct().count(),
    )
    return judge_gates(rules, observed, now)


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
    """End the canary and start the same release as strict, if every gate is open."""
    with audited_action(
        "rollout.promote", actor=actor, object_type="rollout", object_id=rollout_id, now=now
    ) as entry:
        canary = _live(rollout_id, Mode.CANARY)
        require_role(actor, canary.consumer.owner_team, Role.CONSUMER_ADMIN)
        gates = gates_of(canary, now)
        if not all_open(gates):
            closed = ", ".join(g.name for g in gates if not g.ok)
            raise GatesClosed(
                f"Rollout {rollout_id} may not become strict yet: {closed}. See gates.",
                gates=[asdict(gate) for gate in gates],
            )
        entry.before = rollout_facts(canary)
        _end(canary, now)
        strict = _replace_strict(canary, now, promoted_from=canary)
        entry.after = rollout_facts(strict) | {"gates": [g.name for g in gates]}
    return strict


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
        earlier = (
            Rollout.objects.filter(
                consumer=current.consumer,
                bundle=current.bundle,
                mode=Mode.STRICT,
                ended_at__isnull=False,
            )
            .exclude(release=current.release)
            .order_by("-ended_at", "-pk")
            .first()
        )
        if earlier is None:
            raise NothingToRestore(
                f"{current.consumer} had no other strict release of {current.bundle} before."
            )
        entry.before = rollout_facts(current)
        restored = _replace_strict(earlier, now, restores=earlier)
        entry.after = rollout_facts(restored)
    return restored


def _live(rollout_id: int, mode: Mode) -> Rollout:
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
