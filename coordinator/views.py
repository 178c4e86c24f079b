"""The lease service over HTTP: claim, renew, complete, fail and list below /v1/leases; /healthz.

Bodies and status codes are those existing clients rely on: 200 with what they read, 404 or 409
where the lease is not theirs.
"""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from coordinator.mode import Mode, coordinator_mode
from coordinator.models import ServiceLease
from coordinator.services.database_clock import database_now
from coordinator.services.service_leases import (
    GrantedLease,
    claim_service_lease,
    complete_service_lease,
    fail_service_lease,
    listed_service_leases,
    renew_service_lease,
)
from registry.errors import InvalidInput
from registry.models import Consumer
from registry.permissions import MayGovern, MayLease
from registry.request_context import actor_of

MAX_KEY = 500
MAX_REASON = 2_000
MAX_LEASE_MS = 3_600_000


class ClaimLease(APIView):
    permission_classes = (MayLease,)

    def post(self, request: Request) -> Response:
        body = _body(request)
        lease = claim_service_lease(
            actor=actor_of(_plain(request)),
            key=_text(body, "key", MAX_KEY),
            lease_ms=_lease_ms(body),
            now=database_now(),
        )
        return _granted(lease)


class RenewLease(APIView):
    permission_classes = (MayLease,)

    def post(self, request: Request) -> Response:
        body = _body(request)
        lease = renew_service_lease(
            key=_text(body, "key", MAX_KEY),
            token=_text(body, "token", MAX_KEY),
            lease_ms=_lease_ms(body),
            completion_ratio=_progress(body),
            now=database_now(),
        )
        return _granted(lease)


class Leases(APIView):
    """The leases that changed last: of the caller, or of everybody for people; `?state=held`."""

    def get_permissions(self) -> list[Any]:
        return [MayLease() if isinstance(self.request.user, Consumer) else MayGovern()]

    def get(self, request: Request) -> Response:
        state = request.query_params.get("state", "")
        if state and state not in ServiceLease.State.values:
            raise InvalidInput(f"'state' must be one of {', '.join(ServiceLease.State.values)}.")
        own = isinstance(request.user, Consumer)
        holder = actor_of(_plain(request)).name if own else None
        leases = listed_service_leases(holder=holder, state=state)
        return Response({"leases": [_lease_json(lease) for lease in leases]})


class CompleteLease(APIView):
    permission_classes = (MayLease,)

    def post(self, request: Request) -> Response:
        body = _body(request)
        ratio = complete_service_lease(
            actor=actor_of(_plain(request)),
            key=_text(body, "key", MAX_KEY),
            token=_text(body, "token", MAX_KEY),
            now=database_now(),
        )
        return Response({"completion_ratio": ratio})


class FailLease(APIView):
    permission_classes = (MayLease,)

    def post(self, request: Request) -> Response:
        body = _body(request)
        ratio = fail_service_lease(
            actor=actor_of(_plain(request)),
            key=_text(body, "key", MAX_KEY),
            token=_text(body, "token", MAX_KEY),
            reason=str(body.get("reason", ""))[:MAX_REASON],
            now=database_now(),
        )
        return Response({"completion_ratio": ratio})


class Health(APIView):
    """Open to everyone, and says only the mode: 200 while leases can be granted, else 503."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request) -> Response:
        mode = coordinator_mode()
        if mode is Mode.LOCAL:
            return Response({"status": "fail", "mode": mode}, status=503)
        return Response({"status": "ok", "mode": mode})


def _granted(lease: GrantedLease) -> Response:
    granted = {
        "token": lease.token,
        "lease_until_ms": int(lease.expires_at.timestamp() * 1000),
        "epoch": lease.epoch,
    }
    return Response({"lease": granted, "completion_ratio": lease.completion_ratio})


def _lease_json(lease: ServiceLease) -> dict[str, Any]:
    return {
        "key": lease.key,
        "node_id": lease.node.node_id if lease.node else "unknown",
        "state": lease.state,
        "epoch": lease.epoch,
        "holder": lease.holder,
        "lease_until_ms": int(lease.expires_at.timestamp() * 1000),
        "completion_ratio": lease.completion_ratio,
        "reason": lease.reason,
    }


def _plain(request: Request) -> HttpRequest:
    """What `actor_of` reads: the user DRF has authenticated, on Django's own request."""
    plain: HttpRequest = request._request
    plain.user = request.user
    return plain


def _body(request: Request) -> Mapping[str, Any]:
    if not isinstance(request.data, Mapping):
        raise InvalidInput("The body must be a JSON object.")
    return request.data


def _text(body: Mapping[str, Any], name: str, longest: int) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= longest or "\x00" in value:
        raise InvalidInput(f"{name!r} must be a text of 1 to {longest} characters.")
    return value


def _lease_ms(body: Mapping[str, Any]) -> int:
    value = body.get("lease_ms")
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LEASE_MS:
        raise InvalidInput(f"'lease_ms' must be a whole number from 1 to {MAX_LEASE_MS}.")
    return value


def _progress(body: Mapping[str, Any]) -> float | None:
    """What a holder says of its own work; existing clients say nothing."""
    value = body.get("completion_ratio")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidInput("'completion_ratio' must be a number from 0 to 1.")
    return float(value)
