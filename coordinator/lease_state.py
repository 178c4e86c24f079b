"""The rules of jobs, shards and leases, as pure values and functions.

A shard's lease moves `pending -> leased -> done`, or `-> failed -> (backoff) -> leased ...` and in
the end `-> violation`. The epoch is the fencing token: every grant raises it by one and nothing
lowers it, so a result that carries an older epoch is refused however late it arrives.

The services apply these functions to a row they hold locked and write the outcome with a
conditional UPDATE; they decide nothing themselves.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from coordinator.coverage import CoverageRange, Pair, merge_coverage
from registry.canonical import canonicalize


class JobState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    VIOLATION = "violation"
    CANCELLED = "cancelled"


class ShardState(StrEnum):
    PENDING = "pending"
    LEASED = "leased"
    FAILED = "failed"
    DONE = "done"
    VIOLATION = "violation"


class ViolationCode(StrEnum):
    SCHEMA_REFUSED = "schema_refused"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    FAILURE_BUDGET = "failure_budget_spent"
    CANCELLED = "cancelled"


ACTIVE_JOB_STATES = frozenset({JobState.PENDING, JobState.RUNNING, JobState.PAUSED})
UNFINISHED_SHARD_STATES = frozenset({ShardState.PENDING, ShardState.LEASED, ShardState.FAILED})

# One point of priority is worth as much as having asked so many seconds earlier.
SECONDS_PER_PRIORITY = 36
RANK_PER_PRIORITY = SECONDS_PER_PRIORITY * 1_000_000
PRIORITIES = range(-50, 51)
WANTED_PRIORITY = 100  # a reader waits: an hour ahead of a backfill of priority 0


class StaleLease(Exception):
    """The shard is no longer leased under this epoch: somebody else has it, or it has ended."""

    def __init__(self, epoch: int, lease: "ShardLease") -> None:
        super().__init__(
            f"epoch {epoch} no longer holds the shard, which is {lease.state} at epoch "
            f"{lease.epoch}; drop the result, the newer holder finishes the work"
        )
        self.epoch = epoch
        self.lease = lease


class NotClaimable(Exception):
    """The shard cannot be leased now."""

    def __init__(self, lease: "ShardLease") -> None:
        super().__init__(f"a shard that is {lease.state} at epoch {lease.epoch} cannot be claimed")
        self.lease = lease


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`base * 2^(attempt-1)` seconds plus up to `jitter` of that, at most `longest_seconds`."""

    base_seconds: float = 0.5
    jitter: float = 0.25
    longest_seconds: float = 300.0
    max_attempts: int = 6


@dataclass(frozen=True, slots=True)
class ShardLease:
    """Who may write a shard now, or when it may be tried next. Times are aware UTC."""

    state: ShardState = ShardState.PENDING
    epoch: int = 0
    attempts: int = 0
    holder: str = ""
    expires_at: datetime | None = None
    next_attempt_at: datetime | None = None

    def has_expired(self, now: datetime) -> bool:
        return (
            self.state is ShardState.LEASED
            and self.expires_at is not None
            and (self.expires_at < now)
        )

    def is_due(self, now: datetime) -> bool:
        waiting = self.state in {ShardState.PENDING, ShardState.FAILED}
        return waiting and self.next_attempt_at is not None and self.next_attempt_at <= now


def is_claimable(lease: ShardLease, *, now: datetime, max_attempts: int) -> bool:
    """Due, or left behind by a holder that went silent; with an attempt left in either case."""
    return lease.attempts < max_attempts and (lease.is_due(now) or lease.has_expired(now))


def claimed(
    lease: ShardLease, *, holder: str, now: datetime, ttl: timedelta, max_attempts: int
) -> ShardLease:
    """The lease granted to `holder` under the next epoch. Raises NotClaimable."""
    if not is_claimable(lease, now=now, max_attempts=max_attempts):
        raise NotClaimable(lease)
    return ShardLease(
        state=ShardState.LEASED,
        epoch=lease.epoch + 1,
        attempts=lease.attempts + 1,
        holder=holder,
        expires_at=now + ttl,
    )


def renewed(lease: ShardLease, *, epoch: int, now: datetime, ttl: timedelta) -> ShardLease:
    """The same lease with a later end; an expired one revives as long as nobody took it over."""
    _require_held(lease, epoch)
    return replace(lease, expires_at=now + ttl)


def held_back(
    lease: ShardLease, *, epoch: int, now: datetime, wait: timedelta, costs_attempt: bool
) -> ShardLease:
    """Given back because the source is busy: tried again after `wait`, as a rule at no cost."""
    _require_held(lease, epoch)
    return ShardLease(
        state=ShardState.FAILED,
        epoch=lease.epoch,
        attempts=lease.attempts if costs_attempt else lease.attempts - 1,
        next_attempt_at=now + wait,
    )


