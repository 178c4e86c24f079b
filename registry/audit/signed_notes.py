"""Signing checkpoints: C2SP signed notes with Ed25519, and the record of a change of key.

https://c2sp.org/signed-note. A public key is written `name+hash+base64`, a signature line is an em
dash, the key's name and base64 of the four bytes of its hash followed by the signature.
"""

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

_ED25519 = b"\x01"


@dataclass(frozen=True, slots=True)
class PublicKey:
    name: str
    raw: bytes

    @property
    def hash(self) -> bytes:
        """Four bytes by which a signature line names its key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.raw).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.hash.hex()}+{base64.b64encode(_ED25519 + self.raw).decode()}"

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """Read what `str` writes. ValueError for anything else."""
        name, _, rest = text.partition("+")
        encoded = rest.partition("+")[2]
        try:
            key = cls(name, base64.b64decode(encoded, validate=True)[1:])
        except ValueError:
            key = None
        if key is None or str(key) != text or len(key.raw) != 32 or not name:
            raise ValueError(f"not a public key (name+hash+base64): {text[:120]!r}")
        return key

    def verify(self, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A private key under a log's name. Never printed: `repr` shows the public key alone."""

    name: str
    key: Ed25519PrivateKey

    def __post_init__(self) -> None:
        if not self.name or "+" in self.name or any(c.isspace() for c in self.name):
            raise ValueError(f"a key's name has no spaces and no plus sign: {self.name!r}")

    @cached_property
    def public(self) -> PublicKey:
        return PublicKey(self.name, self.key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"Signer({self.public})"

    def note(self, body: str) -> str:
        """The signed note over `body`, whose last character is a line end."""
        signed = self.public.hash + self.key.sign(body.encode())
        return f"{body}\n— {self.name} {base64.b64encode(signed).decode()}\n"

    def name_successor(self, origin: str, successor: PublicKey) -> dict[str, str]:
        """What the record of a change of key says: both keys, and this one's signature on it."""
        statement = rotation_statement(origin, self.public, successor)
        return {
            "old_key": str(self.public),
            "new_key": str(successor),
            "signature": base64.b64encode(self.key.sign(statement)).decode(),
        }


def rotation_statement(origin: str, old: PublicKey, new: PublicKey) -> bytes:
    return f"seamless-audit-key-rotation/1\n{origin}\n{old}\n{new}\n".encode()
