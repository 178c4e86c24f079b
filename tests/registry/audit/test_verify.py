"""The offline verifier accepts what was sealed and finds every change to it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st

from registry.actors import Actor
from registry.audit import verify
from registry.audit.checkpoint import Checkpoint
from registry.audit.events import Event, Sealable, leaf_hash, sealable
from registry.audit.export import ExportWriter, NamedKey, ProvenRecord, Row, Unsealed
from registry.audit.merkle import (
    Edge,
    consistency_proof,
    extend,
    inclusion_proof,
)
from registry.audit.signed_notes import Signer
from registry.audit.verify import (
    CHANGED,
    INCONSISTENT,
    MISSING,
    NO_INPUT,
    OK,
    SIGNATURE,
    STALE,
    USAGE,
    Demands,
    Head,
    Note,
)

ORIGIN = "seamless.test/audit"
ROWS = 11
NOW = datetime(2026, 1, 2, tzinfo=UTC)
FOLDER = Path(verify.__file__).parent
FIRST, SECOND, STRANGER = (
    Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)))
    for number in (1, 2, 3)
)
ROTATED_AT = 6


def event(number: int, **changes: Any) -> Event:
    given_: dict[str, Any] = {
        "at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        "actor": Actor("user", "7", "Ada"),
        "action": "proposal.approve",
        "object_type": "proposal",
        "object_id": str(number),
        "reason": 'a "quoted" Ünicode reason',
    }
    return Event(**{**given_, **changes})


def sealables(count: int, **changes: Any) -> list[Sealable]:
    return [sealable(event(number, **changes), salt=bytes(16)) for number in range(count)]


def leaf_of(record: Sealable) -> bytes:
    return leaf_hash(record.payload)


def lookup_over(leaves: Sequence[bytes]) -> Any:
    return lambda level, index: extend(Edge(), leaves[index << level : (index + 1) << level])[
        0
    ].root()


def checkpoint_of(leaves: Sequence[bytes], size: int) -> Checkpoint:
    edge, _ = extend(Edge(), leaves[:size])
    return Checkpoint(ORIGIN, size, edge.root())


def export_of(
    records: Sequence[Sealable],
    *,
    first: int = 0,
    chosen: Sequence[int] | None = None,
    keys: Sequence[NamedKey] | None = None,
    signer: Signer = FIRST,
    earlier: Sequence[int] = (),
    unsealed: Unsealed | None = None,
) -> list[bytes]:
    """An export's lines; `chosen` records, where given, each with its proof."""
    leaves = [leaf_of(record) for record in records]
    size, lookup, out = len(leaves), lookup_over(leaves), BytesIO()
    writer, head = ExportWriter(out), checkpoint_of(leaves, size)
    writer.begin(
        ORIGIN,
        extend(Edge(), leaves[: first if chosen is None else size])[0],
        keys=[NamedKey(str(FIRST.public))] if keys is None else keys,
        selected=None if chosen is None else {"actor": "Ada"},
        consistency={old: consistency_proof(lookup, old, size) for old in earlier},
    )
    for number in range(first, size) if chosen is None else chosen:
        proof = None if chosen is None else inclusion_proof(lookup, number, size)
        payload, personal = records[number].payload.decode(), records[number].personal.decode()
        writer.rows([Row(number, 2, leaves[number], payload, personal, proof)])
    writer.end(head, signer.note(head.body()), now=NOW, unsealed=unsealed or Unsealed())
    return out.getvalue().splitlines(keepends=True)


RECORDS = sealables(ROWS)
LEAVES = [leaf_of(record) for record in RECORDS]
LINES = export_of(RECORDS)
FILE = b"".join(LINES)
SHORT = b"".join(export_of(RECORDS[:3]))


def note_at(size: int, signer: Signer | None = FIRST) -> Note:
    body = checkpoint_of(LEAVES, size).body()
    return verify.read_note(body if signer is None else signer.note(body))


def head_at(size: int) -> Head:
    return note_at(size).head


def judge(data: bytes, *earlier: Note, **demands: Any) -> verify.Report:
    return verify.verify_export(data.splitlines(keepends=True), Demands(earlier, **demands))


def trusted(*signers: Signer) -> tuple[verify.Key, ...]:
    return tuple(verify.read_key(str(signer.public)) for signer in signers)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, ROWS])
def test_an_untouched_export_holds(count: int) -> None:
    report = judge(b"".join(export_of(RECORDS[:count])))
    assert (report.code, report.findings) == (OK, ())
    assert report.head == Head(ORIGIN, count, checkpoint_of(LEAVES, count).root)
    assert (report.signer, report.anchored) == (*trusted(FIRST), False)


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
    lines[5] = lines[5].replace(b"quoted", b"quotes")
    report = judge(b"".join(lines))
    assert report.code == CHANGED
    assert [str(finding) for finding in report.findings] == [
        "line 6, record 4: changed: not the bytes that were sealed",
        f"line {ROWS + 3}: the lines before are not those that were written",
    ]


