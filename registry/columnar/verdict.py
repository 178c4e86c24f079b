"""What a check says of a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from registry.cells import Cell
from registry.columnar.checks import Failure
from registry.columnar.column import Indices, Kind
from registry.columnar.masks import Bools
from registry.pointers import pointer

SAMPLES = 10
"""How many rows of a violation are shown."""


@dataclass(frozen=True)
class Sample:
    """One refused cell: its row in the table, its place in the row's JSON object and its value.

    The value of a finding about an object is None: rows are never shown whole.
    """

    row: int
    instance_pointer: str
    value: Cell


@dataclass(frozen=True)
class Violation:
    """The rows that one keyword refuses in one column.

    `column` is the name of the row's property (the missing one for `required`), None where the
    finding is about the row as a whole. `count` counts rows; `samples` are the first of them.
    """

    column: str | None
    keyword: str
    schema_pointer: str
    count: int
    sentence: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class FrameVerdict:
    """The verdict on a table: `row_valid[i]` is what the reference says of row i."""

    row_valid: Bools
    violations: tuple[Violation, ...]

    @property
    def valid(self) -> bool:
        return not len(self.row_valid) or bool(self.row_valid.all())


def _is_ascending(rows: Indices) -> bool:
    """Whether no row stands twice, which spares sorting them: a column has one cell a row."""
    return bool((rows[1:] > rows[:-1]).all())


def _first_of_each(rows: Indices) -> Indices:
    """The positions at which each row stands first, in the order of the rows."""
    if _is_ascending(rows):
        return np.arange(len(rows))
    return np.unique(rows, return_index=True)[1]


@dataclass
class _Group:
    sentence: str
    rows: list[Indices] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def violation(self, column: str | None, keyword: str, schema_pointer: str) -> Violation:
        first_of_row = {sample.row: sample for sample in reversed(self.samples)}
        samples = tuple(first_of_row[row] for row in sorted(first_of_row)[:SAMPLES])
        rows = np.concatenate(self.rows)
        count = len(rows) if _is_ascending(rows) else len(np.unique(rows))
        return Violation(column, keyword, schema_pointer, count, self.sentence, samples)


@dataclass
class Violations:
    """Groups the failures of all batches of a table."""

    first_row: int = 0
    _groups: dict[tuple[str | None, str, str], _Group] = field(default_factory=dict)

    def add(self, failure: Failure) -> None:
        key = (failure.place.column, failure.keyword, pointer(failure.schema_path))
        group = self._groups.setdefault(key, _Group(failure.sentence))
        group.rows.append(failure.place.row(failure.cells) + self.first_row)
        group.samples.extend(self._samples(failure))

    def _samples(self, failure: Failure) -> Sequence[Sample]:
        place, judged = failure.place, failure.judged
        cells = failure.cells[_first_of_each(place.row(failure.cells))[:SAMPLES]]
        values: list[Cell] = [None] * len(cells)
        if judged.kind is not Kind.STRUCT:
            values = judged.take(cells).cells()
        return [
            Sample(
                int(place.row(cells[i : i + 1])[0]) + self.first_row,
                pointer(place.path(cell)),
                value,
            )
            for i, (cell, value) in enumerate(zip(cells.tolist(), values, strict=True))
        ]

    def violations(self) -> tuple[Violation, ...]:
        return tuple(group.violation(*key) for key, group in self._groups.items())
