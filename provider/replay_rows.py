"""The stored rows of a node for a shadow replay: what a read would check, without its budgets."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from provider.blend import blend
from provider.node_view import committed_segments, grid_of
from provider.stores.opening import open_store
from registry.frame import Frame
from registry.models import Node

ROWS_A_SHARD = 100_000


class StoredBars:
    """Fills the registry's replay port."""

    def ranges(self, node: Node, since: int, until: int) -> Sequence[tuple[int, int]]:
        window = grid_of(node).snap(since, until)
        if window is None:
            return ()
        bars = max(1, ROWS_A_SHARD // max(1, len(node.series)))
        step = bars * node.interval
        starts = range(window.start, window.end + 1, step)
        return [(start, min(start + step - 1, until)) for start in starts]

    def tables(
        self, node: Node, frame: Frame, start: int, end: int, *, untimed: bool
    ) -> Iterator[pa.Table]:
        window = grid_of(node).snap(start, end)
        segments = [] if window is None else committed_segments(node, window)
        pieces = open_store(node, frame).read(start, end, segments)
        blended = blend(pieces, frame)
        for part in (*blended.parts, *(blended.unreadable if untimed else ())):
            yield part.table
