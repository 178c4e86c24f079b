"""One request id from the caller (or made here) to every log line, audit record and answer."""

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from django.http import HttpRequest, HttpResponse
from opentelemetry import context, propagate

from registry.actors import Actor
from registry.errors import NotAuthenticated
from registry.models import Consumer
from registry.spans import span

_META_KEY = "seamless.request_id"
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestContextMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _ACCEPTED.fullmatch(given) else uuid.uuid4().hex
        request.META[_META_KEY] = request_id
        ids = {"request_id": request_id}
        if correlation_id := correlation_id_of(request):
            ids["correlation_id"] = correlation_id
        with structlog.contextvars.bound_contextvars(**ids), _traced(request):
            # No name of ours holds a NUL, and no database would take it.
            hostile = "\0" in request.path or "%00" in request.META.get("QUERY_STRING", "")
            response = _refuse_nul(request) if hostile else self.get_response(request)
        response["X-Request-ID"] = request_id
        return response


@contextmanager
def _traced(request: HttpRequest) -> Iterator[None]:
    """One span around all others of the request; it continues the caller's trace, if there is one.

    Without a `traceparent` (W3C Trace Context) this costs one look-up.
    """
    method = {"http.request.method": request.method or ""}
    if "traceparent" not in request.headers:
        with span("seamless.http", method):
            yield
        return
    carrier = {name.lower(): value for name, value in request.headers.items()}
    token = context.attach(propagate.extract(carrier))
    try:
        with span("seamless.http", method):
            yield
    finally:
        context.detach(token)


def _refuse_nul(request: HttpRequest) -> HttpResponse:
    return HttpResponse("The address holds a NUL.\n", status=400, content_type="text/plain")


def request_id_of(request: HttpRequest) -> str:
    """What the middleware chose; empty for a request that did not pass it."""
    return str(request.META.get(_META_KEY, ""))


def correlation_id_of(request: HttpRequest) -> str:
    """What the caller joins several requests by; empty where it is none we would log."""
    given = request.headers.get("X-Correlation-ID", "")
    return given if _ACCEPTED.fullmatch(given) else ""


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
        correlation_id=correlation_id_of(request),
        source=request.META.get("REMOTE_ADDR", ""),
    )


def stranger_of(request: HttpRequest) -> Actor:
    """A caller of whom nothing is known but where the request came from."""
    return Actor(
        kind="unknown",
        id="",
        name="",
        request_id=request_id_of(request),
        correlation_id=correlation_id_of(request),
        source=request.META.get("REMOTE_ADDR", ""),
    )