def renumbered(records: Sequence[Sealable]) -> list[bytes]:
    """The records with fresh numbers and leaves, under the old last lines."""
    return [*export_of(records)[:-2], *LINES[-2:]]


@given(st.permutations(RECORDS))
def test_records_rewritten_with_their_leaves_do_not_have_the_root(records: list[Sealable]) -> None:
    assume(records != RECORDS)
    assert judge(b"".join(renumbered(records))).code == CHANGED


@given(record_lines)
def test_a_record_taken_out_and_the_rest_renumbered_is_missing(line: int) -> None:
    rest = [*RECORDS[: line - 1], *RECORDS[line:]]
    assert judge(b"".join(renumbered(rest))).code == MISSING


@pytest.mark.parametrize("size", range(ROWS + 1))
def test_a_log_continues_each_of_its_checkpoints(size: int) -> None:
    assert judge(FILE, note_at(size)).code == OK
    assert judge(FILE, note_at(size, None)).code == OK


@given(st.integers(1, ROWS), st.integers(0, ROWS - 1))
def test_a_log_rewritten_in_whole_does_not_continue_an_earlier_checkpoint(
    size: int, victim: int
) -> None:
    assume(victim < size)
    records = [*RECORDS[:victim], sealables(ROWS, reason="never happened")[victim]]
    rewritten = b"".join(export_of([*records, *RECORDS[victim + 1 :]]))
    assert judge(rewritten).code == OK
    assert judge(rewritten, note_at(size)).code == INCONSISTENT


@pytest.mark.parametrize("size", range(ROWS))
def test_a_log_rolled_back_behind_a_checkpoint_does_not_continue_it(size: int) -> None:
    assert judge(b"".join(export_of(RECORDS[:size])), note_at(ROWS)).code == INCONSISTENT


def test_a_checkpoint_of_another_log_is_not_continued() -> None:
    other = Note(replace(head_at(4), origin="other.test/audit"))
    assert judge(FILE, other).code == INCONSISTENT


@pytest.mark.parametrize("first", range(ROWS + 1))
def test_the_later_records_are_proven_under_the_same_root(first: int) -> None:
    part = b"".join(export_of(RECORDS, first=first))
    report = judge(part, note_at(ROWS), note_at(first))
    assert (report.code, report.first, report.head) == (OK, first, head_at(ROWS))
    forged = Note(replace(head_at(first), root=bytes(32)))
    assert judge(part, forged).code == INCONSISTENT
    if first > 1:
        assert judge(part, note_at(first - 1)).code == INCONSISTENT
        proven = b"".join(export_of(RECORDS, first=first, earlier=[first - 1]))
        assert judge(proven, note_at(first - 1)).code == OK
        forged = Note(replace(head_at(first - 1), root=bytes(32)))
        assert judge(proven, forged).code == INCONSISTENT


def test_more_findings_than_are_shown_are_counted() -> None:
    many = export_of(sealables(30))
    report = judge(b"".join(line.replace(b"quoted", b"quotes") for line in many))
    assert (report.found, len(report.findings)) == (31, verify.SHOWN)
    assert verify.describe(report).endswith("and 11 more")


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
        (0, {"filter": {"actor": "Eve"}}, CHANGED),
        (0, {"records": "some"}, CHANGED),
        (0, {"first": -1}, CHANGED),
        (0, {"first": 1}, CHANGED),
        (0, {"edge": None}, CHANGED),
        (0, {"edge": ["00"]}, CHANGED),
        (0, {"keys": [{"key": "nonsense", "rotation": None}]}, CHANGED),
        (0, {"keys": []}, SIGNATURE),
        (0, {"keys": [{"key": str(STRANGER.public), "rotation": None}]}, SIGNATURE),
        (0, {"consistency": [{"from": 1}]}, CHANGED),
        (1, {"more": 1}, CHANGED),
        (1, {"seq": 0.0}, MISSING),
        (2, {"seq": True}, MISSING),
        (1, {"v": 3}, CHANGED),
        (1, {"v": 1}, CHANGED),
        (1, {"v": True}, CHANGED),
        (1, {"leaf": LEAVES[0].hex().upper()}, CHANGED),
        (1, {"leaf": 7}, CHANGED),
        (1, {"payload": {}}, CHANGED),
        (1, {"payload": None}, CHANGED),
        (1, {"personal": "{}"}, CHANGED),
        (1, {"personal": None}, CHANGED),
        (1, {"payload": None, "personal": None}, CHANGED),
        (-2, {"rows": ROWS + 1}, MISSING),
        (-2, {"size": ROWS - 1}, MISSING),
        (-2, {"root": LEAVES[0].hex()}, CHANGED),
        (-2, {"checkpoint": checkpoint_of(LEAVES, 3).body()}, CHANGED),
        (-2, {"checkpoint": checkpoint_of(LEAVES, ROWS).body()}, SIGNATURE),
        (-2, {"checkpoint": 7}, CHANGED),
        (-2, {"exported_at": "2027-01-02T00:00:00.000000Z"}, CHANGED),
        (-2, {"pending": 1}, CHANGED),
        (-2, {"oldest_pending": "2026-01-01T00:00:00.000000Z"}, CHANGED),
        (-1, {"sha256": LEAVES[0].hex()}, CHANGED),
        (-1, {"more": 1}, CHANGED),
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
    for text in (checkpoint.body(), FIRST.note(checkpoint.body())):
        assert verify.read_note(text).head == Head(ORIGIN, size, checkpoint.root)


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
        verify.read_note(text)


