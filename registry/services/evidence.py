"""What checks found, aggregated; written after the answer, never by a reader in the way of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from registry.audit.events import recordable
from registry.models import CanaryTally, Consumer, Diagnostic, Mode, Node
from registry.services.resolution import BoundVersion

MAX_SAMPLES = 10


@dataclass(frozen=True, slots=True)
class SchemaFinding:
    """One kind of violation in one response: how often, and a few (key, bar time, value)."""

    column: str
    keyword: str
    count: int
    samples: Sequence[dict[str, Any]]


def record_check(
    *,
    consumer: Consumer,
    node: Node,
    version: BoundVersion,
    mode: Mode,
    rows: int,
    findings: Sequence[SchemaFinding],
    now: datetime,
    unchecked: bool = False,
) -> None:
    """Add one read to the rollout's tally and its findings to the diagnostics."""
    with transaction.atomic():
        if mode == Mode.CANARY and version.rollout_id is not None:
            _tally(version.rollout_id, node, rows, findings, unchecked)
        for finding in findings:
            _diagnose(consumer, node, version, mode, finding, now)


def _tally(
    rollout_id: int, node: Node, rows: int, findings: Sequence[SchemaFinding], unchecked: bool
) -> None:
    tally, _ = CanaryTally.objects.get_or_create(rollout_id=rollout_id, node=node)
    CanaryTally.objects.filter(pk=tally.pk).update(
        reads=F("reads") + (0 if unchecked else 1),
        rows=F("rows") + (0 if unchecked else rows),
        violations=F("violations") + sum(finding.count for finding in findings),
        unchecked=F("unchecked") + (1 if unchecked else 0),
    )


def _diagnose(
    consumer: Consumer,
    node: Node,
    version: BoundVersion,
    mode: Mode,
    finding: SchemaFinding,
    now: datetime,
) -> None:
    diagnostic, created = Diagnostic.objects.get_or_create(
        consumer=consumer,
        node=node,
        version_id=version.version_id,
        mode=mode,
        column=finding.column,
        keyword=finding.keyword,
        defaults={
            "count": finding.count,
            "samples": recordable(list(finding.samples)[:MAX_SAMPLES]),
            "first_seen_at": now,
            "last_seen_at": now,
        },
    )
    if not created:
        Diagnostic.objects.filter(pk=diagnostic.pk).update(
            count=F("count") + finding.count, last_seen_at=now
        )
