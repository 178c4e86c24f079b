"""Which row groups of a Parquet file a range needs, by the statistics that the file keeps."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.parquet as pq

_PER_SECOND = {"milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}


@dataclass(frozen=True, slots=True)
class Groups:
    """`numbers` of the row groups to read; `exact`: none of their rows lies outside the range."""

    numbers: list[int]
    exact: bool


def groups_in_range(
    file: pq.ParquetFile, time: str, per_second: int | None, start: int, end: int
) -> Groups:
    """Those that may hold a time in the closed [start, end] epoch seconds, or a row without one.

    `per_second` is what integers in the column count; a timestamp says so itself.
    """
    metadata = file.metadata
    place = _leaf(file, time)
    if place is None:
        return Groups(list(range(metadata.num_row_groups)), exact=False)
    scale = _scale(file, place, per_second)
    numbers, exact = [], True
    for number in range(metadata.num_row_groups):
        statistics = metadata.row_group(number).column(place).statistics
        if (
            scale is None
            or statistics is None
            or not statistics.has_min_max
            or not statistics.has_null_count
            or statistics.null_count
        ):
            numbers.append(number)
            exact = False
            continue
        lowest, highest = statistics.min_raw, statistics.max_raw
        if highest < start * scale or lowest > end * scale:
            continue
        numbers.append(number)
        exact = exact and start * scale <= lowest and highest <= end * scale
    return Groups(numbers, exact)


def _leaf(file: pq.ParquetFile, name: str) -> int | None:
    """The column's place among the file's leaves, where it is one by itself."""
    found = list(_places(file, name))
    return found[0] if len(found) == 1 else None


def _places(file: pq.ParquetFile, name: str) -> Iterator[int]:
    schema = file.schema
    return (place for place in range(len(schema)) if schema.column(place).path == name)


def _scale(file: pq.ParquetFile, place: int, per_second: int | None) -> int | None:
    """How many of the column's stored units a second has; None where that is not plain."""
    column = file.schema.column(place)
    if column.physical_type not in ("INT32", "INT64"):
        return None
    logical = json.loads(column.logical_type.to_json())
    if logical["Type"] == "Timestamp":
        return _PER_SECOND.get(logical["timeUnit"])
    plain = logical["Type"] == "None" or (logical["Type"] == "Int" and logical["isSigned"])
    return per_second if plain else None
