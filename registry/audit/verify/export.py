"""One pass over an export's lines (see `registry/audit/export.py` for what they are).

Holds one record and O(log n) hashes, however long the export.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import keys
from .findings import (
    CHANGED,
    INCONSISTENT,
    MISSING,
    OK,
    SIGNATURE,
    STALE,
    Findings,
    Report,
    UnreadableError,
)
from .keys import Term
from .lines import commitment, consistency_proofs, count, document_of, stated_commitment
from .notes import Head, Key, Note, read_note
from .records import Proven, hash_of, leaf_of, read_proven
from .removals import ERASURE, RETENTION, Emptied
from .tree import Tree, continues, included

EXPORT_FORMAT = "seamless-audit-export/2"
PAYLOAD_FORMATS = (1, 2)
HEADER = (
    "format",
    "origin",
    "records",
    "filter",
    "first",
    "edge",
    "keys",
    "removals",
    "consistency",
)
RECORD = ("seq", "v", "leaf", "payload", "personal")
SELECTED = (*RECORD, "proof")
TRAILER = (
    "rows",
    "erased",
    "dropped",
    "size",
    "root",
    "exported_at",
    "pending",
    "oldest_pending",
    "checkpoint",
)
_UNEXPLAINED = "no erasure or retention that the export proves names this record"


@dataclass(frozen=True)
class Demands:
    """What the caller knows or asks beyond the export itself.

    earlier: checkpoints obtained before or elsewhere; trusted: keys; max_unsealed: seconds that a
    record may have waited for its seal when the export was made, None for any.
    """

    earlier: tuple[Note, ...] = ()
    trusted: tuple[Key, ...] = ()
    max_unsealed: float | None = None


class Verification:
    def __init__(self, demands: Demands) -> None:
        self.demands = demands
        self.earlier: dict[int, list[Head]] = {}  # by size: many are compared at no cost
        for note in demands.earlier:
            self.earlier.setdefault(note.head.size, []).append(note.head)
        self.findings = Findings()
        self.digest = hashlib.sha256()
        self.origin = ""
        self.first = 0
        self.complete = True
        self.tree = Tree(0, ())
        self.root = b""  # in an export of selected records the edge is that of the whole log
        self.last_selected = -1
        self.terms: list[Term] = []
        self.removals: list[Proven] = []
        self.may_lack_fields = self.may_lack_all = Emptied(())
        self.consistency: dict[int, tuple[bytes, ...]] = {}
        self.rows = self.erased = self.dropped = 0
        self.signer: Key | None = None
        self.anchored = False

    def run(self, lines: Iterable[bytes]) -> Report:
        head: Head | None = None
        try:
            numbered = self._documents(lines)
            self._begin(self._expect(numbered))
            head = self._end(self._records(numbered))
            self._digest(self._expect(numbered))
            self._nothing_after(numbered)
        except UnreadableError as unreadable:
            self.findings.add(unreadable.finding)
        first = self.findings.first
        return Report(
            first[0].code if first else OK,
            tuple(first),
            self.findings.count,
            self.first,
            self.rows,
            self.complete,
            head,
            self.signer,
            self.anchored,
            self.erased,
            self.dropped,
        )

    def _documents(self, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        for self.findings.line, raw in enumerate(lines, start=1):
            if not raw.endswith(b"\n"):
                self.findings.stop(MISSING, "the file is cut off in this line")
            document = document_of(raw)
            if document is None:
                self.findings.stop(CHANGED, "not a line as it was exported: its bytes were changed")
            yield document
            self.digest.update(raw)

    def _expect(self, documents: Iterator[dict[str, Any]]) -> dict[str, Any]:
        document = next(documents, None)
        if document is None:
            self.findings.line += 1
            self.findings.stop(MISSING, "the export ends before its last line: records are missing")
        return document

    # --- the first line --------------------------------------------------------------------------

    def _begin(self, header: dict[str, Any]) -> None:
        if tuple(header) != HEADER or header["format"] != EXPORT_FORMAT:
            self.findings.stop(CHANGED, f"not the first line of an export ({EXPORT_FORMAT})")
        if header["records"] not in ("all", "selected"):
            self.findings.stop(CHANGED, "an export holds all records or selected ones")
        try:
            first, edge = count(header["first"]), [hash_of(h) for h in header["edge"]]
            self.tree = Tree(first, edge)
            self.terms = keys.read_terms(header["keys"])
            self.removals = [read_proven(document) for document in header["removals"]]
            self.may_lack_all = Emptied(self.removals, RETENTION)
            self.may_lack_fields = Emptied(self.removals, ERASURE, RETENTION)
            self.consistency = consistency_proofs(header["consistency"])
        except (TypeError, ValueError, KeyError):
            self.findings.stop(
                CHANGED, "the tree before the first record, a key or a removal is unreadable"
            )
        self.origin, self.first = str(header["origin"]), self.tree.size
        self.root, self.complete = self.tree.root(), header["records"] == "all"
        self._compare_earlier()

    # --- the records -----------------------------------------------------------------------------

    def _records(self, documents: Iterator[dict[str, Any]]) -> dict[str, Any]:
        """Take in every record; returns the last line."""
        shape = RECORD if self.complete else SELECTED
        take = self._next_record if self.complete else self._selected_record
        while tuple(document := self._expect(documents)) == shape:
            self.rows += 1
            take(document)
        return document

    def _next_record(self, record: dict[str, Any]) -> None:
        expected, seq = self.tree.size, record["seq"]
        if type(seq) is not int or seq != expected:
            message = f"record {expected} should stand here, not {seq!r}"
            self.findings.stop(MISSING, message, expected)
        self.tree.append(self._judged(record, seq))
        self._compare_earlier()

    def _selected_record(self, record: dict[str, Any]) -> None:
        seq = record["seq"]
        if type(seq) is not int or seq <= self.last_selected:
            self.findings.stop(MISSING, f"record {seq!r} stands after {self.last_selected}")
        self.last_selected = seq
        try:
            proof = [hash_of(h) for h in record["proof"]]
        except (TypeError, ValueError):
            self.findings.stop(CHANGED, "its proof is not a list of hashes", seq)
        if not included(self._judged(record, seq), seq, self.tree.size, proof, self.root):
            self.findings.note(CHANGED, "its proof does not lead to the log's root", seq)

    def _judged(self, record: dict[str, Any], seq: int) -> bytes:
        """The record's stated leaf, after comparing it with the record's bytes."""
        try:
            stated = hash_of(record["leaf"])
        except (TypeError, ValueError):
            self.findings.stop(CHANGED, "its leaf is not a hash", seq)
        version, payload, personal = record["v"], record["payload"], record["personal"]
        if type(version) is not int or version not in PAYLOAD_FORMATS:
            self.findings.note(CHANGED, f"unknown payload format {version!r}", seq)
        elif payload is None and personal is None:
            self._dropped(seq)
        elif not isinstance(payload, str) or leaf_of(version, payload) != stated:
            self.findings.note(CHANGED, "changed: not the bytes that were sealed", seq)
        else:
            self._personal(version, payload, personal, seq)
            self._announced(payload, seq)
        return stated

    def _dropped(self, seq: int) -> None:
        self.dropped += 1
        if seq not in self.may_lack_all:
            self.findings.note(CHANGED, f"its payload is gone: {_UNEXPLAINED}", seq)

    def _erased(self, seq: int) -> None:
        self.erased += 1
        if seq not in self.may_lack_fields:
            self.findings.note(CHANGED, f"its personal fields are gone: {_UNEXPLAINED}", seq)

    def _personal(self, version: int, payload: str, personal: Any, seq: int) -> None:
        if version == 1:
            if personal is not None:
                self.findings.note(CHANGED, "its format has no personal fields apart", seq)
        elif personal is None:
            self._erased(seq)
        elif not isinstance(personal, str) or commitment(personal) != stated_commitment(payload):
            self.findings.note(CHANGED, "changed: not the personal fields that were sealed", seq)

    def _announced(self, payload: str, seq: int) -> None:
        """Every rotation among the records must be in the header's key history."""
        if keys.ROTATION not in payload:
            return
        stated = json.loads(payload)
        if stated.get("action") != keys.ROTATION or stated.get("outcome") != "ok":
            return
        if not any(term.rotation and term.rotation.seq == seq for term in self.terms):
            self.findings.note(SIGNATURE, "a change of key that the key history leaves out", seq)

    # --- the last line ---------------------------------------------------------------------------

    def _end(self, trailer: dict[str, Any]) -> Head:
        if tuple(trailer) != TRAILER:
            self.findings.stop(CHANGED, "neither a record nor the last line of an export")
        self._count_rows(trailer)
        try:
            note = read_note(trailer["checkpoint"])
        except (ValueError, TypeError, AttributeError):
            self.findings.stop(CHANGED, "the checkpoint on the last line is unreadable")
        head = Head(self.origin, self.tree.size, self.tree.root())
        if trailer["root"] != head.root.hex():
            self.findings.stop(
                CHANGED,
                f"the records' root is {head.root.hex()}, not the stated {trailer['root']!r}:"
                " a record was replaced together with its leaf, or the last line was changed",
            )
        if note.head != head:
            self.findings.stop(
                CHANGED, "the checkpoint is not that of these records and this origin"
            )
        self._removed(head)
        self._who_signed(note)
        self._earlier_than_this(head)
        self._unsealed_tail(trailer)
        return head

    def _removed(self, head: Head) -> None:
        for removal in self.removals:
            if not removal.is_in(head):
                self.findings.note(CHANGED, "a removal that is not in the log", removal.seq)

    def _count_rows(self, trailer: dict[str, Any]) -> None:
        counted = {"rows": self.rows, "size": self.tree.size}
        counted |= {"erased": self.erased, "dropped": self.dropped}
        for name, here in counted.items():
            if type(trailer[name]) is not int or trailer[name] != here:
                message = f"the last line states {name} {trailer[name]!r}; here it is {here}"
                self.findings.stop(MISSING, message)

    def _who_signed(self, note: Note) -> None:
        if not self.terms:
            if note.head.size or note.signatures or self.demands.trusted:
                self.findings.note(SIGNATURE, "no key signed the checkpoint")
            return
        for old, new in zip(self.terms, self.terms[1:], strict=False):
            self._rotation(note.head, old.key, new)
        signer = keys.in_force(self.terms, note.head.size)
        if signer is None or not note.signed_by(signer) or len(note.signatures) != 1:
            self.findings.note(SIGNATURE, "the checkpoint is not signed by the log's key")
            return
        self.signer = signer
        self.anchored = keys.is_anchored(self.terms, self.demands.trusted, signer)
        if self.demands.trusted and not self.anchored:
            self.findings.note(SIGNATURE, f"signed by {signer}, which no key you trust leads to")

    def _rotation(self, head: Head, old: Key, new: Term) -> None:
        rotation = new.rotation
        assert rotation is not None
        if not keys.named_by_the_one_before(self.origin, old, new):
            self.findings.note(SIGNATURE, f"the key before it never named {new.key}", rotation.seq)
        if not rotation.is_in(head):
            self.findings.note(SIGNATURE, "a change of key that is not in the log", rotation.seq)

    # --- earlier checkpoints, unsealed records ---------------------------------------------------

    def _compare_earlier(self) -> None:
        if not self.complete:
            return
        for head in self.earlier.get(self.tree.size, ()):
            if head.root != self.tree.root():
                self.findings.note(
                    INCONSISTENT,
                    f"the checkpoint of {head.size} records has root {head.root.hex()},"
                    f" these records have {self.tree.root().hex()}: the log was rewritten",
                )

    def _earlier_than_this(self, now: Head) -> None:
        for note in self.demands.earlier:
            if note.signatures and not keys.signed_as_it_should(self.terms, note):
                self.findings.note(
                    SIGNATURE, f"the checkpoint of {note.head.size} records has another signer"
                )
            if message := self._contradicts(note.head, now):
                self.findings.note(INCONSISTENT, message)

    def _contradicts(self, head: Head, now: Head) -> str:
        """Why the log does not continue `head`; empty where it does."""
        if head.origin != self.origin:
            return f"the checkpoint is of {head.origin!r}, this log is {self.origin!r}"
        if head.size > now.size:
            return f"the checkpoint has {head.size} records, this log only {now.size}"
        if self.complete and (head.size == 0 or head.size >= self.first):
            return ""  # compared while the records went by
        if head.size == now.size:
            return "" if head == now else "the log was rewritten: another root at the same size"
        proof = self.consistency.get(head.size)
        if head.size and proof is None:
            return (
                f"nothing here proves that the log continues the checkpoint of {head.size} records:"
                f" ask for an export made with --earlier {head.size}"
            )
        if continues(head.size, head.root, now.size, now.root, proof or ()):
            return ""
        return f"the log was rewritten before record {head.size}"

    def _unsealed_tail(self, trailer: dict[str, Any]) -> None:
        limit = self.demands.max_unsealed
        try:
            pending = count(trailer["pending"])
            exported = datetime.fromisoformat(trailer["exported_at"])
            oldest = trailer["oldest_pending"]
            waited = (exported - datetime.fromisoformat(oldest)).total_seconds() if pending else 0.0
            if not pending and oldest is not None:
                raise ValueError
        except (TypeError, ValueError):
            self.findings.stop(CHANGED, "the last line does not say what was still unsealed")
        if limit is not None and waited > limit:
            self.findings.note(
                STALE, f"{pending} records were unsealed, the oldest for {waited:.0f} s"
            )

    def _digest(self, document: dict[str, Any]) -> None:
        """Also what no record and no signature covers (filter, times) is as it was written."""
        if document != {"sha256": self.digest.hexdigest()}:
            self.findings.stop(CHANGED, "the lines before are not those that were written")

    def _nothing_after(self, documents: Iterator[dict[str, Any]]) -> None:
        for _ in documents:
            self.findings.stop(MISSING, "something was added after the last line")


def verify_export(lines: Iterable[bytes], demands: Demands | None = None) -> Report:
    """Judge an export, given as its lines with their line ends."""
    return Verification(demands or Demands()).run(lines)
