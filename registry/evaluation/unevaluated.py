"""Which properties and items of a value a schema has evaluated, for the `unevaluated…` keywords.

The rules of JSON Schema 2020-12 core, section 11, and 2019-09, section 9.3.2.4: what an in-place
subschema evaluated counts only where the value is valid under that subschema.
"""

from collections.abc import Iterator
from typing import Any

from registry.dialects import DRAFT202012, Dialect
from registry.patterns import compile_pattern


def evaluated_properties(validator: Any, instance: dict[str, Any]) -> set[str]:
    """The names that `validator.schema` evaluates, its own `unevaluatedProperties` left out."""
    schema = validator.schema
    if not isinstance(schema, dict):
        return set()
    if "additionalProperties" in schema:
        return set(instance)
    names = set(schema.get("properties", ())) & set(instance)
    for pattern in schema.get("patternProperties", ()):
        matches = compile_pattern(pattern).search
        names.update(name for name in instance if matches(name))
    for inner in _valid_in_place(validator, instance):
        closes = isinstance(inner.schema, dict) and "unevaluatedProperties" in inner.schema
        names |= set(instance) if closes else evaluated_properties(inner, instance)
    return names


def evaluated_items(validator: Any, instance: list[Any], dialect: Dialect) -> set[int]:
    """The indexes that `validator.schema` evaluates, its own `unevaluatedItems` left out."""
    schema = validator.schema
    if not isinstance(schema, dict):
        return set()
    if _takes_all_items(schema):
        return set(range(len(instance)))
    prefix: Any = schema.get("prefixItems", schema.get("items", ()))
    indexes = set(range(min(len(prefix), len(instance))))
    if dialect is DRAFT202012 and "contains" in schema:
        inner = validator.inside(schema["contains"])
        indexes.update(index for index, item in enumerate(instance) if inner.is_valid(item))
    for inner in _valid_in_place(validator, instance):
        closes = isinstance(inner.schema, dict) and "unevaluatedItems" in inner.schema
        everything = set(range(len(instance)))
        indexes |= everything if closes else evaluated_items(inner, instance, dialect)
    return indexes


def _takes_all_items(schema: dict[str, Any]) -> bool:
    if isinstance(schema.get("items", []), dict | bool):
        return True
    return "items" in schema and "additionalItems" in schema


def _valid_in_place(validator: Any, instance: Any) -> Iterator[Any]:
    """The validators of all in-place subschemas under which the value is valid."""
    for inner in _in_place(validator, instance):
        if inner.is_valid(instance):
            yield inner


def _in_place(validator: Any, instance: Any) -> Iterator[Any]:
    schema = validator.schema
    yield from validator.referred()
    for keyword in ("allOf", "anyOf", "oneOf"):
        yield from (validator.inside(inner) for inner in schema.get(keyword, ()))
    if isinstance(instance, dict):
        dependent = schema.get("dependentSchemas", {})
        yield from (validator.inside(dependent[name]) for name in dependent if name in instance)
    if "if" in schema:
        condition = validator.inside(schema["if"])
        yield condition
        branch = "then" if condition.is_valid(instance) else "else"
        if branch in schema:
            yield validator.inside(schema[branch])
