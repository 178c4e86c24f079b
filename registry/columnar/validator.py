"""`compile_schema` and what it gives: the check of a table against a schema, all rows at once."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import types

from registry.canonical import JSON, NotCanonical, fingerprint
from registry.columnar.builders import BUILDERS
from registry.columnar.checks import Engine, Node, Place
from registry.columnar.column import Rows
from registry.columnar.compiler import Compiler, NotColumnar, PlanStep
from registry.columnar.finiteness import FINITE
from registry.columnar.layouts import as_table
from registry.columnar.masks import Mask, both
from registry.columnar.reference import ByReference
from registry.columnar.verdict import FrameVerdict, Violations
from registry.dialects import Schema, subschemas
from registry.frame import Frame, frame_of
from registry.references import References
from registry.validity import check_schema, dialect_of, is_valid, iter_findings

if TYPE_CHECKING:
    import pandas as pd

_COMPILED: Final = 256
"""Validators kept per process: more than a service has schemas in use at a time."""
_ROWS: Final = 2**18
"""Rows judged at once: masks stay small beside the table, and the fixed cost beside the work."""


def compile_schema(schema: JSON, *, references: References | None = None) -> "FrameValidator":
    """The validator of a schema, cached by content.

    Raises `registry.validity.InvalidSchema` and `registry.frame.InvalidFrame`.
    """
    given = references or {}
    try:
        key = fingerprint([schema, dict(given)])
    except NotCanonical:
        return _compile(schema, given)
    return _compile_cached(_Keyed(key, schema, given))


class _Keyed:
    """A schema with its references, equal where their fingerprint is."""

    def __init__(self, key: str, schema: JSON, references: References) -> None:
        self.key = key
        self.schema = schema
        self.references = references

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=_COMPILED)
def _compile_cached(keyed: _Keyed) -> "FrameValidator":
    return _compile(keyed.schema, keyed.references)


def _compile(schema: JSON, references: References) -> "FrameValidator":
    check_schema(schema, references=references)
    own, theirs = _copy(schema), {uri: _copy(found) for uri, found in references.items()}
    frame = frame_of(own)
    compiler = Compiler(own, dialect_of(own), theirs, BUILDERS)
    try:
        root = compiler.compile()
    except NotColumnar:
        return FrameValidator(frame, *_row_by_row(own, theirs))
    return FrameValidator(frame, root, tuple(compiler.steps.values()))


def _copy(schema: JSON) -> Any:
    """A copy of our own: the caller may change his."""
    return json.loads(json.dumps(schema))


def _row_by_row(schema: Schema, references: References) -> tuple[Node, tuple[PlanStep, ...]]:
    check = ByReference(
        path=(),
        judge=lambda row: is_valid(schema, row, references=references),
        find=lambda row: iter_findings(schema, row, references=references),
    )
    steps = tuple(
        PlanStep(
            (*path, keyword),
            Engine.REFERENCE if keyword in BUILDERS[dialect] else Engine.ANNOTATION,
        )
        for path, found, dialect in subschemas(schema, dialect_of(schema))
        for keyword in (found if isinstance(found, dict) else ())
    )
    return Node([check]), steps


@dataclass(frozen=True)
class FrameValidator:
    """A compiled schema. Holds no state of a check: threads may share it."""

    frame: Frame
    _root: Node
    _steps: tuple[PlanStep, ...]

    def explain(self) -> tuple[PlanStep, ...]:
        """For each keyword of the schema, the engine that judges it."""
        return self._steps

    def check(self, table: "pa.Table | pa.RecordBatch | pd.DataFrame") -> FrameVerdict:
        """Judge every row as `registry.validity.is_valid` would judge its JSON object.

        Raises `registry.cells.DuplicateColumn` and `registry.cells.UnwritableColumn`.
        """
        arrow = as_table(table)
        row_valid = np.empty(arrow.num_rows, dtype=np.bool_)
        found = Violations()
        start = 0
        for batch in _even_batches(arrow):
            rows = Rows(batch, self.frame)
            row_valid[start : start + rows.size] = self._judge(rows, start, found)
            start += rows.size
        return FrameVerdict(row_valid, found.violations())

    def _judge(self, rows: Rows, first_row: int, found: Violations) -> Mask:
        finite = FINITE.passes(rows)
        ok = both(finite, self._root.passes(rows))
        if ok is not True:
            found.first_row = first_row
            FINITE.report(rows, True, Place(), found.add)
            self._root.report(rows, finite, Place(), found.add)
        return ok


def _even_batches(table: Any) -> Iterator[Any]:
    """The table in batches of at most `_ROWS` rows; runs of small chunks are joined first."""
    run: list[Any] = []
    size = 0
    for batch in table.to_batches(max_chunksize=_ROWS):
        if batch.num_rows == 0:
            continue
        if size + batch.num_rows > _ROWS:
            yield from _joined(run)
            run, size = [], 0
        run.append(batch)
        size += batch.num_rows
    if size:
        yield from _joined(run)


def _joined(run: list[Any]) -> list[Any]:
    """The batches as one; as they are where a column is coded or nested.

    Arrow 26 joins such columns wrongly or not at all: NaN is lost from dictionaries of half floats,
    nested dictionaries that hold nulls and lists of nothing but nulls raise.
    """
    flat = not any(types.is_dictionary(f.type) or types.is_nested(f.type) for f in run[0].schema)
    return [pa.concat_batches(run)] if flat and len(run) > 1 else run
