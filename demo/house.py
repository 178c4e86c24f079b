"""The people, teams and policies that the demo starts with; run inside Django."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User

from registry.actors import Actor
from registry.services import gate_policies, nodes, people, tokens

SYSTEM = Actor.system("demo")
TEAMS = ("market-data", "trading", "platform")
ROLES = (
    ("olive", "market-data", "owner"),
    ("olive", "market-data", "reviewer"),
    ("ravi", "platform", "reviewer"),
    ("sofia", "trading", "reviewer"),
    ("carl", "trading", "consumer_admin"),
    ("oscar", "market-data", "operator"),
    ("ada", "platform", "auditor"),
)
WHO = {
    "olive": "schema owner (and reviewer)",
    "ravi": "reviewer, platform",
    "sofia": "reviewer, trading",
    "carl": "consumer admin, trading",
    "oscar": "operator",
    "ada": "auditor",
}
SCOPES = {"oscar": ["govern", "metrics"], "ada": ["govern", "metrics"]}


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    password: str
    token: str


def build_house(now: datetime) -> dict[str, Person]:
    """Teams, people with random passwords and personal tokens, the demo's gate and SLA policies."""
    for team in TEAMS:
        people.create_team(actor=SYSTEM, name=team, now=now)
    cast = {name: _person(name, now) for name in WHO}
    for name, team, role in ROLES:
        people.add_member(actor=SYSTEM, team=team, username=name, role=role, now=now)
    gate_policies.save_gate_policy(
        actor=SYSTEM,
        name="demo",
        description="For the demo only: no waiting time. The default waits 48 hours.",
        observation=timedelta(0),
        minimum_reads=1,
        required_approvals=2,
        now=now,
    )
    nodes.save_sla_policy(
        actor=SYSTEM,
        name="interactive",
        document={
            "total_deadline_ms": 60_000,
            "max_wait_storage_ms": 5_000,
            "max_wait_backfill_ms": 45_000,
            "on_violation": "fail_fast",
        },
        now=now,
    )
    return cast


def _person(name: str, now: datetime) -> Person:
    password = secrets.token_urlsafe(15)
    people.create_person(actor=SYSTEM, username=name, password=password, now=now)
    token = tokens.issue_personal_token(
        actor=SYSTEM,
        user=User.objects.get(username=name),
        scopes=SCOPES.get(name, ["govern"]),
        lifetime=timedelta(days=30),
        now=now,
        label="demo",
    )
    return Person(name=name, password=password, token=token.secret)
