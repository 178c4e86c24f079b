"""Who may do what to whose: role x action x object as data, over the services and over REST.

Every cell is tried. What is not in the table is refused: 403, or 404 for what one may not know, and
an audit record `denied`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from registry.actors import Actor
from registry.errors import Hidden, NotAllowed, SeamlessError
from registry.models import AuditEvent, Consumer, Role, Rollout
from registry.services import (
    consumers,
    gate_policies,
    nodes,
    people,
    proposals,
    releases,
    rollouts,
    subjects,
    tokens,
)
from tests.cast import NOW, OHLC, PASSWORD, SYSTEM, gate_policy, with_property

pytestmark = pytest.mark.django_db

OWN, OTHER = "house", "neighbours"
SERIES = [{"key": {"symbol": "AAPL"}, "since": None}]
DOCUMENT = json.dumps(with_property("more", {"type": "number"}))
PEOPLE = [f"{role}-{team}" for team in (OWN, OTHER) for role in Role.values] + ["nobody"]


@dataclass(frozen=True)
class Act:
    """An action on something that OWN owns; `who` may do it: everybody else is refused.

    `service` gets the actor and a mark for new names; `rest` is a path and a body with `{mark}`.
    """

    action: str
    who: set[str]
    service: Callable[["House", Actor, str], Any]
    rest: tuple[str, dict[str, Any]] | None = None


@dataclass(frozen=True)
class House:
    """One of everything, all of it owned by OWN."""

    actors: dict[str, Actor]
    proposal: int
    draft: int
    rollout: int
    prefix: str

    @property
    def ids(self) -> dict[str, Any]:
        return {
            "proposal": self.proposal,
            "draft": self.draft,
            "rollout": self.rollout,
            "prefix": self.prefix,
        }


OWNER = {f"owner-{OWN}"}
ADMIN = {f"consumer_admin-{OWN}"}
REVIEWERS = {f"reviewer-{OWN}", f"reviewer-{OTHER}"}
OPERATORS = {f"operator-{OWN}", f"operator-{OTHER}"}
OWNERS = {f"owner-{OWN}", f"owner-{OTHER}"}

MATRIX = [
    Act(
        "subject.create",
        OWNER,
        lambda h, a, m: subjects.create_subject(actor=a, name=f"s.{m}", owner_team=OWN, now=NOW),
        ("subjects", {"name": "s.{mark}", "owner_team": OWN}),
    ),
    Act(
        "proposal.create",
        OWNER,
        lambda h, a, m: proposals.propose_schema(
            actor=a, subject="market", document=DOCUMENT, now=NOW
        ),
        ("subjects/market/proposals", {"schema": DOCUMENT}),
    ),
    Act(
        "proposal.submit",
        OWNER,
        lambda h, a, m: proposals.submit_proposal(actor=a, proposal_id=h.draft, now=NOW),
        ("proposals/{draft}/submit", {}),
    ),
    Act(
        "proposal.approve",
        REVIEWERS,
        lambda h, a, m: proposals.approve_proposal(actor=a, proposal_id=h.proposal, now=NOW),
        ("proposals/{proposal}/approve", {}),
    ),
    Act(
        "proposal.reject",
        REVIEWERS,
        lambda h, a, m: proposals.reject_proposal(
            actor=a, proposal_id=h.proposal, now=NOW, comment="no"
        ),
        ("proposals/{proposal}/reject", {"reason": "no"}),
    ),
    Act(
        "proposal.withdraw",
        OWNER,
        lambda h, a, m: proposals.withdraw_proposal(actor=a, proposal_id=h.draft, now=NOW),
        ("proposals/{draft}/withdraw", {}),
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
    ),
    Act(
        "node.change",
        OWNER,
        lambda h, a, m: nodes.change_node(actor=a, node_id="bars", now=NOW, description=m),
    ),
    Act(
        "sla_policy.save",
        OWNERS | OPERATORS,
        lambda h, a, m: nodes.save_sla_policy(actor=a, name="slow", document={}, now=NOW),
    ),
    Act(
        "consumer.create",
        ADMIN,
        lambda h, a, m: consumers.create_consumer(actor=a, name=m, owner_team=OWN, now=NOW),
        ("consumers", {"name": "{mark}", "owner_team": OWN}),
    ),
    Act(
        "consumer.subscribe",
        ADMIN,
        lambda h, a, m: consumers.subscribe(actor=a, consumer="reader", bundle="market", now=NOW),
        ("consumers/reader/subscriptions", {"bundle": "market"}),
    ),
    Act(
        "consumer.grant",
        OWNER,
        lambda h, a, m: consumers.grant_node(actor=a, consumer="reader", node_id="bars", now=NOW),
        ("consumers/reader/grants", {"node": "bars"}),
    ),
    Act(
        "token.issue",
        ADMIN,
        lambda h, a, m: tokens.issue_consumer_token(
            actor=a,
            consumer=Consumer.objects.get(),
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
    ),
    Act(
        "rollout.approve",
        REVIEWERS,
        lambda h, a, m: rollouts.approve_promotion(actor=a, rollout_id=h.rollout, now=NOW),
        ("rollouts/{rollout}/approve", {}),
    ),
    Act(
        "rollout.promote",
        ADMIN,
        lambda h, a, m: rollouts.promote_rollout(actor=a, rollout_id=h.rollout, now=NOW),
        ("rollouts/{rollout}/promote", {}),
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
OVER_REST = [act for act in MATRIX if act.rest]


@pytest.fixture
def house() -> House:
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
    reader = consumers.create_consumer(actor=admin, name="reader", owner_team=OWN, now=NOW)
    consumers.subscribe(actor=admin, consumer="reader", bundle="others", now=NOW)
    token = tokens.issue_consumer_token(
        actor=admin, consumer=reader, scopes=["read"], lifetime=timedelta(days=1), now=NOW
    )
    return House(actors, proposal, draft, Rollout.objects.get().pk, token.prefix)


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


def refused_first(who: set[str]) -> list[str]:
    """Those who may do it come last, so that what they do gets in nobody's way."""
    return sorted(PEOPLE, key=lambda name: name in who)


