"""CSV for spreadsheets: RFC 4180, UTF-8, no cell that a spreadsheet would run as a formula."""

import csv
import io
from collections.abc import Sequence
from typing import Any, BinaryIO

from registry.audit.export import Row
from registry.audit.views.flat import COLUMNS, flat

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class CsvWriter:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def begin(self, *_: Any, **__: Any) -> None:
        self._write([COLUMNS])

    def rows(self, rows: Sequence[Row]) -> None:
        self._write([[guarded(value) for value in flat(row).values()] for row in rows])

    def end(self, *_: Any, **__: Any) -> None:
        """Nothing: a CSV file has no place to say that it is whole."""

    def _write(self, lines: Sequence[Sequence[Any]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(lines)
        self._out.write(text.getvalue().encode())


def guarded(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula, made plain by an apostrophe."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return value