# --- keys ----------------------------------------------------------------------------------------


def rotated(old: Signer = FIRST, new: Signer = SECOND, **changes: str) -> list[Sealable]:
    """The records, number 6 of them a change of key that `old` signed."""
    after = {**old.name_successor(ORIGIN, new.public), **changes}
    record = event(ROTATED_AT, action="audit.rotate_key", object_type="audit_key", after=after)
    return [
        *RECORDS[:ROTATED_AT],
        sealable(record, salt=bytes(16)),
        *RECORDS[ROTATED_AT + 1 :],
    ]


def named(records: Sequence[Sealable], new: Signer = SECOND, *, at: int = ROTATED_AT) -> NamedKey:
    lookup = lookup_over([leaf_of(record) for record in records])
    proof = inclusion_proof(lookup, at, len(records))
    return NamedKey(str(new.public), ProvenRecord(at, 2, records[at].payload.decode(), proof))


FIRST_KEY = NamedKey(str(FIRST.public))


def with_rotation(records: Sequence[Sealable], *keys: NamedKey, **options: Any) -> bytes:
    return b"".join(export_of(records, **{"keys": keys, "signer": SECOND, **options}))


def test_a_log_holds_across_a_change_of_key_from_either_key() -> None:
    records = rotated()
    export = with_rotation(records, FIRST_KEY, named(records))
    for anchor in (FIRST, SECOND):
        report = judge(export, trusted=trusted(anchor))
        assert (report.code, report.signer, report.anchored) == (OK, *trusted(SECOND), True)
    leaves = [leaf_of(record) for record in records]
    for size, signer in ((ROTATED_AT, FIRST), (ROTATED_AT + 1, SECOND)):
        body = checkpoint_of(leaves, size).body()
        assert judge(export, verify.read_note(signer.note(body))).code == OK
        wrong = SECOND if signer is FIRST else FIRST
        assert judge(export, verify.read_note(wrong.note(body))).code == SIGNATURE
    later = with_rotation(records, FIRST_KEY, named(records), first=ROTATED_AT + 2)
    assert judge(later, trusted=trusted(FIRST)).code == OK


def test_a_key_that_no_trusted_one_leads_to_is_found() -> None:
    assert judge(FILE, trusted=trusted(STRANGER)).code == SIGNATURE
    swapped = b"".join(export_of(RECORDS, keys=[NamedKey(str(STRANGER.public))], signer=STRANGER))
    assert judge(swapped).code == OK  # consistent with itself: only an anchor shows it
    assert judge(swapped, trusted=trusted(FIRST)).code == SIGNATURE
    assert judge(swapped, note_at(4)).code == SIGNATURE


@pytest.mark.parametrize(
    "records",
    [
        rotated(STRANGER),
        rotated(signature=FIRST.name_successor(ORIGIN, STRANGER.public)["signature"]),
        rotated(old_key=str(STRANGER.public)),
        rotated(new_key=str(STRANGER.public)),
        rotated(signature="no base64"),
    ],
    ids=["by a stranger", "for another key", "other old key", "other new key", "no signature"],
)
def test_a_change_of_key_that_the_key_before_did_not_sign_is_found(
    records: list[Sealable],
) -> None:
    assert judge(with_rotation(records, FIRST_KEY, named(records))).code == SIGNATURE


def test_a_change_of_key_outside_the_log_or_left_out_is_found() -> None:
    records = rotated()
    key = named(records)
    assert key.rotation is not None
    elsewhere = replace(
        key, rotation=replace(key.rotation, proof=tuple(reversed(key.rotation.proof)))
    )
    assert judge(with_rotation(records, FIRST_KEY, elsewhere)).code == SIGNATURE
    assert judge(with_rotation(RECORDS, FIRST_KEY, key)).code == SIGNATURE
    left_out = b"".join(export_of(records))
    assert judge(left_out).code == SIGNATURE
    old_signs_on = with_rotation(records, FIRST_KEY, key, signer=FIRST)
    assert judge(old_signs_on).code == SIGNATURE


