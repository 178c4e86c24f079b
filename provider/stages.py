"""The stages of a read, in the order in which a request passes them; each returns its artefact.

plan (which bars are expected) → storage (what is there) → backfill (what was missing) → live tail
(what no store has yet) → examine (blend, normalise, schema and time roll-ups, flags, report) →
verdict (what the SLA policy says) → judge (strict refuses). `provider.seamless` runs them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.conf import settings

from coordinator.coverage import CoverageRange, subtract
from coordinator.services.outcomes import JobOutcome
from coordinator.services.refusals import refused_ranges
from coordinator.services.requesting import BackfillRequest, request_backfill
from coordinator.services.settled import settled_since
from coordinator.services.waiting import finish_request
from provider.blend import Piece, ReadPieces, read_pieces
from provider.conformance import (
    ConformancePipeline,
    ConformanceReport,
    Enforcement,
    ExpectedSeries,
    Finding,
    FindingClass,
    SchemaRefused,
)
from provider.domains import store_for
from provider.live import LiveTail, live_tail
from provider.node_view import (
    committed_segments,
    expected_series,
    grid_of,
    newest_ended_bar,
    newest_final_bar,
    reaches_present,
)
from provider.planning import Coverage, measure_coverage
from provider.quality_rules import documents_of, rules_of
from provider.requests import BackfillStarted, NoData, ReadRequest, Strategy
from provider.sla import (
    OnViolation,
    SeamlessSLAExceeded,
    SLAClock,
    SLAPhase,
    SLAPolicy,
    SourcePool,
)
from provider.sources import can_fetch
from provider.stores.opening import source_of
from provider.stores.protocol import StoreUnreadable
from provider.verdict import (
    Verdict,
    is_stale,
    newest_common_bar,
    sla_verdict,
    stale_finding,
)
from registry.frame import Frame, frame_of
from registry.models import SchemaVersion

# The store gives up after the caller has: what the caller is told is that the budget ended.
_LATER_THAN_THE_BUDGET = 0.25
_storage_pool = SourcePool("storage", limit=32)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the window should hold: the bars of each series that are over by now.

    `tail` is where live bars come from, if the window has any that storage may lack.
    `data_version` changes with the rows of the store, and was asked for before they are read.
    """

    frame: Frame
    expected: Sequence[ExpectedSeries]
    reaches_present: bool
    newest_expected: int
    tail: LiveTail | None
    segments: Sequence[str]
    rules: Sequence[Mapping[str, Any]]
    data_version: str | None

    @property
    def expects_bars(self) -> bool:
        return any(len(series.bars) for series in self.expected)


@dataclass(frozen=True, slots=True)
class Stored:
    """What storage holds of the window; `violation`: its budget ended before that was known.

    `instead`: why these rows are another's, storage being unreadable.
    """

    pieces: Sequence[Piece]
    read: ReadPieces | None
    coverage: Coverage | None
    violation: SeamlessSLAExceeded | None = None
    instead: tuple[Finding, ...] = ()

    @property
    def missing_bars(self) -> int:
        return 0 if self.coverage is None else self.coverage.missing_bars


@dataclass(frozen=True, slots=True)
class Repair:
    """The backfill jobs that were asked for what is missing, for how many ranges, and whether they
    were waited for.
    """

    job_ids: tuple[int, ...] = ()
    ranges: int = 0
    waited: bool = False


def plan(request: ReadRequest, clock: SLAClock) -> Plan:
    node, window = request.node, request.window
    frame, kept = frame_of(request.judge.document), request.artifact is not None
    segments = () if kept else committed_segments(node, request.span)
    # No clock changes what an artefact holds.
    present = not kept and reaches_present(node, window, request.now)
    return Plan(
        frame=frame,
        expected=expected_series(node, window, request.now),
        reaches_present=present,
        newest_expected=min(window.end, newest_ended_bar(node, request.now)),
        tail=None if kept else _tail(request, frame),
        segments=segments,
        rules=documents_of(node),
        data_version=_data_version(request, frame, segments, clock),
    )


def _tail(request: ReadRequest, frame: Frame) -> LiveTail | None:
    """The live end of a node, for windows that it reaches: its bars are not all stored yet."""
    node, window = request.node, request.window
    tail = live_tail(node, frame) if request.strategy is Strategy.SEAMLESS else None
    newest = newest_ended_bar(node, request.now)
    reached = tail is not None and window.start <= newest <= window.end + tail.reach_seconds
    return tail if reached else None


