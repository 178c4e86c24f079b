"""Windows too large to be held in memory: checked batch by batch, sent only when all have passed.

Batches end where blocks of the fingerprint end, so the answer has the name it would have at once.
Rows are put to the batch of their time; a gap that spans a seam is counted as one, and rows that
are too close across it are flagged. Rows of one file that are out of order by more than a batch are
not seen as unsorted, and a rule compares no two rows of different batches.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from django.conf import settings

from coordinator.coverage import Window
from coordinator.services.outcomes import JobOutcome
from provider.conformance import (
    ConformancePipeline,
    ConformancePipelineError,
    ConformanceReport,
    Examined,
    refusing_crashes,
)
from provider.conformance.rolling import RollingReport
from provider.domains import enter
from provider.fingerprints import BLOCK_BARS, FingerprintStream
from provider.gathering import gather, with_origins
from provider.node_view import grid_of, reaches_present
from provider.requests import ReadRequest
from provider.seamless import clock_for, remember_report
from provider.sla import OnViolation, SLAClock
from provider.stages import Plan, final_report, pipeline_for, plan, reach_verdict, refuse_nothing
from provider.verdict import Verdict
from registry.errors import Unavailable

Receive = Callable[[Examined, Window], None]


class ExportsBusy(Unavailable):
    """Large answers are made a few at a time."""

    code = "exports_busy"
    title = "Exports busy"


@dataclass(frozen=True, slots=True)
class Exported:
    """What is to be said of an answer whose rows were handed on batch by batch."""

    request: ReadRequest
    report: ConformanceReport
    verdict: Verdict
    fingerprint: str
    jobs: tuple[JobOutcome, ...] = ()

    @property
    def coverage(self) -> float:
        return self.verdict.coverage


def is_large(request: ReadRequest) -> bool:
    """Whether the window may hold more rows than are checked at once."""
    return request.window.bars > _bars_at_once(request)


def largest_at_once(request: ReadRequest) -> Window:
    window, bars = request.window, _bars_at_once(request)
    end = min(window.end, window.start + (bars - 1) * window.interval)
    return Window(window.start, end, window.interval)


def export(request: ReadRequest, receive: Receive) -> Exported:
    """Check the window batch by batch and hand each batch on; the caller sends none before the end.

    `receive` gets a batch as it was examined, in as few parts as exact types allow, and its window.
    Raises what a read raises, and ExportsBusy.
    """
    request = enter(request)
    clock = clock_for(request)
    with _a_place(), clock.total():
        exported = _export(request, receive, clock)
    remember_report(exported.report)
    return exported


def _export(request: ReadRequest, receive: Receive, clock: SLAClock) -> Exported:
    rolling, named = RollingReport(request.node.interval), FingerprintStream(grid_of(request.node))
    rows, expects = 0, False
    for part in _parts(request):
        planned, batch = _batch(part, clock, rolling, named)
        rows, expects = rows + batch.blended.rows, expects or planned.expects_bars
        receive(batch, part.window)
    if not rows:
        refuse_nothing(request, (), clock.violation, expects_bars=expects)
    present = reaches_present(request.node, request.window, request.now)
    whole = replace(planned, expected=(), reaches_present=present)
    return _concluded(request, whole, rolling.report(), named, clock)


def _parts(request: ReadRequest) -> Iterator[ReadRequest]:
    """A request per batch; each reads up to the next, and then leaves it what is its own."""
    for window in batches(request):
        last = window.end == request.window.end
        until = None if last else window.end + window.interval
        yield replace(request, window=window, reads_until=until)


def batches(request: ReadRequest) -> Iterator[Window]:
    """The window cut where blocks end; the first and the last piece may be shorter."""
    window, interval = request.window, request.window.interval
    blocks = max(1, _bars_at_once(request) // BLOCK_BARS)
    start = window.start
    while start <= window.end:
        number = (start - request.node.anchor) // (interval * BLOCK_BARS) + blocks
        following = request.node.anchor + number * interval * BLOCK_BARS
        end = min(following - interval, window.end)
        yield Window(start, end, interval)
        start = end + interval


def _batch(
    part: ReadRequest, clock: SLAClock, rolling: RollingReport, named: FingerprintStream
) -> tuple[Plan, Examined]:
    gathered = gather(part, plan(part, clock), clock)
    # Each row in one batch: that of its time; rows without a time in the first.
    first = part.window.start if rolling.has_begun else None
    pieces = gathered.pieces.between(first, part.reads_until)
    pipeline = pipeline_for(part, gathered.planned, clock.policy)
    try:
        examined, known = with_origins(part, gathered, pipeline.examine(pieces))
        _without_missing(pipeline).judge(examined.report)
    except ConformancePipelineError as error:
        remember_report(error.report)
        raise
    rolling.add(examined.report, examined.blended)
    with refusing_crashes():
        named.add(examined.blended, known)
        return gathered.planned, replace(examined, blended=examined.blended.joined())


def _without_missing(pipeline: ConformancePipeline) -> ConformancePipeline:
    """Missing bars are judged at the end, over the whole window."""
    return replace(pipeline, policy=replace(pipeline.policy, on_violation=OnViolation.PARTIAL_FILL))


def _concluded(
    request: ReadRequest,
    planned: Plan,
    report: ConformanceReport,
    named: FingerprintStream,
    clock: SLAClock,
) -> Exported:
    verdict = reach_verdict(request, planned, report, clock.violation, clock.policy)
    final = final_report(report, verdict, (), clock.policy)
    remember_report(final)
    pipeline_for(request, planned, clock.policy).judge(final)
    return Exported(request, final, verdict, named.name())


def _bars_at_once(request: ReadRequest) -> int:
    return max(BLOCK_BARS, int(settings.SEAMLESS_BATCH_ROWS) // max(1, len(request.node.series)))


_places: threading.BoundedSemaphore | None = None


@contextmanager
def _a_place() -> Iterator[None]:
    global _places
    if _places is None:
        _places = threading.BoundedSemaphore(settings.SEAMLESS_EXPORTS)
    if not _places.acquire(blocking=False):
        raise ExportsBusy(
            f"{settings.SEAMLESS_EXPORTS} large answers are being made; try again shortly, or ask "
            "for a shorter window.",
            retry_after=5,
        )
    try:
        yield
    finally:
        _places.release()
