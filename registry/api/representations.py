"""How the registry's objects look in answers."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from registry.models import (
    Bundle,
    Diagnostic,
    Mode,
    Node,
    Proposal,
    Release,
    Rollout,
    SchemaVersion,
    Subject,
)
from registry.services.rollouts import gates_of


def subject_json(subject: Subject) -> dict[str, Any]:
    return {
        "name": subject.name,
        "owner_team": subject.owner_team.name,
        "description": subject.description,
        "compatibility": subject.compatibility,
        "required_approvals": subject.required_approvals,
    }


def version_json(version: SchemaVersion) -> dict[str, Any]:
    return {
        "subject": version.subject.name,
        "version": version.number,
        "id": version.content_id,
        "state": version.state,
        "fingerprint": version.content.fingerprint,
        "resolved_fingerprint": version.resolved_fingerprint,
        "schema": version.content.document,
    }


def proposal_json(proposal: Proposal) -> dict[str, Any]:
    return {
        "id": proposal.pk,
        "subject": proposal.subject.name,
        "state": proposal.state,
        "author": proposal.author.get_username(),
        "reason": proposal.reason,
        "fingerprint": proposal.content.fingerprint,
        "compatibility": proposal.compatibility_report,
        "lint": proposal.lint,
        "schema": proposal.content.document,
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
    live = rollout.ended_at is None
    gates = gates_of(rollout, now) if live and rollout.mode == Mode.CANARY else ()
    return {
        "id": rollout.pk,
        "consumer": rollout.consumer.name,
        "bundle": rollout.bundle.name,
        "release": rollout.release.number,
        "fingerprint": rollout.release.fingerprint,
        "mode": rollout.mode,
        "started_at": rollout.started_at,
        "ended_at": rollout.ended_at,
        "gate_policy": rollout.bundle.gate_policy.name,
        "gates": [asdict(gate) for gate in gates],
    }


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
