"""The JSON Schema dialects, and where each of them keeps subschemas."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from registry.canonical import JSON, Path

Schema = dict[str, JSON] | bool


class Applies(Enum):
    """What a subschema is applied to."""

    IN_PLACE = "the same value"
    TO_CHILD = "a value inside"
    NEVER = "nothing by itself; something may refer to it"


class Holds(Enum):
    """What the value of a keyword is."""

    ONE = "a subschema"
    LIST = "an array of subschemas"
    MAP = "an object of subschemas"
    ONE_OR_LIST = "a subschema or an array of them"
    MAP_OF_SCHEMAS_OR_NAMES = "an object of subschemas and arrays of names"


Applicators = Mapping[str, tuple[Holds, Applies]]

_DRAFT4: Applicators = {
    "definitions": (Holds.MAP, Applies.NEVER),
    "properties": (Holds.MAP, Applies.TO_CHILD),
    "patternProperties": (Holds.MAP, Applies.TO_CHILD),
    "additionalProperties": (Holds.ONE, Applies.TO_CHILD),
    "items": (Holds.ONE_OR_LIST, Applies.TO_CHILD),
    "additionalItems": (Holds.ONE, Applies.TO_CHILD),
    "dependencies": (Holds.MAP_OF_SCHEMAS_OR_NAMES, Applies.IN_PLACE),
    "allOf": (Holds.LIST, Applies.IN_PLACE),
    "anyOf": (Holds.LIST, Applies.IN_PLACE),
    "oneOf": (Holds.LIST, Applies.IN_PLACE),
    "not": (Holds.ONE, Applies.IN_PLACE),
}
_DRAFT6: Applicators = {
    **_DRAFT4,
    "contains": (Holds.ONE, Applies.TO_CHILD),
    "propertyNames": (Holds.ONE, Applies.TO_CHILD),
}
_DRAFT7: Applicators = {
    **_DRAFT6,
    "if": (Holds.ONE, Applies.IN_PLACE),
    "then": (Holds.ONE, Applies.IN_PLACE),
    "else": (Holds.ONE, Applies.IN_PLACE),
}
_DRAFT2019: Applicators = {
    **{keyword: value for keyword, value in _DRAFT7.items() if keyword != "dependencies"},
    "$defs": (Holds.MAP, Applies.NEVER),
    "dependentSchemas": (Holds.MAP, Applies.IN_PLACE),
    "unevaluatedItems": (Holds.ONE, Applies.TO_CHILD),
    "unevaluatedProperties": (Holds.ONE, Applies.TO_CHILD),
    "contentSchema": (Holds.ONE, Applies.NEVER),
}
_DRAFT2020: Applicators = {
    **{keyword: value for keyword, value in _DRAFT2019.items() if keyword != "additionalItems"},
    "items": (Holds.ONE, Applies.TO_CHILD),
    "prefixItems": (Holds.LIST, Applies.TO_CHILD),
}


@dataclass(frozen=True, eq=False)
class Dialect:
    """One draft of JSON Schema. `uri` is what `$schema` says, without an empty fragment."""

    name: str
    uri: str
    applicators: Applicators = field(repr=False)
    reference_hides_siblings: bool = False
    id_keyword: str = "$id"


DRAFT4 = Dialect("draft-04", "http://json-schema.org/draft-04/schema", _DRAFT4, True, "id")
DRAFT6 = Dialect("draft-06", "http://json-schema.org/draft-06/schema", _DRAFT6, True)
DRAFT7 = Dialect("draft-07", "http://json-schema.org/draft-07/schema", _DRAFT7, True)
DRAFT201909 = Dialect("2019-09", "https://json-schema.org/draft/2019-09/schema", _DRAFT2019)
DRAFT202012 = Dialect("2020-12", "https://json-schema.org/draft/2020-12/schema", _DRAFT2020)

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {dialect.uri: dialect for dialect in (DRAFT202012, DRAFT201909, DRAFT7, DRAFT6, DRAFT4)}
)


@dataclass(frozen=True)
class Subschema:
    """A subschema with its path from the schema that holds it."""

    path: Path
    schema: Schema
    applies: Applies


def named_dialect(uri: object) -> Dialect | None:
    """The dialect that a value of `$schema` names; an empty fragment makes no difference."""
    return DIALECTS.get(uri.removesuffix("#")) if isinstance(uri, str) else None


def direct_subschemas(schema: JSON, dialect: Dialect) -> Iterator[Subschema]:
    """The subschemas one step below a schema, in the order of the document.

    What only looks like a subschema (a value of the wrong type, a sibling of `$ref` in the drafts
    that ignore those) is left out.
    """
    if not isinstance(schema, dict) or is_bare_reference(schema, dialect):
        return
    for keyword, value in schema.items():
        holds, applies = dialect.applicators.get(keyword, (None, Applies.NEVER))
        if holds is not None:
            for path, found in held_values(keyword, value, holds):
                if isinstance(found, dict | bool):
                    yield Subschema(path, found, applies)


def is_bare_reference(schema: JSON, dialect: Dialect) -> bool:
    """Whether this is a `$ref` of a draft that ignores every keyword beside it."""
    return (
        dialect.reference_hides_siblings
        and isinstance(schema, dict)
        and isinstance(schema.get("$ref"), str)
    )


def held_values(keyword: str, value: JSON, holds: Holds) -> Iterator[tuple[Path, JSON]]:
    """What stands where the value of an applicator has its subschemas, with the path to each."""
    if isinstance(value, list) and holds in (Holds.LIST, Holds.ONE_OR_LIST):
        yield from (((keyword, index), item) for index, item in enumerate(value))
    elif isinstance(value, dict) and holds in (Holds.MAP, Holds.MAP_OF_SCHEMAS_OR_NAMES):
        yield from (((keyword, name), item) for name, item in value.items())
    elif holds in (Holds.ONE, Holds.ONE_OR_LIST):
        yield (keyword,), value


def subschemas(schema: JSON, dialect: Dialect) -> Iterator[tuple[Path, Schema, Dialect]]:
    """A schema and everything below it, parents first, each with its path and its dialect.

    An embedded resource (a subschema with an id) that names another `$schema` is read by that.
    """
    stack: list[tuple[Path, JSON, Dialect]] = [((), schema, dialect)]
    while stack:
        path, value, spoken = stack.pop()
        if not isinstance(value, dict | bool):
            continue
        spoken = embedded_dialect(value, spoken)
        yield path, value, spoken
        below = [
            ((*path, *sub.path), sub.schema, spoken) for sub in direct_subschemas(value, spoken)
        ]
        stack.extend(reversed(below))


def embedded_dialect(schema: JSON, outer: Dialect) -> Dialect:
    """The dialect of a subschema found inside one that is written in `outer`."""
    if not isinstance(schema, dict) or "$schema" not in schema:
        return outer
    named = named_dialect(schema["$schema"])
    return named if named is not None and named.id_keyword in schema else outer
