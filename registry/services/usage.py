"""Usage evidence: how often each consumer read which columns of a node, under which version.

Counted in memory on the request path, written behind it. A batch holds at most `MOST_KINDS`
different kinds of read; more are shed and counted as shed. A process that dies loses what it
counted since its last flush, a second at most.
"""

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from threading import Lock
from typing import NamedTuple

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Max, QuerySet, Sum

from registry.models import Consumer, Node, Subject, Usage
from registry.services.behind_reads import flushed_behind_reads, wake
from registry.services.resolution import BoundVersion

logger = structlog.get_logger("seamless.schema")

ALL_COLUMNS = "*"
MOST_KINDS = 10_000
MOST_COLUMN_SETS = 64  # per consumer, node and day; further sets count as all columns
LONGEST_COLUMNS = 1_000  # bytes: the database keeps them in an index
ROWS_A_STATEMENT = 1_000
KEPT_FOR = timedelta(days=400)


class Kind(NamedTuple):
    """One row of `Usage`, as its unique key."""

    consumer_id: int
    node_id: int
    version_id: int
    release: str
    columns: str
    day: date


class UsageBatch:
    """Counts of reads that are not written yet. Safe to use from many threads."""

    def __init__(self, most_kinds: int = MOST_KINDS) -> None:
        self._lock = Lock()
        self._most_kinds = most_kinds
        self._counts: Counter[Kind] = Counter()
        self._last: dict[Kind, datetime] = {}
        self._column_sets: dict[tuple[int, int, date], set[str]] = {}
        self._shed = 0

    def add(self, kind: Kind, at: datetime, reads: int = 1) -> None:
        with self._lock:
            kind = kind._replace(columns=self._bounded(kind))
            if kind not in self._counts and len(self._counts) >= self._most_kinds:
                self._shed += reads
                return
            self._counts[kind] += reads
            self._last[kind] = max(at, self._last.get(kind, at))

    def take(self) -> tuple[list[tuple[Kind, int, datetime]], int]:
        """All that was counted, in the order of its key, and how much was shed; both start anew."""
        with self._lock:
            counts, last, shed = self._counts, self._last, self._shed
            self._counts, self._last, self._shed = Counter(), {}, 0
        return [(kind, counts[kind], last[kind]) for kind in sorted(counts)], shed

    def shed(self, reads: int) -> None:
        with self._lock:
            self._shed += reads

    def _bounded(self, kind: Kind) -> str:
        if len(self._column_sets) > self._most_kinds:
            self._column_sets.clear()
        sets = self._column_sets.setdefault((kind.consumer_id, kind.node_id, kind.day), set())
        if kind.columns not in sets:
            if len(sets) >= MOST_COLUMN_SETS:
                return ALL_COLUMNS
            sets.add(kind.columns)
        return kind.columns


_batch = UsageBatch()


def count_read(
    *,
    consumer: Consumer,
    node: Node,
    version: BoundVersion,
    columns: Collection[str] | None,
    now: datetime,
) -> None:
    """Count one answered read in memory. `columns`: those it asked for, None for all of them."""
    kind = Kind(
        consumer_id=consumer.pk,
        node_id=node.pk,
        version_id=version.version_id,
        release=f"{version.bundle}/{version.release}" if version.bundle else "",
        columns=_columns_text(columns),
        day=now.date(),
    )
    _batch.add(kind, now)
    wake()


@flushed_behind_reads
def flush_usage() -> None:
    """Add what was counted to the database: all of it in one transaction, or nothing.

    While the database is away the counts wait in the batch; what the database refuses is shed.
    """
    counted, shed = _batch.take()
    if counted:
        try:
            _write(counted)
        except (OperationalError, InterfaceError):
            for kind, reads, at in counted:
                _batch.add(kind, at, reads)
            _batch.shed(shed)
            raise
        except Exception:
            logger.exception("evidence.usage_refused")
            shed += sum(reads for _, reads, _ in counted)
    if shed:
        logger.warning("evidence.usage_shed", reads=shed)


def prune_usage(*, now: datetime) -> int:
    """Forget days past `KEPT_FOR`; how many rows that were."""
    deleted, _ = Usage.objects.filter(day__lt=(now - KEPT_FOR).date()).delete()
    return deleted


# --- what others ask ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Touched:
    """Reads of a subject's nodes, and those of them that read one of some columns."""

    total_reads: int
    touching_reads: int
    consumers: tuple[str, ...]
    nodes: tuple[str, ...]

    @property
    def share(self) -> float:
        """Of all reads, 0.0 where there are none."""
        return self.touching_reads / self.total_reads if self.total_reads else 0.0


