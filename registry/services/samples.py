"""Retained samples: a few rows of recent responses, kept so that a candidate can be tried on them.

They are stored whole, as the response wrote them, because a cut row would prove nothing; so they
are never shown (a replay's report shows what a refusal shows), and two kinds of column are not
stored at all: sensitive ones, and those that hold a text of more than `LONGEST_CELL` characters.
Such columns are `withheld`: a replay must not judge them.

Each node and version has `PLACES` places. The first samples fill them; a later one takes a random
place, so that the older a sample, the likelier it has made room.
"""

import json
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

import pyarrow as pa
import structlog
from django.conf import settings
from django.db import transaction

from registry.cells import Cell, json_text, write_rows
from registry.frame import frame_of
from registry.models import Node, RetainedSample, Subject
from registry.services.behind_reads import flushed_behind_reads, wake
from registry.services.resolution import BoundVersion

logger = structlog.get_logger("seamless.schema")

PLACES = 100
ROWS_A_SAMPLE = 50
LONGEST_CELL = 100
LONGEST_SAMPLE = 100_000
MOST_WAITING = 100
MOST_KNOWN = 10_000
KEPT_FOR = timedelta(days=30)

Target = tuple[int, int]  # node and version


@dataclass(frozen=True, slots=True)
class SampledRows:
    """Rows of one response; a replay leaves out what it finds about `withheld` columns."""

    node: str
    version_id: int
    taken_at: datetime
    rows: Sequence[dict[str, Any]]
    withheld: frozenset[str]


class Reservoir:
    """When each node and version was sampled last, and the samples that are not written yet."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken: dict[Target, datetime] = {}
        self._waiting: list[RetainedSample] = []

    def is_due(self, target: Target, now: datetime) -> bool:
        """Whether it is time for the next sample; who is told so is expected to take it."""
        pause = timedelta(seconds=settings.SEAMLESS_SAMPLE_SECONDS)
        with self._lock:
            last = self._taken.get(target)
            if last is not None and now - last < pause:
                return False
            if len(self._taken) >= MOST_KNOWN:
                self._taken.clear()
            self._taken[target] = now
            return True

    def add(self, sample: RetainedSample) -> None:
        with self._lock:
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(sample)

    def take(self) -> list[RetainedSample]:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        return waiting


_reservoir = Reservoir()


def is_sample_due(*, node: Node, version: BoundVersion, now: datetime) -> bool:
    return _reservoir.is_due((node.pk, version.version_id), now)


def retain_sample(*, node: Node, version: BoundVersion, table: pa.Table, now: datetime) -> None:
    """Redact some consecutive rows of a checked answer, and leave them for the next flush."""
    frame = frame_of(version.document)
    first = random.randint(0, max(0, table.num_rows - ROWS_A_SAMPLE))
    few = table.slice(first, ROWS_A_SAMPLE)
    shown = [name for name in few.column_names if name not in frame.sensitive]
    rows = write_rows(few.select(shown), frame)
    long = {
        name for row in rows for name, cell in row.items() if len(json_text(cell)) > LONGEST_CELL
    }
    kept: list[Cell] = [
        {name: cell for name, cell in row.items() if name not in long} for row in rows
    ]
    text = json_text(kept)
    if not kept or len(text) > LONGEST_SAMPLE:
        return
    _reservoir.add(
        RetainedSample(
            node_id=node.pk,
            version_id=version.version_id,
            rows=text,
            row_count=len(kept),
            withheld=sorted(frame.sensitive | long),
            taken_at=now,
        )
    )
    wake()


@flushed_behind_reads
def flush_samples() -> None:
    """Give each waiting sample its place; what cannot be written is dropped, the next is near."""
    for sample in _reservoir.take():
        with transaction.atomic():
            _place(sample)


def sampled_rows(subject: Subject, *, since: datetime) -> Iterator[SampledRows]:
    """The retained samples of the subject's nodes, the newest first."""
    found = RetainedSample.objects.filter(node__subject=subject, taken_at__gte=since)
    for sample in found.select_related("node").order_by("-taken_at", "-pk").iterator(100):
        yield SampledRows(
            node=sample.node.node_id,
            version_id=sample.version_id,
            taken_at=sample.taken_at,
            rows=json.loads(sample.rows),
            withheld=frozenset(sample.withheld),
        )


def prune_samples(*, now: datetime) -> int:
    """Forget samples past `KEPT_FOR`; how many those were."""
    deleted, _ = RetainedSample.objects.filter(taken_at__lt=now - KEPT_FOR).delete()
    return deleted


def _place(sample: RetainedSample) -> None:
    held = RetainedSample.objects.filter(node_id=sample.node_id, version_id=sample.version_id)
    taken = set(held.values_list("place", flat=True))
    free = set(range(PLACES)) - taken
    sample.place = min(free) if free else random.randrange(PLACES)
    RetainedSample.objects.bulk_create(
        [sample],
        update_conflicts=True,
        unique_fields=["node", "version", "place"],
        update_fields=["rows", "row_count", "withheld", "taken_at"],
    )


def _start_anew() -> None:
    """A forked child takes its own samples."""
    global _reservoir
    _reservoir = Reservoir()


os.register_at_fork(after_in_child=_start_anew)
