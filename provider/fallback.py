"""Storage cannot be read: the rows come from the node's source instead, and the answer says so.

Checked like any other rows; nothing of them is stored.
"""

from time import monotonic

import structlog
from django.conf import settings

from coordinator.coverage import CoverageRange
from coordinator.ports import CancelSignal
from coordinator.services.limits import source_wait
from coordinator.source_names import source_name
from provider.backfill import NodeShardHandler
from provider.blend import Piece, read_pieces
from provider.conformance import Finding, FindingClass
from provider.node_view import grid_of
from provider.planning import measure_coverage
from provider.requests import ReadRequest, Strategy
from provider.sla import SLAClock, SLAPhase, SourcePool
from provider.sources.alignment import alignment_of
from provider.stages import Plan, Stored
from provider.stores.protocol import StoreUnreadable

STORAGE_FLAG = "storage_unavailable"
_WAITING = frozenset({Strategy.SEAMLESS, Strategy.AUTO_BACKFILL})
_source_pool = SourcePool("source", limit=16)

log = structlog.get_logger("seamless.backfill")


def read_source(
    request: ReadRequest, planned: Plan, clock: SLAClock, unreadable: StoreUnreadable
) -> Stored:
    """The window as the source has it, within the budget of a backfill.

    Raises `unreadable` where the read may not go there: it reads an artefact, or asks for what is
    there and no more; there is no source, its limit is reached, or its rows become bars only when
    they are stored. Raises SeamlessSLAExceeded, and what the source raises.
    """
    node, window = request.node, request.window
    may = request.artifact is None and request.strategy in _WAITING and bool(node.source)
    if not may or alignment_of(node.source) or source_wait(source_name(node.source), request.now):
        raise unreadable
    clock.check_sync_gap(window.bars, node.interval)
    span = CoverageRange(window.start, window.end)
    left = clock.deadline(SLAPhase.BACKFILL_WAIT).remaining()
    until = monotonic() + (settings.SEAMLESS_LONGEST_WAIT_SECONDS if left is None else left)
    handler = NodeShardHandler(node)
    table = clock.run_within(
        SLAPhase.BACKFILL_WAIT,
        lambda: handler.fetch(span, until, CancelSignal()),
        _source_pool,
    )
    log.warning(
        "seamless.backfill.storage_fallback",
        batch_id=f"{node.node_id}:{node.interval}:{window.start}:{window.end}",
        attempt=1,
        node_id=node.node_id,
        interval=node.interval,
        start=window.start,
        end=window.end,
        source="fetcher",
        error=str(unreadable),
    )
    pieces = [Piece("source", table)] if table.num_rows else []
    read = read_pieces(pieces, planned.frame, [series.key for series in planned.expected])
    coverage = measure_coverage(read, planned.frame, planned.expected, grid_of(node))
    return Stored(pieces, read, coverage, instead=(_finding(unreadable),))


def _finding(unreadable: StoreUnreadable) -> Finding:
    said = f"storage could not be read, so the rows are the source's own: {unreadable}"
    return Finding(FindingClass.NOTE, STORAGE_FLAG, 1, warnings=(said,))
