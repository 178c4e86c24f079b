"""Bearer tokens: `smls_<prefix>_<secret>`. Shown once; only the SHA-256 of the whole is kept.

The secret has 256 random bits, so a fast hash is enough (RFC 6750; OWASP ASVS 2.4 concerns
passwords, which people choose).
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field

SCOPES = frozenset({"read", "govern", "leases", "metrics"})
_SHAPE = re.compile(r"smls_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class NewToken:
    prefix: str
    digest: str
    secret: str = field(repr=False)


def new_token() -> NewToken:
    prefix = secrets.token_hex(6)
    secret = f"smls_{prefix}_{secrets.token_urlsafe(32)}"
    return NewToken(prefix=prefix, digest=digest_of(secret), secret=secret)


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def prefix_of(text: str) -> str | None:
    """The public prefix of a well-formed token, or None."""
    match = _SHAPE.fullmatch(text)
    return match[1] if match else None
