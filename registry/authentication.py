"""`Authorization: Bearer <token>`: one token model for people and consumers."""

import binascii
from base64 import b64decode

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed

from registry.models import AccessToken
from registry.request_context import request_id_of
from registry.services.tokens import TokenRefused, known_token, use_token


class BearerTokenAuthentication(BaseAuthentication):
    """401 for a token that is malformed, unknown, expired or revoked; the answer names which.

    An unknown and a malformed token get the same answer, so that prefixes cannot be probed.
    """

    def authenticate(self, request: HttpRequest) -> tuple[object, AccessToken] | None:
        secret = _presented(request)
        if secret is None:
            return None
        now = timezone.now()
        try:
            token = known_token(secret, now) or use_token(
                secret=secret,
                now=now,
                source=request.META.get("REMOTE_ADDR", ""),
                request_id=request_id_of(request),
            )
        except TokenRefused as refusal:
            raise AuthenticationFailed(refusal.detail) from None
        return token.user or token.consumer, token

    def authenticate_header(self, request: HttpRequest) -> str:
        return 'Bearer realm="seamless"'


def _presented(request: HttpRequest) -> str | None:
    """The bearer token, or the password of Basic credentials (a client that knows no other)."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return None
