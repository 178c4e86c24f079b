"""A bundle, zipped or unpacked: every file as the manifest lists it, then the export inside."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .export import Demands, verify_export
from .findings import CHANGED, MISSING, SHOWN, Finding, Report
from .notes import Note, read_note

MANIFEST, EVENTS, CHECKPOINTS = "manifest.json", "events.jsonl", "checkpoints.jsonl"
BUNDLE_FORMAT = "seamless-audit-bundle/1"
CHUNK = 1 << 20

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Bundle:
    """The files of a bundle: (name, length) each, a name twice where a zip holds it twice."""

    files: tuple[tuple[str, int], ...]
    open: Callable[[str], IO[bytes]]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.files]

    def bytes_to_read(self) -> int:
        """Each file once for its digest, the records once more."""
        return sum(length * (2 if name == EVENTS else 1) for name, length in self.files)


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """OSError where it cannot be read, zipfile.BadZipFile where it is a damaged zip."""
    if path.is_dir():
        files = [f for f in path.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
        named = [(file.relative_to(path).as_posix(), file.stat().st_size) for file in files]
        yield Bundle(tuple(sorted(named)), lambda name: (path / name).open("rb"))
        return
    with zipfile.ZipFile(path) as archive:
        listed = tuple((info.filename, info.file_size) for info in archive.infolist())
        yield Bundle(listed, archive.open)


def verify_bundle(bundle: Bundle, demands: Demands, progress: Progress) -> Report:
    """The files against the manifest, the checkpoints and records against each other."""
    findings = list(_files(bundle, progress))
    if findings:
        return _refused(findings)
    checkpoints = tuple(_checkpoints(bundle))
    inside = Demands((*demands.earlier, *checkpoints), demands.trusted, demands.max_unsealed)
    with bundle.open(EVENTS) as lines:
        return verify_export(told(lines, progress), inside)


def _refused(findings: list[Finding]) -> Report:
    return Report(findings[0].code, tuple(findings[:SHOWN]), len(findings), 0, 0, True, None)


def _files(bundle: Bundle, progress: Progress) -> Iterator[Finding]:
    if MANIFEST not in bundle.names:
        yield Finding(MISSING, 0, None, f"{MANIFEST} is missing")
        return
    with bundle.open(MANIFEST) as file:
        listed = _manifest(file.read())
    if listed is None or EVENTS not in listed:
        yield Finding(CHANGED, 0, None, f"{MANIFEST} is not as it was written")
        return
    for name in sorted({*bundle.names, *listed} - {MANIFEST}):
        if name not in listed:
            yield Finding(MISSING, 0, None, f"{name} was added: the manifest does not list it")
        elif name not in bundle.names:
            yield Finding(MISSING, 0, None, f"{name} is missing")
        elif bundle.names.count(name) > 1:
            yield Finding(MISSING, 0, None, f"{name} is there more than once")
        elif _digest(bundle, name, progress) != listed[name]:
            yield Finding(CHANGED, 0, None, f"{name} was changed")


def _manifest(raw: bytes) -> dict[str, Any] | None:
    """The listed files and their digests; None unless the bytes are what an export writes."""
    try:
        files = dict(json.loads(raw)["files"])
        return files if manifest_text(files).encode() == raw else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def manifest_text(files: dict[str, str]) -> str:
    """The only spelling that is accepted."""
    document = {"format": BUNDLE_FORMAT, "files": files}
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _digest(bundle: Bundle, name: str, progress: Progress) -> str:
    digest = hashlib.sha256()
    with bundle.open(name) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            progress(len(chunk))
    return digest.hexdigest()


def _checkpoints(bundle: Bundle) -> Iterator[Note]:
    if CHECKPOINTS not in bundle.names:
        return
    with bundle.open(CHECKPOINTS) as lines:
        yield from (_note(line) for line in lines)


def _note(line: bytes) -> Note:
    try:
        return read_note(json.loads(line)["note"])
    except (TypeError, AttributeError, LookupError):
        raise ValueError(f"{CHECKPOINTS} holds what is no checkpoint") from None


def told(lines: IO[bytes], progress: Progress) -> Iterator[bytes]:
    """The same lines, each told to the progress bar."""
    for line in lines:
        progress(len(line))
        yield line
