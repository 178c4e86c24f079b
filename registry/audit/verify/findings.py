"""What a verification says: exit codes, findings, the report, and its text for a person."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from .notes import Head, Key, Note

OK, CHANGED, MISSING, SIGNATURE, INCONSISTENT, STALE = 0, 1, 2, 3, 4, 5
USAGE, NO_INPUT = 64, 66
SHOWN = 20


@dataclass(frozen=True)
class Finding:
    """What is wrong; the line of the file (from 1, 0 for none) and the record it is found at."""

    code: int
    line: int
    seq: int | None
    message: str

    def __str__(self) -> str:
        place = [f"line {self.line}"] if self.line else []
        place += [] if self.seq is None else [f"record {self.seq}"]
        return f"{', '.join(place)}: {self.message}" if place else self.message


class UnreadableError(Exception):
    """A finding after which nothing that follows can be judged."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


@dataclass
class Findings:
    """The first findings in full, the others counted; `line` is where the reader stands."""

    line: int = 0
    count: int = 0
    first: list[Finding] = field(default_factory=list)

    def note(self, code: int, message: str, seq: int | None = None) -> None:
        self.add(Finding(code, self.line, seq, message))

    def add(self, finding: Finding) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(finding)

    def stop(self, code: int, message: str, seq: int | None = None) -> NoReturn:
        raise UnreadableError(Finding(code, self.line, seq, message))


@dataclass(frozen=True)
class Report:
    """The verdict; `code` is that of the first finding, `findings` are the first 20 of `found`.

    `rows` records were read, of them `erased` without personal fields and `dropped` without
    payload. `signer` is the key that signed the head, None where nothing signed it; `anchored`
    says whether it was reached from a key that the caller trusts.
    """

    code: int
    findings: tuple[Finding, ...]
    found: int
    first: int
    rows: int
    complete: bool
    head: Head | None
    signer: Key | None = None
    anchored: bool = False
    erased: int = 0
    dropped: int = 0


def describe(report: Report, earlier: Sequence[Note] = ()) -> str:
    """What a person reads: what holds, line by line, or one line per finding."""
    if report.head is None or report.findings:
        shown = [str(finding) for finding in report.findings]
        more = report.found - len(shown)
        return "\n".join([*shown, f"and {more} more"] if more else shown)
    head = report.head
    lines = [_what_holds(report, head), f"size {head.size}, root {head.root.hex()}"]
    lines += [f"continues the checkpoint of {note.head.size} records" for note in earlier]
    lines.append(_who_signed(report))
    if report.erased:
        lines.append(f"{report.erased} records without personal fields: erased, proven by hash")
    if report.dropped:
        lines.append(f"{report.dropped} records without payload: past their retention")
    return "\n".join(lines)


def _what_holds(report: Report, head: Head) -> str:
    if not report.rows:
        return f"ok: no records in {head.origin!r}"
    if not report.complete:
        return f"ok: {report.rows} selected records of {head.origin!r} hold (others were left out)"
    return f"ok: records {report.first} to {head.size - 1} of {head.origin!r} hold"


def _who_signed(report: Report) -> str:
    if report.signer is None:
        return "not signed: nothing was sealed yet"
    name = f"{report.signer.name}+{report.signer.hash.hex()}"
    if report.anchored:
        return f"signed by {name}, a key you trust"
    return f"signed by {name}; compare this key with one you trust (--key)"
