"""All rows of a window, from wherever they can be had, and what is known of their origins."""

from dataclasses import dataclass, replace
from time import monotonic

import numpy as np

from provider.alignment import alignment_findings
from provider.blend import Blended, Marks, ReadPieces, read_pieces
from provider.conformance import Examined, Finding
from provider.fallback import read_source
from provider.fingerprints import KnownBlocks
from provider.live import LIVE_SOURCE, LiveRows
from provider.live.reading import read_tail
from provider.models import Segment
from provider.node_view import newest_final_bar
from provider.observing import observe_repair
from provider.requests import ReadRequest
from provider.segment_facts import ReadSegments, segments_by_source
from provider.sla import SLAClock
from provider.stages import (
    Plan,
    Repair,
    Stored,
    plan,
    read_storage,
    refuse_quarantined,
    repair,
)
from provider.stores.protocol import StoreUnreadable

PROVISIONAL = "provisional"


@dataclass(frozen=True, slots=True)
class Gathered:
    """All rows of a window that could be had, the plan they answer, the jobs that were asked.

    `findings` are about what is no row: a live feed that failed, say. `asked_live`: what the store
    holds does not decide these rows alone.
    """

    planned: Plan
    pieces: ReadPieces
    job_ids: tuple[int, ...]
    findings: tuple[Finding, ...] = ()
    asked_live: bool = False


def gather(request: ReadRequest, planned: Plan, clock: SLAClock) -> Gathered:
    """Storage, backfill and live tail, in the order of their precedence."""
    stored, began = _stored(request, planned, clock), monotonic()
    repaired = Repair() if stored.instead else repair(request, stored.coverage, clock)
    if repaired.job_ids:
        seconds, before = monotonic() - began, stored.missing_bars
        if repaired.waited:
            planned = plan(request, clock)
            stored = read_storage(request, planned, clock)
        brought = max(0, before - stored.missing_bars)
        observe_repair(request, ranges=repaired.ranges, bars=brought, seconds=seconds)
    asked = read_tail(request, planned, stored.coverage, clock)
    tail = asked or LiveRows()
    refuse_quarantined(request, stored.coverage)
    pieces = stored.read
    if pieces is None or tail.pieces:
        keys = [series.key for series in planned.expected]
        pieces = read_pieces([*tail.pieces, *stored.pieces], planned.frame, keys)
    findings = (*stored.instead, *tail.findings)
    return Gathered(planned, pieces, repaired.job_ids, findings, asked is not None)


def _stored(request: ReadRequest, planned: Plan, clock: SLAClock) -> Stored:
    try:
        return read_storage(request, planned, clock)
    except StoreUnreadable as unreadable:
        return read_source(request, planned, clock, unreadable)


def with_origins(
    request: ReadRequest, gathered: Gathered, examined: Examined
) -> tuple[Examined, KnownBlocks]:
    """What a check of gathered rows found, with what their origins add: notes of rows that were
    aligned, of a feed that failed, marks of provisional rows. And the blocks that are hashed.
    """
    rows, report = examined.blended, examined.report
    segments = _segments(request) if gathered.planned.segments else ReadSegments()
    how = {**segments.alignment, LIVE_SOURCE: request.node.live.get("align") or ""}
    notes = (*gathered.findings, *alignment_findings(rows, how))
    if notes:
        report = replace(report, findings=(*report.findings, *notes))
    marks = {**examined.marks, **_provisional(request, rows)}
    return replace(examined, report=report, marks=marks), segments.blocks


def _segments(request: ReadRequest) -> ReadSegments:
    segments = Segment.objects.touching(request.node, request.window)
    return segments_by_source(segments.values_list("file", "blocks", "alignment"))


def _provisional(request: ReadRequest, rows: Blended) -> dict[str, Marks]:
    """The live rows of bars that may still change."""
    live = [number for number, source in enumerate(rows.sources) if source == LIVE_SOURCE]
    if not live:
        return {}
    final = newest_final_bar(request.node, request.now)
    moving = [
        (part, np.isin(part.pieces, live) & (part.times.seconds > final)) for part in rows.parts
    ]
    series = np.concatenate([part.series[chosen] for part, chosen in moving])
    seconds = np.concatenate([part.times.seconds[chosen] for part, chosen in moving])
    return {PROVISIONAL: Marks(series, seconds)} if len(series) else {}
