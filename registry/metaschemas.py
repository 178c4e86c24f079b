"""Is this JSON document a schema at all, and of which dialect?"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import jsonschema_rs
from jsonschema.exceptions import ValidationError
from jsonschema.validators import validator_for

from registry.canonical import JSON, Path, iter_values
from registry.dialects import (
    DIALECTS,
    DRAFT4,
    DRAFT7,
    DRAFT202012,
    Dialect,
    Holds,
    Schema,
    held_values,
    is_bare_reference,
    named_dialect,
    subschemas,
)
from registry.evaluation.engine import metaschema_validator
from registry.evaluation.messages import sentence_of
from registry.pointers import pointer

_ONLY_IN_DRAFT7 = ("dependencies", "additionalItems")


@dataclass(frozen=True)
class SchemaFault:
    """Why a document is no schema: where, and what to do."""

    pointer: str
    reason: str


class UnknownDialect(ValueError):
    """`$schema` names no dialect that is known here."""

    def __init__(self, uri: object) -> None:
        known = ", ".join(DIALECTS)
        super().__init__(f"$schema {str(uri)[:100]!r} is not known: use one of {known}")


def dialect_of(schema: JSON) -> Dialect:
    """The dialect a schema is read in.

    What `$schema` names. Without it 2020-12, or draft-07 where the schema is valid only there or
    uses `dependencies` or `additionalItems`. Raises `UnknownDialect`.
    """
    if isinstance(schema, dict) and "$schema" in schema:
        named = named_dialect(schema["$schema"])
        if named is None:
            raise UnknownDialect(schema["$schema"])
        return named
    if _uses_draft7_only(schema) or not is_schema(schema, DRAFT202012):
        return DRAFT7 if is_schema(schema, DRAFT7) else DRAFT202012
    return DRAFT202012


def _uses_draft7_only(schema: JSON) -> bool:
    return any(
        isinstance(found, dict) and any(keyword in found for keyword in _ONLY_IN_DRAFT7)
        for _, found, _ in subschemas(schema, DRAFT7)
    )


def is_schema(schema: JSON, dialect: Dialect) -> bool:
    """Whether a document is valid under the meta-schema of a dialect."""
    return next(iter_faults(schema, dialect), None) is None


def iter_faults(schema: JSON, dialect: Dialect) -> Iterator[SchemaFault]:
    """What makes a document no schema of a dialect; embedded resources by their own dialect.

    Each subschema is judged by itself, those below it left out, so that time and place are bounded.
    `jsonschema_rs`, hundreds of times faster, only ever spares the reference engine what is valid
    (a test holds the two together).
    """
    if not isinstance(schema, dict | bool):
        yield SchemaFault("", "a schema is an object or a boolean")
    elif _has_embedded_dialects(schema) or not _accepted_at_once(schema, dialect):
        for path, found, spoken in subschemas(schema, dialect):
            yield from _own_faults(path, found, spoken)


def _has_embedded_dialects(schema: JSON) -> bool:
    return any(len(path) > 1 and path[-1] == "$schema" for path, _ in iter_values(schema))


def _own_faults(base: Path, schema: Schema, dialect: Dialect) -> Iterator[SchemaFault]:
    if base and isinstance(schema, dict) and _names_unknown_dialect(schema):
        yield SchemaFault(pointer((*base, "$schema")), str(UnknownDialect(schema["$schema"])))
    bare, misplaced = _without_subschemas(schema, dialect)
    for path in misplaced:
        reason = f"not valid in {dialect.name}: a schema must stand here"
        yield SchemaFault(pointer((*base, *path)), reason)
    if _accepted_at_once(bare, dialect):
        return
    for error in _judge(dialect).iter_errors(bare):
        telling = _most_telling(error)
        place = pointer((*base, *telling.absolute_path))
        yield SchemaFault(place, f"not valid in {dialect.name}: {sentence_of(telling)}")


def _names_unknown_dialect(schema: dict[str, JSON]) -> bool:
    embedded = "$schema" in schema and ("$id" in schema or "id" in schema)
    return embedded and named_dialect(schema["$schema"]) is None


def _without_subschemas(schema: Schema, dialect: Dialect) -> tuple[JSON, list[Path]]:
    """A schema with nothing below it, and where something else stands in place of a subschema."""
    if not isinstance(schema, dict) or is_bare_reference(schema, dialect):
        return schema, []  # what a bare reference hides is no subschema, and judged with it
    bare = dict(schema)
    misplaced: list[Path] = []
    for keyword, value in schema.items():
        holds, _ = dialect.applicators.get(keyword, (None, None))
        if holds is None or not _has_the_shape(value, holds):
            continue
        for path, found in held_values(keyword, value, holds):
            if not _may_stand(found, holds, keyword, dialect):
                misplaced.append(path)
        if holds is not Holds.MAP_OF_SCHEMAS_OR_NAMES:
            bare[keyword] = _emptied(value)
    return bare, misplaced


def _has_the_shape(value: JSON, holds: Holds) -> bool:
    wants_list = holds is Holds.LIST or (holds is Holds.ONE_OR_LIST and isinstance(value, list))
    return isinstance(value, list) and bool(value) if wants_list else isinstance(value, dict)


def _may_stand(found: JSON, holds: Holds, keyword: str, dialect: Dialect) -> bool:
    if isinstance(found, bool):
        return dialect is not DRAFT4 or keyword in ("additionalItems", "additionalProperties")
    names = holds is Holds.MAP_OF_SCHEMAS_OR_NAMES and isinstance(found, list)
    return isinstance(found, dict) or names


def _emptied(value: JSON) -> JSON:
    return [{}] if isinstance(value, list) else {}


def _accepted_at_once(schema: JSON, dialect: Dialect) -> bool:
    return not _has_exotic_numbers(schema) and bool(_fast_judge(dialect).is_valid(schema))


def _has_exotic_numbers(schema: JSON) -> bool:
    # The two engines are compared in tests on numbers that both hold exactly.
    return any(isinstance(v, int | float) and abs(v) > 2**53 for _, v in iter_values(schema))


@cache
def _fast_judge(dialect: Dialect) -> Any:
    meta = validator_for({"$schema": dialect.uri}).META_SCHEMA
    return jsonschema_rs.validator_for(dict(meta), validate_formats=False)


@cache
def _judge(dialect: Dialect) -> Any:
    return metaschema_validator(dialect)


def _most_telling(error: ValidationError) -> ValidationError:
    while error.context:
        error = max(error.context, key=lambda inner: len(inner.absolute_path))
    return error
