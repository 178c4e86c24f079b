"""What a candidate refuses in rows that were served before: counted, with a few places shown.

A place is a row's key and time and the refused value as JSON, cut to 100 characters; no value of a
sensitive column, and never a whole row.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from registry.canonical import JSON
from registry.cells import json_text, write_rows
from registry.columnar import FrameValidator, compile_schema
from registry.frame import Frame, frame_of
from registry.pointers import tokens
from registry.references import References
from registry.validity import iter_findings

MOST_PLACES = 10
MOST_CHARACTERS = 100

Kind = tuple[str, str, str]  # column (empty: the row), keyword, pointer in the schema


class ReplayCheck:
    """Adds up the verdicts on tables and on single rows."""

    def __init__(self, schema: dict[str, JSON], *, references: References | None = None) -> None:
        self.rows = 0
        self.invalid = 0
        self._schema = schema
        self._references = references
        self._frame: Frame = frame_of(schema)
        self._validator: FrameValidator | None = None
        self._failures: dict[Kind, dict[str, Any]] = {}

    @property
    def failures(self) -> list[dict[str, Any]]:
        return list(self._failures.values())

    def add_table(self, table: pa.Table) -> None:
        if self._validator is None:
            self._validator = compile_schema(self._schema, references=self._references)
        verdict = self._validator.check(table)
        self.rows += table.num_rows
        self.invalid += table.num_rows - int(verdict.row_valid.sum())
        for found in verdict.violations:
            kind = (found.column or "", found.keyword, found.schema_pointer)
            failure = self._failure(kind, found.sentence)
            failure["count"] += found.count
            for sample in found.samples[: MOST_PLACES - len(failure["places"])]:
                row = self._identity(table, sample.row)
                failure["places"].append(self._place(row, found.column, sample.value))

    def add_rows(
        self, rows: Iterable[Mapping[str, Any]], withheld: frozenset[str] = frozenset()
    ) -> None:
        """Rows as JSON objects, of which the `withheld` columns are not known.

        What is found about those, or about a row as a whole where there are any, is left out.
        """
        for row in rows:
            self.rows += 1
            refused = False
            for found in iter_findings(self._schema, dict(row), references=self._references):
                path = tokens(found.instance_pointer)
                column = path[0] if path else None
                if withheld and (column is None or column in withheld):
                    continue
                refused = True
                kind = (column or "", found.keyword, found.schema_pointer)
                failure = self._failure(kind, found.message if column is None else "")
                failure["count"] += 1
                if len(failure["places"]) < MOST_PLACES:
                    value = None if column is None else row.get(column)
                    failure["places"].append(self._place(row, column, value))
            self.invalid += refused

    def _failure(self, kind: Kind, sentence: str) -> dict[str, Any]:
        column, keyword, pointer = kind
        fresh = {
            "column": column,
            "keyword": keyword,
            "schema_pointer": pointer,
            "sentence": "" if column in self._frame.sensitive else sentence,
            "count": 0,
            "places": [],
        }
        return self._failures.setdefault(kind, fresh)

    def _identity(self, table: pa.Table, row: int) -> Mapping[str, Any]:
        names = [name for name in self._identifying if name in table.column_names]
        return write_rows(table.slice(row, 1).select(names), self._frame)[0] if names else {}

    @property
    def _identifying(self) -> Sequence[str]:
        time = () if self._frame.time is None else (self._frame.time,)
        return [n for n in (*self._frame.key, *time) if n not in self._frame.sensitive]

    def _place(self, row: Mapping[str, Any], column: str | None, value: Any) -> dict[str, Any]:
        hidden = column is None or column in self._frame.sensitive or isinstance(value, dict | list)
        shown = {name: _cut(row.get(name)) for name in self._identifying}
        time = None if self._frame.time is None else shown.pop(self._frame.time, None)
        return {"key": shown, "time": time, "value": None if hidden else _cut(value)}


def merged(shards: Iterable[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The failures of many shards as one list, the most frequent first."""
    found: dict[Kind, dict[str, Any]] = {}
    for failures in shards:
        for one in failures:
            kind = (one["column"], one["keyword"], one["schema_pointer"])
            held = found.setdefault(kind, {**one, "count": 0, "places": []})
            held["count"] += one["count"]
            held["places"] = [*held["places"], *one["places"]][:MOST_PLACES]
    return sorted(found.values(), key=lambda one: (-one["count"], one["column"], one["keyword"]))


def _cut(value: Any) -> str | None:
    return None if value is None else json_text(value)[:MOST_CHARACTERS]
