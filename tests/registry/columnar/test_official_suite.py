"""The official test suite through the column check: each instance is a row, or a cell of one."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from registry.cells import write_rows
from registry.columnar import compile_schema
from registry.frame import Frame
from registry.validity import InvalidSchema, is_valid

SUITE = json.loads(
    gzip.decompress(
        (Path(__file__).parents[1] / "json_schema_test_suite/suite.json.gz").read_bytes()
    )
)
DIALECTS = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
SELF = "urn:case"
WITHIN_A_ROW = {"properties": {"cell": {"$ref": SELF}}}


def cases(draft: str) -> Iterator[tuple[str, Any, Any]]:
    for name, groups in SUITE[draft].items():
        for group in groups:
            schema = group["schema"]
            if isinstance(schema, dict):
                schema = {"$schema": DIALECTS[draft], **schema}
            for test in group["tests"]:
                yield (
                    f"{name}: {group['description']} / {test['description']}",
                    schema,
                    test["data"],
                )


def as_row(row: dict[str, Any]) -> pa.Table | None:
    """A one-row table that is written as this row; None where Arrow has no column for a value."""
    try:
        table = pa.table({name: pa.array([value]) for name, value in row.items()})
    except (pa.ArrowException, OverflowError):
        return None
    return table if row and write_rows(table, Frame()) == [row] else None


def answers(schema: Any, row: dict[str, Any], references: Any) -> tuple[bool, bool] | None:
    """What the column check and the reference say; None where there is nothing to compare."""
    table = as_row(row)
    if table is None:
        return None
    try:
        expected = is_valid(schema, row, references=references)
    except InvalidSchema:
        return None
    return compile_schema(schema, references=references).check(table).valid, expected


@pytest.mark.parametrize("draft", DIALECTS)
def test_a_row_of_the_suite_is_judged_as_the_reference_judges_it(draft: str) -> None:
    compared = 0
    for name, schema, data in cases(draft):
        if isinstance(data, dict) and (found := answers(schema, data, None)):
            compared += 1
            assert found[0] is found[1], name
    assert compared > 80


@pytest.mark.parametrize("draft", DIALECTS)
def test_a_cell_of_the_suite_is_judged_through_a_reference_into_another_document(
    draft: str,
) -> None:
    compared = 0
    for name, schema, data in cases(draft):
        if isinstance(schema, dict) and schema.keys() & {"$id", "id"}:
            continue  # a document with an address of its own
        if found := answers(WITHIN_A_ROW, {"cell": data}, {SELF: schema}):
            compared += 1
            assert found[0] is found[1], name
    assert compared > 400
