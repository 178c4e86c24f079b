"""Backfill leases for processes without our database.

`DistributedBackfillCoordinator` asks a lease service over HTTP; `InMemoryBackfillCoordinator`
guards one process alone. Keys are opaque and never split: what a log line should name travels in a
`LeaseContext`. "Held elsewhere" (None) is never mixed up with "unreachable" (an exception, or the
in-process guard, visibly), and tokens never reach a log.

    coordinator = coordinator_from_env(os.environ)
    lease = coordinator.claim(context.key, lease_ms=120_000, context=context)
    if lease is not None:
        backfill()
        coordinator.complete(lease)
"""

import json
import math
import secrets
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from http.client import HTTPException
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import structlog

URL_VARIABLE = "QMTL_SEAMLESS_COORDINATOR_URL"
TIMEOUT_SECONDS = 2.0
MAX_ANSWER = 65_536
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

    `is_local`: granted by the guard of this process alone, so other processes may hold it too.
    """

    key: str
    lease_until_ms: int
    token: str = field(repr=False)
    completion_ratio: float | None = None
    is_local: bool = False
    context: LeaseContext = LeaseContext()


class BackfillCoordinator(Protocol):
    def claim(
        self, key: str, lease_ms: int, *, context: LeaseContext | None = None
    ) -> Lease | None:
        """The lease, or None while somebody else holds it."""
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
                completion_ratio=0.0,
                is_local=True,
                context=context or LeaseContext(),
            )
        _log_claimed(self.coordinator_id, lease)
        return lease

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
            held = self._held.get(lease.key)
            if held is None or not secrets.compare_digest(held.token, lease.token):
                raise LeaseLost(lease.key)
            del self._held[lease.key]

    def _forget_expired(self, now_ms: int) -> None:
        """Keeps the table no larger than the leases that are alive."""
        expired = [key for key, lease in self._held.items() if lease.lease_until_ms <= now_ms]
        for key in expired:
            del self._held[key]


class DistributedBackfillCoordinator:
    """A lease service at `url` (`https://user:token@host:port`); nothing is asked until a call.

    With a `fallback`, a service that cannot be reached is replaced by it for that lease, with a
    warning in the log and `is_degraded` set; without one, CoordinatorUnreachable is raised.
    Raises ValueError for a URL that cannot work.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = TIMEOUT_SECONDS,
        fallback: BackfillCoordinator | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{URL_VARIABLE} must be an http or https URL with a host")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self.coordinator_id = f"{host}:{port}"
        self.is_degraded = False
        self._root = f"{parts.scheme}://{self.coordinator_id}{parts.path.rstrip('/')}"
        self._headers = {
            "Content-Type": "application/json",
            **_basic(parts.username, parts.password),
        }
        self._timeout = timeout
        self._fallback = fallback
        # Credentials go to this host alone: no proxy of the environment, no redirect.
        self._opener = build_opener(ProxyHandler({}), _NoRedirect())

    def __repr__(self) -> str:
        return f"DistributedBackfillCoordinator({self.coordinator_id!r})"

    def healthy(self) -> bool:
        """Whether the service answers `GET /healthz` with success."""
        try:
            self._call("GET", "/healthz", None)
        except (OSError, HTTPException, ValueError) as error:
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

    def complete(self, lease: Lease) -> float:
        if lease.is_local and self._fallback is not None:
            return self._fallback.complete(lease)
        ratio = self._end("complete", lease, {}, default=1.0)
        _log_completed(self.coordinator_id, lease, ratio)
        return ratio

    def fail(self, lease: Lease, reason: str) -> float:
        if lease.is_local and self._fallback is not None:
            return self._fallback.fail(lease, reason)
        ratio = self._end("fail", lease, {"reason": reason}, default=0.0)
        _log_failed(self.coordinator_id, lease, ratio, reason)
        return ratio

    def _claim(self, key: str, lease_ms: int, context: LeaseContext) -> Lease | None:
        try:
            answer = self._call("POST", "/v1/leases/claim", {"key": key, "lease_ms": lease_ms})
        except HTTPError as error:
            error.close()
            if error.code in NOT_OURS:
                return None
            raise self._unreachable("claim", "claim_failed", error) from error
        except (OSError, HTTPException, ValueError) as error:
            raise self._unreachable("claim", "claim_failed", error) from error
        try:
            return _lease_of(answer, key, context)
        except ValueError as error:
            raise self._unreachable("claim", "bad_claim_response", error) from error

    def _end(self, verb: str, lease: Lease, more: Mapping[str, str], default: float) -> float:
        body = {"key": lease.key, "token": lease.token, **more}
        try:
            answer = self._call("POST", f"/v1/leases/{verb}", body)
        except HTTPError as error:
            error.close()
            if error.code in NOT_OURS:
                raise LeaseLost(lease.key) from error
            raise self._unreachable(verb, f"{verb}_status_error", error) from error
        except (OSError, HTTPException, ValueError) as error:
            raise self._unreachable(verb, f"{verb}_failed", error) from error
        return _ratio(answer.get("completion_ratio"), default)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """The JSON object of a 2xx answer. HTTPError, OSError, HTTPException or ValueError."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._root + path, data=data, headers=self._headers, method=method)
        with self._opener.open(request, timeout=self._timeout) as response:
            text = response.read(MAX_ANSWER + 1)
        if method == "GET":
            return {}
        answer = json.loads(text[:MAX_ANSWER])
        if not isinstance(answer, dict):
            raise ValueError("the answer is not a JSON object")
        return answer

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


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        return None


def _basic(user: str | None, password: str | None) -> dict[str, str]:
    if user is None and password is None:
        return {}
    pair = f"{unquote(user or '')}:{unquote(password or '')}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


def _lease_of(answer: Mapping[str, Any], key: str, context: LeaseContext) -> Lease:
    """Raises ValueError for a body that grants no lease."""
    granted = answer.get("lease")
    if not isinstance(granted, dict):
        raise ValueError("the answer has no lease")
    token, until = granted.get("token"), granted.get("lease_until_ms")
    if not isinstance(token, str) or not token or isinstance(until, bool):
        raise ValueError("the lease has no token")
    if not isinstance(until, int):
        raise ValueError("the lease has no whole lease_until_ms")
    ratio = answer.get("completion_ratio")
    return Lease(
        key=key,
        lease_until_ms=until,
        token=token,
        completion_ratio=None if ratio is None else _ratio(ratio, 0.0),
        context=context,
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