@pytest.mark.parametrize("act", MATRIX, ids=lambda act: act.action)
def test_a_service_lets_those_of_the_table_act_and_denies_all_others(
    house: House, act: Act
) -> None:
    allowed = set()
    for number, name in enumerate(refused_first(act.who)):
        try:
            act.service(house, house.actors[name], f"new{number}")
            allowed.add(name)
        except (NotAllowed, Hidden):
            record = AuditEvent.objects.filter(action=act.action).latest("pk")
            assert record.outcome == "denied", name
        except SeamlessError:
            allowed.add(name)  # the state refused it, not the role
    assert allowed == act.who


@pytest.mark.parametrize("act", OVER_REST, ids=lambda act: act.action)
def test_rest_lets_those_of_the_table_act_and_denies_all_others(house: House, act: Act) -> None:
    assert act.rest is not None
    path, body = act.rest
    allowed = set()
    for number, name in enumerate(refused_first(act.who)):
        status = post(house, name, path, body, f"new{number}")
        if status in {403, 404}:
            assert AuditEvent.objects.latest("pk").outcome == "denied", name
        else:
            assert status in {200, 201, 409}, (name, status)
            allowed.add(name)
    assert allowed == act.who


def post(house: House, name: str, path: str, body: dict[str, Any], mark: str) -> int:
    token = tokens.issue_personal_token(
        actor=SYSTEM,
        user=people.User.objects.get(username=name),
        scopes=["govern"],
        lifetime=timedelta(days=1),
        now=timezone.now(),
    )
    answer = Client().post(
        "/api/v1/" + path.format(**house.ids),
        json.dumps(body).replace("{mark}", mark),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token.secret}"},
    )
    return answer.status_code


def test_the_matrix_names_every_role_in_both_teams() -> None:
    assert {name.partition("-")[0] for name in PEOPLE} == {*Role.values, "nobody"}
