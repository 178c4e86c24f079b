"""Check an exported audit log, offline, with nothing but Python (3.11 or later).

    python -m registry.audit.verify EXPORT [--checkpoint FILE]
    python verify.py EXPORT [--checkpoint FILE]

It proves that every record has the bytes that were hashed, that none is missing, added or moved,
and that all of them lie under the root of the export's last line. Whoever can rewrite the log can
also write a new root: only a checkpoint that you got earlier, or from another place, shows that.

Exit codes: 0 all of it holds; 1 a record, or another line, was changed; 2 records are missing,
added or out of order; 4 the log does not continue the given checkpoint; 64 wrong use; 66 no such
file. (3 is kept for signatures, which checkpoints do not carry yet.)

This file is written apart from the code that makes the log, and imports none of it, so that it can
be read, copied and run alone. RFC 6962 defines the tree, C2SP tlog-checkpoint the checkpoint.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

OK, CHANGED, MISSING, INCONSISTENT = 0, 1, 2, 4
USAGE, NO_INPUT = 64, 66

EXPORT_FORMAT = "seamless-audit-export/1"
PAYLOAD_FORMATS = (1,)
HEADER = ("format", "origin", "first", "edge")
RECORD = ("seq", "v", "leaf", "payload")
TRAILER = ("rows", "size", "root", "checkpoint")
SHOWN = 20


@dataclass(frozen=True)
class Finding:
    """What is wrong, the line of the file (from 1) and, where there is one, the record."""

    code: int
    line: int
    seq: int | None
    message: str

    def __str__(self) -> str:
        record = "" if self.seq is None else f", record {self.seq}"
        return f"line {self.line}{record}: {self.message}"


@dataclass(frozen=True)
class Head:
    """A checkpoint: the root over the first `size` records of the log `origin`."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True)
class Report:
    """The verdict; `code` is that of the first finding, `findings` are the first 20."""

    code: int
    findings: tuple[Finding, ...]
    found: int
    first: int
    head: Head | None


