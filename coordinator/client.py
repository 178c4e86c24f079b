"""Backfill leases for processes without our database.

`DistributedBackfillCoordinator` asks a lease service over HTTP; `InMemoryBackfillCoordinator`
guards one process alone. Keys are opaque and never split: what a log line should name travels in a
`LeaseContext`. "Held elsewhere" (None) is never mixed up with "unreachable" (an exception, or the
in-process guard, visibly), and tokens never reach a log.

    coordinator = coordinator_from_env(os.environ)
    lease = coordinator.claim(context.key, lease_ms=120_000, context=context)
    if lease is not None:
        with Renewing(coordinator, lease) as kept:  # coordinator.renewing: beyond one lease_ms
            backfill(between_chunks=kept.raise_if_lost)
        coordinator.complete(lease)
"""

import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from http.client import HTTPException
from typing import Any, Protocol
from urllib.error import HTTPError

import structlog

from coordinator.lease_url import ServiceAddress

URL_VARIABLE = "QMTL_SEAMLESS_COORDINATOR_URL"
TIMEOUT_SECONDS = 2.0
NOT_OURS = frozenset({404, 409})

log = structlog.get_logger("seamless.backfill")


class CoordinatorUnreachable(RuntimeError):
    """The lease service did not answer in its own terms: nobody is known to hold the key."""

    def __init__(self, coordinator_id: str, doing: str, reason: str) -> None:
        super().__init__(
            f"the backfill coordinator {coordinator_id} could not {doing} a lease: {reason}; check "
            f"that it runs and that {URL_VARIABLE} is right"
        )
        self.coordinator_id = coordinator_id
        self.reason = reason


class LeaseLost(RuntimeError):
    """The lease is no longer ours: another process may have done the work, drop the result."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the lease on {key!r} was lost; drop what was made under it")
        self.key = key


@dataclass(frozen=True, slots=True)
class LeaseContext:
    """What a key is made of, and what log lines name."""

    node_id: str = ""
    interval: int = 0
    batch_start: int = 0
    batch_end: int = 0
    world: str = ""
    requested_as_of: str = ""
    worker: str = ""

    @property
    def key(self) -> str:
        """`{node_id}:{interval}:{start}:{end}:{world}:{as_of}`; node ids may hold colons."""
        fields = (self.node_id, self.interval, self.batch_start, self.batch_end)
        return ":".join(map(str, (*fields, self.world, self.requested_as_of)))


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to backfill what `key` stands for until `lease_until_ms` (epoch milliseconds).

    `epoch` rises with every grant of the key: a store that compares it refuses a late holder.
    `is_local`: granted by the guard of this process alone, so other processes may hold it too.
    """

    key: str
    lease_until_ms: int
    token: str = field(repr=False)
    lease_ms: int = 0
    epoch: int | None = None
    completion_ratio: float | None = None
    is_local: bool = False
    context: LeaseContext = LeaseContext()


class BackfillCoordinator(Protocol):
    def claim(
        self, key: str, lease_ms: int, *, context: LeaseContext | None = None
    ) -> Lease | None:
        """The lease, or None while somebody else holds it."""
        ...

    def renew(self, lease: Lease) -> Lease:
        """The same lease for another `lease_ms` from now. Raises LeaseLost."""
        ...

    def complete(self, lease: Lease) -> float:
        """End the lease with its work done; the completion ratio. Raises LeaseLost."""
        ...

    def fail(self, lease: Lease, reason: str) -> float:
        """Give the lease back with its work not done; the completion ratio. Raises LeaseLost."""
        ...


