"""Who signed in, who failed to, and changed passwords: all of it in the audit log."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User, update_last_login
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from registry.actors import Actor
from registry.request_context import correlation_id_of, request_id_of
from registry.services.actions import audited_action
from registry.services.audit import record
from registry.services.audit.refusing import record_refusal


def change_password(*, actor: Actor, user: User, password: str, now: datetime) -> None:
    """Set a password that its form has validated. Sessions elsewhere end with the old one."""
    with audited_action(
        "person.change_password", actor=actor, object_type="user", object_id=user.username, now=now
    ):
        user.set_password(password)
        user.save(update_fields=["password"])


# Django's own receiver, which would change the account without a record.
user_logged_in.disconnect(dispatch_uid="update_last_login")


@receiver(user_logged_in)
def record_sign_in(request: HttpRequest, user: User, **_: Any) -> None:
    with transaction.atomic():
        update_last_login(User, user)
        _record(request, "person.sign_in", user)


@receiver(user_logged_out)
def record_sign_out(request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is not None:
        _record(request, "person.sign_out", user)


@receiver(user_login_failed)
def record_failed_sign_in(
    credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any
) -> None:
    """The name that was tried is kept; what else was typed is not."""
    name = str(credentials.get("username", ""))[:150]
    user = User.objects.filter(username=name).first() or User(username=name)
    actor = _actor(request, user)
    record_refusal(
        actor=actor,
        action="person.sign_in",
        object_type="user",
        object_id=name,
        now=timezone.now(),
        kind=(name, actor.source),
        reason="wrong name or password",
        limit_kinds=True,
    )


def _record(request: HttpRequest, action: str, user: User) -> None:
    with transaction.atomic():
        record(
            actor=_actor(request, user),
            action=action,
            object_type="user",
            object_id=user.username,
            now=timezone.now(),
        )


def _actor(request: HttpRequest | None, user: User) -> Actor:
    return Actor(
        kind="user",
        id=str(user.pk or ""),
        name=user.username,
        request_id=request_id_of(request) if request else "",
        correlation_id=correlation_id_of(request) if request else "",
        source=request.META.get("REMOTE_ADDR", "") if request else "",
    )
