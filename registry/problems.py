"""Every refusal over HTTP as RFC 9457 `application/problem+json`, in one place."""

import json
from collections.abc import Mapping
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions

from registry.denials import record_denial
from registry.errors import Hidden, SeamlessError
from registry.request_context import request_id_of

logger = structlog.get_logger("seamless.http")

_CODES = {
    400: ("invalid_input", "Invalid input"),
    401: ("not_authenticated", "Not authenticated"),
    403: ("not_allowed", "Not allowed"),
    404: ("not_found", "Not found"),
    405: ("method_not_allowed", "Method not allowed"),
    406: ("not_acceptable", "Not acceptable"),
    415: ("unsupported_media_type", "Unsupported media type"),
    429: ("too_many_requests", "Too many requests"),
}


def problem(
    request: HttpRequest | None,
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """A problem document; `extra` members stand beside the standard ones."""
    body = {
        **(extra or {}),
        "type": f"urn:seamless:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if request is not None:
        body |= {"instance": request.path, "request_id": request_id_of(request)}
    return HttpResponse(
        json.dumps(body, ensure_ascii=False, default=str),
        status=status,
        content_type="application/problem+json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def refusal(request: HttpRequest | None, error: SeamlessError) -> HttpResponse:
    headers = {"WWW-Authenticate": 'Bearer realm="seamless"'} if error.status == 401 else {}
    if "retry_after" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after"])
    return problem(
        request,
        status=error.status,
        code=error.code,
        title=error.title,
        detail=error.detail,
        extra=error.extra,
        headers=headers,
    )


def problem_response(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """DRF's exception handler: a plain response, so that no data renderer dresses an error."""
    request = context.get("request")
    plain = getattr(request, "_request", request)
    if isinstance(error, Hidden) and not error.recorded and request is not None:
        record_denial(request, error.detail)
    if isinstance(error, SeamlessError):
        return refusal(plain, error)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.PermissionDenied) and request is not None:
        record_denial(request, str(error.detail))
    if isinstance(error, exceptions.APIException):
        return _from_drf(plain, error)
    if isinstance(error, IntegrityError):
        return _collided(plain, error)
    if isinstance(error, OperationalError | InterfaceError):
        return _database_away(plain)
    return crashed(plain)


def _from_drf(request: HttpRequest | None, error: exceptions.APIException) -> HttpResponse:
    code, title = _CODES.get(error.status_code, ("refused", "Refused"))
    given = {
        "WWW-Authenticate": getattr(error, "auth_header", None),
        "Retry-After": getattr(error, "wait", None),
    }
    headers = {name: str(value) for name, value in given.items() if value is not None}
    detail: Any = error.detail
    if isinstance(error, exceptions.NotAuthenticated):
        detail = "Sign in, or send a token: Authorization: Bearer <token>."
    extra = {} if isinstance(detail, str) else {"errors": detail}
    text = str(detail) if isinstance(detail, str) else "Some fields are wrong; see errors."
    return problem(
        request,
        status=error.status_code,
        code=code,
        title=title,
        detail=text,
        extra=extra,
        headers=headers,
    )


def _collided(request: HttpRequest | None, error: IntegrityError) -> HttpResponse:
    """A constraint refused what a service had let through: two requests at once, as a rule."""
    logger.warning("http.collided", path=getattr(request, "path", ""), error=str(error))
    return problem(
        request,
        status=409,
        code="conflict",
        title="Conflict",
        detail="Somebody else changed this at the same moment; look at it again, then retry.",
    )


def _database_away(request: HttpRequest | None) -> HttpResponse:
    logger.exception("http.database_away", path=getattr(request, "path", ""))
    return problem(
        request,
        status=503,
        code="registry_unavailable",
        title="Registry unavailable",
        detail="The registry's database does not answer; try again shortly.",
        headers={"Retry-After": "5"},
    )


def crashed(request: HttpRequest | None) -> HttpResponse:
    """An unforeseen error: logged in full, answered with nothing of what was inside."""
    logger.exception("http.crashed", path=getattr(request, "path", ""))
    return problem(
        request,
        status=500,
        code="internal_error",
        title="Internal error",
        detail="The request failed inside; the log has the details under this request id.",
    )