def _data_version(
    request: ReadRequest, frame: Frame, segments: Sequence[str], clock: SLAClock
) -> str | None:
    """None where the store cannot say, cannot be read, or does not say so within its budget."""
    store = store_for(request, frame)
    try:
        return clock.run_within(
            SLAPhase.STORAGE_WAIT,
            lambda: store.version(segments, now=request.now.timestamp()),
            _storage_pool,
        )
    except SeamlessSLAExceeded as exceeded:
        tolerated(exceeded, clock.policy)
        return None
    except StoreUnreadable:
        return None  # whoever reads it now is told why


def read_storage(
    request: ReadRequest,
    planned: Plan,
    clock: SLAClock,
    *,
    columns: Collection[str] | None = None,
) -> Stored:
    """The rows of the window, and what each series lacks of its expected bars."""
    span, frame = request.span, planned.frame
    store = store_for(request, frame)
    left = clock.deadline(SLAPhase.STORAGE_WAIT).remaining()
    until = None if left is None else left + _LATER_THAN_THE_BUDGET
    try:
        pieces = clock.run_within(
            SLAPhase.STORAGE_WAIT,
            lambda: store.read(
                span.start, span.end, planned.segments, columns=columns, seconds=until
            ),
            _storage_pool,
        )
    except SeamlessSLAExceeded as exceeded:
        return Stored((), None, None, tolerated(exceeded, clock.policy))
    read = read_pieces(pieces, frame, [series.key for series in planned.expected])
    coverage = measure_coverage(read, frame, planned.expected, grid_of(request.node))
    return Stored(pieces, read, coverage)


def repair(request: ReadRequest, coverage: Coverage | None, clock: SLAClock) -> Repair:
    """Have the coordinator fetch what is missing; `partial_fill` does not wait for it.

    Where storage did not answer (`coverage` None) nothing is known to be missing; what an artefact
    lacks was missing when it was published, and stays so.
    """
    fetches = request.artifact is None and request.strategy is not Strategy.FAIL_FAST
    wanted = wanted_ranges(request, coverage) if fetches and coverage is not None else []
    if not wanted:
        return Repair()
    waits = request.strategy is not Strategy.PARTIAL_FILL
    if waits:
        clock.check_sync_gap(_bars(wanted, request.node.interval), request.node.interval)
    left = clock.deadline(SLAPhase.BACKFILL_WAIT).remaining() if waits else None
    until = None if left is None else request.now + timedelta(seconds=left)
    backfill = start_backfill(request, wanted, waits=waits, until=until)
    job_ids = tuple(backfill.job_ids)
    if not waits:
        return Repair(job_ids, len(wanted))
    try:
        _wait(backfill, clock)
    except SeamlessSLAExceeded as exceeded:
        tolerated(exceeded, clock.policy)
    return Repair(job_ids, len(wanted), waited=True)


def wanted_ranges(request: ReadRequest, coverage: Coverage) -> list[CoverageRange]:
    """What a backfill could bring: missing, from a node with a source, not settled lately, and not
    of the newest bars that its feed may still change.
    """
    node = request.node
    if not coverage.missing_bars or not node.source:
        return []
    missing = coverage.missing_ranges()
    if request.strategy is not Strategy.AUTO_BACKFILL:
        missing = subtract(missing, _settled(request), node.interval)
    missing = _final(missing, newest_final_bar(node, request.now))
    source = source_of(node)
    return [span for span in missing if source is not None and can_fetch(source, span)]


def _final(ranges: Sequence[CoverageRange], newest: int) -> list[CoverageRange]:
    return [CoverageRange(start, min(end, newest)) for start, end in ranges if start <= newest]


def start_backfill(
    request: ReadRequest,
    wanted: Sequence[CoverageRange],
    *,
    waits: bool,
    until: datetime | None = None,
) -> BackfillRequest:
    """`until` is when a reader that waits will have left, whatever becomes of its process."""
    bound = request.resolution.bound
    return request_backfill(
        actor=request.actor,
        node=request.node,
        missing=wanted,
        bound_version=SchemaVersion.objects.get(pk=bound.version_id),
        now=request.now,
        requested_by=f"read of {request.actor.name}",
        wanted_now=waits,
        wanted_until=until,
    )


def refuse_quarantined(request: ReadRequest, coverage: Coverage | None) -> None:
    """A strict read never steps over rows that a backfill refused: it shows what was found."""
    judged = request.resolution.strict is not None and request.artifact is None
    if not judged or coverage is None or not coverage.missing_bars:
        return
    missing = coverage.missing_ranges()
    refused = [
        item
        for item in refused_ranges(node=request.node, window=request.window)
        if any(start <= item.range.end and item.range.start <= end for start, end in missing)
    ]
    if refused:
        findings = tuple(
            Finding(
                FindingClass.SCHEMA,
                "quarantined",
                found["count"],
                column=found["column"],
                keyword=found["keyword"],
                schema_pointer=found["schema_pointer"],
                warnings=(f"a backfill refused {found['count']} rows and set them aside",),
            )
            for item in refused
            for found in item.diagnostics
        )
        raise SchemaRefused(
            ConformanceReport(rows=0, findings=findings, interval=request.node.interval)
        )


