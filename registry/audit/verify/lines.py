"""The lines of an export, and the small values in them: each has one spelling."""

import hashlib
import json
from typing import Any

from .records import hash_of

_PERSONAL = b"seamless-audit-personal/1\n"


def document_of(raw: bytes) -> dict[str, Any] | None:
    """The object of a line, or None unless the line is byte for byte what the export writes."""
    try:
        document = json.loads(raw)
        if isinstance(document, dict) and _written(document) == raw:
            return document
    except (ValueError, RecursionError):
        pass
    return None


def _written(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a count is a whole number from 0 on")
    return value


def consistency_proofs(documents: Any) -> dict[int, tuple[bytes, ...]]:
    for document in documents:
        if tuple(document) != ("from", "proof"):
            raise ValueError("a consistency proof has from and proof")
    return {count(d["from"]): tuple(hash_of(h) for h in d["proof"]) for d in documents}


def commitment(personal: str) -> str:
    return hashlib.sha256(_PERSONAL + personal.encode()).hexdigest()


def stated_commitment(payload: str) -> Any:
    try:
        return json.loads(payload)["personal"]
    except (ValueError, TypeError, KeyError):
        return None