class UnreadableError(Exception):
    """A finding after which nothing that follows can be judged."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


class Tree:
    """The right edge of an RFC 6962 tree: (leaves below, hash) of its complete subtrees."""

    def __init__(self, size: int, edge: Sequence[bytes]) -> None:
        """ValueError unless `edge` has one hash per complete subtree of `size` leaves."""
        widths = [1 << bit for bit in reversed(range(size.bit_length())) if size >> bit & 1]
        self.size = size
        self.subtrees = list(zip(widths, edge, strict=True))

    def append(self, leaf: bytes) -> None:
        width, node = 1, leaf
        while self.subtrees and self.subtrees[-1][0] == width:
            left = self.subtrees.pop()[1]
            width, node = 2 * width, hashlib.sha256(b"\x01" + left + node).digest()
        self.subtrees.append((width, node))
        self.size += 1

    def root(self) -> bytes:
        if not self.subtrees:
            return hashlib.sha256(b"").digest()
        *rest, (_width, root) = self.subtrees
        for _, left in reversed(rest):
            root = hashlib.sha256(b"\x01" + left + root).digest()
        return root


class Verification:
    """One pass over the lines of an export, holding one record and O(log n) hashes."""

    def __init__(self, earlier: Sequence[Head]) -> None:
        self.earlier = earlier
        self.findings: list[Finding] = []
        self.found = 0
        self.line = 0
        self.origin = ""
        self.first = 0
        self.tree = Tree(0, ())

    def run(self, lines: Iterable[bytes]) -> Report:
        head: Head | None = None
        try:
            numbered = self._documents(lines)
            self._begin(self._expect(numbered))
            trailer = self._records(numbered)
            self._end(trailer)
            self._nothing_after(numbered)
            head = Head(self.origin, self.tree.size, self.tree.root())
        except UnreadableError as unreadable:
            self._note(unreadable.finding)
        code = self.findings[0].code if self.findings else OK
        return Report(code, tuple(self.findings), self.found, self.first, head)

    def _documents(self, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        for self.line, raw in enumerate(lines, start=1):
            if not raw.endswith(b"\n"):
                self._stop(MISSING, "the file is cut off in this line")
            document = _document(raw)
            if document is None:
                self._stop(CHANGED, "not a line as it was exported: its bytes were changed")
            yield document

    def _expect(self, documents: Iterator[dict[str, Any]]) -> dict[str, Any]:
        document = next(documents, None)
        if document is None:
            self.line += 1
            self._stop(MISSING, "the export ends before its last line: records are missing")
        return document

    def _begin(self, header: dict[str, Any]) -> None:
        if tuple(header) != HEADER or header["format"] != EXPORT_FORMAT:
            self._stop(CHANGED, f"not the first line of an export ({EXPORT_FORMAT})")
        try:
            self.tree = Tree(_count(header["first"]), [_hash(h) for h in header["edge"]])
        except (TypeError, ValueError):
            self._stop(CHANGED, "the tree before the first record is not readable")
        self.origin, self.first = str(header["origin"]), self.tree.size
        self._compare_earlier()

    def _records(self, documents: Iterator[dict[str, Any]]) -> dict[str, Any]:
        """Take in every record; returns the last line."""
        while tuple(document := self._expect(documents)) == RECORD:
            self._record(document)
            self._compare_earlier()
        return document

    def _record(self, record: dict[str, Any]) -> None:
        expected, seq = self.tree.size, record["seq"]
        if type(seq) is not int or seq != expected:
            self._stop(MISSING, f"record {expected} should stand here, not {seq!r}", expected)
        try:
            stated = _hash(record["leaf"])
        except (TypeError, ValueError):
            self._stop(CHANGED, "its leaf is not a hash", seq)
        if record["v"] not in PAYLOAD_FORMATS or type(record["v"]) is not int:
            self._note_here(CHANGED, f"unknown payload format {record['v']!r}", seq)
        elif _leaf(record["v"], record["payload"]) != stated:
            self._note_here(CHANGED, "changed: not the bytes that were sealed", seq)
        self.tree.append(stated)

    def _end(self, trailer: dict[str, Any]) -> None:
        if tuple(trailer) != TRAILER:
            self._stop(CHANGED, "neither a record nor the last line of an export")
        rows = self.tree.size - self.first
        if trailer["rows"] != rows or trailer["size"] != self.tree.size:
            stated = f"{trailer['rows']!r} records up to size {trailer['size']!r}"
            self._stop(
                MISSING, f"the last line states {stated}; here are {rows} up to {self.tree.size}"
            )
        root = self.tree.root()
        if trailer["root"] != root.hex():
            self._stop(
                CHANGED,
                f"the records' root is {root.hex()}, not the stated {trailer['root']!r}:"
                " a record was replaced together with its leaf, or the last line was changed",
            )
        if trailer["checkpoint"] != _body(Head(self.origin, self.tree.size, root)):
            self._stop(CHANGED, "the checkpoint is not that of these records and this origin")
        self._earlier_than_this()

    def _nothing_after(self, documents: Iterator[dict[str, Any]]) -> None:
        for _ in documents:
            self._stop(MISSING, "something was added after the last line")

    def _compare_earlier(self) -> None:
        for head in self.earlier:
            if head.size == self.tree.size and head.root != self.tree.root():
                self._note_here(
                    INCONSISTENT,
                    f"the checkpoint of {head.size} records has root {head.root.hex()},"
                    f" these records have {self.tree.root().hex()}: the log was rewritten",
                )

    def _earlier_than_this(self) -> None:
        for head in self.earlier:
            if head.origin != self.origin:
                message = f"the checkpoint is of {head.origin!r}, this log is {self.origin!r}"
            elif head.size > self.tree.size:
                message = f"the checkpoint has {head.size} records, this log only {self.tree.size}"
            elif 0 < head.size < self.first:
                message = (
                    f"the checkpoint of {head.size} records lies before this export, which starts"
                    f" at {self.first}: ask for one from record {head.size} or earlier"
                )
            else:
                continue
            self._note_here(INCONSISTENT, message)

    def _note(self, finding: Finding) -> None:
        self.found += 1
        if len(self.findings) < SHOWN:
            self.findings.append(finding)

    def _note_here(self, code: int, message: str, seq: int | None = None) -> None:
        self._note(Finding(code, self.line, seq, message))

    def _stop(self, code: int, message: str, seq: int | None = None) -> NoReturn:
        raise UnreadableError(Finding(code, self.line, seq, message))


def verify_export(lines: Iterable[bytes], earlier: Sequence[Head] = ()) -> Report:
    """Judge an export, given as its lines with their line ends, against earlier checkpoints."""
    return Verification(earlier).run(lines)


def read_head(text: str) -> Head:
    """A checkpoint from its text; signature lines after an empty line are not looked at.

    Raises ValueError where the text is not a checkpoint.
    """
    body = text.partition("\n\n")[0].rstrip("\n") + "\n"
    try:
        origin, size, root, _end = body.split("\n")
        head = Head(origin, int(size), base64.b64decode(root, validate=True))
    except ValueError:
        head = None
    if (
        head is None
        or _body(head) != body
        or not (head.origin and head.size >= 0 and len(head.root) == 32)
    ):
        raise ValueError("not a checkpoint: three lines (origin, size, base64 root) are expected")
    return head


def _document(raw: bytes) -> dict[str, Any] | None:
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


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a count is a whole number from 0 on")
    return value


def _hash(text: str) -> bytes:
    """32 bytes from lower-case hex: one text per hash, so that no byte can change unseen."""
    value = bytes.fromhex(text)
    if len(value) != 32 or value.hex() != text:
        raise ValueError("a hash is 64 lower-case hexadecimal digits")
    return value


def _leaf(payload_format: int, payload: Any) -> bytes | None:
    if not isinstance(payload, str):
        return None
    return hashlib.sha256(b"\x00" + bytes([payload_format]) + payload.encode()).digest()


def _body(head: Head) -> str:
    return f"{head.origin}\n{head.size}\n{base64.b64encode(head.root).decode()}\n"


def describe(report: Report, earlier: Sequence[Head] = ()) -> str:
    """What a person reads: one line for a log that holds, one per finding for another."""
    if report.head and not report.findings:
        head = report.head
        lines = [
            f"ok: records {report.first} to {head.size - 1} of {head.origin!r} hold"
            if head.size > report.first
            else f"ok: no records in {head.origin!r}",
            f"size {head.size}, root {head.root.hex()}",
            *(f"continues the checkpoint of {e.size} records" for e in earlier),
        ]
        return "\n".join(lines)
    shown = [str(finding) for finding in report.findings]
    more = report.found - len(shown)
    return "\n".join([*shown, f"and {more} more"] if more else shown)


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")  # argparse's own 2 means "missing" here


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _Arguments(prog="verify", description="Check an exported audit log.")
    parser.add_argument("export", type=Path, help="the exported JSON Lines file")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        help="a checkpoint obtained earlier or elsewhere; may be given several times",
    )
    options = parser.parse_args(arguments)
    code, text = check_file(options.export, options.checkpoint)
    print(text, file=sys.stdout if code == OK else sys.stderr)
    return code


def check_file(export: Path, checkpoints: Sequence[Path] = ()) -> tuple[int, str]:
    """The exit code for a file and what to tell the person who asked."""
    try:
        earlier = [read_head(path.read_text("utf-8")) for path in checkpoints]
        with export.open("rb") as lines:
            report = verify_export(lines, earlier)
    except OSError as error:
        return NO_INPUT, f"cannot read {error.filename}: {error.strerror}"
    except ValueError as error:
        return USAGE, f"--checkpoint: {error}"
    return report.code, describe(report, earlier)


if __name__ == "__main__":
    sys.exit(main())
