"""A first draft of a schema from records: what their columns are, which is the time, what is key.

The draft is closed and says nothing that the records do not show: types, null where it occurs,
`required` where a property is never absent, dates and times as formats. It is admitted as it is
and accepts every record it was made from (but those that are no JSON, which no schema accepts).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from registry.canonical import JSON
from registry.cells import write_cells
from registry.formats import is_date, is_date_time
from registry.frame import KEYWORD
from registry.tables import BOOLEAN, INTEGER, NUMBER, Batch

Int64s = npt.NDArray[np.int64]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FORMATS = {"date-time": is_date_time, "date": is_date}
MOST_KEY_COLUMNS = 3
_ROWS_FOR_KEY = 1_000_000
_MOST_TEXTS = 1_000
# Whole numbers that are times of 1980 to 2100 in one unit are so in no other.
_EARLIEST, _LATEST = 315_532_800, 4_102_444_800
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_TIME_NAME = re.compile(
    r"(?:^|_)(?:ts|time|timestamp|datetime|date|day|session|at|open_time|bar_time)(?:_|$)", re.I
)
_TYPE_ORDER = ("boolean", "integer", "number", "string", "array", "object", "null")


def likely_unit(values: Int64s) -> str | None:
    """The unit in which most of the integers are times of 1980 to 2100; None where none is."""
    if len(values) == 0:
        return None
    middle = int(np.median(values))
    for unit, per_second in PER_SECOND.items():
        if _EARLIEST * per_second <= middle < _LATEST * per_second:
            return unit
    return None


@dataclass(slots=True)
class Profile:
    """What one place of the records was seen to hold."""

    types: set[str] = field(default_factory=set)
    seen: int = 0
    not_json: int = 0
    formats: set[str] = field(default_factory=lambda: set(FORMATS))
    texts: set[str] | None = field(default_factory=set)
    items: "Profile | None" = None
    properties: "dict[str, Profile]" = field(default_factory=dict)
    objects: int = 0

    def schema(self, most_values: int) -> dict[str, JSON]:
        """The narrowest plain schema of what was seen."""
        if "number" in self.types:
            self.types.discard("integer")
        kinds: list[JSON] = [name for name in _TYPE_ORDER if name in self.types]
        if not kinds:
            return {}
        found: dict[str, JSON] = {"type": kinds[0] if len(kinds) == 1 else kinds}
        if "string" in self.types and len(self.formats) == 1:
            found["format"] = next(iter(self.formats))
        elif "string" in self.types and self.texts and len(self.texts) <= most_values:
            null: list[JSON] = [None] if "null" in self.types else []
            if self.types <= {"string", "null"}:
                found = {"enum": [*sorted(self.texts), *null]}
        if self.items is not None:
            found["items"] = self.items.schema(most_values)
        if self.objects:
            found |= object_keywords(self.properties, self.objects, most_values)
        return found


def object_keywords(
    properties: "dict[str, Profile]", objects: int, most_values: int
) -> dict[str, JSON]:
    """A closed content model: what is never absent is required, what is may be null too."""
    required: list[JSON] = []
    described: dict[str, JSON] = {}
    for name, profile in properties.items():
        if profile.seen == objects:
            required.append(name)
        else:
            profile.types.add("null")
        described[name] = profile.schema(most_values)
    found: dict[str, JSON] = {"properties": described, "additionalProperties": False}
    return found | ({"required": required} if required else {})


@dataclass(frozen=True, slots=True)
class Draft:
    """The drafted schema, how many records it was made from, and what its owner should know."""

    schema: dict[str, JSON]
    records: int
    remarks: tuple[str, ...]


def draft_schema(
    batches: Iterable[Batch], *, title: str, texts_are_cells: bool = False, most_values: int = 0
) -> Draft:
    """Draft a schema from the batches of `registry.tables`.

    `texts_are_cells`: columns of text are cells of a CSV, whose numbers and booleans are meant.
    Columns with at most `most_values` different texts become an `enum`. Raises ValueError where a
    record is no object, and UnwritableColumn.
    """
    survey = _Survey(texts_are_cells, most_values)
    for batch in batches:
        survey.add(batch)
    return survey.draft(title)


class _Survey:
    def __init__(self, texts_are_cells: bool, most_values: int) -> None:
        self._texts_are_cells = texts_are_cells
        self._most_values = most_values
        self._columns: dict[str, Profile] = {}
        self._records = 0
        self._times: dict[str, list[Int64s]] = {}
        self._days: set[str] = set()
        self._tables: list[pa.Table] = []
        self._kept = 0

    def add(self, batch: Batch) -> None:
        for group in batch.groups:
            if group.table is not None:
                self._table(group.table)
            else:
                self._documents(group.documents, int(group.numbers[0]))
            self._records += len(group.numbers)

    def draft(self, title: str) -> Draft:
        schema: dict[str, JSON] = {"$schema": DIALECT, "title": title, "type": "object"}
        schema |= object_keywords(self._columns, self._records, self._most_values)
        remarks = [
            f"{profile.not_json} values of {name!r} are NaN or infinite, which no schema accepts"
            for name, profile in self._columns.items()
            if profile.not_json
        ]
        frame, told = self._frame()
        if frame:
            schema[KEYWORD] = frame
        if frame.get("time") in self._days:  # the time column is written as an instant
            schema["properties"][frame["time"]]["format"] = "date-time"  # type: ignore[index,call-overload]
        return Draft(schema, self._records, (*remarks, *told))

    # --- what columns hold ------------------------------------------------------------------------

    def _table(self, table: pa.Table) -> None:
        for name in table.column_names:
            column = table.column(name)
            profile = self._columns.setdefault(name, Profile())
            if self._texts_are_cells and types.is_string(column.type):
                column = _cells_of_text(column, profile)
            else:
                _note_column(profile, column)
            self._note_times(name, column)
        if self._kept < _ROWS_FOR_KEY:
            self._tables.append(table)
            self._kept += table.num_rows

    def _documents(self, documents: Sequence[Any], first: int) -> None:
        for document in documents:
            if not isinstance(document, dict):
                raise ValueError(f"record {first} (or one after it) is no object, and a row is one")
            for name, value in document.items():
                _note(self._columns.setdefault(name, Profile()), value)

    def _note_times(self, name: str, column: pa.ChunkedArray) -> None:
        if types.is_date(column.type):
            self._days.add(name)
        if types.is_integer(column.type) and _TIME_NAME.search(name):
            values = column.drop_null().cast(pa.int64(), safe=False).to_numpy()
            self._times.setdefault(name, []).append(values)

    # --- how rows hang together -------------------------------------------------------------------

    def _frame(self) -> tuple[dict[str, JSON], list[str]]:
        time = self._time_column()
        if time is None:
            return {}, ["no column looks like a time: name one in x-seamless"]
        frame: dict[str, JSON] = {"time": time}
        unit = self._unit_of(time)
        if unit is not None:
            frame["unit"] = unit
        key = self._key(time)
        if key is None:
            return frame, [
                f"no {MOST_KEY_COLUMNS} columns with {time!r} tell all rows apart: name the key in "
                "x-seamless, or look for duplicate rows"
            ]
        return frame | ({"key": list(key)} if key else {}), []

    def _time_column(self) -> str | None:
        """A column never absent or null whose cells are times, named like one where several are."""
        found = [
            name
            for name, profile in self._columns.items()
            if name  # `x-seamless` takes no empty one
            and profile.seen == self._records > 0
            and (
                (
                    profile.types == {"string"}
                    and (profile.formats == {"date-time"} or name in self._days)
                )
                or (profile.types == {"integer"} and self._unit_of(name) is not None)
            )
        ]
        named = [name for name in found if _TIME_NAME.search(name)]
        return next(iter(named or found), None)

    def _unit_of(self, name: str) -> str | None:
        values = self._times.get(name)
        return likely_unit(np.concatenate(values)) if values else None

    def _key(self, time: str) -> tuple[str, ...] | None:
        """The fewest columns that with the time tell the rows apart, () where the time does."""
        shared = [table for table in self._tables if time in table.column_names]
        names = [
            name
            for name, profile in self._columns.items()
            if name != time
            and profile.types in ({"string"}, {"integer"})
            and len(profile.formats) != 1
            and all(name in table.column_names for table in shared)
        ]
        if not shared:
            return None
        codes = {name: _codes(shared, name) for name in (time, *names)}
        names.sort(key=lambda name: len(np.unique(codes[name])))
        for size in range(MOST_KEY_COLUMNS + 1):
            for chosen in combinations(names, size):
                if _tells_apart([codes[time], *(codes[name] for name in chosen)]):
                    return chosen
        return None


def _note_column(profile: Profile, column: pa.ChunkedArray) -> None:
    """A column of a table, as its cells would be written."""
    profile.seen += len(column)
    if column.null_count:
        profile.types.add("null")
    if column.null_count == len(column):
        return
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if types.is_boolean(kind):
        profile.types.add("boolean")
    elif types.is_integer(kind):
        profile.types.add("integer")
    elif types.is_timestamp(kind):
        _note_texts(profile, ["2000-01-01T00:00:00Z"])
    elif types.is_date(kind):
        _note_texts(profile, ["2000-01-01"])
    elif types.is_floating(kind) or types.is_decimal(kind):
        profile.types.add("number")
        if types.is_floating(kind):
            finite = pc.is_finite(_plain(column)).drop_null()
            profile.not_json += len(finite) - int(pc.sum(finite).as_py() or 0)
    elif types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        _note_texts(profile, _distinct_texts(column))
    else:
        profile.seen -= len(column)
        for cell in write_cells(column):
            _note(profile, cell)


def _cells_of_text(column: pa.ChunkedArray, profile: Profile) -> pa.ChunkedArray:
    """The narrowest reading of a CSV's column that every cell so far allows is noted.

    The cells come back as integers where all of them are.
    """
    profile.seen += len(column)
    if column.null_count:
        profile.types.add("null")
    texts = column.drop_null()
    if len(texts) == 0:
        return column
    kind = _kind_of_cells(texts, profile)
    profile.types &= {kind, "null"}
    _note_texts(profile, _distinct_texts(texts), kind)
    if profile.types - {"null"} == {"integer"} and _fit_64_bits(texts):
        return texts.cast(pa.int64())
    return column


def _kind_of_cells(texts: pa.ChunkedArray, profile: Profile) -> str:
    """One type for the whole column: what was read as a number once and is none now is text."""
    before = profile.types - {"null"}

    def all_match(pattern: str) -> bool:
        return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())

    if before <= {"integer"} and all_match(INTEGER):
        return "integer"
    if before <= {"integer", "number"} and all_match(NUMBER):
        return "number"
    if before <= {"boolean"} and all_match(BOOLEAN):
        return "boolean"
    return "string"


def _fit_64_bits(texts: pa.ChunkedArray) -> bool:
    return bool(pc.max(pc.utf8_length(texts)).as_py() <= 18)


def _note_texts(profile: Profile, texts: Iterable[str], kind: str = "string") -> None:
    """Texts of which the column holds each at least once, read as values of `kind`."""
    found = list(texts)
    profile.types.add(kind)
    profile.formats = {name for name in profile.formats if all(map(FORMATS[name], found))}
    if profile.texts is not None:
        profile.texts.update(found)
        if len(profile.texts) > _MOST_TEXTS:
            profile.texts = None


def _note(profile: Profile, value: Any) -> None:
    """One JSON value."""
    profile.seen += 1
    if value is None:
        profile.types.add("null")
    elif isinstance(value, bool):
        profile.types.add("boolean")
    elif isinstance(value, str):
        _note_texts(profile, (value,))
    elif isinstance(value, list):
        profile.types.add("array")
        profile.items = profile.items or Profile()
        for item in value:
            _note(profile.items, item)
    elif isinstance(value, dict):
        profile.types.add("object")
        profile.objects += 1
        for name, below in value.items():
            _note(profile.properties.setdefault(name, Profile()), below)
    elif isinstance(value, int):
        profile.types.add("integer")
    else:
        profile.types.add("number")
        profile.not_json += not isfinite(value)


def _distinct_texts(column: pa.ChunkedArray) -> Iterator[str]:
    for chunk in column.chunks:
        plain = chunk.dictionary if types.is_dictionary(chunk.type) else chunk
        yield from (text for text in plain.unique().to_pylist() if text is not None)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not types.is_dictionary(column.type):
        return column
    chunks = [chunk.dictionary_decode() for chunk in column.chunks]
    return pa.chunked_array(chunks, column.type.value_type)


def _codes(tables: Sequence[pa.Table], name: str) -> Int64s:
    """A number for each row's cell: equal where the cells are."""
    known: dict[Any, int] = {}
    found = [np.empty(0, np.int64)]
    for table in tables:
        for chunk in _plain(table.column(name)).chunks:
            coded = chunk.dictionary_encode()
            numbers = np.array(
                [known.setdefault(cell, len(known)) for cell in coded.dictionary.to_pylist()]
                or [0],
                np.int64,
            )
            codes = coded.indices.fill_null(0).to_numpy(zero_copy_only=False)
            found.append(numbers[codes])
    return np.concatenate(found)


def _tells_apart(codes: Sequence[Int64s]) -> bool:
    combined = codes[0]
    for more in codes[1:]:
        _, combined = np.unique(combined, return_inverse=True)
        combined = combined * (int(more.max(initial=0)) + 1) + more
    return len(np.unique(combined)) == len(combined)
