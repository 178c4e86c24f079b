"""The seamless read: complete data within its budgets, or a clear refusal.

One request runs through these stages, in this order, each a function with its result:
resolve (which release judges it) → plan (what each series lacks) → repair (backfill it)
→ blend (one row per series and bar) → check (schema, time and quality roll-ups) → judge (refuse or
answer). Nothing is shared between requests; the answer is immutable.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from django.conf import settings

from coordinator.calendars import OutsideCalendar, UnknownCalendar
from coordinator.coverage import CoverageRange, Window, subtract
from coordinator.grid import Grid, expected_bars
from coordinator.services.local_runs import finish_jobs
from coordinator.services.refusals import refused_ranges
from coordinator.services.requesting import request_backfill
from coordinator.services.settled import settled_since
from provider.blend import Blended, Piece
from provider.conformance import (
    ConformancePipeline,
    ConformancePipelineError,
    ConformanceReport,
    Enforcement,
    ExpectedSeries,
    Finding,
    FindingClass,
    SchemaRefused,
)
from provider.models import Segment
from provider.observing import observe_phase, observe_violation
from provider.planning import Coverage, measure_coverage
from provider.sla import (
    OnViolation,
    SeamlessSLAExceeded,
    SLAClock,
    SLAPhase,
    SLAPolicy,
    SourcePool,
)
from provider.stores.opening import open_store
from registry.actors import Actor
from registry.errors import InvalidInput, NotFound
from registry.frame import frame_of
from registry.models import Consumer, Node, SchemaVersion
from registry.services.resolution import BoundVersion, Resolution, readable_node, resolve

_last_report: ContextVar[ConformanceReport | None] = ContextVar("last_report", default=None)
# The store gives up after the caller has: what the caller is told is that the budget ended.
_LATER_THAN_THE_BUDGET = 0.25
_storage_pool = SourcePool("storage", limit=32)


class NoData(NotFound):
    """Bars are expected in the window and there is not one row of them."""

    code = "no_data"
    title = "No data"


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One question: a closed window of one node, already on its grid.

    `partial_ok`: quality findings and missing bars are reported instead of raised.
    """

    resolution: Resolution
    window: Window
    actor: Actor
    now: datetime
    partial_ok: bool = False

    @property
    def node(self) -> Node:
        return self.resolution.node

    @property
    def judge(self) -> BoundVersion:
        """The version whose frame and schema the answer is checked with."""
        return self.resolution.strict or self.resolution.bound


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """What was checked and may be sent, and the backfill jobs that were waited for."""

    request: ReadRequest
    rows: Blended
    report: ConformanceReport
    job_ids: tuple[int, ...]

    @property
    def coverage(self) -> float:
        """The share of expected bars that every series has; 1.0 where none are expected."""
        return 1.0 if self.report.coverage is None else self.report.coverage


class SeamlessDataProvider:
    """Reads governed nodes; `partial_ok` is the default of requests that do not say.

    The conformance pipeline is always on.
    """

    def __init__(self, *, partial_ok: bool = False) -> None:
        self._partial_ok = partial_ok

    @property
    def last_conformance_report(self) -> ConformanceReport | None:
        """The report of the last read in this context (thread or asyncio task)."""
        return _last_report.get()

    def fetch(
        self,
        *,
        consumer: Consumer,
        node_id: str,
        start: int,
        end: int,
        actor: Actor,
        now: datetime,
        partial_ok: bool | None = None,
    ) -> ReadAnswer:
        """Read the closed [start, end] (epoch seconds) as this consumer.

        Raises NotFound, ValueError for a window without a bar, SchemaRefused,
        ConformancePipelineError and SeamlessSLAExceeded.
        """
        node = readable_node(consumer, node_id)
        window = grid_of(node).snap(start, end)
        if window is None:
            raise ValueError(f"no bar of {node_id} lies in [{start}, {end}]")
        request = ReadRequest(
            resolution=resolve(consumer, node),
            window=window,
            actor=actor,
            now=now,
            partial_ok=self._partial_ok if partial_ok is None else partial_ok,
        )
        return self.read(request)

    def read(self, request: ReadRequest) -> ReadAnswer:
        """`fetch` for a request that is resolved and snapped already."""
        node = request.node
        _last_report.set(None)
        clock = SLAClock(policy_of(node), node_id=node.node_id, observe=observe_phase(node))
        try:
            with clock.total():
                return _answer(request, clock)
        except SeamlessSLAExceeded as exceeded:
            observe_violation(node, exceeded, clock.policy)
            raise


def _answer(request: ReadRequest, clock: SLAClock) -> ReadAnswer:
    expected = expected_series(request.node, request.window)
    pieces, coverage = plan(request, expected, clock)
    job_ids = repair(request, coverage, clock)
    if job_ids:
        pieces, coverage = plan(request, expected, clock)
    if coverage.missing_bars:
        refuse_quarantined(request, coverage)
        refuse_nothing(request, pieces)
    return check(request, expected, pieces, clock.policy, job_ids)


