"""What checks found, aggregated; written after the answer, never by a reader in the way of one.

Canary checks are gathered in memory and written once a second: a read counts towards a gate only
once its check stands in the database. Strict findings are written at once, before the refusal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F

from registry.audit.events import recordable
from registry.models import CanaryTally, Consumer, Diagnostic, Mode, Node
from registry.services.background import Rounds
from registry.services.snapshot import BoundVersion

logger = structlog.get_logger("seamless.schema")

MAX_SAMPLES = 10
MAX_KINDS = 10_000
"""Kinds of findings held in memory at most, should the database stay away."""

CRASHED = "check_crashed"


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
    mode: Mode | str,
    rows: int,
    findings: Sequence[SchemaFinding],
    now: datetime,
    unchecked: bool = False,
) -> None:
    """Add one read to the rollout's tally and its findings to the diagnostics."""
    seen = _Gathered()
    if mode == Mode.CANARY and version.rollout_id is not None:
        tally = _Tally()
        if unchecked:
            tally.unchecked = 1
        else:
            tally.reads, tally.rows = 1, rows
            tally.violations = sum(finding.count for finding in findings)
        seen.tallies[(version.rollout_id, node.pk)] = tally
    for finding in findings:
        kind = _Kind(
            consumer.pk,
            node.pk,
            version.release_id,
            version.version_id,
            str(mode),
            finding.column,
            finding.keyword,
        )
        seen.add_kind(kind, _Count(finding.count, list(finding.samples), now, now))
    if mode == Mode.STRICT or not settings.SEAMLESS_EVIDENCE_SECONDS:
        _write(seen)
    else:
        _rounds.start()
        _batch.add(seen)


def flush() -> None:
    """Write what was gathered since the last time; what cannot be written is kept."""
    gathered = _batch.take()
    try:
        _write(gathered)
    except Exception:
        _batch.add(gathered)
        raise


def forget() -> None:
    """Start anew, as a process does: what was gathered is not written."""
    _rounds.stop()
    _batch.take()


@dataclass(slots=True)
class _Tally:
    reads: int = 0
    rows: int = 0
    violations: int = 0
    unchecked: int = 0

    def add(self, other: "_Tally") -> None:
        self.reads += other.reads
        self.rows += other.rows
        self.violations += other.violations
        self.unchecked += other.unchecked


@dataclass(frozen=True, slots=True)
class _Kind:
    consumer_id: int
    node_id: int
    release_id: int | None
    version_id: int
    mode: str
    column: str
    keyword: str


@dataclass(slots=True)
class _Count:
    count: int
    samples: list[dict[str, Any]]
    first: datetime
    last: datetime

    def add(self, other: "_Count") -> None:
        self.count += other.count
        self.samples = [*self.samples, *other.samples][:MAX_SAMPLES]
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)


@dataclass(slots=True)
class _Gathered:
    tallies: dict[tuple[int, int], _Tally] = field(default_factory=dict)
    kinds: dict[_Kind, _Count] = field(default_factory=dict)

    def add_kind(self, kind: _Kind, count: _Count) -> None:
        if kind in self.kinds:
            self.kinds[kind].add(count)
        elif len(self.kinds) < MAX_KINDS:
            self.kinds[kind] = count
        else:
            logger.warning("schema.diagnostic_dropped", column=kind.column, keyword=kind.keyword)

    def add(self, other: "_Gathered") -> None:
        for place, tally in other.tallies.items():
            if place in self.tallies:
                self.tallies[place].add(tally)
            else:
                self.tallies[place] = tally
        for kind, count in other.kinds.items():
            self.add_kind(kind, count)


class _Batch:
    def __init__(self) -> None:
        self._lock = Lock()
        self._gathered = _Gathered()

    def add(self, seen: _Gathered) -> None:
        with self._lock:
            self._gathered.add(seen)

    def take(self) -> _Gathered:
        with self._lock:
            gathered, self._gathered = self._gathered, _Gathered()
        return gathered


def _write(gathered: _Gathered) -> None:
    """In the order of the keys, so that two processes never wait for each other."""
    if not gathered.tallies and not gathered.kinds:
        return
    with transaction.atomic():
        for (rollout_id, node_id), tally in sorted(gathered.tallies.items()):
            _tally(rollout_id, node_id, tally)
        for kind in sorted(gathered.kinds, key=repr):
            _diagnose(kind, gathered.kinds[kind])


def _tally(rollout_id: int, node_id: int, seen: _Tally) -> None:
    tally, _ = CanaryTally.objects.get_or_create(rollout_id=rollout_id, node_id=node_id)
    CanaryTally.objects.filter(pk=tally.pk).update(
        reads=F("reads") + seen.reads,
        rows=F("rows") + seen.rows,
        violations=F("violations") + seen.violations,
        unchecked=F("unchecked") + seen.unchecked,
    )


def _diagnose(kind: _Kind, seen: _Count) -> None:
    place = {name: getattr(kind, name) for name in _Kind.__slots__}
    samples = recordable(seen.samples[:MAX_SAMPLES])
    diagnostic, created = Diagnostic.objects.get_or_create(
        **place,
        defaults={
            "count": seen.count,
            "samples": samples,
            "first_seen_at": seen.first,
            "last_seen_at": seen.last,
        },
    )
    if not created:
        room = [*diagnostic.samples, *samples][:MAX_SAMPLES]
        Diagnostic.objects.filter(pk=diagnostic.pk).update(
            count=F("count") + seen.count, samples=room, last_seen_at=seen.last
        )


_batch = _Batch()
_rounds = Rounds("evidence", flush, lambda: settings.SEAMLESS_EVIDENCE_SECONDS)