def reopened(lease: ShardLease, *, now: datetime) -> ShardLease:
    """The shard to be done anew, whatever its state; the raised epoch fences off older results."""
    return ShardLease(state=ShardState.PENDING, epoch=lease.epoch + 1, next_attempt_at=now)


def committed(lease: ShardLease, *, epoch: int) -> ShardLease:
    """The shard done. Raises StaleLease: only the holder of the current epoch commits, once."""
    _require_held(lease, epoch)
    return _ended(lease, ShardState.DONE)


def refused(lease: ShardLease, *, epoch: int) -> ShardLease:
    """The shard ended without trying again, for instance because its rows break the schema."""
    _require_held(lease, epoch)
    return _ended(lease, ShardState.VIOLATION)


def failed(
    lease: ShardLease,
    *,
    epoch: int,
    now: datetime,
    policy: RetryPolicy,
    draw: Callable[[], float],
) -> ShardLease:
    """One attempt lost: tried again after a backoff, or ended when no attempt is left."""
    _require_held(lease, epoch)
    if lease.attempts >= policy.max_attempts:
        return _ended(lease, ShardState.VIOLATION)
    wait = backoff(lease.attempts, policy, draw)
    return ShardLease(
        state=ShardState.FAILED,
        epoch=lease.epoch,
        attempts=lease.attempts,
        next_attempt_at=now + wait,
    )


def cancelled(lease: ShardLease) -> ShardLease:
    """An unfinished shard ended from outside; the raised epoch fences off whoever holds it."""
    if lease.state not in UNFINISHED_SHARD_STATES:
        return lease
    return _ended(replace(lease, epoch=lease.epoch + 1), ShardState.VIOLATION)


def backoff(attempt: int, policy: RetryPolicy, draw: Callable[[], float]) -> timedelta:
    """How long to wait after the `attempt`-th failure (from 1).

    `draw` gives a number in [0, 1); it is not called where the policy has no jitter.
    """
    doublings = min(attempt - 1, 40)  # beyond this every policy is at its longest wait
    wait = min(policy.base_seconds * 2.0**doublings, policy.longest_seconds)
    if policy.jitter > 0:
        wait += wait * policy.jitter * draw()
    return timedelta(seconds=wait)


def queue_rank(asked_at: datetime, priority: int, place: int = 0) -> int:
    """A shard's place in the queue, lowest first: when it was asked for, less its head start.

    In microseconds. Everybody ages at the same speed, so this order never changes with time and
    whoever has waited for the head start is passed by nobody who asks now: priority cannot starve.
    `place` orders shards that were asked for together.
    """
    asked = (asked_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return asked + place - priority * RANK_PER_PRIORITY


def job_outcome(shard_states: Iterable[ShardState]) -> JobState | None:
    """How a job ends when every shard has ended, None while one has not."""
    seen = set(shard_states)
    if seen & UNFINISHED_SHARD_STATES:
        return None
    return JobState.VIOLATION if ShardState.VIOLATION in seen else JobState.DONE


def cut_shards(ranges: Iterable[Pair], interval: int, window_bars: int) -> list[CoverageRange]:
    """The ranges cut into pieces of at most `window_bars` bars that share no bar.

    Overlapping and adjoining ranges are merged first; the pieces cover exactly the bars of the
    input, in order. Raises ValueError on a reversed range, one that is no whole number of
    intervals long, `interval <= 0` or `window_bars <= 0`.
    """
    if window_bars <= 0:
        raise ValueError(f"a shard must hold at least 1 bar, got {window_bars}")
    pieces: list[CoverageRange] = []
    for start, end in merge_coverage(ranges, interval):
        if (end - start) % interval:
            raise ValueError(f"range [{start}, {end}] is not a whole number of {interval} s bars")
        step = window_bars * interval
        pieces.extend(
            CoverageRange(first, min(first + step - interval, end))
            for first in range(start, end + 1, step)
        )
    return pieces


def lease_key(node_id: str, interval: int, start: int, end: int, bound_version: int) -> str:
    """The identity of a range of one node: SHA-256 (hex) of a canonical JSON array.

    An array and not a joined string: node ids hold colons and slashes.
    """
    identity = canonicalize([node_id, interval, start, end, bound_version])
    return hashlib.sha256(identity).hexdigest()


def _require_held(lease: ShardLease, epoch: int) -> None:
    if lease.state is not ShardState.LEASED or lease.epoch != epoch:
        raise StaleLease(epoch, lease)


def _ended(lease: ShardLease, state: ShardState) -> ShardLease:
    return ShardLease(state=state, epoch=lease.epoch, attempts=lease.attempts)
