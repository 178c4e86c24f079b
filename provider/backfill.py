"""How the coordinator's shards of a node are fetched, judged, written and published here."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa
from django.db.models import Q

from coordinator.coverage import CoverageRange
from coordinator.ports import (
    CancelSignal,
    QuarantinedRow,
    ShardRefused,
    ShardTask,
    Staged,
)
from coordinator.services.failing import QUARANTINE_LIMIT
from provider.alignment import align, whole_bars
from provider.models import Segment
from provider.node_view import grid_of
from provider.segment_facts import blocks_of_segment
from provider.sources.alignment import alignment_of
from provider.stores.opening import open_store, source_of
from provider.stores.protocol import Staged as StagedBars
from provider.stores.protocol import Store
from registry.cells import write_rows
from registry.columnar import FrameValidator, FrameVerdict, compile_schema
from registry.errors import Conflict
from registry.frame import frame_of
from registry.models import Mode, Node, Rollout, SchemaVersion
from registry.services.references import stored_references


class NoSource(Conflict):
    code = "no_source"
    title = "Node without a source"


@dataclass(frozen=True, slots=True)
class StagedSegment:
    """What `publish` needs to write the pointer, and `discard` to remove the file."""

    task: ShardTask
    epoch: int
    store: Store
    file: StagedBars
    blocks: list[list[Any]]
    alignment: str


class NodeShardHandler:
    """The shard handler of one node: Parquet segments, published by a row that names them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._alignment = alignment_of(node.source)

    def fetch(self, range: CoverageRange, deadline: float, cancel: CancelSignal) -> pa.Table:
        source = source_of(self._node)
        if source is None:
            raise NoSource(f"{self._node.node_id} has no source to fetch from.")
        cancel.raise_if_set()
        keys = [series["key"] for series in self._node.series if series["key"]]
        span = whole_bars(range, self._node.interval) if self._alignment else range
        table = source.fetch(span, keys, deadline)
        cancel.progressed()
        return table

    def stage(self, table: pa.Table, shard: ShardTask, epoch: int) -> Staged:
        """What arrived is judged, and what is stored: a mean hides a number that may not be."""
        versions = judging_versions(shard.bound_version_id)
        refuse_invalid(table, versions)
        bound = frame_of(versions[0].content.document)
        if self._alignment:
            table = align(table, bound, grid_of(self._node), self._alignment, shard.range)
            refuse_invalid(table, versions)
        store = open_store(self._node, bound)
        file = store.stage(table, shard.shard_id, epoch)
        blocks = blocks_of_segment(store, file.name, shard.range, bound, grid_of(self._node))
        return Staged(
            n_rows=file.rows,
            checksum=file.checksum,
            payload=StagedSegment(shard, epoch, store, file, blocks, self._alignment),
        )

    def publish(self, staged: Staged, connection: Any) -> None:
        segment: StagedSegment = staged.payload
        Segment.objects.using(connection.alias).create(
            node=self._node,
            shard_id=segment.task.shard_id,
            epoch=segment.epoch,
            file=segment.file.name,
            checksum=staged.checksum,
            rows=staged.n_rows,
            range_start=segment.task.range.start,
            range_end=segment.task.range.end,
            blocks=segment.blocks,
            alignment=segment.alignment,
        )

    def discard(self, staged: Staged) -> None:
        segment: StagedSegment = staged.payload
        segment.store.discard(segment.file.name)


def judging_versions(bound_version_id: int) -> Sequence[SchemaVersion]:
    """The bound version first, then every version that a live rollout enforces, even in part."""
    versions = SchemaVersion.objects.select_related("content")
    bound = versions.get(pk=bound_version_id)
    enforcing = Rollout.objects.filter(
        Q(mode=Mode.STRICT) | Q(ramp_percent__gt=0), ended_at__isnull=True
    )
    enforced = versions.filter(
        subject_id=bound.subject_id, releases__rollouts__in=enforcing
    ).exclude(pk=bound.pk)
    return [bound, *enforced.distinct()]


def refuse_invalid(table: pa.Table, versions: Sequence[SchemaVersion]) -> None:
    """A row that no judging version accepts is set aside and ends the shard."""
    verdicts = [_validator(version).check(table) for version in versions]
    accepted = np.logical_or.reduce([verdict.row_valid for verdict in verdicts])
    if accepted.all():
        return
    refused = np.flatnonzero(~accepted)
    kept = table.take(refused[:QUARANTINE_LIMIT])
    found = _diagnostics(verdicts[0])
    frame = frame_of(versions[0].content.document)
    rows = [QuarantinedRow(row=_plain(row), diagnostics=found) for row in write_rows(kept, frame)]
    raise ShardRefused("schema_refused", diagnostics=found, quarantined=rows)


def _plain(cell: Any) -> Any:
    """A cell as JSON that any database stores: what JSON has no number for becomes its text."""
    if isinstance(cell, dict):
        return {name: _plain(value) for name, value in cell.items()}
    if isinstance(cell, list):
        return [_plain(value) for value in cell]
    if isinstance(cell, Decimal) or (isinstance(cell, float) and not isfinite(cell)):
        return str(cell)
    return cell


def _validator(version: SchemaVersion) -> FrameValidator:
    references = stored_references(version.content.canonical)
    return compile_schema(version.content.document, references=references)


def _diagnostics(verdict: FrameVerdict) -> list[dict[str, Any]]:
    return [
        {
            "column": violation.column,
            "keyword": violation.keyword,
            "schema_pointer": violation.schema_pointer,
            "count": violation.count,
        }
        for violation in verdict.violations
    ]
