"""What the coordinator's tests need around a backfill: a node, a handler, the pointers it commits.

The handler is real where it matters: what it publishes is a row in the same database, so a test can
see whether the fence let it through.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from django.contrib.auth.models import User
from django.db import connection

from coordinator.coverage import CoverageRange
from coordinator.ports import CancelSignal, ShardTask, Staged
from coordinator.services.requesting import BackfillRequest, request_backfill
from registry.actors import Actor
from registry.canonical import canonicalize, fingerprint
from registry.models import (
    Membership,
    Node,
    Proposal,
    Review,
    Role,
    SchemaContent,
    SchemaVersion,
    Subject,
    Team,
)
from tests.databases import as_owner

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
READER = Actor(kind="consumer", id="7", name="desk", request_id="req-7")
DOCUMENT = {"type": "object", "properties": {"v": {"type": "number"}}}


def make_operator(name: str = "oscar", team: str = "market-data") -> Actor:
    """A person who may run the backfills of the team's nodes."""
    user, _ = User.objects.get_or_create(username=name, is_staff=True)
    group, _ = Team.objects.get_or_create(name=team)
    Membership.objects.get_or_create(user=user, team=group, role=Role.OPERATOR)
    return Actor(kind="user", id=str(user.pk), name=name)


def make_version(subject: str = "market.ohlcv") -> SchemaVersion:
    """The first version of a new subject."""
    team, _ = Team.objects.get_or_create(name="market-data")
    line = Subject.objects.create(name=subject, owner_team=team)
    return _approved(line, 1, DOCUMENT)


def make_next_version(version: SchemaVersion) -> SchemaVersion:
    """The one after it, with another title."""
    return _approved(version.subject, version.number + 1, DOCUMENT | {"title": "newer"})


def _approved(line: Subject, number: int, document: dict[str, Any]) -> SchemaVersion:
    owner, _ = User.objects.get_or_create(username="olive")
    reviewer, _ = User.objects.get_or_create(username="ravi")
    content, _ = SchemaContent.objects.get_or_create(
        fingerprint=fingerprint(document),
        defaults={"canonical": canonicalize(document).decode()},
    )
    Membership.objects.get_or_create(team=line.owner_team, user=reviewer, role=Role.REVIEWER)
    proposal = Proposal.objects.create(
        subject=line,
        author=owner,
        content=content,
        resolved_fingerprint=content.fingerprint,
        created_at=NOW,
    )
    proposal.state = "in_review"
    proposal.save()
    Review.objects.create(
        proposal=proposal,
        reviewer=reviewer,
        content=content,
        team=line.owner_team,
        decision="approve",
        created_at=NOW,
    )
    version = SchemaVersion.objects.create(
        subject=line,
        number=number,
        content=content,
        resolved_fingerprint=content.fingerprint,
        proposal=proposal,
        created_at=NOW,
    )
    proposal.state, proposal.decided_at = "approved", NOW
    proposal.save()
    return version


def make_node(version: SchemaVersion, node_id: str = "ohlcv:x:BTC/USDT:10s", **fields: Any) -> Node:
    settings = {"interval": 10, "series": [{"key": {}, "since": None}]} | fields
    return Node.objects.create(node_id=node_id, subject=version.subject, **settings)


@dataclass
class House:
    """One node and what is asked of it."""

    version: SchemaVersion
    node: Node

    def request(self, *missing: tuple[int, int], **options: Any) -> BackfillRequest:
        return request_backfill(
            **{
                "actor": READER,
                "node": self.node,
                "missing": missing,
                "bound_version": self.version,
                "now": NOW,
                "requested_by": "test",
            }
            | options
        )


@dataclass
class TinyHandler:
    """Serves one row per bar and publishes a pointer row. Hooks stand in for faults."""

    interval: int = 10
    on_fetch: Callable[[CoverageRange, CancelSignal], None] = lambda _range, _cancel: None
    on_stage: Callable[[ShardTask, int], None] = lambda _shard, _epoch: None
    on_publish: Callable[[Staged], None] = lambda _staged: None
    rows_missing: int = 0
    fetched: list[CoverageRange] = field(default_factory=list)
    discarded: list[Any] = field(default_factory=list)

    def fetch(self, range: CoverageRange, deadline: float, cancel: CancelSignal) -> pa.Table:
        self.fetched.append(range)
        self.on_fetch(range, cancel)
        bars = [*_bars(range, self.interval)]
        return pa.table({"t": bars[: len(bars) - self.rows_missing]})

    def stage(self, table: pa.Table, shard: ShardTask, epoch: int) -> Staged:
        self.on_stage(shard, epoch)
        text = json.dumps(table.column("t").to_pylist())
        checksum = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        return Staged(table.num_rows, checksum, payload=(shard.shard_id, epoch))

    def publish(self, staged: Staged, connection: Any) -> None:
        self.on_publish(staged)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO test_pointer (shard_id, epoch, n_rows) VALUES (%s, %s, %s)",
                [*staged.payload, staged.n_rows],
            )

    def discard(self, staged: Staged) -> None:
        self.discarded.append(staged.payload)


def _bars(wanted: CoverageRange, interval: int) -> range:
    return range(wanted.start, wanted.end + 1, interval)


def create_pointer_table() -> None:
    """The owner's, as tables are; the application may fill it."""
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE test_pointer (shard_id bigint, epoch bigint, n_rows bigint)")
        if connection.vendor == "postgresql":
            cursor.execute("GRANT ALL ON test_pointer TO SESSION_USER")


def pointers() -> list[tuple[int, int, int]]:
    """(shard, epoch, rows) of everything that was ever published."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT shard_id, epoch, n_rows FROM test_pointer ORDER BY shard_id, epoch")
        return [tuple(row) for row in cursor.fetchall()]
