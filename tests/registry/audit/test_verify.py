"""The offline verifier accepts what was sealed and finds every change to it."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from registry.actors import Actor
from registry.audit import verify
from registry.audit.checkpoint import Checkpoint
from registry.audit.events import FORMAT, Event, canonical_payload, leaf_hash, payload_of
from registry.audit.export import header_line, record_line, trailer_line
from registry.audit.merkle import Edge, extend
from registry.audit.verify import CHANGED, INCONSISTENT, MISSING, NO_INPUT, OK, USAGE, Head

ORIGIN = "seamless.test/audit"
ROWS = 11
VERIFIER = Path(verify.__file__)


def payloads(count: int, *, reason: str = 'a "quoted" Ünicode reason') -> list[bytes]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        canonical_payload(
            payload_of(
                Event(
                    at=start + timedelta(seconds=number),
                    actor=Actor("user", "7", "Ada"),
                    action="proposal.approve",
                    object_type="proposal",
                    object_id=str(number),
                    reason=reason,
                )
            )
        )
        for number in range(count)
    ]


def checkpoint_of(leaves: Sequence[bytes], size: int) -> Checkpoint:
    edge, _ = extend(Edge(), leaves[:size])
    return Checkpoint(ORIGIN, size, edge.root())


def export_of(records: Sequence[bytes], *, first: int = 0) -> list[bytes]:
    leaves = [leaf_hash(payload) for payload in records]
    before, _ = extend(Edge(), leaves[:first])
    rows = enumerate(zip(leaves, records, strict=True))
    return [
        header_line(ORIGIN, before),
        *(record_line(n, FORMAT, leaf, text.decode()) for n, (leaf, text) in rows if n >= first),
        trailer_line(len(records) - first, checkpoint_of(leaves, len(records))),
    ]


RECORDS = payloads(ROWS)
LEAVES = [leaf_hash(payload) for payload in RECORDS]
LINES = export_of(RECORDS)
FILE = b"".join(LINES)
SHORT = b"".join(export_of(RECORDS[:3]))


def head_at(size: int) -> Head:
    return verify.read_head(checkpoint_of(LEAVES, size).body())


def judge(data: bytes, *earlier: Head) -> verify.Report:
    return verify.verify_export(data.splitlines(keepends=True), earlier)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, ROWS])
def test_an_untouched_export_holds(count: int) -> None:
    report = judge(b"".join(export_of(RECORDS[:count])))
    assert (report.code, report.findings) == (OK, ())
    assert report.head == Head(ORIGIN, count, checkpoint_of(LEAVES, count).root)


@given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
def test_every_change_of_a_byte_is_found(place: int, flip: int) -> None:
    changed = FILE[:place] + bytes([FILE[place] ^ flip]) + FILE[place + 1 :]
    assert judge(changed).code in (CHANGED, MISSING)


def test_every_change_of_a_byte_that_leaves_readable_text_is_found() -> None:
    """Each place in turn, changed to what is easily taken for the same: other case, next digit."""
    for place, byte in enumerate(SHORT):
        for other in (byte ^ 0x20, byte ^ 1):
            assert judge(SHORT[:place] + bytes([other]) + SHORT[place + 1 :]).code != OK, place


def test_white_space_that_changes_no_value_is_found() -> None:
    for place in range(len(SHORT) + 1):
        assert judge(SHORT[:place] + b" " + SHORT[place:]).code != OK, place


@given(st.integers(0, len(FILE)), st.binary(min_size=1, max_size=3))
def test_every_insertion_of_bytes_is_found(place: int, added: bytes) -> None:
    assert judge(FILE[:place] + added + FILE[place:]).code != OK


@given(st.integers(0, len(FILE) - 1), st.integers(1, 200))
def test_every_deletion_of_bytes_is_found(place: int, length: int) -> None:
    assert judge(FILE[:place] + FILE[place + length :]).code != OK


@given(st.integers(0, len(FILE) - 1))
def test_every_truncation_is_missing_records(length: int) -> None:
    assert judge(FILE[:length]).code == MISSING


record_lines = st.integers(1, ROWS)


@given(record_lines)
def test_a_deleted_record_is_missing_and_named(line: int) -> None:
    finding = judge(b"".join(LINES[:line] + LINES[line + 1 :])).findings[0]
    assert finding.code == MISSING
    assert (finding.line, finding.seq) == (
        (line + 1, line - 1) if line < ROWS else (line + 1, None)
    )


@given(record_lines, record_lines)
def test_two_swapped_records_are_out_of_order(one: int, other: int) -> None:
    assume(one != other)
    lines = list(LINES)
    lines[one], lines[other] = lines[other], lines[one]
    finding = judge(b"".join(lines)).findings[0]
    assert (finding.code, finding.line, finding.seq) == (
        MISSING,
        min(one, other) + 1,
        min(one, other) - 1,
    )


@given(record_lines, record_lines)
def test_an_inserted_record_is_found(place: int, copied: int) -> None:
    lines = [*LINES[:place], LINES[copied], *LINES[place:]]
    assert judge(b"".join(lines)).code == MISSING


def test_a_changed_record_is_named_and_the_others_still_hold() -> None:
    lines = list(LINES)
    lines[5] = lines[5].replace(b"Ada", b"Eve")
    report = judge(b"".join(lines))
    assert report.code == CHANGED
    assert [str(finding) for finding in report.findings] == [
        "line 6, record 4: changed: not the bytes that were sealed"
    ]
    assert report.head == head_at(ROWS)


def renumbered(records: Sequence[bytes]) -> list[bytes]:
    """The records with fresh numbers and leaves, under the old last line."""
    return [*export_of(records)[:-1], LINES[-1]]


@given(st.permutations(RECORDS))
def test_records_rewritten_with_their_leaves_do_not_have_the_root(records: list[bytes]) -> None:
    assume(records != RECORDS)
    assert judge(b"".join(renumbered(records))).code == CHANGED


@given(record_lines)
def test_a_record_taken_out_and_the_rest_renumbered_is_missing(line: int) -> None:
    rest = [*RECORDS[: line - 1], *RECORDS[line:]]
    assert judge(b"".join(renumbered(rest))).code == MISSING


@pytest.mark.parametrize("size", range(ROWS + 1))
def test_a_log_continues_each_of_its_checkpoints(size: int) -> None:
    assert judge(FILE, head_at(size)).code == OK


@given(st.integers(1, ROWS), st.integers(0, ROWS - 1))
def test_a_log_rewritten_in_whole_does_not_continue_an_earlier_checkpoint(
    size: int, victim: int
) -> None:
    assume(victim < size)
    records = [*RECORDS[:victim], payloads(ROWS, reason="never happened")[victim]]
    rewritten = b"".join(export_of([*records, *RECORDS[victim + 1 :]]))
    assert judge(rewritten).code == OK
    assert judge(rewritten, head_at(size)).code == INCONSISTENT


@pytest.mark.parametrize("size", range(ROWS))
def test_a_log_rolled_back_behind_a_checkpoint_does_not_continue_it(size: int) -> None:
    assert judge(b"".join(export_of(RECORDS[:size])), head_at(ROWS)).code == INCONSISTENT


def test_a_checkpoint_of_another_log_is_not_continued() -> None:
    assert judge(FILE, replace(head_at(4), origin="other.test/audit")).code == INCONSISTENT


@pytest.mark.parametrize("first", range(ROWS + 1))
def test_the_later_records_are_proven_under_the_same_root(first: int) -> None:
    part = b"".join(export_of(RECORDS, first=first))
    report = judge(part, head_at(ROWS), head_at(first))
    assert (report.code, report.first, report.head) == (OK, first, head_at(ROWS))
    forged = replace(head_at(first), root=bytes(32))
    assert judge(part, forged).code == INCONSISTENT
    if first > 1:
        assert judge(part, head_at(first - 1)).code == INCONSISTENT


def test_more_findings_than_are_shown_are_counted() -> None:
    many = export_of(payloads(30))
    report = judge(b"".join(line.replace(b"Ada", b"Eve") for line in many))
    assert (report.found, len(report.findings)) == (30, verify.SHOWN)
    assert verify.describe(report).endswith("and 10 more")


def edited(number: int, **changes: Any) -> Iterator[bytes]:
    for place, line in enumerate(LINES):
        document = json.loads(line)
        if place == number % len(LINES):
            document |= changes
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        yield text.encode() + b"\n"


@pytest.mark.parametrize(
    ("number", "changes", "code"),
    [
        (0, {"format": "seamless-audit-export/9"}, CHANGED),
        (0, {"origin": "other.test/audit"}, CHANGED),
        (0, {"first": -1}, CHANGED),
        (0, {"first": 1}, CHANGED),
        (0, {"edge": None}, CHANGED),
        (0, {"edge": ["00"]}, CHANGED),
        (1, {"more": 1}, CHANGED),
        (1, {"seq": 0.0}, MISSING),
        (2, {"seq": True}, MISSING),
        (1, {"v": 2}, CHANGED),
        (1, {"v": True}, CHANGED),
        (1, {"leaf": LEAVES[0].hex().upper()}, CHANGED),
        (1, {"leaf": 7}, CHANGED),
        (1, {"payload": {}}, CHANGED),
        (-1, {"rows": ROWS + 1}, MISSING),
        (-1, {"size": ROWS - 1}, MISSING),
        (-1, {"root": LEAVES[0].hex()}, CHANGED),
        (-1, {"checkpoint": checkpoint_of(LEAVES, 3).body()}, CHANGED),
    ],
)
def test_a_well_written_line_that_says_something_else_is_found(
    number: int, changes: dict[str, Any], code: int
) -> None:
    assert judge(b"".join(edited(number, **changes))).code == code


@pytest.mark.parametrize("line", [b"[" * 100_000 + b"\n", b"9" * 5_000 + b"\n", b'"\\ud800"\n'])
def test_a_hostile_line_is_a_finding_and_no_crash(line: bytes) -> None:
    assert judge(line + FILE).code == CHANGED


@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_checkpoint_reads_as_it_was_written_signed_or_not(size: int) -> None:
    checkpoint = checkpoint_of(LEAVES, size)
    for text in (checkpoint.body(), checkpoint.body() + "\n— key c2ln\n"):
        assert Checkpoint.parse(text) == checkpoint
        assert verify.read_head(text) == Head(ORIGIN, size, checkpoint.root)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "only an origin\n",
        "origin\n-1\n" + "A" * 43 + "=\n",
        "origin\n1\nAAAA\n",
        "origin\n01\n" + "A" * 43 + "=\n",
        "origin\n1\n" + "A" * 42 + "B=\n",
        "\n1\n" + "A" * 43 + "=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a checkpoint"):
        Checkpoint.parse(text)
    with pytest.raises(ValueError, match="not a checkpoint"):
        verify.read_head(text)


def run(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """The verifier alone, on a Python without any package, away from our code."""
    alone = folder / "verify.py"
    alone.write_bytes(VERIFIER.read_bytes())
    return subprocess.run(
        [sys.executable, "-I", "-S", str(alone), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_verifier_runs_alone_on_a_bare_python(tmp_path: Path) -> None:
    export, checkpoint = tmp_path / "events.jsonl", tmp_path / "checkpoint"
    export.write_bytes(FILE)
    checkpoint.write_text(checkpoint_of(LEAVES, 4).body())
    done = run(export, "--checkpoint", checkpoint, folder=tmp_path)
    assert (done.returncode, done.stderr) == (OK, "")
    assert done.stdout == (
        f"ok: records 0 to 10 of '{ORIGIN}' hold\n"
        f"size 11, root {head_at(ROWS).root.hex()}\n"
        "continues the checkpoint of 4 records\n"
    )
    export.write_bytes(FILE.replace(b"Ada", b"Eve", 1))
    done = run(export, folder=tmp_path)
    assert (done.returncode, done.stdout) == (CHANGED, "")
    assert done.stderr == "line 2, record 0: changed: not the bytes that were sealed\n"


def test_wrong_use_has_exit_codes_of_its_own(tmp_path: Path) -> None:
    export, checkpoint = tmp_path / "events.jsonl", tmp_path / "checkpoint"
    export.write_bytes(FILE)
    checkpoint.write_text("nonsense")
    assert run(folder=tmp_path).returncode == USAGE
    assert run(export, "--checkpoint", checkpoint, folder=tmp_path).returncode == USAGE
    missing = run(tmp_path / "nowhere", folder=tmp_path)
    assert (missing.returncode, "nowhere: No such file" in missing.stderr) == (NO_INPUT, True)


def test_the_verifier_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "registry.audit.verify", "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=VERIFIER.parents[2],
    )
    assert done.returncode == 0
    assert "--checkpoint" in done.stdout
