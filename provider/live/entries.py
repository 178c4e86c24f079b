"""From what a live source sent to typed rows, one entry at a time: none of them can spoil the rest.

An entry of another type than the rest stays as it is, in a table of its own: the schema check says
what is wrong with it. Only what cannot be a row at all is left out, and counted.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
from pyarrow import types

from coordinator.coverage import CoverageRange
from provider.sources.rows import WrongRows, table_of
from provider.timeline import SeriesIndex, Times, read_times
from registry.frame import Frame

MOST_SHAPES = 16  # tables per read: columns and their types as entries have them
_WHERE = "live"
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class EntryForm:
    """How entries become rows: `columns` is our names to theirs, `types` our declared types.

    `texts`: every cell came as text and is parsed where a type is declared. `later_wins`: the
    source updates a bar by sending it again; otherwise two that differ both stay, to be flagged.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    texts: bool = False
    later_wins: bool = True


@dataclass(frozen=True, slots=True)
class Decoded:
    """Tables of rows in the order of their times, and how many entries were none, by reason."""

    tables: Sequence[pa.Table]
    malformed: Mapping[str, int]


def parsed_json(text: str | bytes) -> object:
    """What the text says; None, which is no row, where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def decode(
    entries: Iterable[object], form: EntryForm, frame: Frame, span: CoverageRange
) -> Decoded:
    """The rows of the closed range among entries that came in this order, oldest first."""
    malformed: Counter[str] = Counter()
    rows = _objects(entries, form, frame, malformed)
    read = [
        found
        for group in _groups(rows, form.types, malformed)
        if (found := _timed(group, frame, malformed)) is not None
    ]
    kept = _chosen(read, rows, form, frame, span)
    tables = [_in_order(one, chosen) for one, chosen in zip(read, kept, strict=True) if chosen]
    return Decoded(tables, dict(malformed))


def _objects(
    entries: Iterable[object], form: EntryForm, frame: Frame, malformed: Counter[str]
) -> list[dict[str, Any]]:
    ours = {theirs: mine for mine, theirs in form.columns.items()}
    rows = []
    for entry in entries:
        if not isinstance(entry, dict) or not entry:
            malformed["no JSON object"] += 1
            continue
        cells: Mapping[str, Any] = entry
        row = {ours.get(name, name): cell for name, cell in cells.items()}
        rows.append(_parsed_cells(row, form, frame) if form.texts else row)
    return rows


def _parsed_cells(row: dict[str, Any], form: EntryForm, frame: Frame) -> dict[str, Any]:
    """Cells that came as text; one that is not what its column declares stays text."""
    kinds = dict(form.types)
    if frame.time is not None and frame.unit is not None:
        kinds.setdefault(frame.time, pa.int64())
    return {name: _parsed(cell, kinds.get(name)) for name, cell in row.items()}


def _parsed(text: str, kind: pa.DataType | None) -> Any:
    if not text:
        return None
    whole = _WHOLE.fullmatch(text)
    if kind is None:
        return text
    if types.is_boolean(kind):
        return {"true": True, "false": False}.get(text, text)
    if whole and (types.is_integer(kind) or types.is_timestamp(kind)):
        return int(text)
    try:
        if types.is_floating(kind):
            return float(text)
        return Decimal(text) if types.is_decimal(kind) else text
    except (ValueError, InvalidOperation):
        return text


# --- tables of one shape ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows whose cells fit into common columns; `numbers` is where each came in the order."""

    table: pa.Table
    numbers: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Timed:
    group: _Group
    times: Times


def _groups(
    rows: Sequence[dict[str, Any]], kinds: Mapping[str, pa.DataType], malformed: Counter[str]
) -> list[_Group]:
    if not rows:
        return []
    try:
        return [_Group(table_of(rows, kinds, _WHERE), range(len(rows)))]
    except WrongRows:
        return _by_shape(rows, kinds, malformed)


