"""A small installation for the tests of the admin pages: one of everything, made by services."""

import json
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from django.contrib.auth.models import User

from coordinator.models import (
    BackfillJob,
    BackfillShard,
    Quarantine,
    ServiceLease,
    SourceLimit,
)
from provider.models import Artifact, Segment, StoredReport
from registry.actors import Actor
from registry.canonical import fingerprint
from registry.models import Mode, Node, Proposal, SchemaVersion
from registry.services import (
    consumers,
    evidence,
    gate_policies,
    gates,
    incidents,
    nodes,
    people,
    proposals,
    releases,
    samples,
    subjects,
    tokens,
    usage,
)
from registry.services.audit.export_requests import request_export
from registry.services.audit.exporting import Extent
from registry.services.behind_reads import flush_all
from registry.services.resolution import resolve

PASSWORD = "a-long-enough-passphrase"
SYSTEM = Actor.system("test")
ROLES = {
    "ada": [("market", "owner"), ("market", "reviewer")],
    "bo": [("market", "reviewer")],
    "cy": [("research", "consumer_admin")],
    "di": [("research", "auditor")],
    "ed": [("market", "operator")],
    "fay": [("market", "consumer_admin"), ("research", "reviewer")],
    "ella": [],
}


class World:
    """A small installation, made by the services as these people."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        for team in ("market", "research"):
            people.create_team(actor=SYSTEM, name=team, now=now)
        self.users = {name: self._person(name) for name in ROLES}
        gate_policies.save_gate_policy(
            actor=SYSTEM,
            name="quick",
            observation=timedelta(0),
            minimum_reads=1,
            required_approvals=1,
            now=now,
        )
        nodes.save_sla_policy(actor=SYSTEM, name="interactive", document={}, now=now)
        self.grow("a")
        self.proposal = self.propose("market.a", {"type": ["number", "null"]}, "loosen it")

    def _person(self, name: str) -> User:
        user = people.create_person(
            actor=SYSTEM, username=name, password=PASSWORD, now=self.now, email=f"{name}@test.org"
        )
        for team, role in ROLES.get(name, []):
            people.add_member(actor=SYSTEM, team=team, username=name, role=role, now=self.now)
        return user

    def actor(self, name: str) -> Actor:
        return Actor(kind="user", id=str(self.users[name].pk), name=name)

    def propose(self, subject: str, price: Any, reason: str) -> Proposal:
        proposed = proposals.propose_schema(
            actor=self.actor("ada"),
            subject=subject,
            document=json.dumps(schema(price)),
            now=self.now,
            reason=reason,
        )
        assert proposed.proposal is not None
        return proposed.proposal

    def submit(self, proposal: Proposal) -> None:
        proposals.submit_proposal(actor=self.actor("ada"), proposal_id=proposal.pk, now=self.now)

    def approve(self, proposal: Proposal) -> None:
        proposals.approve_proposal(actor=self.actor("bo"), proposal_id=proposal.pk, now=self.now)

    def grow(self, mark: str) -> None:
        """One more of everything that has a list."""
        now, subject = self.now, f"market.{mark}"
        people.create_team(actor=SYSTEM, name=f"team-{mark}", now=now)
        people.create_person(actor=SYSTEM, username=f"person-{mark}", password=PASSWORD, now=now)
        for team in ("market", "research"):
            people.add_member(
                actor=SYSTEM, team=team, username=f"person-{mark}", role="reviewer", now=now
            )
        subjects.create_subject(actor=self.actor("ada"), name=subject, owner_team="market", now=now)
        first = self.propose(subject, {"type": "number"}, "first")
        self.submit(first)
        self.approve(first)
        releases.create_bundle(
            actor=self.actor("ada"),
            name=f"bundle-{mark}",
            owner_team="market",
            subjects=[subject],
            gate_policy="quick",
            now=now,
        )
        consumer = consumers.create_consumer(
            actor=self.actor("cy"), name=f"consumer-{mark}", owner_team="research", now=now
        )
        consumers.subscribe(
            actor=self.actor("cy"), consumer=consumer.name, bundle=f"bundle-{mark}", now=now
        )
        tokens.issue_consumer_token(
            actor=self.actor("cy"),
            consumer=consumer,
            scopes=["read"],
            lifetime=timedelta(days=1),
            now=now,
        )
        node = nodes.register_node(
            actor=self.actor("ada"),
            node_id=f"node:{mark}",
            subject=subject,
            interval=60,
            store={"type": "parquet"},
            source={},
            series=[{"key": {}, "since": None}],
            now=now,
            sla="interactive",
        )
        consumers.grant_node(
            actor=self.actor("ada"), consumer=consumer.name, node_id=node.node_id, now=now
        )
        bound = resolve(consumer, node).canary
        assert bound is not None
        evidence.record_check(
            consumer=consumer,
            node=node,
            version=bound,
            mode=Mode.STRICT,
            rows=1,
            findings=[evidence.SchemaFinding("price", "type", 2, [{"value": "n/a"}])],
            now=now,
        )
        evidence.record_check(
            consumer=consumer,
            node=node,
            version=bound,
            mode=Mode.CANARY,
            rows=1,
            findings=[],
            now=now,
        )
        request_export(actor=self.actor("di"), extent=Extent(), format="jsonl", now=now)
        rollout = consumer.rollouts.get()
        gates.request_override(
            actor=self.actor("bo"),
            rollout_id=rollout.pk,
            reason=f"because of {mark}",
            expires_at=now + timedelta(hours=9),
            now=now,
        )
        incident = incidents.open_incident(
            actor=self.actor("cy"),
            consumer=consumer.name,
            bundle=f"bundle-{mark}",
            reason="looks odd",
            now=now,
        )
        incidents.close_incident(
            actor=self.actor("cy"), incident_id=incident.pk, reason="it was not", now=now
        )
        usage.count_read(consumer=consumer, node=node, version=bound, columns=["price"], now=now)
        rows = pa.table({"ts": [0], "price": ["sampled-value"]})
        samples.retain_sample(node=node, version=bound, table=rows, now=now)
        flush_all()
        _repairs_and_reports(node, SchemaVersion.objects.get(pk=bound.version_id), mark, now)


def schema(price: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "ts": {"type": "integer"},
            "price": price,
            "account": {"type": "string"},
        },
        "required": ["ts"],
        "additionalProperties": False,
        "x-seamless": {"time": "ts", "unit": "s", "sensitive": ["account"]},
    }


def _repairs_and_reports(node: Node, version: SchemaVersion, mark: str, now: datetime) -> None:
    """What the two rooms above keep, written as rows: their services need running servers."""
    job = BackfillJob.objects.create(
        node=node,
        interval=60,
        bound_version=version,
        range_start=0,
        range_end=120,
        lease_key=mark,
        expected_bars=3,
        requested_by="test",
        created_at=now,
    )
    shard = BackfillShard.objects.create(
        job=job,
        range_start=0,
        range_end=120,
        expected_bars=3,
        next_attempt_at=now,
        diagnostics=[{"keyword": "type"}],
    )
    Quarantine.objects.create(
        shard=shard,
        epoch=1,
        row={"price": "bad-price", "account": "quarantined-value"},
        created_at=now,
    )
    SourceLimit.objects.create(name=mark, max_running=2, refilled_at=now)
    ServiceLease.objects.create(
        key=mark,
        state="held",
        epoch=1,
        token_digest="digest-of-lease",
        holder="x",
        expires_at=now,
        updated_at=now,
    )
    Segment.objects.create(
        node=node,
        shard=shard,
        epoch=1,
        file=f"{mark}.parquet",
        checksum="sha256:0",
        rows=3,
        range_start=0,
        range_end=120,
        created_at=now,
    )
    Artifact.objects.create(
        node=node,
        version=version,
        address=fingerprint(mark),
        as_of=now,
        range_start=0,
        range_end=120,
        rows=3,
        dataset_fingerprint="sha256:0",
        manifest={"coverage": 1},
        created_at=now,
    )
    StoredReport.objects.create(
        node=node, version=version, digest="sha256:1", report={"flags": {}}, created_at=now
    )
