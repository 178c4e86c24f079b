"""Rows of equal column types, and when two of them go into one table exactly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from coordinator.coverage import Int64s
from provider.column_types import exact_type
from provider.timeline import Times
from registry.errors import Conflict


class MixedTypes(Conflict):
    """The rows do not fit into one table: `columns` have types that no type holds exactly."""

    code = "mixed_types"
    title = "Mixed types"

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__(
            f"the column types differ between parts of the answer ({', '.join(columns)}) and no "
            "type holds them all exactly; ask for JSON, NDJSON or CSV, or leave these columns out",
            columns=list(columns),
        )
        self.columns = tuple(columns)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Rows of equal column types, ascending; `places` are their positions in the whole answer.

    `pieces` are the numbers of the pieces that the rows came in.
    """

    table: pa.Table
    series: Int64s
    times: Times
    places: Int64s
    pieces: Int64s

    def time_of(self, row: int) -> int | None:
        """The epoch second of a row, None where it cannot be read."""
        return int(self.times.seconds[row]) if self.times.readable[row] else None


def join_parts(left: Part, right: Part) -> Part | None:
    """Both parts in one, in answer order; None where no column types hold both exactly."""
    schema = _exact_schema(left.table.schema, right.table.schema)
    if schema is None:
        return None
    try:
        tables = [part.table.select(schema.names).cast(schema) for part in (left, right)]
    except pa.ArrowInvalid:  # a value that the wider type does not hold after all
        return None
    order = np.argsort(np.concatenate((left.places, right.places)), kind="stable")
    both = Part(
        pa.concat_tables(tables),
        np.concatenate((left.series, right.series)),
        all_times((left.times, right.times)),
        np.concatenate((left.places, right.places)),
        np.concatenate((left.pieces, right.pieces)),
    )
    return take_rows(both, order)


def _exact_schema(left: pa.Schema, right: pa.Schema) -> pa.Schema | None:
    # An absent column is an absent property and a null cell is a null: not the same, not joined.
    if len(left) != len(right) or set(left.names) != set(right.names):
        return None
    found = {name: exact_type(left.field(name).type, right.field(name).type) for name in left.names}
    return None if None in found.values() else pa.schema(found)


def differing_columns(schemas: Sequence[pa.Schema]) -> list[str]:
    names = dict.fromkeys(name for schema in schemas for name in schema.names)
    return [
        name
        for name in names
        if any(
            name not in schema.names
            or name not in schemas[0].names
            or exact_type(schemas[0].field(name).type, schema.field(name).type) is None
            for schema in schemas[1:]
        )
    ]


def all_times(times: Sequence[Times]) -> Times:
    return Times(
        np.concatenate([item.seconds for item in times]),
        np.concatenate([item.nanos for item in times]),
        np.concatenate([item.readable for item in times]),
        np.concatenate([item.zoned for item in times]),
    )


def take_rows(part: Part, rows: Int64s) -> Part:
    return Part(
        part.table.take(rows),
        part.series[rows],
        part.times.take(rows),
        part.places[rows],
        part.pieces[rows],
    )
