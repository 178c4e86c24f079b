"""The lines of an exported log: JSON, one object per line, the hashed bytes in full.

    {"format": "seamless-audit-export/2", "origin": …, "records": "all", "filter": {}, "first": 0,
     "edge": [], "keys": [{"key": …, "rotation": null}, …], "removals": [], "consistency": []}
    {"seq": 0, "v": 2, "leaf": "<hex>", "payload": "<the text that was hashed>", "personal": "<…>"}
    …
    {"rows": 1, "erased": 0, "dropped": 0, "size": 1, "root": "<hex>", "exported_at": …,
     "pending": 0, "oldest_pending": null, "checkpoint": "<signed note>"}
    {"sha256": "<of all the lines before>"}

`records` is `all` from record `first` on; `edge` is then the right edge of the tree before it (see
`registry.audit.merkle`), so that an export of the later records is proven against the same root as
a full one. Or it is `selected`: those that match `filter`, each with its inclusion `proof`; `first`
and `edge` are then those of the whole log. `keys` is the key history, each key but the first with
the record that named it; `consistency` proves that earlier checkpoints are continued.

`personal` is null where it was erased, and `payload` too where a retention dropped it; the leaf
stays. `removals` are the records, each with its proof, that say which were emptied. A line is
exactly what `json.dumps(…, ensure_ascii=False, separators=(",", ":"))` writes: a verifier compares
bytes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from registry.audit.checkpoint import Checkpoint
from registry.audit.merkle import Edge

EXPORT_FORMAT = "seamless-audit-export/2"


@dataclass(frozen=True, slots=True)
class ProvenRecord:
    """A record that explains the log itself, with its inclusion proof."""

    seq: int
    payload_format: int
    payload: str
    proof: tuple[bytes, ...]

    def document(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "v": self.payload_format,
            "payload": self.payload,
            "proof": _hexes(self.proof),
        }


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A key of the history and the record that named it, None for the first."""

    key: str
    rotation: ProvenRecord | None = None

    def document(self) -> dict[str, Any]:
        rotation = None if self.rotation is None else self.rotation.document()
        return {"key": self.key, "rotation": rotation}


@dataclass(frozen=True, slots=True)
class Row:
    """One exported record; `proof` only among selected ones."""

    seq: int
    payload_format: int
    leaf: bytes
    payload: str | None
    personal: str | None
    proof: tuple[bytes, ...] | None = None


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What waited for its seal when the export was made."""

    count: int = 0
    oldest: datetime | None = None


class Writable(Protocol):
    def write(self, data: bytes, /) -> Any: ...


class ExportWriter:
    """Writes the lines in their order: `begin`, any number of `rows`, `end`."""

    def __init__(self, out: Writable) -> None:
        self._out = out
        self._digest = hashlib.sha256()
        self._counts = {"rows": 0, "erased": 0, "dropped": 0}

    @property
    def counted(self) -> int:
        return self._counts["rows"]

    def begin(
        self,
        origin: str,
        edge: Edge,
        *,
        keys: Sequence[NamedKey],
        removals: Sequence[ProvenRecord] = (),
        selected: Mapping[str, Any] | None = None,
        consistency: Mapping[int, Sequence[bytes]] | None = None,
    ) -> None:
        """`edge`: the tree before the first record; with `selected` (a filter), the whole one."""
        proofs = (consistency or {}).items()
        self._line(
            {
                "format": EXPORT_FORMAT,
                "origin": origin,
                "records": "all" if selected is None else "selected",
                "filter": dict(selected or {}),
                "first": edge.size,
                "edge": _hexes(edge.hashes),
                "keys": [key.document() for key in keys],
                "removals": [removal.document() for removal in removals],
                "consistency": [{"from": old, "proof": _hexes(proof)} for old, proof in proofs],
            }
        )

    def rows(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._row(row)

    def _row(self, row: Row) -> None:
        self._counts["rows"] += 1
        if row.payload is None:
            self._counts["dropped"] += 1
        elif row.personal is None and row.payload_format > 1:
            self._counts["erased"] += 1
        document = {
            "seq": row.seq,
            "v": row.payload_format,
            "leaf": row.leaf.hex(),
            "payload": row.payload,
            "personal": row.personal,
        }
        self._line(document if row.proof is None else {**document, "proof": _hexes(row.proof)})

    def end(self, checkpoint: Checkpoint, note: str, *, now: datetime, unsealed: Unsealed) -> None:
        self._line(
            {
                **self._counts,
                "size": checkpoint.size,
                "root": checkpoint.root.hex(),
                "exported_at": instant(now),
                "pending": unsealed.count,
                "oldest_pending": None if unsealed.oldest is None else instant(unsealed.oldest),
                "checkpoint": note,
            }
        )
        self._line({"sha256": self._digest.hexdigest()})

    def _line(self, document: dict[str, Any]) -> None:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        line = text.encode() + b"\n"
        self._digest.update(line)
        self._out.write(line)


def instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _hexes(hashes: Sequence[bytes]) -> list[str]:
    return [node.hex() for node in hashes]
