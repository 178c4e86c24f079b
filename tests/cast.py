"""The people and programs of the tests: one small house, built through the services themselves."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from registry.actors import Actor
from registry.models import Consumer, Rollout, SchemaVersion
from registry.services import (
    consumers,
    gate_policies,
    people,
    proposals,
    releases,
    rollouts,
    subjects,
    tokens,
)

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SYSTEM = Actor.system("tests")
PASSWORD = "correct horse battery staple"

OHLC = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Daily bar",
    "type": "object",
    "properties": {
        "session": {"type": "string", "format": "date-time", "description": "Session, 00:00 UTC"},
        "symbol": {"enum": ["AAPL", "IBM"], "description": "Ticker"},
        "close": {"type": "number", "exclusiveMinimum": 0, "description": "Close, USD"},
        "volume": {"type": "integer", "minimum": 0, "description": "Shares"},
    },
    "required": ["session", "symbol", "close", "volume"],
    "additionalProperties": False,
    "x-seamless": {"time": "session", "key": ["symbol"]},
}


def with_property(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """OHLC with one more optional column: a compatible evolution of the closed model."""
    return OHLC | {"properties": OHLC["properties"] | {name: schema}}


@dataclass(frozen=True)
class Cast:
    """`olive` owns schemas and reviews; `ravi` and `sofia` review; `carl` manages consumers;
    `stan` is signed in and belongs to nobody."""

    olive: Actor
    ravi: Actor
    sofia: Actor
    carl: Actor
    oscar: Actor
    ada: Actor
    stan: Actor

    def user(self, name: str) -> User:
        return User.objects.get(username=name)


def assemble() -> Cast:
    """Two teams, seven people, an open gate policy `demo` and a closed one `house`."""
    people.create_team(actor=SYSTEM, name="market-data", now=NOW)
    people.create_team(actor=SYSTEM, name="trading", now=NOW)
    actors = {name: _person(name) for name in Cast.__dataclass_fields__}
    for team, name, role in (
        ("market-data", "olive", "owner"),
        ("market-data", "olive", "reviewer"),
        ("market-data", "ravi", "reviewer"),
        ("trading", "sofia", "reviewer"),
        ("trading", "carl", "consumer_admin"),
        ("market-data", "oscar", "operator"),
        ("market-data", "ada", "auditor"),
    ):
        people.add_member(actor=SYSTEM, team=team, username=name, role=role, now=NOW)
    gate_policy("demo", observation=timedelta(0), minimum_reads=1)
    gate_policy("house")
    return Cast(**actors)


def _person(name: str) -> Actor:
    user = people.create_person(actor=SYSTEM, username=name, password=PASSWORD, now=NOW)
    return Actor(kind="user", id=str(user.pk), name=name)


def gate_policy(
    name: str, *, observation: timedelta = timedelta(hours=48), minimum_reads: int = 100
) -> None:
    gate_policies.save_gate_policy(
        actor=SYSTEM,
        name=name,
        observation=observation,
        minimum_reads=minimum_reads,
        required_approvals=2,
        now=NOW,
    )


def subject(cast: Cast, name: str = "market.ohlc", **fields: Any) -> None:
    subjects.create_subject(
        actor=cast.olive, name=name, owner_team="market-data", now=NOW, **fields
    )


def approved(
    cast: Cast, document: dict[str, Any] = OHLC, name: str = "market.ohlc"
) -> SchemaVersion:
    """Propose, submit and approve: the version that comes of it."""
    outcome = proposals.propose_schema(
        actor=cast.olive, subject=name, document=json.dumps(document), now=NOW
    )
    assert outcome.proposal is not None
    proposal_id = outcome.proposal.pk
    proposals.submit_proposal(actor=cast.olive, proposal_id=proposal_id, now=NOW)
    version = proposals.approve_proposal(actor=cast.ravi, proposal_id=proposal_id, now=NOW)
    assert version is not None
    return version


def bundle(cast: Cast, name: str = "market", gate: str = "demo", members: Any = None) -> None:
    releases.create_bundle(
        actor=cast.olive,
        name=name,
        owner_team="market-data",
        subjects=members or ["market.ohlc"],
        gate_policy=gate,
        now=NOW,
    )


def consumer(cast: Cast, name: str = "pricing") -> Consumer:
    return consumers.create_consumer(actor=cast.carl, name=name, owner_team="trading", now=NOW)


def token(
    cast: Cast, reader: Consumer, *, scopes: tuple[str, ...] = ("read",), now: datetime = NOW
) -> str:
    made = tokens.issue_consumer_token(
        actor=cast.carl, consumer=reader, scopes=scopes, lifetime=timedelta(days=30), now=now
    )
    return made.secret


def made_strict(cast: Cast, rollout: Rollout) -> Rollout:
    """Two people approve and the gates are open: the canary's release becomes strict."""
    for person in (cast.ravi, cast.sofia):
        rollouts.approve_promotion(actor=person, rollout_id=rollout.pk, now=NOW)
    return rollouts.promote_rollout(actor=cast.carl, rollout_id=rollout.pk, now=NOW)
