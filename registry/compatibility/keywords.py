"""Which keywords of which draft can refuse a document, and what their values hold."""

from __future__ import annotations

from registry.compatibility.values import Json
from registry.dialects import (
    DRAFT4,
    DRAFT6,
    DRAFT7,
    DRAFT201909,
    DRAFT202012,
    Dialect,
    is_bare_reference,
)

_DRAFT4 = frozenset(
    {"$ref", "additionalItems", "additionalProperties", "allOf", "anyOf", "dependencies", "enum"}
    | {"exclusiveMaximum", "exclusiveMinimum", "format", "items", "maxItems", "maxLength"}
    | {"maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum"}
    | {"multipleOf", "not", "oneOf", "pattern", "patternProperties", "properties", "required"}
    | {"type", "uniqueItems"}
)
_DRAFT6 = _DRAFT4 | {"const", "contains", "propertyNames"}
_DRAFT7 = _DRAFT6 | {"if", "then", "else"}
_DRAFT2019 = (_DRAFT7 - {"dependencies"}) | {
    "$recursiveRef",
    "dependentRequired",
    "dependentSchemas",
    "minContains",
    "maxContains",
    "unevaluatedItems",
    "unevaluatedProperties",
}
_DRAFT2020 = (_DRAFT2019 - {"$recursiveRef", "additionalItems"}) | {"$dynamicRef", "prefixItems"}

_KEYWORDS: dict[Dialect, frozenset[str]] = {
    DRAFT4: _DRAFT4,
    DRAFT6: frozenset(_DRAFT6),
    DRAFT7: frozenset(_DRAFT7),
    DRAFT201909: frozenset(_DRAFT2019),
    DRAFT202012: frozenset(_DRAFT2020),
}

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
ONE_SCHEMA = frozenset(
    {"additionalItems", "additionalProperties", "contains", "else", "if", "items", "not"}
    | {"propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"}
)
SCHEMA_LIST = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
SCHEMA_MAP = frozenset({"properties", "patternProperties", "dependentSchemas", "dependencies"})


def asserting(schema: dict[str, Json], dialect: Dialect) -> dict[str, Json]:
    """The keywords of an object schema that can refuse a document in this draft."""
    if is_bare_reference(schema, dialect):
        return {"$ref": schema["$ref"]}
    known = _KEYWORDS[dialect]
    return {name: value for name, value in schema.items() if name in known}
