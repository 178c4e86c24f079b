"""Files that somebody drops into a folder: Parquet or CSV, picked up whole or not at all.

    {"type": "files", "path": "/data/drop", "time": "ts", "unit": "s",
     "types": {"close": "float64"}}

A file counts once it has its final name: one that starts with `.` or `_`, or ends in `.tmp` or
`.part`, is still being written, so writers rename when they are done. Columns of CSV are text
unless `types` says more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Self

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from coordinator.coverage import CoverageRange
from provider.sources.environment import SourceEnvironment
from provider.sources.rows import (
    WrongRows,
    cleaned,
    joined,
    read_types,
    renamed,
    without_repeated_rows,
)
from provider.sources.settings import (
    refuse_unknown,
    required_text,
    texts,
    unit_of_time,
)
from provider.timeline import Key

SUFFIXES = (".parquet", ".csv")
_KNOWN = ("path", "time", "unit", "columns", "types")


@dataclass(frozen=True, slots=True)
class FileSource:
    """See this module. Files are read in the order of their names."""

    folder: Path
    time: str
    unit: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, pa.DataType] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], environment: SourceEnvironment) -> Self:
        """Raises InvalidSourceSettings."""
        refuse_unknown(settings, _KNOWN)
        return cls(
            folder=environment.folder(required_text(settings, "path")),
            time=required_text(settings, "time"),
            unit=unit_of_time(settings),
            columns=texts(settings, "columns"),
            types=read_types(settings.get("types")),
        )

    def fetch(self, span: CoverageRange, keys: Sequence[Key], deadline: float | None) -> pa.Table:
        """See `provider.sources.Source`: every row of the range, whatever its series."""
        tables = []
        for path in self._files():
            if deadline is not None and monotonic() > deadline:
                raise TimeoutError(f"the deadline passed before {path.name} was read")
            tables.append(cleaned(self._read(path), self.time, self.unit, span))
        if not tables:
            return pa.table({})
        return without_repeated_rows(joined(tables, self.folder.name))

    def _files(self) -> list[Path]:
        if not self.folder.is_dir():
            raise FileNotFoundError(f"the folder {self.folder.name!r} is not there")
        return sorted(
            path
            for path in self.folder.iterdir()
            if path.suffix in SUFFIXES and path.name[0] not in "._" and path.is_file()
        )

    def _read(self, path: Path) -> pa.Table:
        """The rows of one file, which did not change meanwhile. Raises WrongRows."""
        before = path.stat()
        try:
            table = pq.read_table(path, partitioning=None) if path.suffix == ".parquet" else None
            table = self._read_csv(path) if table is None else table
        except (OSError, pa.ArrowException) as error:
            first = str(error).replace(str(self.folder), "").splitlines()[0]
            raise WrongRows(f"the file {path.name!r} cannot be read: {first}") from error
        after = path.stat()
        if (before.st_size, before.st_mtime_ns, before.st_ino) != (
            after.st_size,
            after.st_mtime_ns,
            after.st_ino,
        ):
            raise WrongRows(f"the file {path.name!r} changed while it was read")
        return renamed(table, self.columns)

    def _read_csv(self, path: Path) -> pa.Table:
        theirs = {self.columns.get(name, name): kind for name, kind in self.types.items()}
        names = csv.open_csv(path).schema.names
        types = {name: theirs.get(name, pa.string()) for name in names}
        return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types))
