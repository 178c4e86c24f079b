"""The clock of one request: budgets that interrupt, per phase and in total.

A phase is either *timed* (code that watches its own deadline) or *run within* its budget (a
blocking call on a thread of a bounded pool, left behind when the budget ends). Every phase is
observed, also when it fails.
"""

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Literal, TypeVar

from registry.errors import SeamlessError
from registry.policies import InvalidPolicy, OnViolation, SLAPolicy
from registry.spans import span

__all__ = [
    "Deadline",
    "InvalidPolicy",
    "OnViolation",
    "PhaseObservation",
    "PoolFull",
    "SLAClock",
    "SLAPhase",
    "SLAPolicy",
    "SeamlessSLAExceeded",
    "SourcePool",
]

T = TypeVar("T")


class SLAPhase(StrEnum):
    """What a budget is spent on."""

    STORAGE_WAIT = "storage_wait"
    BACKFILL_WAIT = "backfill_wait"
    LIVE_WAIT = "live_wait"
    TOTAL = "total"
    SYNC_GAP = "sync_gap"


class SeamlessSLAExceeded(SeamlessError, RuntimeError):
    """A phase of a request took longer than its budget; `budget_ms` is None where none was set."""

    code: ClassVar[str] = "sla_exceeded"
    status: ClassVar[int] = 504
    title: ClassVar[str] = "SLA exceeded"

    def __init__(
        self, phase: str, *, node_id: str, elapsed_ms: float, budget_ms: int | None
    ) -> None:
        budget = "" if budget_ms is None else f" budget={budget_ms}ms"
        super().__init__(
            f"SLA phase '{phase}' exceeded for node {node_id}: elapsed={elapsed_ms:.1f}ms{budget}",
            phase=str(phase),
            node_id=node_id,
            elapsed_ms=elapsed_ms,
            budget_ms=budget_ms,
        )
        self.phase = str(phase)
        self.node_id = node_id
        self.elapsed_ms = elapsed_ms
        self.budget_ms = budget_ms


class PoolFull(SeamlessError):
    """Every thread for this source is taken, some perhaps by calls that hang: refused at once."""

    code: ClassVar[str] = "source_busy"
    status: ClassVar[int] = 503
    title: ClassVar[str] = "Source busy"

    def __init__(self, name: str, limit: int) -> None:
        super().__init__(
            f"all {limit} calls to {name!r} that may run at once are running; try again later",
            source=name,
            limit=limit,
        )


