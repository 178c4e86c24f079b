"""Access tokens: issued once in clear, used by hash, revoked at once."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import User

from registry.actors import Actor
from registry.errors import InvalidInput, NotAllowed, NotAuthenticated, NotFound
from registry.models import AccessToken, Consumer, Role
from registry.services import snapshot
from registry.services.access import require_person, require_role
from registry.services.actions import ActionRecord, audited_action
from registry.services.audit.refusing import record_refusal_if_possible
from registry.services.last_used import note_use
from registry.tokens import SCOPES, NewToken, digest_of, new_token, prefix_of

MAX_LIFETIME = timedelta(days=366)


class TokenRefused(NotAuthenticated):
    """The presented token is malformed, unknown, expired or revoked."""


def issue_consumer_token(
    *,
    actor: Actor,
    consumer: Consumer,
    scopes: Sequence[str],
    lifetime: timedelta,
    now: datetime,
    label: str = "",
) -> NewToken:
    """A token for a program; its secret is in the answer and nowhere else."""
    with audited_action(
        "token.issue", actor=actor, object_type="consumer", object_id=consumer.name, now=now
    ) as entry:
        require_role(actor, consumer.owner_team, Role.CONSUMER_ADMIN)
        creator = require_person(actor)
        return _issue(entry, scopes, lifetime, now, label, creator, consumer=consumer)


def issue_personal_token(
    *,
    actor: Actor,
    user: User,
    scopes: Sequence[str],
    lifetime: timedelta,
    now: datetime,
    label: str = "",
) -> NewToken:
    """A token for a person, who may only make their own (the system may make any)."""
    with audited_action(
        "token.issue", actor=actor, object_type="user", object_id=user.username, now=now
    ) as entry:
        if actor.kind != "system" and actor.id != str(user.pk):
            raise NotAllowed("People make their own personal tokens; nobody else can.")
        return _issue(entry, scopes, lifetime, now, label, user.pk, user=user)


def revoke_token(*, actor: Actor, prefix: str, now: datetime, reason: str) -> None:
    with audited_action(
        "token.revoke", actor=actor, object_type="token", object_id=prefix, now=now, reason=reason
    ):
        token = AccessToken.objects.select_related("consumer__owner_team").filter(prefix=prefix)
        found = token.first()
        if found is None:
            raise NotFound(f"No token starts with {prefix!r}.")
        if found.consumer is not None:
            require_role(actor, found.consumer.owner_team, Role.CONSUMER_ADMIN)
        elif actor.id != str(found.user_id):
            raise NotFound(f"No token starts with {prefix!r}.")
        token.filter(revoked_at__isnull=True).update(revoked_at=now)


def known_token(secret: str, now: datetime) -> AccessToken | None:
    """The live token as the snapshot has it, without a query; None where `use_token` must look."""
    token = snapshot.current().tokens.get(digest_of(secret))
    if token is None or token.expires_at <= now:
        return None
    note_use(token.pk, now)
    return token


def use_token(*, secret: str, now: datetime, source: str, request_id: str) -> AccessToken:
    """The live token behind a secret. Any other is refused and recorded, a flood only counted."""
    token = (
        AccessToken.objects.select_related("user", "consumer")
        .filter(digest=digest_of(secret))
        .first()
        if prefix_of(secret)
        else None
    )
    if token is None:
        stranger = Actor("unknown", "", "", request_id=request_id, source=source)
        _record_misuse(stranger, "", "unknown or malformed token", now)
        raise TokenRefused("This token is not known here; ask its issuer for a new one.")
    fault = _fault(token, now)
    if fault:
        _record_misuse(_holder(token, source, request_id), token.prefix, fault, now)
        raise TokenRefused(fault)
    note_use(token.pk, now)
    return token


def _record_misuse(actor: Actor, prefix: str, fault: str, now: datetime) -> None:
    record_refusal_if_possible(
        actor=actor,
        action="token.use",
        object_type="token",
        object_id=prefix,
        now=now,
        kind=(prefix, "" if prefix else actor.source),
        reason=fault,
        limit_kinds=not prefix,
    )


def _holder(token: AccessToken, source: str, request_id: str) -> Actor:
    return Actor(
        kind="consumer" if token.consumer_id else "user",
        id=str(token.consumer_id or token.user_id),
        name=str(token.consumer or token.user),
        request_id=request_id,
        source=source,
    )


def _fault(token: AccessToken, now: datetime) -> str:
    if token.revoked_at is not None:
        return f"The token {token.prefix}… was revoked at {token.revoked_at:%Y-%m-%dT%H:%M:%SZ}."
    if token.expires_at <= now:
        return f"The token {token.prefix}… expired at {token.expires_at:%Y-%m-%dT%H:%M:%SZ}."
    holder = token.user.is_active if token.user else token.consumer.active  # type: ignore[union-attr]
    return "" if holder else f"The holder of the token {token.prefix}… is switched off."


def _issue(
    entry: ActionRecord,
    scopes: Sequence[str],
    lifetime: timedelta,
    now: datetime,
    label: str,
    created_by_id: int,
    **holder: User | Consumer,
) -> NewToken:
    unknown = sorted(set(scopes) - SCOPES)
    if unknown or not scopes:
        known = ", ".join(sorted(SCOPES))
        raise InvalidInput(f"Unknown scopes {unknown}; choose at least one of {known}.")
    if not timedelta(0) < lifetime <= MAX_LIFETIME:
        raise InvalidInput(f"A token lives between now and {MAX_LIFETIME.days} days.")
    token = new_token()
    AccessToken.objects.create(
        prefix=token.prefix,
        digest=token.digest,
        label=label,
        scopes=sorted(scopes),
        created_by_id=created_by_id,
        created_at=now,
        expires_at=now + lifetime,
        **holder,
    )
    entry.after = {"prefix": token.prefix, "scopes": sorted(scopes)}
    return token
