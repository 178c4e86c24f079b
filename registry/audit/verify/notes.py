"""Checkpoints as C2SP writes them: a body of three lines, an empty line, signature lines.

https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint: origin, size, base64 of the root;
then one line per signature, an em dash, the key's name, base64 of four bytes of the key's hash and
the Ed25519 signature over the body.
"""

import base64
import hashlib
from dataclasses import dataclass

from . import ed25519

ED25519 = b"\x01"


@dataclass(frozen=True)
class Head:
    """The root over the first `size` records of the log `origin`."""

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True)
class Key:
    """A public key as C2SP writes it: name+hash+base64."""

    name: str
    public: bytes

    @property
    def hash(self) -> bytes:
        named = self.name.encode() + b"\n" + ED25519 + self.public
        return hashlib.sha256(named).digest()[:4]

    def __str__(self) -> str:
        encoded = base64.b64encode(ED25519 + self.public).decode()
        return f"{self.name}+{self.hash.hex()}+{encoded}"


@dataclass(frozen=True)
class Signature:
    name: str
    hash: bytes
    bytes: bytes


@dataclass(frozen=True)
class Note:
    """A checkpoint with its signatures; without any where it is a bare body."""

    head: Head
    signatures: tuple[Signature, ...] = ()

    def signed_by(self, key: Key) -> bool:
        body = self.head.body().encode()
        return any(
            (s.name, s.hash) == (key.name, key.hash) and ed25519.verify(key.public, body, s.bytes)
            for s in self.signatures
        )


def read_key(text: str) -> Key:
    """A key from its text. ValueError where it is not one, or its hash is not that of the key."""
    try:
        name, _hash, encoded = text.strip().split("+", 2)
        typed = base64.b64decode(encoded, validate=True)
    except ValueError:
        name, typed = "", b""
    key = Key(name, typed[1:])
    if not name or typed[:1] != ED25519 or len(key.public) != 32 or str(key) != text.strip():
        raise ValueError(f"not a key (name+hash+base64): {text.strip()[:120]!r}")
    return key


def read_note(text: str) -> Note:
    """A checkpoint from its text, signed or bare. ValueError unless it is exactly one."""
    body, empty, lines = text.partition("\n\n")
    try:
        head = _head(body if empty else body.rstrip("\n"))
        return Note(head, tuple(_signature(line) for line in _whole_lines(lines)))
    except ValueError:
        raise ValueError(
            "not a checkpoint: origin, size and base64 root, each on a line of its own, and"
            f" signature lines after an empty one are expected, not {text[:120]!r}"
        ) from None


def _head(body: str) -> Head:
    origin, size, root = body.split("\n")
    head = Head(origin, int(size), base64.b64decode(root, validate=True))
    if not origin or head.size < 0 or len(head.root) != 32 or head.body() != body + "\n":
        raise ValueError
    return head


def _whole_lines(text: str) -> list[str]:
    if text and not text.endswith("\n"):
        raise ValueError
    return text.split("\n")[:-1]


def _signature(line: str) -> Signature:
    dash, name, encoded = line.split(" ")
    decoded = base64.b64decode(encoded, validate=True)
    if dash != "—" or not name or len(decoded) != 4 + 64:
        raise ValueError
    if base64.b64encode(decoded).decode() != encoded:
        raise ValueError
    return Signature(name, decoded[:4], decoded[4:])