# --- selected records, unsealed records ----------------------------------------------------------


@given(st.sets(st.integers(0, ROWS - 1)), st.data())
def test_selected_records_are_each_proven_and_every_change_is_found(
    chosen: set[int], data: st.DataObject
) -> None:
    export = b"".join(export_of(RECORDS, chosen=sorted(chosen), earlier=[4]))
    report = judge(export, note_at(4), note_at(ROWS))
    assert (report.code, report.rows, report.complete) == (OK, len(chosen), False)
    place = data.draw(st.integers(0, len(export) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = export[:place] + bytes([export[place] ^ flip]) + export[place + 1 :]
    assert judge(changed).code != OK


def test_a_selected_record_needs_the_proof_of_its_own_place() -> None:
    lines = export_of(RECORDS, chosen=[2, 5])
    one, other = (json.loads(lines[place]) for place in (1, 2))
    lines[1] = (
        json.dumps(
            {**one, "proof": other["proof"]}, ensure_ascii=False, separators=(",", ":")
        ).encode()
        + b"\n"
    )
    finding = judge(b"".join(lines)).findings[0]
    assert (finding.code, finding.seq) == (CHANGED, 2)
    assert judge(b"".join([lines[0], *reversed(lines[1:3]), *lines[3:]])).code == MISSING


def test_records_that_waited_too_long_for_their_seal_are_found() -> None:
    waiting = Unsealed(2, NOW - timedelta(seconds=90))
    export = b"".join(export_of(RECORDS, unsealed=waiting))
    assert judge(export).code == OK
    assert judge(export, max_unsealed=100).code == OK
    assert judge(export, max_unsealed=60).code == STALE


# --- the command ---------------------------------------------------------------------------------


def run(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """The verifier alone, on a Python without any package, away from our code."""
    alone = folder / "alone" / "seamless_verify"
    shutil.copytree(FOLDER, alone, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    starter = "import sys; sys.path.insert(0, sys.argv.pop(1)); import runpy;"
    return subprocess.run(
        [
            *(sys.executable, "-I", "-S", "-c"),
            starter + "runpy.run_module('seamless_verify', run_name='__main__', alter_sys=True)",
            *(str(alone.parent), *map(str, arguments)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_verifier_runs_alone_on_a_bare_python(tmp_path: Path) -> None:
    export, checkpoint = tmp_path / "events.jsonl", tmp_path / "checkpoint"
    export.write_bytes(FILE)
    checkpoint.write_text(FIRST.note(checkpoint_of(LEAVES, 4).body()))
    key = tmp_path / "key"
    key.write_text(f"{FIRST.public}\n")
    done = run(export, "--checkpoint", checkpoint, "--key", key, folder=tmp_path)
    assert (done.returncode, done.stderr) == (OK, "")
    assert done.stdout == (
        f"ok: records 0 to 10 of '{ORIGIN}' hold\n"
        f"size 11, root {head_at(ROWS).root.hex()}\n"
        "continues the checkpoint of 4 records\n"
        f"signed by {ORIGIN}+{FIRST.public.hash.hex()}, a key you trust\n"
    )
    export.write_bytes(FILE.replace(b"quoted", b"quotes", 1))
    done = run(export, folder=tmp_path)
    assert (done.returncode, done.stdout) == (CHANGED, "")
    assert done.stderr.splitlines()[0] == (
        "line 2, record 0: changed: not the bytes that were sealed"
    )


def test_a_progress_bar_is_drawn_where_it_is_asked_for(tmp_path: Path) -> None:
    export = tmp_path / "events.jsonl"
    export.write_bytes(FILE)
    done = run(export, "--progress", folder=tmp_path)
    assert (done.returncode, "100%" in done.stderr) == (OK, True)


def test_wrong_use_has_exit_codes_of_its_own(tmp_path: Path) -> None:
    export, checkpoint = tmp_path / "events.jsonl", tmp_path / "checkpoint"
    export.write_bytes(FILE)
    checkpoint.write_text("nonsense")
    assert run(folder=tmp_path).returncode == USAGE
    assert run(export, "--checkpoint", checkpoint, folder=tmp_path).returncode == USAGE
    assert run(export, "--key", "nonsense", folder=tmp_path).returncode == USAGE
    missing = run(tmp_path / "nowhere", folder=tmp_path)
    assert (missing.returncode, "nowhere: No such file" in missing.stderr) == (NO_INPUT, True)


def test_the_verifier_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "registry.audit.verify", "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=FOLDER.parents[2],
    )
    assert done.returncode == 0
    assert "--checkpoint" in done.stdout
