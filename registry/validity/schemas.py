"""Schemas made ready for judging: checked once, then kept by content."""

import json
from functools import lru_cache
from typing import Any

from registry.canonical import JSON
from registry.dialects import Dialect
from registry.evaluation.engine import validator_of
from registry.evaluation.values import TooDeep, iter_not_json
from registry.metaschemas import UnknownDialect, dialect_of, iter_faults
from registry.patterns import InvalidPattern, compile_pattern
from registry.pointers import pointer
from registry.references import (
    Reached,
    References,
    endless_references,
    patterns_of,
    reach,
    resolver_of,
)


class InvalidSchema(ValueError):
    """The document is no valid schema; `.pointer` says where, `.reason` why and what to do."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"{reason} (at {pointer or 'the root'})")
        self.pointer = pointer
        self.reason = reason


def compiled(schema: JSON, references: References | None) -> Any:
    """The validator of a schema. Raises `InvalidSchema`."""
    held = tuple(sorted((uri, _text(found)) for uri, found in (references or {}).items()))
    return _compiled(_text(schema), held)


def _text(schema: JSON) -> str:
    if not isinstance(schema, dict | bool):
        raise InvalidSchema("", "a schema is an object or a boolean")
    try:
        for path, reason in iter_not_json(schema):
            raise InvalidSchema(pointer(path), reason)
        return json.dumps(schema, allow_nan=False)
    except (TooDeep, TypeError) as error:
        raise InvalidSchema("", str(error)) from error


@lru_cache(maxsize=1024)
def _compiled(schema_text: str, held: tuple[tuple[str, str], ...]) -> Any:
    # A copy of our own: the caller may change the document that a cached validator came from.
    schema = json.loads(schema_text)
    references: References = {uri: json.loads(text) for uri, text in held}
    dialect = _checked_dialect(schema)
    if isinstance(schema, dict):
        reached = reach(schema, dialect, references)
        _refuse_unresolved(reached)
        _refuse_endless(reached)
        _refuse_patterns(reached)
    return validator_of(schema, dialect, resolver_of(schema, dialect, references))


def _checked_dialect(schema: JSON) -> Dialect:
    try:
        dialect = dialect_of(schema)
    except UnknownDialect as error:
        raise InvalidSchema("/$schema", str(error)) from error
    for fault in iter_faults(schema, dialect):
        raise InvalidSchema(fault.pointer, fault.reason)
    return dialect


def _refuse_unresolved(reached: Reached) -> None:
    for unresolved in reached.unresolved:
        raise InvalidSchema(unresolved.pointer, unresolved.reason)


def _refuse_patterns(reached: Reached) -> None:
    for place, path, pattern in patterns_of(reached.places):
        try:
            compile_pattern(pattern)
        except InvalidPattern as error:
            raise InvalidSchema(place.below(*path), str(error)) from error


def _refuse_endless(reached: Reached) -> None:
    for endless in endless_references(reached, dynamic=False):
        raise InvalidSchema(
            endless,
            "leads back to itself without looking at anything inside the document: "
            "put the reference below a property or an item",
        )
