"""A bundle is checked by what it brings along, on a bare Python; every change to it is found."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.audit.bundle import BundleWriter
from registry.audit.export import NamedKey, Row, Unsealed
from registry.audit.merkle import Edge, consistency_proof
from registry.audit.verify import CHANGED, INCONSISTENT, MISSING, OK, SIGNATURE
from registry.audit.verify.command import check_file
from tests.registry.audit.test_verify import (
    FIRST,
    LEAVES,
    NOW,
    ORIGIN,
    RECORDS,
    ROWS,
    STRANGER,
    checkpoint_of,
    lookup_over,
)

EARLIER = 4


def bundle_of(records: Any = RECORDS, signer: Any = FIRST) -> bytes:
    out = BytesIO()
    head = checkpoint_of(LEAVES, len(records))
    notes = [signer.note(checkpoint_of(LEAVES, size).body()) for size in (EARLIER, len(records))]
    writer = BundleWriter(out, notes=notes)
    writer.begin(
        ORIGIN,
        Edge(),
        keys=[NamedKey(str(signer.public))],
        removals=[],
        selected=None,
        consistency={EARLIER: consistency_proof(lookup_over(LEAVES), EARLIER, len(records))},
    )
    writer.rows(
        [
            Row(seq, 2, LEAVES[seq], record.payload.decode(), record.personal.decode())
            for seq, record in enumerate(records)
        ]
    )
    writer.end(head, signer.note(head.body()), now=NOW, unsealed=Unsealed())
    return out.getvalue()


BUNDLE = bundle_of()
FILES = {
    name: zipfile.ZipFile(BytesIO(BUNDLE)).read(name)
    for name in zipfile.ZipFile(BytesIO(BUNDLE)).namelist()
}
NAMES = st.sampled_from(sorted(FILES))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundle")


def judged(folder: Path, files: dict[str, bytes]) -> int:
    """The exit code for these files, unpacked."""
    unpacked = folder / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    for name, content in files.items():
        (unpacked / name).parent.mkdir(parents=True, exist_ok=True)
        (unpacked / name).write_bytes(content)
    return check_file(unpacked)[0]


def sealed_again(files: dict[str, bytes]) -> dict[str, bytes]:
    """With a manifest that fits, as somebody would write who changed a file on purpose."""
    digests = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in files.items()
        if name != "manifest.json"
    }
    document = {"format": "seamless-audit-bundle/1", "files": digests}
    text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    return {**files, "manifest.json": text.encode()}


def test_a_bundle_holds_zipped_and_unpacked(folder: Path) -> None:
    (folder / "bundle.zip").write_bytes(BUNDLE)
    assert check_file(folder / "bundle.zip")[0] == OK
    assert judged(folder, FILES) == OK
    assert judged(folder, sealed_again(FILES)) == OK
    assert set(FILES) >= {
        "README.txt",
        "checkpoints.jsonl",
        "events.jsonl",
        "keys.txt",
        "manifest.json",
        "verify.py",
    }


def test_the_same_records_give_the_same_bytes() -> None:
    assert bundle_of() == BUNDLE


def test_its_own_verifier_runs_on_a_bare_python_far_from_our_code(tmp_path: Path) -> None:
    """`-I -S`: no site-packages, no environment, and not even the script's folder on the path."""
    zipfile.ZipFile(BytesIO(BUNDLE)).extractall(tmp_path / "b")
    checkpoint, key = tmp_path / "checkpoint", str(FIRST.public)
    checkpoint.write_text(FIRST.note(checkpoint_of(LEAVES, EARLIER).body()))

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "-S", "-W", "error", "b/verify.py", *map(str, arguments)],
            cwd=tmp_path,
            env={},
            capture_output=True,
            text=True,
            check=False,
        )

    for done in (run("--key", key, "--checkpoint", checkpoint), run("b", "--key", key)):
        assert (done.returncode, done.stderr) == (OK, "")
        assert done.stdout.startswith(f"ok: records 0 to {ROWS - 1} of '{ORIGIN}' hold\n")
    assert run().returncode == OK  # running it leaves nothing behind that would count as added
    assert run("--key", STRANGER.public).returncode == SIGNATURE
    events = tmp_path / "b" / "events.jsonl"
    events.write_bytes(events.read_bytes().replace(b"quoted", b"quotes", 1))
    assert (run().returncode, run().stdout) == (CHANGED, "")


