"""Records of a file in batches, exactly as JSON would have them: Parquet, CSV or JSON Lines.

Records that fit into columns come as tables, the others (nested, or of mixed types) one by one.
Nothing of a file is held but the batch at hand.

- *Parquet*: cells are what `registry.cells` writes.
- *CSV*: the first line names the columns, an unquoted empty cell is null. A cell is a number, an
  integer or a boolean where the schema's `type` (or `enum`, `const`) allows that and no text, and
  it is written as JSON writes it; any other cell is text.
- *JSON Lines*: one JSON object a line; empty lines are left out.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from registry.canonical import JSON, NotCanonical, parse_json

BATCH = 65_536
LINES = 8_192
SUFFIXES = (".parquet", ".csv", ".jsonl", ".ndjson")
_LONGEST_LINE = 16 << 20

Types = frozenset[str]
Int64s = npt.NDArray[np.int64]

INTEGER = r"^-?(?:0|[1-9][0-9]*)$"
NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
BOOLEAN = r"^(?:true|false)$"
# What 64 bits hold, and what a double holds exactly; anything else is read one by one.
_LONG = r"^-?(?:0|[1-9][0-9]{0,17})$"
_EXPONENT = r"[eE][+-]?[0-9]{1,2}"
_FRACTION = rf"(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:{_EXPONENT})?|{_EXPONENT})"
_DOUBLE = rf"^-?(?:0|[1-9][0-9]{{0,14}}|{_FRACTION})$"


class UnreadableTable(ValueError):
    """A file that cannot be read to its end; the sentence says where and why."""


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Records judged alike: `numbers` are their places in the file, from 1.

    Either a table, or documents where no table holds them.
    """

    numbers: Int64s
    table: pa.Table | None = None
    documents: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The next records of a file, and how much of the file (0 to 1) has been read with them."""

    groups: tuple[Records, ...]
    done: float


def read_batches(path: Path, types: Mapping[str, Types] | None = None) -> Iterator[Batch]:
    """The batches of a file, by its suffix. `types` says what CSV columns hold (see the module).

    Raises UnreadableTable, also while reading.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UnreadableTable(f"{path.name} is none of {', '.join(SUFFIXES)}")
    try:
        yield from reader(path, types or {})
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise UnreadableTable(f"{path.name}: {str(error).splitlines()[0]}") from error