def _by_shape(
    rows: Sequence[dict[str, Any]], kinds: Mapping[str, pa.DataType], malformed: Counter[str]
) -> list[_Group]:
    shapes: dict[Any, list[int]] = {}
    for number, row in enumerate(rows):
        shapes.setdefault(_shape(row, kinds), []).append(number)
    found = []
    # Where there are too many shapes, the commonest are read.
    for position, shape in enumerate(sorted(shapes, key=lambda one: -len(shapes[one]))):
        numbers, misfits = shapes[shape], shape[0]
        if position >= MOST_SHAPES:
            malformed["one of too many shapes"] += len(numbers)
            continue
        fitting = {name: kind for name, kind in kinds.items() if name not in misfits}
        try:
            table = table_of([rows[number] for number in numbers], fitting, _WHERE)
        except WrongRows:
            malformed["cells that no column can hold"] += len(numbers)
        else:
            found.append(_Group(table, numbers))
    return found


def _shape(
    row: Mapping[str, Any], kinds: Mapping[str, pa.DataType]
) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    """The columns whose cell is not of the declared type, and what kind the undeclared are of."""
    misfits = frozenset(
        name for name, kind in kinds.items() if name in row and not _fits(row[name], kind)
    )
    others = frozenset(
        (name, _kind(cell))
        for name, cell in row.items()
        if cell is not None and (name not in kinds or name in misfits)
    )
    return misfits, others


def _fits(cell: Any, kind: pa.DataType) -> bool:
    try:
        table_of([{"cell": cell}], {"cell": kind}, _WHERE)
    except WrongRows:
        return False
    return True


def _kind(cell: Any) -> str:
    if isinstance(cell, bool):
        return "bool"
    if isinstance(cell, int) and not -(1 << 63) <= cell < 1 << 63:
        return "large"
    return "number" if isinstance(cell, int | float) else type(cell).__name__


# --- which of them count ------------------------------------------------------------------------


def _timed(group: _Group, frame: Frame, malformed: Counter[str]) -> _Timed | None:
    if frame.time not in group.table.column_names:
        malformed["no time"] += group.table.num_rows
        return None
    if any(types.is_nested(one.type) for one in group.table.schema if one.name in frame.key):
        malformed["a key that is no plain value"] += group.table.num_rows
        return None
    times = read_times(group.table.column(frame.time), frame.unit)
    if unreadable := int((~times.readable).sum()):
        malformed["a time that cannot be read"] += unreadable
    return _Timed(group, times)


def _chosen(
    read: Sequence[_Timed],
    rows: Sequence[Mapping[str, Any]],
    form: EntryForm,
    frame: Frame,
    span: CoverageRange,
) -> list[list[int]]:
    """Per table, the places of the rows that are in the range and that no other one replaces."""
    index = SeriesIndex(frame.key)
    by_bar: dict[tuple[int, int, int], list[tuple[int, int, int]]] = {}
    for which, one in enumerate(read):
        series = index.number_rows(one.group.table).tolist()
        seconds, nanos = one.times.seconds.tolist(), one.times.nanos.tolist()
        for place, number in enumerate(one.group.numbers):
            if one.times.readable[place] and span.start <= seconds[place] <= span.end:
                bar = (series[place], seconds[place], nanos[place])
                by_bar.setdefault(bar, []).append((number, which, place))
    kept: list[list[int]] = [[] for _ in read]
    for versions in by_bar.values():
        for _, which, place in _counting(sorted(versions), rows, form.later_wins):
            kept[which].append(place)
    return kept


def _counting(
    versions: Sequence[tuple[int, int, int]], rows: Sequence[Mapping[str, Any]], later_wins: bool
) -> Sequence[tuple[int, int, int]]:
    if later_wins:
        return versions[-1:]
    different: list[tuple[int, int, int]] = []
    for one in versions:
        if all(rows[one[0]] != rows[other[0]] for other in different):
            different.append(one)
    return different


def _in_order(one: _Timed, places: Sequence[int]) -> pa.Table:
    """By time: the order of arrival is no property of a row."""
    seconds, nanos = one.times.seconds, one.times.nanos
    ordered = sorted(places, key=lambda place: (seconds[place], nanos[place], place))
    return one.group.table.take(pa.array(ordered, pa.int64()))