def refuse_nothing(
    request: ReadRequest,
    jobs: Sequence[JobOutcome],
    violation: SeamlessSLAExceeded | None,
    *,
    expects_bars: bool,
) -> None:
    """No empty answer where bars are expected: what kept them away is raised instead."""
    running = tuple(job.job_id for job in jobs if job.is_running)
    if running:
        raise BackfillStarted(request.node.node_id, running)
    if violation is not None:
        raise violation
    if not expects_bars:
        return
    window = request.window
    if request.strategy is Strategy.FAIL_FAST:
        raise NoData(
            f"No data available for range [{window.start}, {window.end}] in fail-fast mode"
        )
    raise NoData(
        f"{request.node.node_id} has no row in [{window.start}, {window.end}], neither stored "
        "nor from its source."
    )


def pipeline_for(request: ReadRequest, planned: Plan, policy: SLAPolicy) -> ConformancePipeline:
    strict = request.resolution.strict is not None
    lenient = request.strategy is Strategy.PARTIAL_FILL
    return ConformancePipeline(
        schema=request.judge.document,
        references=request.judge.references,
        frame=planned.frame,
        enforcement=Enforcement.STRICT if strict else Enforcement.RECORD,
        grid=grid_of(request.node),
        expected=planned.expected,
        # Who asks for a partial fill has accepted that bars are missing.
        policy=replace(policy, on_violation=OnViolation.PARTIAL_FILL) if lenient else policy,
        partial_ok=request.partial_ok,
        rules=rules_of(planned.rules),
    )


def reach_verdict(
    request: ReadRequest,
    planned: Plan,
    report: ConformanceReport,
    violation: SeamlessSLAExceeded | None,
    policy: SLAPolicy,
) -> Verdict:
    """What the policy says of the answer; its age counts only where it reaches the present."""
    newest, staleness = newest_common_bar(report), None
    if planned.reaches_present and newest is not None:
        staleness = max(request.now.timestamp() - newest, 0.0)
    coverage = 1.0 if report.coverage is None else report.coverage
    return sla_verdict(
        policy,
        coverage=coverage,
        staleness_seconds=staleness,
        violation=violation,
        regressed=request.regressed,
    )


def final_report(
    report: ConformanceReport, verdict: Verdict, jobs: Sequence[JobOutcome], policy: SLAPolicy
) -> ConformanceReport:
    """The report with what only this read knows: that its bars are late, that a backfill failed."""
    found = list(report.findings)
    if is_stale(policy, verdict.staleness_seconds):
        found.append(stale_finding(policy))
    failed = [code for job in jobs for code in job.violations]
    if failed:
        reasons = ", ".join(sorted(set(failed)))
        found.append(
            Finding(
                FindingClass.NOTE,
                "backfill_failed",
                len(failed),
                warnings=(f"{len(failed)} backfill shards ended without their bars: {reasons}",),
            )
        )
    return replace(report, findings=tuple(found))


def _settled(request: ReadRequest) -> Sequence[CoverageRange]:
    since = request.now - timedelta(seconds=settings.SEAMLESS_ASK_AGAIN_SECONDS)
    return settled_since(
        node=request.node,
        bound_version_id=request.resolution.bound.version_id,
        window=request.window,
        since=since,
    )


def tolerated(exceeded: SeamlessSLAExceeded, policy: SLAPolicy) -> SeamlessSLAExceeded:
    """`partial_fill` and `hold` put up with a phase that took too long; the total never."""
    if policy.on_violation is OnViolation.FAIL_FAST or exceeded.phase == SLAPhase.TOTAL:
        raise exceeded
    return exceeded


def _wait(backfill: BackfillRequest, clock: SLAClock) -> None:
    with clock.timed(SLAPhase.BACKFILL_WAIT) as deadline:
        left = deadline.remaining()
        longest = settings.SEAMLESS_LONGEST_WAIT_SECONDS
        until = monotonic() + (longest if left is None else min(left, longest))
        if not finish_request(backfill, until):
            raise TimeoutError(f"backfill jobs {backfill.job_ids} still run")


def _bars(ranges: Sequence[CoverageRange], interval: int) -> int:
    return sum((end - start) // interval + 1 for start, end in ranges)
