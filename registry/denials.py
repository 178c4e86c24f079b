"""Requests that a permission refused before any service saw them, for the audit log."""

from django.http import HttpRequest
from django.utils import timezone

from registry.models import AccessToken
from registry.request_context import actor_of
from registry.services.audit.refusing import record_refusal_if_possible


def record_denial(request: HttpRequest, reason: str) -> None:
    """A signed-in person or program (with a token of the wrong scope, say) may not do this.

    Who is not signed in at all is no more than asked to (401).
    """
    if request.user is None or not request.user.is_authenticated:
        return
    actor = actor_of(request)
    token = getattr(request, "auth", None)
    prefix = token.prefix if isinstance(token, AccessToken) else ""
    route = request.resolver_match.route if request.resolver_match else ""
    record_refusal_if_possible(
        actor=actor,
        action="request.deny",
        object_type="address",
        object_id=f"{request.method} /{route}",
        now=timezone.now(),
        kind=(actor.kind, actor.id, prefix, str(request.method), route, reason),
        reason=reason,
        after={"token": prefix} if prefix else None,
    )
