"""A node's bars as Parquet files in one directory.

Files that others write lie in the node's directory itself; a name that starts with `.` or `_` is
not a data file. What a backfill wrote lies in `segments/` as `<shard>.<epoch>.parquet`, immutable,
and is read only when its name is among the committed ones, which the database knows. Precedence
rises from the first committed segment to the last, then from the first file to the last by name:
what somebody wrote into the directory overrides what was backfilled.
"""

import hashlib
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from provider.blend import Piece
from provider.stores.durable_files import CLOCK_TICK, sha256_of, sync
from provider.stores.parquet_groups import groups_in_range
from provider.stores.protocol import SEGMENT_SOURCE, SegmentExists, StoreUnreadable
from provider.stores.ranges import rows_in_range
from provider.timeline import PER_SECOND

SEGMENTS = SEGMENT_SOURCE
_SEGMENT_NAME = re.compile(r"[A-Za-z0-9_%~-]{1,150}\.[0-9]{1,20}\.parquet", re.ASCII)
_LONGEST_NAME = 200


class UnreadableFile(StoreUnreadable):
    """A data file that is half-written, damaged, gone or no Parquet at all."""

    def __init__(self, file: str, reason: object) -> None:
        super().__init__(
            f"the data file {file!r} cannot be read: {reason}; "
            "repair it or move it out of the directory",
            file=file,
        )
        self.file = file


@dataclass(frozen=True, slots=True)
class Staged:
    """A segment on disk that nobody reads until its `name` is committed.

    `checksum` is `sha256:` and the digest of the file.
    """

    path: Path
    checksum: str
    rows: int

    @property
    def name(self) -> str:
        return self.path.name


def directory_name(node_id: str) -> str:
    """A name for a node's directory, safe on any file system, different for different nodes.

    Percent-encoded; too long ones keep their beginning and end in a hash. Raises ValueError on an
    empty id.
    """
    if not node_id:
        raise ValueError("a node id is not empty")
    name = quote(node_id, safe="")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(node_id.encode()).hexdigest()
    return f"{name[: _LONGEST_NAME - 50]}~{digest}"


class ParquetStore:
    """The files of one node in `directory`, whose rows have their time in the column `time`.

    `unit` is what integers in it count, as the schema declares. Nothing is created before the first
    `stage`.
    """

    def __init__(self, directory: Path, *, time: str | None, unit: str | None) -> None:
        self.directory = directory
        self._segments = self.directory / SEGMENTS
        self._time = time
        self._unit = unit

    def read(
        self,
        start: int,
        end: int,
        committed: Sequence[str],
        *,
        columns: Collection[str] | None = None,
        seconds: float | None = None,
    ) -> list[Piece]:
        """One piece per file that has rows in the range; a read of files is never stopped.

        Raises UnreadableFile.
        """
        paths = [self._segment_path(name) for name in committed] + self._files()
        pieces = (
            Piece(self._label(path), self._read_file(path, start, end, columns)) for path in paths
        )
        return [piece for piece in pieces if piece.table.num_rows]

    def version(self, committed: Sequence[str], *, now: float) -> str | None:
        """Of the files of others: name, place, size and time of change; segments never change."""
        seen: list[object] = [*committed]
        for path in self._files():
            try:
                status = path.stat()
            except OSError:
                return None
            if status.st_mtime > now - CLOCK_TICK or status.st_ctime > now - CLOCK_TICK:
                return None
            seen.append(
                (path.name, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            )
        return hashlib.sha256(repr(seen).encode()).hexdigest()

    def stage(self, table: pa.Table, shard_id: int | str, epoch: int) -> Staged:
        name = f"{directory_name(str(shard_id)).replace('.', '%2E')}.{epoch}.parquet"
        target = self._segment_path(name)
        self._segments.mkdir(parents=True, exist_ok=True)
        temporary = self._segments / f".{name}.{secrets.token_hex(8)}.tmp"
        try:
            checksum = _write_durably(table, temporary)
            if target.exists() and sha256_of(target) != checksum:
                raise SegmentExists(name)
            temporary.rename(target)
            sync(self._segments)
        finally:
            temporary.unlink(missing_ok=True)
        return Staged(target, checksum, table.num_rows)

    def discard(self, name: str) -> None:
        self._segment_path(name).unlink(missing_ok=True)

    def sweep(self, committed: Collection[str], *, before: float) -> list[str]:
        removed = []
        for path in sorted(self._segments.glob("*")):
            if path.name not in committed and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)
                removed.append(path.name)
        return removed

    def _files(self) -> list[Path]:
        return sorted(path for path in self.directory.glob("*.parquet") if path.name[0] not in "._")

    def _segment_path(self, name: str) -> Path:
        if not _SEGMENT_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a segment")
        return self._segments / name

    def _label(self, path: Path) -> str:
        return path.relative_to(self.directory).as_posix()

    def _read_file(
        self, path: Path, start: int, end: int, columns: Collection[str] | None
    ) -> pa.Table:
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                return self._read(file, start, end, columns)
        except (OSError, pa.ArrowException) as error:
            reason = str(error).replace(str(self.directory), "").splitlines()[:1]
            raise UnreadableFile(self._label(path), "".join(reason)) from error

    def _read(
        self, file: pq.ParquetFile, start: int, end: int, columns: Collection[str] | None
    ) -> pa.Table:
        schema, time = file.schema_arrow, self._time
        wanted = [name for name in schema.names if columns is None or name in columns]
        if time is None or time not in schema.names:
            return _load(file, wanted)
        wanted_and_time = list(dict.fromkeys([*wanted, time]))
        per_second = PER_SECOND[self._unit] if self._unit is not None else None
        groups = groups_in_range(file, time, per_second, start, end)
        table = _load(file, wanted_and_time, groups.numbers)
        if not groups.exact:
            table = rows_in_range(table, time, self._unit, start, end)
        return table.select(wanted)


def _load(file: pq.ParquetFile, columns: list[str], groups: list[int] | None = None) -> pa.Table:
    if groups is None:
        return file.read(columns=columns)
    return file.read_row_groups(groups, columns=columns)


def _write_durably(table: pa.Table, path: Path) -> str:
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)
    sync(path)
    return sha256_of(path)
