"""One of everything, owned by one of two teams, and a person for each role in each team."""

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from registry.actors import Actor
from registry.models import Role
from registry.services import (
    consumers,
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
    waivers,
)
from tests.cast import NOW, OHLC, PASSWORD, SYSTEM, gate_policy, with_property

OWN, OTHER = "house", "neighbours"
SERIES = [{"key": {"symbol": "AAPL"}, "since": None}]
PEOPLE = [f"{role}-{team}" for team in (OWN, OTHER) for role in Role.values] + ["nobody"]


@dataclass(frozen=True)
class House:
    """All of it owned by OWN.

    `proposal` is in review with a `waiver` that waits for its second person and a running replay;
    `rollout` is a canary with an `override` that waits, `strict` is another consumer's.
    """

    actors: dict[str, Actor]
    proposal: int
    draft: int
    rollout: int
    strict: int
    prefix: str
    waiver: int
    override: int
    incident: int

    @property
    def ids(self) -> dict[str, Any]:
        return asdict(self)


def build_house() -> House:
    for team in (OWN, OTHER):
        people.create_team(actor=SYSTEM, name=team, now=NOW)
    actors = {name: _person(name) for name in PEOPLE}
    gate_policy("demo")
    owner, reviewer, admin = (actors[f"{r}-{OWN}"] for r in ("owner", "reviewer", "consumer_admin"))
    subjects.create_subject(
        actor=owner, name="market", owner_team=OWN, required_approvals=9, now=NOW
    )
    subjects.create_subject(actor=owner, name="other", owner_team=OWN, now=NOW)
    proposal, draft = (_draft(owner, "market", column) for column in ("first", "second"))
    proposals.submit_proposal(actor=owner, proposal_id=proposal, now=NOW)
    other = _draft(owner, "other", "third")
    proposals.submit_proposal(actor=owner, proposal_id=other, now=NOW)
    proposals.approve_proposal(actor=reviewer, proposal_id=other, now=NOW)
    for name, member in (("market", "market"), ("others", "other")):
        releases.create_bundle(
            actor=owner, name=name, owner_team=OWN, subjects=[member], gate_policy="demo", now=NOW
        )
    nodes.register_node(
        actor=owner,
        node_id="bars",
        subject="market",
        interval=60,
        series=SERIES,
        store={"type": "parquet"},
        source={},
        now=NOW,
    )
    canary, strict = (_reader(actors, name) for name in ("reader", "enforced"))
    override = _override(reviewer, canary)
    gates.confirm_override(
        actor=actors[f"reviewer-{OTHER}"], override_id=_override(reviewer, strict), now=NOW
    )
    strict = rollouts.promote_rollout(actor=admin, rollout_id=strict, now=NOW).pk
    consumers.grant_node(actor=owner, consumer="enforced", node_id="bars", now=NOW)
    token = tokens.issue_consumer_token(
        actor=admin,
        consumer=consumers.consumer_named("reader"),
        scopes=["read"],
        lifetime=timedelta(days=1),
        now=NOW,
    )
    incident = incidents.open_incident(
        actor=admin, consumer="reader", bundle="others", reason="looks odd", now=NOW
    )
    waiver = waivers.request_waiver(
        actor=reviewer,
        proposal_id=proposal,
        rule="replay",
        reason="urgent",
        expires_at=NOW + waivers.LONGEST,
        now=NOW,
    )
    replays.start_replay(actor=owner, proposal_id=proposal, now=NOW)
    return House(
        actors=actors,
        proposal=proposal,
        draft=draft,
        rollout=canary,
        strict=strict,
        prefix=token.prefix,
        waiver=waiver.pk,
        override=override,
        incident=incident.pk,
    )


def _reader(actors: dict[str, Actor], name: str) -> int:
    admin = actors[f"consumer_admin-{OWN}"]
    consumers.create_consumer(actor=admin, name=name, owner_team=OWN, now=NOW)
    rollout = consumers.subscribe(actor=admin, consumer=name, bundle="others", now=NOW)
    assert rollout is not None
    return rollout.pk


def _override(reviewer: Actor, rollout: int) -> int:
    asked = gates.request_override(
        actor=reviewer,
        rollout_id=rollout,
        reason="tonight",
        expires_at=NOW + timedelta(days=1),
        now=NOW,
    )
    return asked.pk


def _person(name: str) -> Actor:
    user = people.create_person(actor=SYSTEM, username=name, password=PASSWORD, now=NOW)
    role, _, team = name.partition("-")
    if team:
        people.add_member(actor=SYSTEM, team=team, username=name, role=role, now=NOW)
    return Actor(kind="user", id=str(user.pk), name=name)


def _draft(owner: Actor, subject: str, column: str) -> int:
    document = json.dumps(OHLC | with_property(column, {"type": "number"}))
    made = proposals.propose_schema(actor=owner, subject=subject, document=document, now=NOW)
    assert made.proposal is not None
    return made.proposal.pk
