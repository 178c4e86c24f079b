"""The shard handler of jobs whose rows come from a node's live feed."""

from collections.abc import Sequence

import pyarrow as pa

from coordinator.coverage import CoverageRange, Window
from coordinator.ports import CancelSignal, ShardTask, Staged
from provider.backfill import NodeShardHandler, judging_versions, refuse_invalid
from provider.blend import blend
from provider.live.feed import tail_of
from provider.live.stored import stored_times, unstored
from provider.parts import MixedTypes, differing_columns
from provider.sources.alignment import alignment_of
from registry.frame import Frame, frame_of
from registry.models import Node
from registry.services.proposals import latest_version


class LiveShardHandler(NodeShardHandler):
    """The rows that arrived and that storage lacks; staged and published like any other's."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._alignment = alignment_of(node.live)
        self._others: Sequence[pa.Table] = ()

    def fetch(self, range: CoverageRange, deadline: float, cancel: CancelSignal) -> pa.Table:
        version = latest_version(self._node.subject)
        frame = Frame() if version is None else frame_of(version.content.document)
        cancel.raise_if_set()
        live = tail_of(self._node, frame).read(range.start, range.end, deadline=deadline)
        cancel.progressed()
        window = Window(range.start, range.end, self._node.interval)
        stored = stored_times(self._node, frame, window)
        parts = blend(unstored(live.pieces, stored, frame), frame).joined().parts
        self._others = [part.table for part in parts[1:]]
        return parts[0].table if parts else pa.table({})

    def stage(self, table: pa.Table, shard: ShardTask, epoch: int) -> Staged:
        """Rows whose types fit no common columns are judged apart: the schema refuses them, or no
        one table can hold them (MixedTypes).
        """
        for other in self._others:
            refuse_invalid(other, judging_versions(shard.bound_version_id))
        if self._others:
            raise MixedTypes(differing_columns([table.schema, *(t.schema for t in self._others)]))
        return super().stage(table, shard, epoch)
