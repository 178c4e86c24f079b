"""Rollouts, the gates before them, and the incidents that close those."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import inputs, representations
from registry.api.governing import GovernanceView, body_of, query_of
from registry.api.pages import page_of
from registry.api.views import CREATED
from registry.models import Consumer, GatePolicy, Incident
from registry.request_context import actor_of
from registry.services import gate_policies, gates, incidents, rollouts
from registry.services.visibility import require_visible, visible


class Rollouts(GovernanceView):
    """The live rollouts, or with `?ended=true` all of them, the newest first."""

    def get(self, request: Request) -> Response:
        wanted = query_of(request, inputs.RolloutListing)
        wanted = {name: wanted[name] for name in wanted if name not in {"limit", "cursor"}}
        found = visible(actor_of(request), rollouts.all_rollouts(**wanted))
        page, following = page_of(request, found)
        shown = [representations.rollout_facts(one) for one in page]
        return Response({"rollouts": shown, "next": following})


class RolloutDetail(GovernanceView):
    def get(self, request: Request, rollout_id: int) -> Response:
        return _rollout(rollout_id)


class Decision(GovernanceView):
    """One decision about a rollout; the answer is the rollout that it leads to."""

    form: Any = inputs.Nothing

    def post(self, request: Request, rollout_id: int) -> Response:
        decided = self.decide(
            actor=actor_of(request),
            rollout_id=rollout_id,
            now=timezone.now(),
            **body_of(request, self.form),
        )
        return _rollout(decided.pk)

    def decide(self, **fields: Any) -> Any:
        raise NotImplementedError


class ApprovePromotion(Decision):
    form = inputs.Comment

    def decide(self, **fields: Any) -> Any:
        return rollouts.approve_promotion(**fields).rollout


class PromoteRollout(Decision):
    def decide(self, **fields: Any) -> Any:
        return rollouts.promote_rollout(**fields)


class RampRollout(Decision):
    form = inputs.Ramp

    def decide(self, **fields: Any) -> Any:
        return rollouts.ramp_rollout(**fields)


class RollBackRollout(Decision):
    form = inputs.Reason

    def decide(self, **fields: Any) -> Any:
        return rollouts.roll_back_rollout(**fields)


class DemoteRollout(Decision):
    form = inputs.Reason

    def decide(self, **fields: Any) -> Any:
        return rollouts.demote_rollout(**fields)


class RequestOverride(GovernanceView):
    def post(self, request: Request, rollout_id: int) -> Response:
        fields, now = body_of(request, inputs.NewOverride), timezone.now()
        override = gates.request_override(
            actor=actor_of(request),
            rollout_id=rollout_id,
            reason=fields["reason"],
            expires_at=now + timedelta(hours=fields["hours"]),
            now=now,
        )
        return Response(representations.override_json(override), status=CREATED)


class ConfirmOverride(GovernanceView):
    def post(self, request: Request, override_id: int) -> Response:
        override = gates.confirm_override(
            actor=actor_of(request), override_id=override_id, now=timezone.now()
        )
        return Response(representations.override_json(override))


class Incidents(GovernanceView):
    """The open incidents, or with `?closed=true` all of them, the newest first."""

    def get(self, request: Request) -> Response:
        given = query_of(request, inputs.IncidentListing)
        wanted = {f"{name}__name": given[name] for name in ("consumer", "bundle") if name in given}
        found = Incident.objects.filter(**wanted).select_related(
            "consumer", "bundle", "release", "node", "opened_by"
        )
        if not given.get("closed"):
            found = found.filter(closed_at__isnull=True)
        page, following = page_of(request, visible(actor_of(request), found))
        shown = [representations.incident_json(one) for one in page]
        return Response({"incidents": shown, "next": following})

    def post(self, request: Request) -> Response:
        fields, actor = body_of(request, inputs.NewIncident), actor_of(request)
        require_visible(actor, Consumer, [fields["consumer"]])
        incident = incidents.open_incident(actor=actor, now=timezone.now(), **fields)
        return Response(representations.incident_json(incident), status=CREATED)


class CloseIncident(GovernanceView):
    def post(self, request: Request, incident_id: int) -> Response:
        incident = incidents.close_incident(
            actor=actor_of(request),
            incident_id=incident_id,
            now=timezone.now(),
            **body_of(request, inputs.Reason),
        )
        return Response(representations.incident_json(incident))


class GatePolicies(GovernanceView):
    def get(self, request: Request) -> Response:
        found = GatePolicy.objects.order_by("name")
        return Response({"gate_policies": [_policy(policy) for policy in found]})

    def post(self, request: Request) -> Response:
        fields = body_of(request, inputs.NewGatePolicy)
        if "observation" in fields:
            fields["observation"] = timedelta(seconds=fields["observation"])
        policy = gate_policies.save_gate_policy(
            actor=actor_of(request), now=timezone.now(), **fields
        )
        return Response(_policy(policy), status=CREATED)


def _policy(policy: GatePolicy) -> dict[str, Any]:
    return {"name": policy.name} | gate_policies.gate_policy_facts(policy)


def _rollout(rollout_id: int) -> Response:
    rollout = rollouts.rollout_by_id(rollout_id)
    return Response(representations.rollout_json(rollout, timezone.now()))
