"""A checked answer written batch by batch: the same bytes as at once, but for Arrow's batches.

Parquet gets a row group per batch. What one batch has and another has not (a column, a type) can
be said line by line in JSON; a table has to be one table.
"""

from collections.abc import Callable, Mapping
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from provider.blend import Blended
from provider.parts import MixedTypes, differing_columns
from provider.serialise import Metadata, serialise


class BatchWriter(Protocol):
    """Writes the batches of one answer to a file; `close` ends the document, not the file."""

    def add(self, rows: Blended) -> None: ...

    def close(self) -> None: ...


class _JSONWriter:
    def __init__(self, file: IO[bytes], metadata: Metadata) -> None:
        self._file = file
        self._empty = True
        file.write(b"[")

    def add(self, rows: Blended) -> None:
        inner = serialise(rows, "json")[1:-1]
        if inner:
            self._file.write(inner if self._empty else b"," + inner)
            self._empty = False

    def close(self) -> None:
        self._file.write(b"]")


class _LineWriter:
    """NDJSON, and CSV with the header of the first batch."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._header: bytes | None = None

    def add(self, rows: Blended) -> None:
        text = serialise(rows, self._name)
        if self._name == "csv":
            text = self._without_header(rows, text)
        self._file.write(text)

    def _without_header(self, rows: Blended, text: bytes) -> bytes:
        header, _, lines = text.partition(b"\r\n")
        if self._header is None:
            self._header = header
            return text
        if header != self._header:
            names = {name for part in rows.parts for name in part.table.column_names}
            raise MixedTypes(sorted(names))
        return lines

    def close(self) -> None: ...


class _TableWriter:
    def __init__(
        self, file: IO[bytes], metadata: Metadata, start: Callable[[IO[bytes], pa.Schema], Any]
    ) -> None:
        self._file = file
        self._metadata = dict(metadata) or None
        self._start = start
        self._writer: Any = None
        self._schema: pa.Schema | None = None

    def add(self, rows: Blended) -> None:
        table = rows.table().replace_schema_metadata(self._metadata)
        if self._schema is None:
            self._schema = table.schema
            self._writer = self._start(self._file, table.schema)
        elif not table.schema.equals(self._schema):
            differing = differing_columns([self._schema, table.schema])
            raise MixedTypes(differing or table.schema.names)
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _parquet(file: IO[bytes], schema: pa.Schema) -> Any:
    return pq.ParquetWriter(file, schema, compression="zstd")


WRITERS: Mapping[str, Callable[[IO[bytes], Metadata], BatchWriter]] = {
    "json": _JSONWriter,
    "ndjson": lambda file, metadata: _LineWriter(file, "ndjson"),
    "csv": lambda file, metadata: _LineWriter(file, "csv"),
    "arrow": lambda file, metadata: _TableWriter(file, metadata, pa.ipc.new_stream),
    "parquet": lambda file, metadata: _TableWriter(file, metadata, _parquet),
}
"""By format; an object of arrays cannot be written in batches."""
