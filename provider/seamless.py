"""The seamless read: complete data within its budgets, or a clear refusal.

One request runs through the stages of `provider.stages` in their order; nothing is shared between
requests but checked windows, which never change.
"""

from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connections

from coordinator.coverage import CoverageRange, Window
from coordinator.services.outcomes import outcomes_of
from provider.conformance import (
    ConformancePipelineError,
    ConformanceReport,
    refusing_crashes,
)
from provider.domains import enter
from provider.fingerprints import dataset_fingerprint
from provider.gathering import Gathered, gather, with_origins
from provider.node_view import grid_of, newest_settled_bar, policy_of
from provider.observing import (
    observe_answer,
    observe_cache,
    observe_phase,
    observe_violation,
)
from provider.planning import Coverage
from provider.requests import (
    BackfillStarted,
    NoData,
    ReadAnswer,
    ReadRequest,
    Strategy,
)
from provider.sla import SeamlessSLAExceeded, SLAClock, SLAPolicy
from provider.stages import (
    Plan,
    final_report,
    pipeline_for,
    plan,
    reach_verdict,
    read_storage,
    refuse_nothing,
    repair,
)
from provider.viewpoint import ExecutionDomain, SeamlessDomainPolicyError, read_domain
from provider.window_cache import CheckedWindow, Fingerprint
from provider.window_keys import state_key, window_key, windows
from registry.actors import Actor
from registry.models import Consumer
from registry.services.resolution import readable_node, resolve
from registry.spans import Attribute, span

__all__ = [
    "BackfillStarted",
    "ExecutionDomain",
    "NoData",
    "ReadAnswer",
    "ReadRequest",
    "SeamlessDataProvider",
    "SeamlessDomainPolicyError",
    "Strategy",
]

_last_report: ContextVar[ConformanceReport | None] = ContextVar("last_report", default=None)
_THREADS = 32
_threads: ThreadPoolExecutor | None = None


class SeamlessDataProvider:
    """Reads governed nodes; the arguments are the defaults of requests that do not say.

    The conformance pipeline is always on.
    """

    def __init__(
        self,
        *,
        partial_ok: bool = False,
        strategy: Strategy = Strategy.SEAMLESS,
        stabilization_bars: int = 0,
    ) -> None:
        self._partial_ok = partial_ok
        self._strategy = strategy
        self._stabilization_bars = stabilization_bars

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
        domain: str = ExecutionDomain.LIVE,
        world: str = "",
        as_of: datetime | None = None,
    ) -> ReadAnswer:
        """Read the closed [start, end] (epoch seconds) as this consumer.

        Raises NotFound, ValueError for a window without a bar, NoData, BackfillStarted,
        SeamlessDomainPolicyError, SchemaRefused, ConformancePipelineError, SeamlessSLAExceeded, and
        InvalidInput for a domain, world or `as_of` that is none.
        """
        asked = self._request(
            consumer=consumer, node_id=node_id, start=start, end=end, actor=actor, now=now
        )
        return self.read(
            replace(
                asked,
                partial_ok=self._partial_ok if partial_ok is None else partial_ok,
                domain=read_domain(domain),
                world=world,
                as_of=as_of,
            )
        )

    async def afetch(self, **question: Any) -> ReadAnswer:
        """`fetch` without blocking the event loop; `last_conformance_report` is the task's."""
        run = sync_to_async(_on_a_thread, thread_sensitive=False, executor=_executor())
        return await run(self, question)

    def read(self, request: ReadRequest) -> ReadAnswer:
        """`fetch` for a request that is resolved and snapped already."""
        _last_report.set(None)
        request = enter(request)
        node, clock = request.node, clock_for(request)
        try:
            with span("seamless.request", _facts(request)), clock.total():
                answer = _answer(_without_moving_bars(request), clock)
        except SeamlessSLAExceeded as exceeded:
            observe_violation(node, exceeded, clock.policy)
            raise
        observe_answer(answer, clock.policy)
        return answer

    def missing_ranges(
        self, *, consumer: Consumer, node_id: str, start: int, end: int, actor: Actor, now: datetime
    ) -> list[CoverageRange]:
        """What at least one series lacks of the bars that are over; fetches nothing."""
        request = self._request(
            consumer=consumer, node_id=node_id, start=start, end=end, actor=actor, now=now
        )
        return measure(request).missing_ranges()

    def ensure_data_available(
        self, *, consumer: Consumer, node_id: str, start: int, end: int, actor: Actor, now: datetime
    ) -> bool:
        """Have every missing bar fetched that the node's source has; whether none is left.

        Raises SeamlessSLAExceeded where that takes longer, or spans more bars, than may be waited
        for.
        """
        asked = self._request(
            consumer=consumer, node_id=node_id, start=start, end=end, actor=actor, now=now
        )
        request = replace(asked, strategy=Strategy.AUTO_BACKFILL)
        clock = clock_for(request)
        with clock.total():
            coverage = measure(request, clock)
            if coverage.missing_bars and repair(request, coverage, clock).job_ids:
                coverage = measure(request, clock)
        return not coverage.missing_bars

    def _request(
        self,
        *,
        consumer: Consumer,
        node_id: str,
        start: int,
        end: int,
        actor: Actor,
        now: datetime,
    ) -> ReadRequest:
        node = readable_node(consumer, node_id)
        window = grid_of(node).snap(start, end)
        if window is None:
            raise ValueError(f"no bar of {node_id} lies in [{start}, {end}]")
        return ReadRequest(
            resolution=resolve(consumer, node, (window.start, window.end)),
            window=window,
            actor=actor,
            now=now,
            strategy=self._strategy,
            stabilization_bars=self._stabilization_bars,
        )