@dataclass(frozen=True, slots=True)
class PhaseObservation:
    """One phase that ended: `outcome` is ok, exceeded (its budget) or failed (anything else)."""

    phase: SLAPhase
    elapsed_ms: float
    budget_ms: int | None
    outcome: Literal["ok", "exceeded", "failed"]


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when a phase may run, and which phase is to blame when it does not end in time."""

    blamed: SLAPhase
    budget_ms: int | None
    at: float | None
    now: Callable[[], float]

    def remaining(self) -> float | None:
        """Seconds left, never negative; None without a limit."""
        return None if self.at is None else max(self.at - self.now(), 0.0)


@dataclass(slots=True)
class _Call:
    """A blocking call on its own thread: its result or error, once it is done."""

    done: threading.Event = field(default_factory=threading.Event)
    result: object = None
    error: BaseException | None = None


class SourcePool:
    """At most `limit` blocking calls to one source at a time, none of which can hold its caller.

    The threads are daemons, so a call that never returns keeps its slot but not the process. They
    have no database connection of their own: calls that use the ORM do not belong here.
    """

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.limit = limit
        self._slots = threading.BoundedSemaphore(limit)

    def run(self, call: Callable[[], T], timeout: float | None) -> T:
        """The result of `call`, or its error; TimeoutError when `timeout` seconds were too few.

        Raises PoolFull, without waiting, when `limit` calls are still running.
        """
        if not self._slots.acquire(blocking=False):
            raise PoolFull(self.name, self.limit)
        running = _Call()
        context = contextvars.copy_context()
        try:
            threading.Thread(
                target=context.run,
                args=(self._work, call, running),
                name=f"source-{self.name}",
                daemon=True,
            ).start()
        except BaseException:
            self._slots.release()
            raise
        if not running.done.wait(timeout):
            raise _Interrupted
        if running.error is not None:
            raise running.error
        return running.result  # type: ignore[return-value]

    def _work(self, call: Callable[[], object], running: _Call) -> None:
        try:
            running.result = call()
        except BaseException as error:
            running.error = error
        finally:
            self._slots.release()
            running.done.set()


SPANS = {
    SLAPhase.STORAGE_WAIT: "seamless.storage",
    SLAPhase.BACKFILL_WAIT: "seamless.backfill",
    SLAPhase.LIVE_WAIT: "seamless.live",
}


class _Interrupted(TimeoutError):
    """The pool gave up waiting (a TimeoutError of the source itself is the source's failure)."""


def _ignore(observation: PhaseObservation) -> None:
    """Nobody observes."""


class SLAClock:
    """The budgets of one request under a policy; it starts when it is made.

    `now` is a monotonic clock in seconds. `violation` is the first budget that was exceeded. What a
    violation leads to (`policy.on_violation`) is the caller's to decide: here it always raises.
    """

    def __init__(
        self,
        policy: SLAPolicy,
        *,
        node_id: str,
        now: Callable[[], float] = time.monotonic,
        observe: Callable[[PhaseObservation], None] = _ignore,
    ) -> None:
        self.policy = policy
        self.node_id = node_id
        self.violation: SeamlessSLAExceeded | None = None
        self._now = now
        self._observe = observe
        self._started = now()
        self._budgets = {
            SLAPhase.STORAGE_WAIT: policy.max_wait_storage_ms,
            SLAPhase.BACKFILL_WAIT: policy.max_wait_backfill_ms,
            SLAPhase.LIVE_WAIT: policy.max_wait_live_ms,
        }

    def elapsed_ms(self) -> float:
        """Milliseconds since the request began."""
        return (self._now() - self._started) * 1000

    def deadline(self, phase: SLAPhase) -> Deadline:
        """When a call of `phase` that begins now must end: by its own budget or by the total."""
        own = self._budgets.get(phase)
        total = self.policy.total_deadline_ms
        own_at = None if own is None else self._now() + own / 1000
        total_at = None if total is None else self._started + total / 1000
        if total_at is not None and (own_at is None or total_at < own_at):
            return Deadline(SLAPhase.TOTAL, total, total_at, self._now)
        return Deadline(phase, own, own_at, self._now)

    @contextmanager
    def timed(self, phase: SLAPhase) -> Iterator[Deadline]:
        """Time a call of `phase` that watches the deadline it is given, and observe it.

        Raises SeamlessSLAExceeded when the call ends past its deadline, or gives up on it with a
        TimeoutError once it has passed; at once when the total is already spent.
        """
        self.check_total()
        deadline, began = self.deadline(phase), self._now()
        outcome: Literal["ok", "exceeded", "failed"] = "failed"
        try:
            try:
                with span(SPANS[phase], {"sla.phase": phase.value}):
                    yield deadline
            except TimeoutError as error:
                if not isinstance(error, _Interrupted) and deadline.remaining() != 0:
                    raise
                outcome = "exceeded"
                raise self._exceeded(deadline, began) from None
            if deadline.at is not None and self._now() > deadline.at:
                outcome = "exceeded"
                raise self._exceeded(deadline, began)
            outcome = "ok"
        finally:
            elapsed = (self._now() - began) * 1000
            self._observe(PhaseObservation(phase, elapsed, self._budgets.get(phase), outcome))

    def run_within(self, phase: SLAPhase, call: Callable[[], T], pool: SourcePool) -> T:
        """The result of a blocking call, for which the caller waits no longer than the budget.

        A call that is interrupted goes on alone and keeps its slot of the pool until it returns.
        Raises SeamlessSLAExceeded, PoolFull, or what the call raised.
        """
        with self.timed(phase) as deadline:
            return pool.run(call, deadline.remaining())

    @contextmanager
    def total(self) -> Iterator[None]:
        """Observe the whole request, also when it fails, and hold it to its total budget."""
        outcome: Literal["ok", "exceeded", "failed"] = "failed"
        try:
            yield
            self.check_total()
            outcome = "ok"
        except SeamlessSLAExceeded:
            outcome = "exceeded"
            raise
        finally:
            budget = self.policy.total_deadline_ms
            self._observe(PhaseObservation(SLAPhase.TOTAL, self.elapsed_ms(), budget, outcome))

    def check_total(self) -> None:
        """Raise SeamlessSLAExceeded when the whole budget is spent."""
        budget = self.policy.total_deadline_ms
        if budget is not None and self.elapsed_ms() > budget:
            raise self._violated(SLAPhase.TOTAL, self.elapsed_ms(), budget)

    def check_sync_gap(self, missing_bars: int, interval: int) -> None:
        """Raise SeamlessSLAExceeded when a request would wait for more bars than it may.

        The time that the missing bars stand for takes the place of elapsed time: `elapsed_ms` is
        bars x interval, `budget_ms` the same of `max_sync_gap_bars`. Not observed as a duration.
        """
        most = self.policy.max_sync_gap_bars
        if most is not None and missing_bars > most:
            per_bar = interval * 1000
            raise self._violated(SLAPhase.SYNC_GAP, missing_bars * per_bar, most * per_bar)

    def _exceeded(self, deadline: Deadline, began: float) -> SeamlessSLAExceeded:
        since = self._started if deadline.blamed is SLAPhase.TOTAL else began
        # A wait can return a hair early; what was interrupted has used its budget by definition.
        elapsed = max((self._now() - since) * 1000, float(deadline.budget_ms or 0))
        return self._violated(deadline.blamed, elapsed, deadline.budget_ms)

    def _violated(
        self, phase: SLAPhase, elapsed_ms: float, budget_ms: int | None
    ) -> SeamlessSLAExceeded:
        error = SeamlessSLAExceeded(
            phase, node_id=self.node_id, elapsed_ms=elapsed_ms, budget_ms=budget_ms
        )
        self.violation = self.violation or error
        return error