class InMemoryBackfillCoordinator:
    """One lease per key among the threads of this process."""

    coordinator_id = "in-memory"

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, Lease] = {}

    def claim(
        self, key: str, lease_ms: int, *, context: LeaseContext | None = None
    ) -> Lease | None:
        if lease_ms <= 0:
            raise ValueError(f"lease_ms must be at least 1, got {lease_ms}")
        now_ms = int(self._clock() * 1000)
        with self._lock:
            self._forget_expired(now_ms)
            if key in self._held:
                return None
            lease = self._held[key] = Lease(
                key=key,
                lease_until_ms=now_ms + lease_ms,
                token=secrets.token_urlsafe(16),
                lease_ms=lease_ms,
                completion_ratio=0.0,
                is_local=True,
                context=context or LeaseContext(),
            )
        _log_claimed(self.coordinator_id, lease)
        return lease

    def renew(self, lease: Lease) -> Lease:
        with self._lock:
            self._require_held(lease)
            until = int(self._clock() * 1000) + lease.lease_ms
            renewed = self._held[lease.key] = replace(lease, lease_until_ms=until)
        return renewed

    def complete(self, lease: Lease) -> float:
        self._give_back(lease)
        _log_completed(self.coordinator_id, lease, 1.0)
        return 1.0

    def fail(self, lease: Lease, reason: str) -> float:
        self._give_back(lease)
        _log_failed(self.coordinator_id, lease, 0.0, reason)
        return 0.0

    def _give_back(self, lease: Lease) -> None:
        with self._lock:
            self._require_held(lease)
            del self._held[lease.key]

    def _require_held(self, lease: Lease) -> None:
        held = self._held.get(lease.key)
        if held is None or not secrets.compare_digest(held.token, lease.token):
            raise LeaseLost(lease.key)

    def _forget_expired(self, now_ms: int) -> None:
        """Keeps the table no larger than the leases that are alive."""
        expired = [key for key, lease in self._held.items() if lease.lease_until_ms <= now_ms]
        for key in expired:
            del self._held[key]


