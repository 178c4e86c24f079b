"""The lines of an exported log: JSON, one object per line, the hashed bytes in full.

    {"format": "seamless-audit-export/1", "origin": …, "first": 0, "edge": []}
    {"seq": 0, "v": 1, "leaf": "<hex>", "payload": "<the canonical text that was hashed>"}
    …
    {"rows": 1, "size": 1, "root": "<hex>", "checkpoint": "<checkpoint body>"}

`edge` is the right edge of the tree before record `first` (see `registry.audit.merkle`), so that an
export of the later records is proven against the same root as a full one. A line is exactly what
`json.dumps(…, ensure_ascii=False, separators=(",", ":"))` writes: a verifier compares bytes.
"""

import json
from typing import Any

from registry.audit.checkpoint import Checkpoint
from registry.audit.merkle import Edge

EXPORT_FORMAT = "seamless-audit-export/1"


def header_line(origin: str, before: Edge) -> bytes:
    edge = [node.hex() for node in before.hashes]
    return _line({"format": EXPORT_FORMAT, "origin": origin, "first": before.size, "edge": edge})


def record_line(seq: int, payload_format: int, leaf: bytes, payload: str) -> bytes:
    return _line({"seq": seq, "v": payload_format, "leaf": leaf.hex(), "payload": payload})


def trailer_line(rows: int, checkpoint: Checkpoint) -> bytes:
    head = {"rows": rows, "size": checkpoint.size, "root": checkpoint.root.hex()}
    return _line({**head, "checkpoint": checkpoint.body()})


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
