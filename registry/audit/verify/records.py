"""Records that an export's first line brings along, each with its proof: they explain the log."""

import hashlib
from dataclasses import dataclass
from typing import Any

from .notes import Head
from .tree import included


@dataclass(frozen=True)
class Proven:
    """A record and the proof that it is in the log."""

    seq: int
    payload_format: int
    payload: str
    proof: tuple[bytes, ...]

    def is_in(self, head: Head) -> bool:
        leaf = leaf_of(self.payload_format, self.payload)
        return included(leaf, self.seq, head.size, self.proof, head.root)


def read_proven(document: Any) -> Proven:
    """ValueError, TypeError or KeyError where the document is none."""
    if tuple(document) != ("seq", "v", "payload", "proof"):
        raise ValueError("such a record has seq, v, payload and proof")
    seq, payload_format, payload = document["seq"], document["v"], document["payload"]
    if type(seq) is not int or type(payload_format) is not int or not isinstance(payload, str):
        raise ValueError("such a record has a number, a format and a payload")
    return Proven(seq, payload_format, payload, tuple(hash_of(h) for h in document["proof"]))


def leaf_of(payload_format: int, payload: str) -> bytes:
    return hashlib.sha256(b"\x00" + bytes([payload_format % 256]) + payload.encode()).digest()


def hash_of(text: str) -> bytes:
    """32 bytes from lower-case hex: one text per hash, so that no byte can change unseen."""
    value = bytes.fromhex(text)
    if len(value) != 32 or value.hex() != text:
        raise ValueError("a hash is 64 lower-case hexadecimal digits")
    return value
