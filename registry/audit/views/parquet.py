"""Parquet for data frames: one row group a page, so that memory stays flat."""

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from registry.audit.export import Row
from registry.audit.views.flat import COLUMNS, flat

_INSTANT = pa.timestamp("us", tz="UTC")
_TYPES = {"seq": pa.int64(), "at": _INSTANT}
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])
GROUP_ROWS = 20_000


class ParquetWriter:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._waiting: list[dict[str, Any]] = []

    def begin(self, *_: Any, **__: Any) -> None:
        sink = pa.PythonFile(_Sink(self._out), mode="w")
        self._file = pq.ParquetWriter(sink, SCHEMA, compression="zstd")

    def rows(self, rows: Sequence[Row]) -> None:
        self._waiting += [_typed(flat(row)) for row in rows]
        if len(self._waiting) >= GROUP_ROWS:
            self._flush()

    def end(self, *_: Any, **__: Any) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._waiting:
            self._file.write_table(pa.Table.from_pylist(self._waiting, SCHEMA))
            self._waiting = []


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    at = row["at"]
    return {**row, "at": None if at is None else datetime.fromisoformat(at)}


class _Sink(io.RawIOBase):
    """What Arrow asks of a file, over something that can only be written to."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self._written = out, 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: Any) -> int:
        self._out.write(bytes(data))
        self._written += len(data)
        return len(data)
