"""Artefacts on disk: a directory of Parquet files and a manifest, written once and named by it.

`<root>/<node>/<interval>/<address, ":" as "-">/` holds `manifest.json` and the files that it names,
and nothing else. The address is the SHA-256 of the manifest's RFC 8785 bytes, and the manifest has
the SHA-256 of each file, so that the address alone proves every byte. A directory is made elsewhere
and renamed into its place whole.
"""

import hashlib
import secrets
import shutil
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from provider.blend import Piece
from provider.stores.durable_files import CLOCK_TICK, sha256_of, sync
from provider.stores.parquet import ParquetStore, directory_name
from provider.stores.protocol import StoreUnreadable
from registry.canonical import NotCanonical, canonicalize, fingerprint_of_bytes, load_json
from registry.frame import Frame

FORMAT = "seamless-artifact-1"
MANIFEST = "manifest.json"
DATA = "data.parquet"
_STAGING = ".staging"
# What a publication left that died; none takes nearly as long.
_ABANDONED_SECONDS = 86_400.0
_MOST_REMEMBERED = 1_000

Signature = tuple[tuple[str, int, int, int, int], ...]


class ArtifactDamaged(StoreUnreadable):
    """An artefact is not what was published; nothing of it is served."""

    code = "artifact_damaged"
    title = "Artifact damaged"

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"the artefact {address} is not what was published: {reason}; "
            "restore its directory from a copy, or publish the window anew under a later as_of",
            artifact=address,
        )


def artifact_directory(root: Path, node_id: str, interval: int, address: str) -> Path:
    return root / directory_name(node_id) / str(interval) / address.replace(":", "-")


# --- writing ------------------------------------------------------------------------------------


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """An empty directory that nobody reads, gone in the end unless `put_in_place` has moved it.

    What publications that died a day ago or more have left is removed first.
    """
    place = root / _STAGING
    place.mkdir(parents=True, exist_ok=True)
    for left in place.iterdir():
        if left.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    made = place / secrets.token_hex(8)
    made.mkdir()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def file_facts(path: Path, rows: int) -> dict[str, Any]:
    """What a manifest says of a file."""
    return {
        "name": path.name,
        "sha256": sha256_of(path),
        "bytes": path.stat().st_size,
        "rows": rows,
    }


def put_in_place(staged: Path, manifest: Mapping[str, Any], target: Path) -> None:
    """Add the manifest and rename the directory to `target`, durably and whole.

    A directory that is there already is kept, and must be the same artefact: a publication that
    died between its rename and its commit left it. Raises ArtifactDamaged where it is not.
    """
    text = canonicalize(dict(manifest))
    (staged / MANIFEST).write_bytes(text)
    for path in sorted(staged.iterdir()):
        path.chmod(0o444)
        sync(path)
    sync(staged)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        check_artifact(target, fingerprint_of_bytes(text))
        return
    staged.rename(target)
    sync(target.parent)


# --- checking -----------------------------------------------------------------------------------


def check_artifact(directory: Path, address: str) -> dict[str, Any]:
    """Read every byte and compare it with the address; the manifest. Raises ArtifactDamaged."""
    try:
        text = (directory / MANIFEST).read_bytes()
        if fingerprint_of_bytes(text) != address:
            raise ArtifactDamaged(address, f"{MANIFEST} has another content")
        manifest: Any = load_json(text)
        files = {file["name"]: file["sha256"] for file in manifest["files"]}
        there = {path.name for path in directory.iterdir()} - {MANIFEST}
        if there != set(files):
            odd = ", ".join(sorted(there ^ set(files)))
            raise ArtifactDamaged(address, f"files are missing or were added ({odd[:200]})")
        for name, digest in files.items():
            if sha256_of(directory / name) != digest:
                raise ArtifactDamaged(address, f"{name} has another content")
    except (OSError, NotCanonical) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ArtifactDamaged(address, f"it cannot be read ({reason})") from error
    return dict(manifest)


def _signature(directory: Path, address: str) -> Signature:
    """What the file system says of the files; any change of one makes it another."""
    try:
        seen = [(path.name, path.stat()) for path in sorted(directory.iterdir())]
    except OSError as error:
        raise ArtifactDamaged(address, f"it cannot be read ({error.strerror})") from error
    return tuple(
        (name, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        for name, status in seen
    )


class _Checked:
    """The artefacts that this process has read whole, by what the file system said of them then."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, Signature] = OrderedDict()
        self._lock = Lock()

    def holds(self, address: str, signature: Signature) -> bool:
        with self._lock:
            return self._seen.get(address) == signature

    def remember(self, address: str, signature: Signature) -> None:
        newest = max((changed for *_, changed in signature), default=0)
        if newest / 1e9 > time.time() - CLOCK_TICK:
            return  # a change within the same tick would not be seen
        with self._lock:
            self._seen[address] = signature
            self._seen.move_to_end(address)
            while len(self._seen) > _MOST_REMEMBERED:
                self._seen.popitem(last=False)


_checked = _Checked()


# --- reading ------------------------------------------------------------------------------------


class ArtifactStore:
    """The rows of one artefact; reads as a store of bars does, and is never written.

    Every byte is compared with the address before the first row is given out, and again whenever
    the file system says that a file was touched.
    """

    def __init__(self, directory: Path, address: str, frame: Frame) -> None:
        self._directory = directory
        self._address = address
        self._files = ParquetStore(directory, time=frame.time, unit=frame.unit)

    def read(
        self,
        start: int,
        end: int,
        committed: Sequence[str],
        *,
        columns: Collection[str] | None = None,
        seconds: float | None = None,
    ) -> list[Piece]:
        """The rows in the closed [start, end] epoch seconds. Raises ArtifactDamaged."""
        before = _signature(self._directory, self._address)
        if not _checked.holds(self._address, before):
            check_artifact(self._directory, self._address)
        pieces = self._files.read(start, end, (), columns=columns)
        if _signature(self._directory, self._address) != before:
            raise ArtifactDamaged(self._address, "it changed while it was read")
        _checked.remember(self._address, before)
        return pieces

    def version(self, committed: Sequence[str], *, now: float) -> str | None:
        """Changes when a file is touched, so that what is kept in memory is not served then."""
        signature = _signature(self._directory, self._address)
        return hashlib.sha256(repr((self._address, signature)).encode()).hexdigest()
