"""Which key signs a log when: the first one, then each named in a record signed by the one before.

A rotation is a record of the log (action `audit.rotate_key`). Its `after` holds the old key, the
new key and the old key's signature over the four lines of `statement`. From the first checkpoint
that covers that record on, the new key signs.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import ed25519
from .notes import Key, Note, read_key
from .records import Proven, read_proven

ROTATION = "audit.rotate_key"
STATEMENT = "seamless-audit-key-rotation/1"


def statement(origin: str, old: Key, new: Key) -> bytes:
    return f"{STATEMENT}\n{origin}\n{old}\n{new}\n".encode()


@dataclass(frozen=True)
class Term:
    """One key and the record that named it (None: the log's first key)."""

    key: Key
    rotation: Proven | None


def read_terms(documents: Any) -> list[Term]:
    """The header's key history. ValueError, TypeError or KeyError where it is none."""
    terms = [Term(read_key(item["key"]), _rotation(item["rotation"])) for item in documents]
    if any((term.rotation is None) != (place == 0) for place, term in enumerate(terms)):
        raise ValueError("only a log's first key was named by no record")
    if [term.rotation.seq for term in terms if term.rotation] != sorted(
        {term.rotation.seq for term in terms if term.rotation}
    ):
        raise ValueError("rotations stand in the order of the log")
    return terms


def _rotation(document: Any) -> Proven | None:
    return None if document is None else read_proven(document)


def named_by_the_one_before(origin: str, old: Key, new: Term) -> bool:
    """Whether the record says so, and the old key signed it."""
    assert new.rotation is not None
    try:
        payload = json.loads(new.rotation.payload)
        after = payload["after"]
        signature = base64.b64decode(after["signature"], validate=True)
    except (ValueError, TypeError, KeyError):
        return False
    stated = (payload["action"], payload["outcome"], after["old_key"], after["new_key"])
    return stated == (ROTATION, "ok", str(old), str(new.key)) and ed25519.verify(
        old.public, statement(origin, old, new.key), signature
    )


def in_force(terms: Sequence[Term], size: int) -> Key | None:
    """The key that signs a checkpoint of `size` records."""
    known = [t.key for t in terms if t.rotation is None or t.rotation.seq < size]
    return known[-1] if known else None


def is_anchored(terms: Sequence[Term], trusted: Sequence[Key], signer: Key) -> bool:
    """Whether rotations lead from a trusted key to the signer (or it is trusted itself)."""
    keys = [term.key for term in terms]
    return any(key in trusted for key in keys[: keys.index(signer) + 1])


def signed_as_it_should(terms: Sequence[Term], note: Note) -> bool:
    key = in_force(terms, note.head.size)
    return key is not None and note.signed_by(key)
