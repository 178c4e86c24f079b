"""The stage of a read that asks for live rows: between what is stored and the check of both."""

from time import monotonic

from provider.conformance import Finding, FindingClass
from provider.live import LiveRows, LiveUnavailable
from provider.node_view import newest_ended_bar
from provider.observing import observe_no_live
from provider.planning import Coverage
from provider.requests import ReadRequest
from provider.sla import PoolFull, SeamlessSLAExceeded, SLAClock, SLAPhase, SourcePool
from provider.stages import Plan, tolerated

NO_LIVE_FLAG = "live_unavailable"
_live_pool = SourcePool("live", limit=32)


def read_tail(
    request: ReadRequest, planned: Plan, coverage: Coverage | None, clock: SLAClock
) -> LiveRows | None:
    """The live rows from the first bar on that some series lacks, as far back as they are kept.

    None where none were asked for.

    A live source that fails costs no rows that are stored; nor does one that hangs, where storage
    has every bar that is over.
    """
    tail = planned.tail
    start = None if tail is None else _first_live_bar(request, coverage, tail.reach_seconds)
    if tail is None or start is None or start > request.window.end:
        return None
    left = clock.deadline(SLAPhase.LIVE_WAIT).remaining()
    until = None if left is None else monotonic() + left
    try:
        return clock.run_within(
            SLAPhase.LIVE_WAIT,
            lambda: tail.read(start, request.window.end, deadline=until),
            _live_pool,
        )
    except SeamlessSLAExceeded as exceeded:
        if exceeded.phase == SLAPhase.TOTAL or coverage is None or coverage.missing_bars:
            tolerated(exceeded, clock.policy)
        return _without_live(request, str(exceeded))
    except (LiveUnavailable, PoolFull, TimeoutError) as error:
        return _without_live(request, str(error))


def _without_live(request: ReadRequest, reason: str) -> LiveRows:
    observe_no_live(request.node, request.window.start, request.window.end, reason)
    said = "the live feed gave no rows: the newest bars are those of storage"
    return LiveRows((), (Finding(FindingClass.NOTE, NO_LIVE_FLAG, 1, warnings=(said,)),))


def _first_live_bar(request: ReadRequest, coverage: Coverage | None, reach: int) -> int:
    """The first bar that storage lacks (the one that is not over yet, if none), within reach."""
    newest = newest_ended_bar(request.node, request.now)
    if coverage is None:
        return max(request.window.start, newest - reach)
    lacking = [run.start for series in coverage.series for run in series.missing[:1]]
    return max(min(lacking, default=newest + request.node.interval), newest - reach)
