"""The values roll-up: numbers that are none (NaN, infinity) and numbers that are not there."""

from collections.abc import Callable, Collection, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from coordinator.coverage import Bools
from provider.blend import Blended
from provider.conformance.findings import MAX_SAMPLES, Finding, FindingClass, Sample, Sampler
from provider.parts import Part

Rows = Callable[[pa.ChunkedArray], Bools | None]


def check_values(blended: Blended, refused_nulls: Collection[str] | None) -> Iterator[Finding]:
    """The `non_finite` findings, per numeric column.

    NaN and infinity have no JSON form, so they are quality findings wherever they stand. A null is
    a note where the schema allows it: `refused_nulls` are the columns in which it does not, None
    where there is no schema to allow any.
    """
    for column in _numeric_columns(blended):
        numbers = _count(blended, column, _not_finite)
        if numbers[0]:
            yield _finding(FindingClass.QUALITY, column, *numbers, _infinities(blended, column))
        nulls = _count(blended, column, _null)
        if nulls[0]:
            allowed = refused_nulls is not None and column not in refused_nulls
            kind = FindingClass.NOTE if allowed else FindingClass.QUALITY
            yield _finding(kind, column, *nulls, 0)


def _finding(
    kind: FindingClass, column: str, count: int, samples: list[Sample], infinities: int
) -> Finding:
    warning = f"column '{column}' has {infinities} infinite values (inf)"
    return Finding(
        kind,
        "non_finite",
        count,
        column=column,
        samples=tuple(samples),
        warnings=(warning,) if infinities else (),
    )


def _parts(blended: Blended) -> tuple[Part, ...]:
    return (*blended.parts, *blended.unreadable)


def _numeric_columns(blended: Blended) -> list[str]:
    return list(
        dict.fromkeys(
            field.name
            for part in _parts(blended)
            for field in part.table.schema
            if types.is_integer(field.type)
            or types.is_floating(field.type)
            or types.is_decimal(field.type)
        )
    )


def _count(blended: Blended, column: str, rows: Rows) -> tuple[int, list[Sample]]:
    """How many cells of the column `rows` names, and the first of them."""
    sampler = Sampler(blended.frame, blended.keys)
    count, samples = 0, list[Sample]()
    for part in _parts(blended):
        if column not in part.table.column_names:
            continue
        cells = part.table.column(column)
        if (named := rows(cells)) is None:
            continue
        found = np.flatnonzero(named)
        count += len(found)
        for row in found[: MAX_SAMPLES - len(samples)].tolist():
            place = int(part.series[row]), part.time_of(row)
            samples.append(sampler.of(*place, column, _shown(cells[row])))
    return count, samples


def _shown(cell: pa.Scalar) -> str | None:
    value = cell.as_py()
    return None if value is None else str(value)


def _not_finite(cells: pa.ChunkedArray) -> Bools | None:
    """The cells that are NaN or infinite; None where there is none."""
    if not types.is_floating(cells.type):
        return None
    # The sum of finite cells overflows at worst to an infinity, which the exact test then clears.
    if np.isfinite(pc.sum(cells.cast(pa.float64())).as_py() or 0.0):
        return None
    finite: Bools = pc.is_finite(cells).fill_null(True).to_numpy()
    return ~finite


def _infinities(blended: Blended, column: str) -> int:
    return sum(
        int(pc.sum(pc.is_inf(part.table.column(column))).as_py() or 0)
        for part in _parts(blended)
        if column in part.table.column_names
        and types.is_floating(part.table.schema.field(column).type)
    )


def _null(cells: pa.ChunkedArray) -> Bools | None:
    if cells.null_count == 0:
        return None
    null: Bools = cells.is_null().to_numpy()
    return null