@given(NAMES, st.data())
def test_every_change_of_a_byte_of_any_file_is_found(
    folder: Path, name: str, data: st.DataObject
) -> None:
    content = FILES[name]
    place = data.draw(st.integers(0, len(content) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :]
    # A changed name in the manifest is a file that is not there.
    expected = (CHANGED, MISSING) if name == "manifest.json" else (CHANGED,)
    assert judged(folder, {**FILES, name: changed}) in expected


@given(NAMES)
def test_every_missing_file_is_found(folder: Path, name: str) -> None:
    rest = {other: content for other, content in FILES.items() if other != name}
    assert judged(folder, rest) == MISSING


def test_an_added_file_is_found(folder: Path) -> None:
    assert judged(folder, {**FILES, "more.txt": b""}) == MISSING
    assert judged(folder, {**FILES, "seamless_verify/more.py": b""}) == MISSING


@given(st.integers(0, len(BUNDLE) - 1))
def test_every_truncated_zip_is_found(folder: Path, length: int) -> None:
    (folder / "cut.zip").write_bytes(BUNDLE[:length])
    assert check_file(folder / "cut.zip")[0] in (CHANGED, MISSING)


@given(st.integers(0, len(BUNDLE) - 1), st.integers(1, 255))
def test_no_changed_byte_of_the_zip_changes_what_is_believed(
    folder: Path, place: int, flip: int
) -> None:
    """A byte of a zip's own padding (a time, a flag) may change; then all files are as written."""
    (folder / "changed.zip").write_bytes(
        BUNDLE[:place] + bytes([BUNDLE[place] ^ flip]) + BUNDLE[place + 1 :]
    )
    code, _ = check_file(folder / "changed.zip")
    if code == OK:
        archive = zipfile.ZipFile(folder / "changed.zip")
        assert {name: archive.read(name) for name in archive.namelist()} == FILES


def test_a_file_that_is_there_twice_is_found(folder: Path) -> None:
    twice = folder / "twice.zip"
    twice.write_bytes(BUNDLE)
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("events.jsonl", FILES["events.jsonl"])
    assert check_file(twice)[0] == MISSING


def test_a_checkpoint_of_another_log_among_those_inside_is_found(folder: Path) -> None:
    forged = checkpoint_of(LEAVES, EARLIER).body().replace(str(EARLIER), "5", 1)
    line = json.dumps({"note": FIRST.note(forged)}, ensure_ascii=False) + "\n"
    files = {**FILES, "checkpoints.jsonl": FILES["checkpoints.jsonl"] + line.encode()}
    assert judged(folder, sealed_again(files)) == INCONSISTENT


def test_a_swapped_key_is_found_by_whoever_knows_the_right_one(folder: Path) -> None:
    swapped = folder / "swapped.zip"
    swapped.write_bytes(bundle_of(signer=STRANGER))
    assert check_file(swapped)[0] == OK  # it agrees with itself
    assert check_file(swapped, trusted=[str(FIRST.public)])[0] == SIGNATURE


def test_the_readme_says_how_to_check_and_what_to_keep() -> None:
    text = FILES["README.txt"].decode()
    for said in (f"checkpoint of {ROWS} records", f"--earlier {ROWS}", "python verify.py", "4   "):
        assert said in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("junk", [b"", b"PK", b"PK\x03\x04" + bytes(40), b"nonsense\n"])
def test_what_is_no_bundle_is_a_finding_and_no_crash(folder: Path, junk: bytes) -> None:
    (folder / "junk.zip").write_bytes(junk)
    assert check_file(folder / "junk.zip")[0] in (CHANGED, MISSING)


@pytest.mark.parametrize(
    "text", [b"{}", b"[]", b'{"files": 7}', b'{"files": {"events.jsonl": 7}}', b"[" * 10_000]
)
def test_what_is_no_manifest_is_a_finding_and_no_crash(folder: Path, text: bytes) -> None:
    assert judged(folder, {**FILES, "manifest.json": text}) == CHANGED
    assert judged(folder, sealed_again({**FILES, "checkpoints.jsonl": text})) == CHANGED