def plan(
    request: ReadRequest, expected: Sequence[ExpectedSeries], clock: SLAClock
) -> tuple[list[Piece], Coverage]:
    """Read storage, and measure what each series lacks of its expected bars."""
    window, frame = request.window, frame_of(request.judge.document)
    store = open_store(request.node, frame)
    committed = committed_segments(request.node, window)
    left = clock.deadline(SLAPhase.STORAGE_WAIT).remaining()
    until = None if left is None else left + _LATER_THAN_THE_BUDGET
    pieces = clock.run_within(
        SLAPhase.STORAGE_WAIT,
        lambda: store.read(window.start, window.end, committed, seconds=until),
        _storage_pool,
    )
    return pieces, measure_coverage(pieces, frame, expected, grid_of(request.node))


def repair(request: ReadRequest, coverage: Coverage, clock: SLAClock) -> tuple[int, ...]:
    """Have the coordinator fetch what is missing and wait within the budget: the jobs waited for.

    Ranges that a backfill settled lately are not asked for again: the source would say the same.
    Under `partial_fill` a budget that ends leaves the jobs to go on alone and serves what is there.
    """
    node, bound = request.node, request.resolution.bound
    if not coverage.missing_bars or not node.source:
        return ()
    since = request.now - timedelta(seconds=settings.SEAMLESS_ASK_AGAIN_SECONDS)
    settled = settled_since(
        node=node, bound_version_id=bound.version_id, window=request.window, since=since
    )
    wanted = subtract(coverage.missing_ranges(), settled, node.interval)
    if not wanted:
        return ()
    clock.check_sync_gap(_bars(wanted, node.interval), node.interval)
    backfill = request_backfill(
        actor=request.actor,
        node=node,
        missing=wanted,
        bound_version=SchemaVersion.objects.get(pk=bound.version_id),
        now=request.now,
        requested_by=f"read of {request.actor.name}",
        wanted_now=True,
    )
    try:
        _wait(backfill.job_ids, clock)
    except SeamlessSLAExceeded:
        if clock.policy.on_violation is not OnViolation.PARTIAL_FILL:
            raise
    return tuple(backfill.job_ids)


def _wait(job_ids: Sequence[int], clock: SLAClock) -> None:
    with clock.timed(SLAPhase.BACKFILL_WAIT) as deadline:
        left = deadline.remaining()
        longest = settings.SEAMLESS_LONGEST_WAIT_SECONDS
        until = monotonic() + (longest if left is None else min(left, longest))
        if not finish_jobs(job_ids, until):
            raise TimeoutError(f"backfill jobs {list(job_ids)} still run")


def refuse_quarantined(request: ReadRequest, coverage: Coverage) -> None:
    """A strict read never steps over rows that a backfill refused: it shows what was found."""
    if request.resolution.strict is None:
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


def refuse_nothing(request: ReadRequest, pieces: Sequence[Piece]) -> None:
    if not any(piece.table.num_rows for piece in pieces):
        window = request.window
        raise NoData(
            f"{request.node.node_id} has no row in [{window.start}, {window.end}], neither stored "
            "nor from its source."
        )


def check(
    request: ReadRequest,
    expected: Sequence[ExpectedSeries],
    pieces: Sequence[Piece],
    policy: SLAPolicy,
    job_ids: tuple[int, ...],
) -> ReadAnswer:
    """Blend, roll up and judge. Raises SchemaRefused and ConformancePipelineError."""
    strict = request.resolution.strict is not None
    pipeline = ConformancePipeline(
        schema=request.judge.document,
        references=request.judge.references,
        enforcement=Enforcement.STRICT if strict else Enforcement.RECORD,
        grid=grid_of(request.node),
        expected=expected,
        policy=policy,
        partial_ok=request.partial_ok,
    )
    try:
        conformed = pipeline.run(pieces)
    except ConformancePipelineError as error:
        _last_report.set(error.report)
        raise
    _last_report.set(conformed.report)
    return ReadAnswer(request, conformed.blended, conformed.report, job_ids)


def _bars(ranges: Sequence[CoverageRange], interval: int) -> int:
    return sum((end - start) // interval + 1 for start, end in ranges)


def committed_segments(node: Node, window: Window) -> list[str]:
    """The published segments that touch the window, in order of publication."""
    segments = Segment.objects.filter(
        node=node, range_start__lte=window.end, range_end__gte=window.start
    )
    return list(segments.order_by("pk").values_list("file", flat=True))


def expected_series(node: Node, window: Window) -> list[ExpectedSeries]:
    """The node's series with the bars each should have in the window."""
    grid, calendar = grid_of(node), node.calendar
    try:
        return [
            ExpectedSeries(one["key"], expected_bars(calendar, grid, window, one.get("since")))
            for one in node.series
        ]
    except (OutsideCalendar, UnknownCalendar) as error:
        raise InvalidInput(f"{node.node_id}: {error}.", parameter="start") from None


def grid_of(node: Node) -> Grid:
    return Grid(node.interval, node.anchor)


def policy_of(node: Node) -> SLAPolicy:
    return SLAPolicy.from_dict(node.sla.document) if node.sla else SLAPolicy()
