"""Who may do what to whose: role x action x object as data."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from registry.actors import Actor
from registry.models import (
    AccessToken,
    Bundle,
    Consumer,
    GateOverride,
    Incident,
    Node,
    Proposal,
    Rollout,
    SchemaVersion,
    Subject,
)
from registry.services import (
    consumers,
    gate_policies,
    gates,
    incidents,
    nodes,
    people,
    proposals,
    releases,
    replays,
    rollouts,
    subjects,
    tokens,
    versions,
    waivers,
)
from registry.services.audit.export_requests import request_export
from registry.services.audit.exporting import Extent
from tests.cast import NOW, PASSWORD, with_property
from tests.registry.permission_house import OTHER, OWN, SERIES, House

DOCUMENT = json.dumps(with_property("more", {"type": "number"}))
EDITED = json.dumps(with_property("edited", {"type": "number"}))
SUNSET = datetime(2099, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Page:
    """The button of an admin page; `of` selects its object, with a key of `House.ids` or a name."""

    model: Any
    decision: str
    of: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Act:
    """An action on something that OWN owns; `who` may do it: everybody else is refused.

    `service` gets the actor and a mark for new names; `rest` is a path (with a method, if it is not
    POST) and a body with `{mark}`; `page` is the admin's button. `blocked`: the state of the house
    refuses it to everybody, after their role was judged.
    """

    action: str
    who: set[str]
    service: Callable[[House, Actor, str], Any]
    rest: tuple[str, dict[str, Any]] | None = None
    page: Page | None = None
    blocked: bool = False


OWNER = {f"owner-{OWN}"}
ADMIN = {f"consumer_admin-{OWN}"}
REVIEWERS = {f"reviewer-{OWN}", f"reviewer-{OTHER}"}
OPERATORS = {f"operator-{OWN}", f"operator-{OTHER}"}
OWNERS = {f"owner-{OWN}", f"owner-{OTHER}"}
KEEPERS = {f"{role}-{OWN}" for role in ("consumer_admin", "operator", "reviewer")}
JUDGES = {f"owner-{OWN}", f"reviewer-{OWN}"}
# What a first person of OWN's reviewers has asked for: it takes a second one.
SECOND = {f"reviewer-{OTHER}"}

READER, OTHERS = {"name": "reader"}, {"subject__name": "other"}
PROPOSAL, DRAFT = {"pk": "proposal"}, {"pk": "draft"}
CANARY, STRICT = {"pk": "rollout"}, {"pk": "strict"}

MATRIX = [
    Act(
        "subject.create",
        OWNER,
        lambda h, a, m: subjects.create_subject(actor=a, name=f"s.{m}", owner_team=OWN, now=NOW),
        ("subjects", {"name": "s.{mark}", "owner_team": OWN}),
        page=Page(
            Subject,
            "make_subject",
            fields={"name": "s.{mark}", "owner_team": OWN, "compatibility": "FULL"},
        ),
    ),
    Act(
        "proposal.create",
        OWNER,
        lambda h, a, m: proposals.propose_schema(
            actor=a, subject="market", document=DOCUMENT, now=NOW
        ),
        ("subjects/market/proposals", {"schema": DOCUMENT}),
        page=Page(Proposal, "propose", fields={"subject": "market", "schema": DOCUMENT}),
    ),
    Act(
        "proposal.submit",
        OWNER,
        lambda h, a, m: proposals.submit_proposal(actor=a, proposal_id=h.draft, now=NOW),
        ("proposals/{draft}/submit", {}),
        page=Page(Proposal, "submit", DRAFT),
    ),
    Act(
        "proposal.approve",
        REVIEWERS,
        lambda h, a, m: proposals.approve_proposal(actor=a, proposal_id=h.proposal, now=NOW),
        ("proposals/{proposal}/approve", {}),
        page=Page(Proposal, "approve", PROPOSAL),
    ),
    Act(
        "proposal.reject",
        REVIEWERS,
        lambda h, a, m: proposals.reject_proposal(
            actor=a, proposal_id=h.proposal, now=NOW, comment="no"
        ),
        ("proposals/{proposal}/reject", {"reason": "no"}),
        page=Page(Proposal, "reject", PROPOSAL, {"reason": "no"}),
    ),
    Act(
        "proposal.withdraw",
        OWNER,
        lambda h, a, m: proposals.withdraw_proposal(actor=a, proposal_id=h.draft, now=NOW),
        ("proposals/{draft}/withdraw", {}),
        page=Page(Proposal, "withdraw", DRAFT),
    ),
    Act(
        "bundle.create",
        OWNER,
        lambda h, a, m: releases.create_bundle(
            actor=a, name=m, owner_team=OWN, subjects=["market"], gate_policy="demo", now=NOW
        ),
        (
            "bundles",
            {"name": "{mark}", "owner_team": OWN, "subjects": ["market"], "gate_policy": "demo"},
        ),
        page=Page(
            Bundle,
            "make_bundle",
            fields={
                "name": "{mark}",
                "owner_team": OWN,
                "subjects": "market",
                "gate_policy": "demo",
            },
        ),
    ),
    Act(
        "node.register",
        OWNER,
        lambda h, a, m: nodes.register_node(
            actor=a,
            node_id=m,
            subject="market",
            interval=60,
            series=SERIES,
            store={"type": "parquet"},
            source={},
            now=NOW,
        ),
        (
            "nodes",
            {
                "node_id": "{mark}",
                "subject": "market",
                "interval": 60,
                "series": SERIES,
                "store": {"type": "parquet"},
                "source": {},
            },
        ),
        page=Page(
            Node,
            "register",
            fields={
                "node_id": "{mark}",
                "subject": "market",
                "interval": "60",
                "store": '{"type": "parquet"}',
                "series": json.dumps(SERIES),
            },
        ),
    ),
    Act(
        "node.change",
        OWNER,
        lambda h, a, m: nodes.change_node(actor=a, node_id="bars", now=NOW, description=m),
        ("PATCH nodes/bars", {"description": "{mark}"}),
    ),
    Act(
        "sla_policy.save",
        OWNERS | OPERATORS,
        lambda h, a, m: nodes.save_sla_policy(actor=a, name="slow", document={}, now=NOW),
        ("sla-policies", {"name": "slow", "document": {}}),
    ),
    Act(
        "consumer.create",
        ADMIN,
        lambda h, a, m: consumers.create_consumer(actor=a, name=m, owner_team=OWN, now=NOW),
        ("consumers", {"name": "{mark}", "owner_team": OWN}),
        page=Page(Consumer, "make_consumer", fields={"name": "{mark}", "owner_team": OWN}),
    ),
    Act(
        "consumer.subscribe",
        ADMIN,
        lambda h, a, m: consumers.subscribe(actor=a, consumer="reader", bundle="market", now=NOW),
        ("consumers/reader/subscriptions", {"bundle": "market"}),
        page=Page(Consumer, "subscribe", READER, {"bundle": "market"}),
    ),
    Act(
        "consumer.grant",
        OWNER,
        lambda h, a, m: consumers.grant_node(actor=a, consumer="reader", node_id="bars", now=NOW),
        ("consumers/reader/grants", {"node": "bars"}),
        page=Page(Consumer, "grant", READER, {"node": "bars"}),
    ),
    Act(
        "token.issue",
        ADMIN,
        lambda h, a, m: tokens.issue_consumer_token(
            actor=a,
            consumer=consumers.consumer_named("reader"),
            scopes=["read"],
            lifetime=timedelta(days=1),
            now=NOW,
        ),
        ("consumers/reader/tokens", {"scopes": ["read"]}),
    ),
    Act(
        "token.revoke",
        ADMIN,
        lambda h, a, m: tokens.revoke_token(actor=a, prefix=h.prefix, now=NOW, reason="lost"),
        ("tokens/{prefix}/revoke", {"reason": "lost"}),
        page=Page(AccessToken, "revoke", {"prefix": "prefix"}, {"reason": "lost"}),
    ),
    Act(
        "gate_policy.save",
        OPERATORS,
        lambda h, a, m: gate_policies.save_gate_policy(
            actor=a,
            name="lax",
            observation=timedelta(0),
            minimum_reads=0,
            maximum_violation_rate=0,
            required_approvals=1,
            now=NOW,
        ),
        ("gate-policies", {"name": "lax", "minimum_reads": 0}),
    ),
    Act(
        "rollout.approve",
        REVIEWERS,
        lambda h, a, m: rollouts.approve_promotion(actor=a, rollout_id=h.rollout, now=NOW),
        ("rollouts/{rollout}/approve", {}),
        page=Page(Rollout, "approve", CANARY),
    ),
    Act(
        "rollout.promote",
        ADMIN,
        lambda h, a, m: rollouts.promote_rollout(actor=a, rollout_id=h.rollout, now=NOW),
        ("rollouts/{rollout}/promote", {}),
        page=Page(Rollout, "promote", CANARY),
        blocked=True,
    ),
    Act(
        "proposal.edit",
        OWNER,
        lambda h, a, m: proposals.edit_proposal(
            actor=a, proposal_id=h.draft, document=EDITED, now=NOW
        ),
        ("PATCH proposals/{draft}", {"schema": EDITED}),
        page=Page(Proposal, "edit", DRAFT, {"schema": EDITED}),
    ),
    Act(
        "proposal.recheck",
        JUDGES,
        lambda h, a, m: proposals.recheck_proposal(actor=a, proposal_id=h.draft, now=NOW),
        ("proposals/{draft}/recheck", {}),
        Page(Proposal, "recheck", DRAFT),
    ),
    Act(
        "proposal.approve_together",
        REVIEWERS,
        lambda h, a, m: proposals.approve_proposals(actor=a, proposal_ids=[h.proposal], now=NOW),
        ("proposals/approve", {"proposals": ["{proposal}"]}),
    ),
    Act(
        "replay.start",
        JUDGES,
        lambda h, a, m: replays.start_replay(actor=a, proposal_id=h.draft, now=NOW),
        ("proposals/{draft}/replay", {}),
        Page(Proposal, "replay", DRAFT, {"days": "1"}),
    ),
    Act(
        "replay.cancel",
        JUDGES,
        lambda h, a, m: replays.cancel_replay(actor=a, proposal_id=h.proposal, now=NOW),
        ("proposals/{proposal}/replay/cancel", {}),
        Page(Proposal, "cancel_replay", PROPOSAL),
    ),
    Act(
        "waiver.request",
        {f"reviewer-{OWN}"},  # its owner wrote the proposal
        lambda h, a, m: waivers.request_waiver(
            actor=a,
            proposal_id=h.proposal,
            rule="replay",
            reason="urgent",
            expires_at=NOW + timedelta(days=1),
            now=NOW,
        ),
        (
            "proposals/{proposal}/waivers",
            {
                "rule": "replay",
                "reason": "urgent",
                "expires_at": (NOW + timedelta(days=1)).isoformat(),
            },
        ),
        Page(Proposal, "waive", PROPOSAL, {"rule": "replay", "reason": "urgent", "days": "1"}),
    ),
    Act(
        "waiver.grant",
        SECOND,
        lambda h, a, m: waivers.grant_waiver(actor=a, waiver_id=h.waiver, now=NOW),
        ("waivers/{waiver}/grant", {}),
        Page(Proposal, "grant_waiver", PROPOSAL),
    ),
    Act(
        "waiver.end",
        JUDGES,
        lambda h, a, m: waivers.end_waiver(actor=a, waiver_id=h.waiver, reason="over", now=NOW),
        ("waivers/{waiver}/end", {"reason": "over"}),
        page=Page(Proposal, "end_waiver", PROPOSAL, {"waiver": "{waiver}", "reason": "over"}),
    ),
    Act(
        "subject.change",
        OWNER,
        lambda h, a, m: subjects.change_subject(
            actor=a, name="other", reason="tidy", contact=m, now=NOW
        ),
        ("PATCH subjects/other", {"reason": "tidy", "contact": "{mark}"}),
        page=Page(Subject, "alter", {"name": "other"}, {"reason": "tidy", "contact": "{mark}"}),
    ),
    Act(
        "version.deprecate",
        OWNER,
        lambda h, a, m: versions.deprecate_version(
            actor=a, subject="other", number=1, sunset_at=SUNSET, reason="old", now=NOW
        ),
        (
            "subjects/other/versions/1/deprecate",
            {"sunset_at": SUNSET.isoformat(), "reason": "old"},
        ),
        page=Page(SchemaVersion, "deprecate", OTHERS, {"days": "30", "reason": "old"}),
    ),
    Act(
        "version.retire",
        OWNER,
        lambda h, a, m: versions.retire_version(
            actor=a, subject="other", number=1, reason="old", now=NOW
        ),
        ("subjects/other/versions/1/retire", {"reason": "old"}),
        page=Page(SchemaVersion, "retire", OTHERS, {"reason": "old"}),
        blocked=True,
    ),
    Act(
        "bundle.change",
        OWNER,
        lambda h, a, m: releases.change_bundle(actor=a, name="market", description=m, now=NOW),
        ("bundles/market/change", {"description": "{mark}"}),
        page=Page(Bundle, "alter", {"name": "market"}, {"description": "{mark}"}),
    ),
    Act(
        "bundle.cut",
        OWNER,
        lambda h, a, m: releases.cut_release(actor=a, name="others", now=NOW),
        ("bundles/others/cut", {}),
        Page(Bundle, "cut", {"name": "others"}),
    ),
    Act(
        "consumer.unsubscribe",
        ADMIN,
        lambda h, a, m: consumers.unsubscribe(
            actor=a, consumer="reader", bundle="others", reason="over", now=NOW
        ),
        ("consumers/reader/subscriptions/others/end", {"reason": "over"}),
        page=Page(Consumer, "unsubscribe", READER, {"bundle": "others", "reason": "over"}),
    ),
    Act(
        "consumer.revoke_grant",
        OWNER,
        lambda h, a, m: consumers.revoke_grant(
            actor=a, consumer="enforced", node_id="bars", reason="over", now=NOW
        ),
        ("consumers/enforced/grants/revoke", {"node": "bars", "reason": "over"}),
        page=Page(
            Consumer, "revoke_grant", {"name": "enforced"}, {"node": "bars", "reason": "over"}
        ),
    ),
    Act(
        "consumer.switch",
        ADMIN,
        lambda h, a, m: consumers.switch_consumer(
            actor=a, consumer="reader", active=False, reason="over", now=NOW
        ),
        ("consumers/reader/switch", {"active": False, "reason": "over"}),
        page=Page(Consumer, "switch", READER, {"reason": "over"}),
    ),
    Act(
        "rollout.ramp",
        ADMIN,
        lambda h, a, m: rollouts.ramp_rollout(actor=a, rollout_id=h.rollout, percent=5, now=NOW),
        ("rollouts/{rollout}/ramp", {"percent": 5}),
        Page(Rollout, "ramp", CANARY, {"percent": "5"}),
        blocked=True,
    ),
    Act(
        "rollout.roll_back",
        ADMIN,
        lambda h, a, m: rollouts.roll_back_rollout(
            actor=a, rollout_id=h.strict, reason="wrong", now=NOW
        ),
        ("rollouts/{strict}/roll-back", {"reason": "wrong"}),
        Page(Rollout, "roll_back", STRICT, {"reason": "wrong"}),
        blocked=True,
    ),
    Act(
        "rollout.demote",
        ADMIN,
        lambda h, a, m: rollouts.demote_rollout(
            actor=a, rollout_id=h.strict, reason="wrong", now=NOW
        ),
        ("rollouts/{strict}/demote", {"reason": "wrong"}),
        Page(Rollout, "demote", STRICT, {"reason": "wrong"}),
    ),
    Act(
        "rollout.override.request",
        REVIEWERS,
        lambda h, a, m: gates.request_override(
            actor=a,
            rollout_id=h.rollout,
            reason="tonight",
            expires_at=NOW + timedelta(hours=1),
            now=NOW,
        ),
        ("rollouts/{rollout}/overrides", {"reason": "tonight", "hours": 1}),
        Page(Rollout, "override", CANARY, {"reason": "tonight", "hours": "1"}),
    ),
    Act(
        "rollout.override.confirm",
        SECOND,
        lambda h, a, m: gates.confirm_override(actor=a, override_id=h.override, now=NOW),
        ("overrides/{override}/confirm", {}),
        Page(GateOverride, "confirm", {"pk": "override"}),
    ),
    Act(
        "incident.open",
        KEEPERS,
        lambda h, a, m: incidents.open_incident(
            actor=a, consumer="reader", bundle="others", reason="odd", now=NOW
        ),
        ("incidents", {"consumer": "reader", "bundle": "others", "reason": "odd"}),
        page=Page(
            Incident, "open", fields={"consumer": "reader", "bundle": "others", "reason": "odd"}
        ),
    ),
    Act(
        "incident.close",
        KEEPERS,
        lambda h, a, m: incidents.close_incident(
            actor=a, incident_id=h.incident, reason="it was the clock", now=NOW
        ),
        ("incidents/{incident}/close", {"reason": "it was the clock"}),
        Page(Incident, "close", {"pk": "incident"}, {"reason": "it was the clock"}),
    ),
    Act(
        "audit.export",
        {f"auditor-{OWN}", f"auditor-{OTHER}"},
        lambda h, a, m: request_export(actor=a, extent=Extent(), format="jsonl", now=NOW),
        ("audit/exports", {"format": "jsonl"}),
    ),
    Act("team.create", set(), lambda h, a, m: people.create_team(actor=a, name=f"t-{m}", now=NOW)),
    Act(
        "team.add_member",
        set(),
        lambda h, a, m: people.add_member(
            actor=a, team=OWN, username="nobody", role="owner", now=NOW
        ),
    ),
    Act(
        "person.create",
        set(),
        lambda h, a, m: people.create_person(
            actor=a, username=f"p-{m}", password=PASSWORD, now=NOW
        ),
    ),
]
