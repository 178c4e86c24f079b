"""Who runs a command: the person whose token is in SEAMLESS_TOKEN, never a name that was typed.

So nobody acts as two people without holding the tokens of both.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.utils import timezone

from registry.actors import Actor
from registry.errors import SeamlessError
from registry.services.tokens import TokenRefused, use_token

VARIABLE = "SEAMLESS_TOKEN"
REFUSED, USAGE = 1, 2


def acting_person() -> Actor:
    """The holder of the personal access token, which needs the scope `govern`.

    An expired or revoked token is refused and recorded, as it is over HTTP. Raises CommandError:
    exit code 2 where no token is given, 1 where it is refused.
    """
    secret = os.environ.get(VARIABLE, "").strip()
    if not secret:
        raise CommandError(
            f"Set {VARIABLE} to your personal access token (scope govern).", returncode=USAGE
        )
    request_id = uuid.uuid4().hex
    try:
        token = use_token(secret=secret, now=timezone.now(), source="cli", request_id=request_id)
    except TokenRefused as refusal:
        raise CommandError(f"{VARIABLE}: {refusal.detail}", returncode=REFUSED) from None
    if token.user is None:
        raise CommandError(
            f"{VARIABLE}: this is a consumer's token; commands need a person's.", returncode=REFUSED
        )
    if "govern" not in token.scopes:
        raise CommandError(f"{VARIABLE}: this token lacks the scope 'govern'.", returncode=REFUSED)
    return Actor(
        kind="user",
        id=str(token.user.pk),
        name=token.user.get_username(),
        request_id=request_id,
        source="cli",
    )


@contextmanager
def refusals_as_command_errors() -> Iterator[None]:
    """A service's refusal ends the command with its code and sentence, exit code 1."""
    try:
        yield
    except SeamlessError as refusal:
        raise CommandError(f"{refusal.code}: {refusal.detail}", returncode=REFUSED) from refusal