class DistributedBackfillCoordinator:
    """A lease service at `url` (`https://user:token@host:port`); nothing is asked until a call.

    With a `fallback`, a service that cannot be reached is replaced by it for that lease, with a
    warning in the log and `is_degraded` set, and one that goes away before a lease ends harms
    nobody; without a fallback, CoordinatorUnreachable is raised.
    Raises ValueError for a URL that cannot work.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = TIMEOUT_SECONDS,
        fallback: BackfillCoordinator | None = None,
    ) -> None:
        try:
            self._address = ServiceAddress(url, timeout=timeout)
        except ValueError as error:
            raise ValueError(f"{URL_VARIABLE} cannot be used: {error}") from None
        self.coordinator_id = self._address.name
        self.is_degraded = False
        self._fallback = fallback

    def __repr__(self) -> str:
        return f"DistributedBackfillCoordinator({self.coordinator_id!r})"

    def healthy(self) -> bool:
        """Whether the service answers `GET /healthz` with success."""
        try:
            self._address.get("/healthz")
        except (OSError, HTTPException) as error:
            log.warning("seamless.coordinator.healthcheck_failed", **self._trouble(error))
            return False
        return True

    def claim(
        self, key: str, lease_ms: int, *, context: LeaseContext | None = None
    ) -> Lease | None:
        named = context or LeaseContext()
        try:
            lease = self._claim(key, lease_ms, named)
        except CoordinatorUnreachable as error:
            if self._fallback is None:
                raise
            self.is_degraded = True
            log.warning(
                "seamless.coordinator.unhealthy_falling_back_inmemory", **self._trouble(error)
            )
            return self._fallback.claim(key, lease_ms, context=named)
        self.is_degraded = False
        if lease is not None:
            _log_claimed(self.coordinator_id, lease)
        return lease

    def renew(self, lease: Lease) -> Lease:
        """Raises CoordinatorUnreachable too: nobody is known to have taken it, try again soon."""
        if lease.is_local and self._fallback is not None:
            return self._fallback.renew(lease)
        body = {"key": lease.key, "token": lease.token, "lease_ms": lease.lease_ms}
        return self._granted(self._ask_as_holder("renew", lease, body), lease, "renew")

    def complete(self, lease: Lease) -> float:
        if lease.is_local and self._fallback is not None:
            return self._fallback.complete(lease)
        ratio = self._end("complete", lease, {}, 1.0)
        if ratio is None:
            return lease.completion_ratio or 0.0
        _log_completed(self.coordinator_id, lease, ratio)
        return ratio

    def fail(self, lease: Lease, reason: str) -> float:
        if lease.is_local and self._fallback is not None:
            return self._fallback.fail(lease, reason)
        ratio = self._end("fail", lease, {"reason": reason}, 0.0)
        if ratio is None:
            return lease.completion_ratio or 0.0
        _log_failed(self.coordinator_id, lease, ratio, reason)
        return ratio

    def _claim(self, key: str, lease_ms: int, context: LeaseContext) -> Lease | None:
        try:
            answer = self._address.post("/v1/leases/claim", {"key": key, "lease_ms": lease_ms})
        except HTTPError as error:
            error.close()
            if error.code in NOT_OURS:
                return None
            raise self._unreachable("claim", "claim_failed", error) from error
        except (OSError, HTTPException, ValueError) as error:
            raise self._unreachable("claim", "claim_failed", error) from error
        asked = Lease(key=key, lease_until_ms=0, token="", lease_ms=lease_ms, context=context)
        return self._granted(answer, asked, "claim")

    def _granted(self, answer: Mapping[str, Any], asked: Lease, verb: str) -> Lease:
        try:
            return _lease_of(answer, asked)
        except ValueError as error:
            raise self._unreachable(verb, f"bad_{verb}_response", error) from error

    def _end(
        self, verb: str, lease: Lease, more: Mapping[str, str], default: float
    ) -> float | None:
        """The ratio as told; None where the service is away and we may go on without it: the lease
        then runs out by itself, and the work is found done or done again.
        """
        try:
            body = {"key": lease.key, "token": lease.token, **more}
            answer = self._ask_as_holder(verb, lease, body)
        except CoordinatorUnreachable:
            if self._fallback is None:
                raise
            self.is_degraded = True
            return None
        return _ratio(answer.get("completion_ratio"), default)

    def _ask_as_holder(self, verb: str, lease: Lease, body: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return self._address.post(f"/v1/leases/{verb}", body)
        except HTTPError as error:
            error.close()
            if error.code in NOT_OURS:
                raise LeaseLost(lease.key) from error
            raise self._unreachable(verb, f"{verb}_status_error", error) from error
        except (OSError, HTTPException, ValueError) as error:
            raise self._unreachable(verb, f"{verb}_failed", error) from error

    def _unreachable(self, doing: str, event: str, error: Exception) -> CoordinatorUnreachable:
        log.warning(f"seamless.coordinator.{event}", **self._trouble(error))
        return CoordinatorUnreachable(self.coordinator_id, doing, str(error))

    def _trouble(self, error: Exception) -> dict[str, str]:
        return {"coordinator_id": self.coordinator_id, "error": str(error)}


def coordinator_from_env(
    environ: Mapping[str, str],
) -> DistributedBackfillCoordinator | InMemoryBackfillCoordinator:
    """The coordinator that the environment names; no network is touched.

    With the URL set: the distributed one, which falls back to an in-process guard, visibly, while
    the service cannot be reached. Unset: the in-process guard, and a line in the log. Raises
    ValueError for a URL that cannot work.
    """
    url = environ.get(URL_VARIABLE, "").strip()
    if url:
        return DistributedBackfillCoordinator(url, fallback=InMemoryBackfillCoordinator())
    log.warning("seamless.coordinator.unset_falling_back_inmemory", variable=URL_VARIABLE)
    return InMemoryBackfillCoordinator()


def _lease_of(answer: Mapping[str, Any], asked: Lease) -> Lease:
    """Raises ValueError for a body that grants no lease."""
    granted = answer.get("lease")
    if not isinstance(granted, dict):
        raise ValueError("the answer has no lease")
    token, until = granted.get("token"), granted.get("lease_until_ms")
    if not isinstance(token, str) or not token or isinstance(until, bool):
        raise ValueError("the lease has no token")
    if not isinstance(until, int):
        raise ValueError("the lease has no whole lease_until_ms")
    ratio, epoch = answer.get("completion_ratio"), granted.get("epoch")
    return replace(
        asked,
        lease_until_ms=until,
        token=token,
        epoch=epoch if isinstance(epoch, int) and not isinstance(epoch, bool) else None,
        completion_ratio=None if ratio is None else _ratio(ratio, 0.0),
    )


def _ratio(value: Any, default: float) -> float:
    """A ratio as the service gave it, the default where it gave none that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return default
    return float(value)


def _log_claimed(coordinator_id: str, lease: Lease) -> None:
    named = _named(coordinator_id, lease, lease.completion_ratio)
    log.info("seamless.backfill.coordinator_claimed", **named)


def _log_completed(coordinator_id: str, lease: Lease, ratio: float) -> None:
    log.info("seamless.backfill.coordinator_completed", **_named(coordinator_id, lease, ratio))


def _log_failed(coordinator_id: str, lease: Lease, ratio: float, reason: str) -> None:
    named = _named(coordinator_id, lease, ratio)
    log.warning("seamless.backfill.coordinator_failed", reason=reason, **named)


def _named(coordinator_id: str, lease: Lease, ratio: float | None) -> dict[str, Any]:
    return {
        "coordinator_id": coordinator_id,
        "lease_key": lease.key,
        **asdict(lease.context),
        "lease_until_ms": lease.lease_until_ms,
        "completion_ratio": ratio,
    }
