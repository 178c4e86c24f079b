"""One request id from the caller (or made here) to every log line, audit record and answer."""

import re
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from registry.actors import Actor
from registry.errors import NotAuthenticated
from registry.models import Consumer

_REQUEST_ID = "seamless.request_id"
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestContextMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _ACCEPTED.fullmatch(given) else uuid.uuid4().hex
        request.META[_REQUEST_ID] = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            # No name of ours holds a NUL, and no database would take it.
            hostile = "\0" in request.path or "%00" in request.META.get("QUERY_STRING", "")
            response = _refuse_nul(request) if hostile else self.get_response(request)
        response["X-Request-ID"] = request_id
        return response


def _refuse_nul(request: HttpRequest) -> HttpResponse:
    return HttpResponse("The address holds a NUL.\n", status=400, content_type="text/plain")


def request_id_of(request: HttpRequest) -> str:
    """What the middleware chose; empty for a request that did not pass it."""
    return str(request.META.get(_REQUEST_ID, ""))


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person or consumer as an actor; refused where nobody is signed in."""
    principal = request.user
    if principal is None or not principal.is_authenticated:
        raise NotAuthenticated("Sign in, or send a token: Authorization: Bearer <token>.")
    return Actor(
        kind="consumer" if isinstance(principal, Consumer) else "user",
        id=str(principal.pk),
        name=str(principal),
        request_id=request_id_of(request),
        correlation_id=request.headers.get("X-Correlation-ID", "")[:64],
        source=request.META.get("REMOTE_ADDR", ""),
    )
