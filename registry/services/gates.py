"""The gates of a canary: its policy, judged on what is recorded, or set aside by two people."""

from datetime import datetime, timedelta

from django.db.models import Sum

from registry.actors import Actor
from registry.errors import Conflict, InvalidInput, NotAllowed, NotFound
from registry.gates import Gate, GateRules, Observed, judge_gates
from registry.models import GateOverride, GatePolicy, Mode, Role, Rollout
from registry.services.access import require_any_team, require_person
from registry.services.actions import audited_action
from registry.services.usage import usual_nodes

LONGEST_OVERRIDE = timedelta(days=7)
USUAL = timedelta(days=30)
"""A node counts as usual for a consumer that has read it in this time."""


class GatesClosed(Conflict):
    code = "gates_closed"
    title = "Gates closed"


class OwnOverride(NotAllowed):
    code = "own_override"
    title = "Own override"


class OverrideOver(Conflict):
    code = "override_over"
    title = "Override over"


def gates_of(rollout: Rollout, now: datetime) -> tuple[Gate, ...]:
    """The bundle's gate policy, judged on what this canary has recorded so far."""
    seen = rollout.tallies.aggregate(
        reads=Sum("reads", default=0),
        rows=Sum("rows", default=0),
        violations=Sum("violations", default=0),
        unchecked=Sum("unchecked", default=0),
    )
    checked = rollout.tallies.filter(reads__gt=0)
    incidents = rollout.consumer.incidents.filter(bundle=rollout.bundle, closed_at__isnull=True)
    observed = Observed(
        started_at=rollout.started_at,
        usual_nodes=_usual(rollout, now),
        seen_nodes=frozenset(checked.values_list("node__node_id", flat=True)),
        incidents=list(incidents.values_list("last_seen_at", flat=True)),
        approvals=rollout.approvals.values("approver").distinct().count(),
        **seen,
    )
    return judge_gates(_rules(rollout.bundle.gate_policy), observed, now)


def override_of(rollout: Rollout, now: datetime) -> GateOverride | None:
    """The override by which this rollout needs no gates at this moment."""
    confirmed = rollout.overrides.filter(confirmed_at__isnull=False, expires_at__gt=now)
    return confirmed.order_by("-expires_at").first()


def request_override(
    *, actor: Actor, rollout_id: int, reason: str, expires_at: datetime, now: datetime
) -> GateOverride:
    """Ask that the gates of a canary do not count until `expires_at`; another person confirms."""
    with audited_action(
        "rollout.override.request",
        actor=actor,
        object_type="rollout",
        object_id=rollout_id,
        now=now,
        reason=reason,
    ) as entry:
        require_any_team(actor, Role.REVIEWER)
        person = require_person(actor)
        if not reason.strip():
            raise InvalidInput("An override needs a reason.")
        if not now < expires_at <= now + LONGEST_OVERRIDE:
            raise InvalidInput(
                f"An override ends between now and {LONGEST_OVERRIDE.days} days from now."
            )
        rollout = Rollout.objects.filter(
            pk=rollout_id, mode=Mode.CANARY, ended_at__isnull=True
        ).first()
        if rollout is None:
            raise NotFound(f"There is no live canary rollout {rollout_id}.")
        entry.after = {"expires_at": expires_at.isoformat()}
        return GateOverride.objects.create(
            rollout=rollout,
            requested_by_id=person,
            reason=reason,
            requested_at=now,
            expires_at=expires_at,
        )


def confirm_override(*, actor: Actor, override_id: int, now: datetime) -> GateOverride:
    """The second person's word: from now on the rollout may be promoted past its gates."""
    with audited_action(
        "rollout.override.confirm",
        actor=actor,
        object_type="override",
        object_id=override_id,
        now=now,
    ) as entry:
        require_any_team(actor, Role.REVIEWER)
        person = require_person(actor)
        found = GateOverride.objects.select_for_update(of=("self",)).select_related(
            "rollout", "requested_by"
        )
        override = found.filter(pk=override_id).first()
        if override is None:
            raise NotFound(f"There is no override {override_id}.")
        if override.requested_by_id == person:
            raise OwnOverride(
                f"{actor.name} asked for override {override_id}; another person must confirm it."
            )
        if override.confirmed_at is not None or override.expires_at <= now:
            raise OverrideOver(f"Override {override_id} is confirmed already, or has expired.")
        if override.rollout.ended_at is not None:
            raise OverrideOver(f"Rollout {override.rollout_id} has ended.")
        entry.after = {
            "rollout": override.rollout_id,
            "requested_by": override.requested_by_id,
            "reason": override.reason,
            "expires_at": override.expires_at.isoformat(),
        }
        override.confirmed_by_id, override.confirmed_at = person, now
        override.save(update_fields=["confirmed_by", "confirmed_at"])
    return override


def _usual(rollout: Rollout, now: datetime) -> frozenset[str]:
    """The nodes of the release's subjects that the consumer has read lately, under any release."""
    members = set(rollout.release.members.values_list("subject", flat=True))
    read = usual_nodes(rollout.consumer, since=now - USUAL)
    return frozenset(node.node_id for node in read if node.subject_id in members)


def _rules(policy: GatePolicy) -> GateRules:
    return GateRules(
        observation=policy.observation,
        minimum_reads=policy.minimum_reads,
        minimum_rows=policy.minimum_rows,
        maximum_violation_rate=policy.maximum_violation_rate,
        maximum_unchecked_share=policy.maximum_unchecked_share,
        minimum_node_coverage=policy.minimum_node_coverage,
        required_approvals=policy.required_approvals,
    )