def declared_types(schema: JSON) -> dict[str, Types]:
    """What the top-level properties of a schema may be, as far as they say so themselves."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    found = {
        name: _declared(below)
        for name, below in (properties if isinstance(properties, dict) else {}).items()
    }
    return {name: types for name, types in found.items() if types}


def _declared(schema: JSON) -> Types:
    if not isinstance(schema, dict):
        return frozenset()
    said = schema.get("type")
    if isinstance(said, str):
        return frozenset({said})
    if isinstance(said, list):
        return frozenset(name for name in said if isinstance(name, str))
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return frozenset(map(_json_type, values)) if isinstance(values, list) else frozenset()


def _json_type(value: JSON) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if value is None:
        return "null"
    return "number" if isinstance(value, int | float) else "object"


# --- Parquet ------------------------------------------------------------------------------------


def _parquet(path: Path, types: Mapping[str, Types]) -> Iterator[Batch]:
    with pyarrow.parquet.ParquetFile(path) as file:
        total, read = file.metadata.num_rows, 0
        for batch in file.iter_batches(BATCH):
            table = pa.Table.from_batches([batch])
            numbers = np.arange(read + 1, read + table.num_rows + 1)
            read += table.num_rows
            yield Batch((Records(numbers, table),), read / total if total else 1.0)
        if total == 0:
            yield Batch((Records(np.empty(0, np.int64), file.schema_arrow.empty_table()),), 1.0)


# --- CSV ----------------------------------------------------------------------------------------


def _csv(path: Path, types: Mapping[str, Types]) -> Iterator[Batch]:
    size, read = path.stat().st_size, 0
    names = _csv_names(path)
    options = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    with (
        path.open("rb") as file,
        pyarrow.csv.open_csv(
            file,
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=options,
        ) as reader,
    ):
        for batch in reader:
            table = pa.Table.from_batches([batch])
            numbers = np.arange(read + 1, read + table.num_rows + 1)
            read += table.num_rows
            yield Batch(tuple(_typed(table, numbers, types)), min(1.0, file.tell() / size))


def _csv_names(path: Path) -> list[str]:
    with pyarrow.csv.open_csv(path) as reader:
        names: list[str] = reader.schema.names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UnreadableTable(f"{path.name} names the column {twice[0]!r} twice")
    return names


def _typed(table: pa.Table, numbers: Int64s, types: Mapping[str, Types]) -> Iterator[Records]:
    """The rows whose cells all fit the types of their columns as a table, the others one by one."""
    odd = np.zeros(table.num_rows, np.bool_)
    converters: dict[str, Callable[[pa.ChunkedArray], pa.ChunkedArray]] = {}
    for name in table.column_names:
        kind = _cell_type(types.get(name, frozenset()))
        if kind is None:
            continue
        texts = table.column(name)
        pattern, converters[name] = _column_reader(kind, texts)
        fits = pc.match_substring_regex(texts, pattern).fill_null(True)
        odd |= ~fits.to_numpy().astype(np.bool_)
    regular = table.filter(pa.array(~odd)) if odd.any() else table
    for name, convert in converters.items():
        at = regular.column_names.index(name)
        regular = regular.set_column(at, name, convert(regular.column(name)))
    yield Records(numbers[~odd], regular)
    if odd.any():
        rows = table.filter(pa.array(odd)).to_pylist()
        kinds = {name: _cell_type(types.get(name, frozenset())) for name in table.column_names}
        documents = tuple({n: _cell(row[n], kinds[n]) for n in table.column_names} for row in rows)
        yield Records(numbers[odd], documents=documents)


def _cell_type(types: Types) -> str | None:
    """What a cell is read as; None for text."""
    if "string" in types:
        return None
    return next((name for name in ("number", "integer", "boolean") if name in types), None)


def _column_reader(
    kind: str, texts: pa.ChunkedArray
) -> tuple[str, Callable[[pa.ChunkedArray], pa.ChunkedArray]]:
    """Which cells of a column can be read together, and how."""
    if kind == "boolean":
        return BOOLEAN, lambda cells: pc.equal(cells, "true")
    if pc.all(pc.match_substring_regex(texts, _LONG), min_count=0).as_py():
        return _LONG, lambda cells: cells.cast(pa.int64())
    return _DOUBLE, lambda cells: cells.cast(pa.float64())


def _cell(text: str | None, kind: str | None) -> Any:
    if text is None or kind is None:
        return text
    pattern = BOOLEAN if kind == "boolean" else NUMBER
    return json.loads(text) if re.fullmatch(pattern[1:-1], text) and len(text) < 4_000 else text


# --- JSON Lines -----------------------------------------------------------------------------------


def _json_lines(path: Path, types: Mapping[str, Types]) -> Iterator[Batch]:
    size = path.stat().st_size
    with path.open("rb") as file:
        held: list[tuple[int, Any]] = []
        for number, line in _lines(file, path.name):
            held.append((number, _record(line, number, path.name)))
            if len(held) == LINES:
                yield Batch(tuple(_grouped(held)), min(1.0, file.tell() / size))
                held = []
        yield Batch(tuple(_grouped(held)), 1.0)


def _lines(file: IO[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise UnreadableTable(f"{name}: line {number} is longer than {_LONGEST_LINE} bytes")
        if line.strip():
            yield number, line


def _record(line: bytes, number: int, name: str) -> Any:
    try:
        return parse_json(line, max_bytes=_LONGEST_LINE)
    except NotCanonical as error:
        place = f" at {error.pointer}" if error.pointer else ""
        raise UnreadableTable(f"{name}: line {number}{place}: {error.reason}") from error


def _grouped(records: list[tuple[int, Any]]) -> Iterator[Records]:
    """Records with the same names and flat cells become tables where Arrow holds them exactly."""
    groups: defaultdict[Any, list[tuple[int, Any]]] = defaultdict(list)
    for number, document in records:
        groups[_shape(document)].append((number, document))
    for shape, members in groups.items():
        numbers = np.array([number for number, _ in members], np.int64)
        documents = [document for _, document in members]
        table = _as_table(documents, shape) if shape else None
        yield Records(numbers, table, () if table is not None else tuple(documents))


def _shape(document: Any) -> tuple[tuple[str, type], ...] | None:
    """Names and types of an object with flat cells; None for any other document."""
    if not isinstance(document, dict) or not document:
        return None
    if any(isinstance(cell, dict | list) for cell in document.values()):
        return None
    return tuple((name, type(cell)) for name, cell in sorted(document.items()))


def _as_table(
    documents: list[dict[str, Any]], shape: tuple[tuple[str, type], ...]
) -> pa.Table | None:
    """One Python type a column, so that Arrow widens nothing; None where a cell does not fit."""
    try:
        return pa.table({name: [row[name] for row in documents] for name, _ in shape})
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return None


_READERS: Mapping[str, Callable[[Path, Mapping[str, Types]], Iterator[Batch]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
}
