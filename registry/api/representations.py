"""How the registry's objects look in answers."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from registry.gates import all_open
from registry.models import (
    Bundle,
    Consumer,
    Diagnostic,
    GateOverride,
    Incident,
    Mode,
    Node,
    Proposal,
    Release,
    Review,
    Rollout,
    SchemaVersion,
    Subject,
    Waiver,
)
from registry.services.bundle_plans import BundlePlan
from registry.services.gates import gates_of, override_of
from registry.services.impact import changes_of
from registry.services.proposals import approval_standing
from registry.services.resolution import BoundVersion, Resolution, readable_governed
from registry.services.rollouts import all_rollouts
from registry.services.subjects import subject_facts
from registry.services.waivers import state_of


def subject_json(subject: Subject) -> dict[str, Any]:
    return {"name": subject.name, **subject_facts(subject)}


def version_json(version: SchemaVersion) -> dict[str, Any]:
    return {
        "subject": version.subject.name,
        "version": version.number,
        "id": version.content_id,
        "state": version.state,
        "fingerprint": version.content.fingerprint,
        "resolved_fingerprint": version.resolved_fingerprint,
        "deprecated_at": version.deprecated_at,
        "sunset_at": version.sunset_at,
        "retired_at": version.retired_at,
        "schema": version.content.document,
    }


def proposal_line(proposal: Proposal) -> dict[str, Any]:
    """A proposal in a list."""
    return {
        "id": proposal.pk,
        "subject": proposal.subject.name,
        "state": proposal.state,
        "verdict": proposal.verdict,
        "author": proposal.author.get_username(),
        "reason": proposal.reason,
        "created_at": proposal.created_at,
    }


def proposal_json(proposal: Proposal) -> dict[str, Any]:
    stands = approval_standing(proposal)
    reviews = proposal.reviews.select_related("reviewer", "team").order_by("pk")
    return {
        "id": proposal.pk,
        "revision": proposal.revision,
        "approvals": {
            "given": stands.given,
            "needed": stands.needed,
            "missing_teams": dict(stands.missing_teams),
        },
        "reviews": [review_json(review) for review in reviews],
        "subject": proposal.subject.name,
        "state": proposal.state,
        "author": proposal.author.get_username(),
        "reason": proposal.reason,
        "fingerprint": proposal.content.fingerprint,
        "compatibility": proposal.compatibility_report,
        "lint": proposal.lint,
        "schema": proposal.content.document,
    }


def review_json(review: Review) -> dict[str, Any]:
    return {
        "reviewer": review.reviewer.get_username(),
        "team": review.team.name if review.team else None,
        "decision": review.decision,
        "comment": review.comment,
        "revision": review.revision,
        "at": review.created_at,
    }


def waiver_json(waiver: Waiver, now: datetime) -> dict[str, Any]:
    granted = waiver.granted_by
    return {
        "id": waiver.pk,
        "proposal": waiver.proposal_id,
        "rule": waiver.rule,
        "state": state_of(waiver, now),
        "reason": waiver.reason,
        "requested_by": waiver.requested_by.get_username(),
        "granted_by": granted.get_username() if granted else None,
        "revision": waiver.revision,
        "expires_at": waiver.expires_at,
    }


def diff_json(proposal: Proposal) -> dict[str, Any]:
    before, changes = changes_of(proposal)
    return {
        "compared_to": None if before is None else before.number,
        "changes": [asdict(change) for change in changes],
    }


def release_json(release: Release) -> dict[str, Any]:
    members = release.members.select_related("subject", "version")
    return {
        "bundle": release.bundle.name,
        "release": release.number,
        "fingerprint": release.fingerprint,
        "members": [
            {
                "subject": member.subject.name,
                "version": member.version.number,
                "fingerprint": member.version.resolved_fingerprint,
            }
            for member in members
        ],
    }


def bundle_json(bundle: Bundle) -> dict[str, Any]:
    newest = bundle.releases.order_by("-number").first()
    return {
        "name": bundle.name,
        "owner_team": bundle.owner_team.name,
        "subjects": list(bundle.subjects.order_by("name").values_list("name", flat=True)),
        "gate_policy": bundle.gate_policy.name,
        "latest_release": release_json(newest) if newest else None,
    }


def rollout_json(rollout: Rollout, now: datetime) -> dict[str, Any]:
    """With its gates, where it is a canary that may be promoted; `open`: they all are."""
    live = rollout.ended_at is None
    gates = gates_of(rollout, now) if live and rollout.mode == Mode.CANARY else ()
    override = override_of(rollout, now) if gates else None
    return rollout_facts(rollout) | {
        "gates": [asdict(gate) for gate in gates],
        "open": bool(gates) and (all_open(gates) or override is not None),
        "override": None if override is None else override_json(override),
    }


def rollout_facts(rollout: Rollout) -> dict[str, Any]:
    return {
        "id": rollout.pk,
        "consumer": rollout.consumer.name,
        "bundle": rollout.bundle.name,
        "release": rollout.release.number,
        "fingerprint": rollout.release.fingerprint,
        "mode": rollout.mode,
        "ramp_percent": rollout.ramp_percent,
        "started_at": rollout.started_at,
        "ended_at": rollout.ended_at,
        "gate_policy": rollout.bundle.gate_policy.name,
    }


def override_json(override: GateOverride) -> dict[str, Any]:
    confirmed = override.confirmed_by
    return {
        "id": override.pk,
        "rollout": override.rollout_id,
        "reason": override.reason,
        "requested_by": override.requested_by.get_username(),
        "confirmed_by": None if confirmed is None else confirmed.get_username(),
        "expires_at": override.expires_at,
    }


def incident_json(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.pk,
        "consumer": incident.consumer.name,
        "bundle": incident.bundle.name,
        "release": incident.release.number if incident.release else None,
        "node": incident.node.node_id if incident.node else None,
        "opened_by": incident.opened_by.get_username() if incident.opened_by else None,
        "reason": incident.reason,
        "count": incident.count,
        "opened_at": incident.opened_at,
        "last_seen_at": incident.last_seen_at,
        "closed_at": incident.closed_at,
        "closing": incident.closing,
    }


def plan_json(plan: BundlePlan) -> dict[str, Any]:
    return {
        "drift": bool(plan.steps),
        "steps": [asdict(step) for step in plan.steps],
        "plan": plan.digest,
    }


def consumer_json(consumer: Consumer) -> dict[str, Any]:
    return {
        "name": consumer.name,
        "owner_team": consumer.owner_team.name,
        "description": consumer.description,
        "active": consumer.active,
    }


def consumer_detail_json(consumer: Consumer) -> dict[str, Any]:
    subscribed = consumer.subscriptions.order_by("bundle__name")
    return consumer_json(consumer) | {
        "subscriptions": list(subscribed.values_list("bundle__name", flat=True)),
        "rollouts": [rollout_facts(rollout) for rollout in all_rollouts(consumer=consumer.name)],
        "nodes": [governance_json(item) for item in readable_governed(consumer)],
    }


def governance_json(found: Resolution) -> dict[str, Any]:
    return {
        "node_id": found.node.node_id,
        "governed": found.governed,
        "strict": _judge(found.strict),
        "canary": _judge(found.canary),
    }


def _judge(bound: BoundVersion | None) -> str | None:
    if bound is None:
        return None
    release = f" ({bound.bundle}/{bound.release})" if bound.bundle else ""
    return f"{bound.subject}/{bound.number}{release}"


def node_json(node: Node) -> dict[str, Any]:
    return {
        "node_id": node.node_id,
        "subject": node.subject.name,
        "description": node.description,
        "interval": node.interval,
        "anchor": node.anchor,
        "calendar": node.calendar,
        "series": node.series,
    }


def diagnostic_json(found: Diagnostic) -> dict[str, Any]:
    return {
        "consumer": found.consumer.name,
        "node": found.node.node_id,
        "subject": found.version.subject.name,
        "version": found.version.number,
        "mode": found.mode,
        "column": found.column,
        "keyword": found.keyword,
        "count": found.count,
        "samples": found.samples,
        "first_seen_at": found.first_seen_at,
        "last_seen_at": found.last_seen_at,
    }
