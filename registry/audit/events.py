"""What an audit record says, and the bytes of it that are hashed.

A record's payload is the RFC 8785 form of one JSON object. Its leaf is

    SHA-256(0x00 || format || payload)

where 0x00 is the leaf prefix of RFC 6962 and `format` is one byte that tells a reader how the
payload is laid out. A later layout gets a new number; records of an earlier one keep theirs.

Format 2 keeps what points at a person (the actor's id and name, the address the request came from,
the name of a user who is the object) out of the payload: it holds a salted commitment,

    SHA-256("seamless-audit-personal/1\n" || RFC 8785 form of the personal fields and a salt)

so that these fields can be erased and the tree still stands. Format 1 had them in the payload.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args

from registry.actors import Actor
from registry.canonical import JSON, canonicalize

FORMAT = 2
NAME_LIMIT = 255
PERSONAL_OBJECTS = frozenset({"user"})

_COMMITMENT = b"seamless-audit-personal/1\n"
_SALT_BYTES = 16

Outcome = Literal["ok", "denied", "refused", "failed"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that somebody did, or was refused.

    `outcome`: `ok` it was done; `denied` the actor may not do it; `refused` a rule forbids it;
    `failed` it was tried and broke. `before` and `after` are JSON values, usually fingerprints or
    the changed fields, never secrets.
    """

    at: datetime
    actor: Actor
    action: str
    object_type: str
    object_id: str
    outcome: Outcome = "ok"
    reason: str = ""
    before: Any = None
    after: Any = None

    def __post_init__(self) -> None:
        if self.at.utcoffset() is None:
            raise ValueError(f"audit record {self.action!r}: `at` needs a time zone")
        if self.outcome not in OUTCOMES:
            known = ", ".join(OUTCOMES)
            raise ValueError(f"audit record {self.action!r}: outcome {self.outcome!r}, not {known}")
        if not self.action or not self.object_type:
            raise ValueError("an audit record needs an action and an object type")


@dataclass(frozen=True, slots=True)
class Sealable:
    """A record as its two canonical texts: what the leaf hashes, and what may be erased."""

    payload: bytes
    personal: bytes


def sealable(event: Event, *, salt: bytes | None = None) -> Sealable:
    """Split and write an event, its texts made recordable (see `recordable`).

    `salt`: 16 random bytes unless given (for tests).
    """
    personal = canonical_payload(personal_of(event, salt or secrets.token_bytes(_SALT_BYTES)))
    return Sealable(canonical_payload(payload_of(event, commitment(personal))), personal)


def payload_of(event: Event, committed: str) -> dict[str, Any]:
    """The JSON object that is hashed; `committed` stands for the personal fields."""
    actor = event.actor
    object_id = None if event.object_type in PERSONAL_OBJECTS else name(event.object_id)
    return {
        "at": event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "actor": {"kind": actor.kind, "roles": sorted(actor.roles)},
        "action": name(event.action),
        "object": {"type": name(event.object_type), "id": object_id},
        "outcome": event.outcome,
        "reason": recordable(event.reason),
        "before": recordable(event.before),
        "after": recordable(event.after),
        "request_id": name(actor.request_id),
        "correlation_id": name(actor.correlation_id),
        "personal": committed,
    }


def personal_of(event: Event, salt: bytes) -> dict[str, Any]:
    """The fields that point at a person, and the salt that keeps them from being guessed."""
    personal = {
        "actor": {"id": name(event.actor.id), "name": name(event.actor.name)},
        "source": name(event.actor.source),
        "salt": salt.hex(),
    }
    if event.object_type in PERSONAL_OBJECTS:
        personal["object"] = name(event.object_id)
    return personal


def consumer_of(event: Event) -> str:
    """The consumer that acted, was acted on, or that the event's states name; empty for none."""
    if event.actor.kind == "consumer":
        return name(event.actor.name)
    if event.object_type == "consumer":
        return name(event.object_id)
    for state in (event.after, event.before):
        named = state.get("consumer") if isinstance(state, Mapping) else None
        if isinstance(named, str):
            return name(named)
    return ""


def commitment(personal: bytes) -> str:
    return hashlib.sha256(_COMMITMENT + personal).hexdigest()


def canonical_payload(payload: Mapping[str, Any]) -> bytes:
    """The hashed bytes of a payload (without format byte).

    Raises `registry.canonical.NotCanonical` for what JSON cannot say exactly (NaN, 2**53 + 1).
    """
    return canonicalize(cast(JSON, payload))


def leaf_hash(payload: bytes, *, payload_format: int = FORMAT) -> bytes:
    """The 32-byte leaf of a payload, as RFC 6962 hashes a leaf."""
    return hashlib.sha256(b"\x00" + bytes([payload_format]) + payload).digest()


def recordable(value: Any) -> Any:
    """`value` with every NUL and lone surrogate in its texts as U+FFFD.

    No database stores the two in a text, and what a refused caller sent must not keep the refusal
    out of the log.
    """
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {recordable(key): recordable(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [recordable(item) for item in value]
    return value


def name(text: str) -> str:
    """A recordable text of at most 255 characters; a longer one ends in an ellipsis."""
    clean = _UNSTORABLE.sub("\ufffd", text)
    return clean if len(clean) <= NAME_LIMIT else clean[: NAME_LIMIT - 1] + "…"