def clock_for(request: ReadRequest) -> SLAClock:
    node = request.node
    return SLAClock(policy_of(node), node_id=node.node_id, observe=observe_phase(node))


def measure(request: ReadRequest, clock: SLAClock | None = None) -> Coverage:
    """What the window holds and lacks per series, from its times and keys alone."""
    clock = clock or clock_for(request)
    planned = plan(request, clock)
    columns = [name for name in (planned.frame.time, *planned.frame.key) if name]
    stored = read_storage(request, planned, clock, columns=columns)
    if stored.coverage is None:
        assert stored.violation is not None
        raise stored.violation
    return stored.coverage


# --- one request --------------------------------------------------------------------------------


def _answer(request: ReadRequest, clock: SLAClock) -> ReadAnswer:
    planned = plan(request, clock)
    key = window_key(request, planned)
    kept = windows().get(key) if key is not None else None
    job_ids: tuple[int, ...] = ()
    asked_live = False
    if kept is None:
        checked, gathered = _make(request, planned, clock)
        planned, job_ids, asked_live = gathered.planned, gathered.job_ids, gathered.asked_live
        if key is not None and not job_ids and not asked_live:
            windows().put(key, checked)
    else:
        checked = kept
    if key is not None:
        observe_cache(request.node, hit=kept is not None, resident_bytes=windows().resident_bytes)
    jobs = tuple(outcomes_of(job_ids, within=_range_of(request)))
    verdict = reach_verdict(request, planned, checked.report, clock.violation, clock.policy)
    report = final_report(checked.report, verdict, jobs, clock.policy)
    remember_report(report)
    pipeline_for(request, planned, clock.policy).judge(report)
    return ReadAnswer(
        request=request,
        rows=checked.rows,
        report=report,
        verdict=verdict,
        named=checked.fingerprint,
        marks=checked.marks,
        jobs=jobs,
        state=None if asked_live else state_key(request, planned),
        from_cache=kept is not None,
    )


def _range_of(request: ReadRequest) -> CoverageRange:
    return CoverageRange(request.window.start, request.window.end)


def _make(request: ReadRequest, planned: Plan, clock: SLAClock) -> tuple[CheckedWindow, Gathered]:
    gathered = gather(request, planned, clock)
    if not gathered.pieces.rows:
        jobs = outcomes_of(gathered.job_ids, within=_range_of(request))
        refuse_nothing(request, jobs, clock.violation, expects_bars=planned.expects_bars)
    try:
        checked = _examine(request, gathered, clock.policy)
    except ConformancePipelineError as error:
        remember_report(error.report)
        raise
    return checked, gathered


def remember_report(report: ConformanceReport) -> None:
    """For `last_conformance_report` of this context."""
    _last_report.set(report)


def _examine(request: ReadRequest, gathered: Gathered, policy: SLAPolicy) -> CheckedWindow:
    found = pipeline_for(request, gathered.planned, policy).examine(gathered.pieces)
    examined, known = with_origins(request, gathered, found)
    blended, grid = examined.blended, grid_of(request.node)
    with refusing_crashes(), span("seamless.conformance.report"):
        return CheckedWindow(
            rows=blended.joined(),
            report=examined.report,
            marks=examined.marks,
            fingerprint=Fingerprint(lambda: dataset_fingerprint(blended, grid, known)),
        )


def _facts(request: ReadRequest) -> dict[str, Attribute]:
    """What a trace says of a read; `strict` or `canary`, as the check binds or is recorded."""
    strict, judge, window = request.resolution.strict, request.judge, request.window
    facts: dict[str, Attribute] = {
        "node_id": request.node.node_id,
        "interval": window.interval,
        "start": window.start,
        "end": window.end,
        "schema.fingerprint": judge.fingerprint,
        "schema.validation_mode": "canary" if strict is None else "strict",
    }
    if judge.release_fingerprint:
        facts["release.fingerprint"] = judge.release_fingerprint
    return facts


def _without_moving_bars(request: ReadRequest) -> ReadRequest:
    """Leave out the newest bars before now; raises NoData where no others are in the window."""
    if not request.stabilization_bars or request.artifact is not None:
        return request
    node, window = request.node, request.window
    end = min(window.end, newest_settled_bar(node, request.now, request.stabilization_bars))
    if end < window.start:
        raise NoData(f"every bar of {node.node_id} in this window may still change")
    return replace(request, window=Window(window.start, end, window.interval))


# --- asyncio ------------------------------------------------------------------------------------


def _executor() -> ThreadPoolExecutor:
    global _threads
    if _threads is None:
        _threads = ThreadPoolExecutor(_THREADS, "seamless-read")
    return _threads


def _on_a_thread(provider: SeamlessDataProvider, question: dict[str, Any]) -> ReadAnswer:
    close_old_connections()
    try:
        return provider.fetch(**question)
    finally:
        connections.close_all()