@dataclass(frozen=True, slots=True)
class LastRead:
    """When a consumer last read under a version, and how often since the start of the records."""

    version: int
    consumer: str
    reads: int
    last_read_at: datetime


def usual_nodes(consumer: Consumer, *, since: datetime) -> list[Node]:
    """The nodes that the consumer has read since then, by node id."""
    read = Usage.objects.filter(consumer=consumer, last_read_at__gte=since)
    return list(Node.objects.filter(pk__in=read.values("node_id")).order_by("node_id"))


def reads_touching(
    *,
    columns: Collection[str] | None,
    since: datetime,
    subject: Subject | None = None,
    nodes: Iterable[Node] | None = None,
) -> Touched:
    """How many reads since that day used one of the columns, of a subject's nodes or of some.

    A read of all columns uses each, also one that is new; with None for `columns` every read
    counts. `consumers` and `nodes` are the names of those with a touching read.
    """
    if (subject is None) == (nodes is None):
        raise TypeError("give a subject or nodes")
    found = Usage.objects.filter(day__gte=since.date())
    found = found.filter(node__subject=subject) if subject else found.filter(node__in=nodes or ())
    rows = found.values_list("columns", "consumer__name", "node__node_id").annotate(Sum("reads"))
    wanted = None if columns is None else set(columns)
    touching = [row for row in rows if wanted is None or (wanted and _touches(row[0], wanted))]
    return Touched(
        total_reads=sum(row[3] for row in rows),
        touching_reads=sum(row[3] for row in touching),
        consumers=tuple(sorted({row[1] for row in touching})),
        nodes=tuple(sorted({row[2] for row in touching})),
    )


def last_readers(subject: Subject) -> list[LastRead]:
    """For each version of the subject, who has read under it, the latest first."""
    rows = (
        Usage.objects.filter(version__subject=subject)
        .values_list("version__number", "consumer__name")
        .annotate(Sum("reads"), Max("last_read_at"))
    )
    return sorted((LastRead(*row) for row in rows), key=lambda one: one.last_read_at, reverse=True)


def usage_per_column(found: QuerySet[Usage]) -> Counter[str]:
    """Reads per column; `*` are the reads that took all of them."""
    reads: Counter[str] = Counter()
    for columns, count in found.values_list("columns").annotate(Sum("reads")):
        for name in _names(columns):
            reads[name] += count
    return reads


# --- inside -------------------------------------------------------------------------------------


def _columns_text(columns: Collection[str] | None) -> str:
    if columns is None:
        return ALL_COLUMNS
    text = json.dumps(sorted(set(columns)), ensure_ascii=True, separators=(",", ":"))
    return text if len(text) <= LONGEST_COLUMNS else ALL_COLUMNS


def _names(columns: str) -> Sequence[str]:
    return (ALL_COLUMNS,) if columns == ALL_COLUMNS else json.loads(columns)


def _touches(columns: str, wanted: set[str]) -> bool:
    return columns == ALL_COLUMNS or not wanted.isdisjoint(_names(columns))


_FIELDS = (
    "consumer_id",
    "node_id",
    "version_id",
    "release",
    "columns",
    "day",
    "reads",
    "last_read_at",
)


def _write(counted: Sequence[tuple[Kind, int, datetime]]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for start in range(0, len(counted), ROWS_A_STATEMENT):
            rows = [(*kind, reads, at) for kind, reads, at in counted[start:][:ROWS_A_STATEMENT]]
            cursor.execute(_upsert(len(rows)), [value for row in rows for value in row])


def _upsert(rows: int) -> str:
    """The rows add to those that are there, in one statement and in the order of the key."""
    table = connection.ops.quote_name(Usage._meta.db_table)
    names = ", ".join(connection.ops.quote_name(name) for name in _FIELDS)
    key = ", ".join(connection.ops.quote_name(name) for name in Kind._fields)
    places = ", ".join(["(" + ", ".join(["%s"] * len(_FIELDS)) + ")"] * rows)
    later = "MAX" if connection.vendor == "sqlite" else "GREATEST"
    return (
        f"INSERT INTO {table} ({names}) VALUES {places} ON CONFLICT ({key}) DO UPDATE SET"
        f" reads = {table}.reads + excluded.reads,"
        f" last_read_at = {later}({table}.last_read_at, excluded.last_read_at)"
    )


def _start_anew() -> None:
    """A forked child counts its own reads; the parent writes what it had counted itself."""
    global _batch
    _batch = UsageBatch()


os.register_at_fork(after_in_child=_start_anew)
