"""The keywords that Seamless judges differently from `jsonschema`, or reports at a finer place.

Each function has the shape that `jsonschema` asks for: (validator, value of the keyword, instance,
schema) -> errors. Sentences name limits of the schema, never a value of the document.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema.exceptions import ValidationError
from referencing.jsonschema import lookup_recursive_ref

from registry.dialects import DRAFT4, DRAFT201909, DRAFT202012, Dialect
from registry.evaluation.unevaluated import evaluated_items, evaluated_properties
from registry.evaluation.values import identity, is_less, is_multiple, is_number
from registry.formats import ASSERTED_FORMATS
from registry.patterns import compile_pattern

Errors = Iterator[ValidationError]
Keyword = Callable[[Any, Any, Any, Any], Errors]


# -- numbers ----------------------------------------------------------------------------------


def _minimum(validator: Any, limit: Any, instance: Any, schema: Any) -> Errors:
    if is_number(instance) and is_less(instance, limit):
        yield ValidationError(f"is less than the minimum {limit}")


def _maximum(validator: Any, limit: Any, instance: Any, schema: Any) -> Errors:
    if is_number(instance) and is_less(limit, instance):
        yield ValidationError(f"is more than the maximum {limit}")


def _exclusive_minimum(validator: Any, limit: Any, instance: Any, schema: Any) -> Errors:
    if is_number(instance) and not is_less(limit, instance):
        yield ValidationError(f"is not more than {limit}")


def _exclusive_maximum(validator: Any, limit: Any, instance: Any, schema: Any) -> Errors:
    if is_number(instance) and not is_less(instance, limit):
        yield ValidationError(f"is not less than {limit}")


def _minimum_draft4(validator: Any, limit: Any, instance: Any, schema: Any) -> Errors:
    judge = _exclusive_minimum if schema.get("exclusiveMinimum") is True else _minimum
    yield from judge(validator, limit, instance, schema)


def _maximum_draft4(validator: Any, limit: Any, instance: Any, schema: Any) -> Errors:
    judge = _exclusive_maximum if schema.get("exclusiveMaximum") is True else _maximum
    yield from judge(validator, limit, instance, schema)


def _multiple_of(validator: Any, factor: Any, instance: Any, schema: Any) -> Errors:
    if is_number(instance) and not is_multiple(instance, factor):
        yield ValidationError(f"is not a multiple of {factor}")


# -- any value --------------------------------------------------------------------------------


def _enum(validator: Any, values: Any, instance: Any, schema: Any) -> Errors:
    if identity(instance) not in set(map(identity, values)):
        yield ValidationError("is none of the allowed values")


def _const(validator: Any, value: Any, instance: Any, schema: Any) -> Errors:
    if identity(instance) != identity(value):
        yield ValidationError("is not the one allowed value")


# -- strings ----------------------------------------------------------------------------------


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Errors:
    if isinstance(instance, str) and not compile_pattern(pattern).search(instance):
        yield ValidationError(f"does not match the pattern {pattern}")


def _format(validator: Any, name: Any, instance: Any, schema: Any) -> Errors:
    is_valid = ASSERTED_FORMATS.get(name) if isinstance(name, str) else None
    if is_valid is not None and isinstance(instance, str) and not is_valid(instance):
        yield ValidationError(f"is not a valid {name}")


# -- objects ----------------------------------------------------------------------------------


def _required(validator: Any, names: Any, instance: Any, schema: Any) -> Errors:
    if isinstance(instance, dict):
        for name in names:
            if name not in instance:
                yield ValidationError(f"the required property {name!r} is missing")


def _dependent_required(validator: Any, dependent: Any, instance: Any, schema: Any) -> Errors:
    if isinstance(instance, dict):
        for name, needed in dependent.items():
            if name in instance:
                yield from _missing(name, needed, instance)


def _dependencies(validator: Any, dependencies: Any, instance: Any, schema: Any) -> Errors:
    if not isinstance(instance, dict):
        return
    for name, dependency in dependencies.items():
        if name not in instance:
            continue
        if isinstance(dependency, list):
            yield from _missing(name, dependency, instance)
        else:
            yield from validator.descend(instance, dependency, schema_path=name)


def _missing(name: str, needed: list[str], instance: dict[str, Any]) -> Errors:
    for each in needed:
        if each not in instance:
            error = ValidationError(f"{each!r} is missing, which {name!r} depends on")
            error.schema_path.appendleft(name)
            yield error


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Errors:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        matches = compile_pattern(pattern).search
        for name, value in instance.items():
            if matches(name):
                yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, subschema: Any, instance: Any, schema: Any) -> Errors:
    if not isinstance(instance, dict):
        return
    declared = schema.get("properties", {})
    patterns = [compile_pattern(pattern) for pattern in schema.get("patternProperties", {})]
    for name, value in instance.items():
        if name not in declared and not any(pattern.search(name) for pattern in patterns):
            yield from validator.descend(value, subschema, path=name)


def _unevaluated_properties(validator: Any, subschema: Any, instance: Any, schema: Any) -> Errors:
    if isinstance(instance, dict):
        evaluated = evaluated_properties(validator, instance)
        for name, value in instance.items():
            if name not in evaluated:
                yield from validator.descend(value, subschema, path=name)


# -- arrays -----------------------------------------------------------------------------------


def _items(validator: Any, subschema: Any, instance: Any, schema: Any) -> Errors:
    if isinstance(instance, list):
        for index in range(len(schema.get("prefixItems", ())), len(instance)):
            yield from validator.descend(instance[index], subschema, path=index)


def _items_until_2019(validator: Any, items: Any, instance: Any, schema: Any) -> Errors:
    if not isinstance(instance, list):
        return
    if isinstance(items, list):
        for index, (value, subschema) in enumerate(zip(instance, items, strict=False)):
            yield from validator.descend(value, subschema, path=index, schema_path=index)
    else:
        for index, value in enumerate(instance):
            yield from validator.descend(value, items, path=index)


def _additional_items(validator: Any, subschema: Any, instance: Any, schema: Any) -> Errors:
    tuple_items = schema.get("items")
    if isinstance(instance, list) and isinstance(tuple_items, list):
        for index in range(len(tuple_items), len(instance)):
            yield from validator.descend(instance[index], subschema, path=index)


def _unevaluated_items(dialect: Dialect) -> Keyword:
    def judge(validator: Any, subschema: Any, instance: Any, schema: Any) -> Errors:
        if isinstance(instance, list):
            evaluated = evaluated_items(validator, instance, dialect)
            for index, value in enumerate(instance):
                if index not in evaluated:
                    yield from validator.descend(value, subschema, path=index)

    return judge


def _unique_items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Errors:
    if wanted and isinstance(instance, list) and len(set(map(identity, instance))) < len(instance):
        yield ValidationError("holds equal items")


def _contains(validator: Any, subschema: Any, instance: Any, schema: Any) -> Errors:
    if isinstance(instance, list) and schema.get("minContains", 1) != 0:
        inner = validator.inside(subschema)
        if not any(inner.is_valid(item) for item in instance):
            yield ValidationError("holds no item that the subschema allows")


def _contains_until_7(validator: Any, subschema: Any, instance: Any, schema: Any) -> Errors:
    yield from _contains(validator, subschema, instance, {})


def _min_contains(validator: Any, limit: Any, instance: Any, schema: Any) -> Errors:
    found = _contained(validator, instance, schema)
    if found is not None and found < limit:
        yield ValidationError(f"holds fewer than {limit} items that `contains` allows")


def _max_contains(validator: Any, limit: Any, instance: Any, schema: Any) -> Errors:
    found = _contained(validator, instance, schema)
    if found is not None and found > limit:
        yield ValidationError(f"holds more than {limit} items that `contains` allows")


def _contained(validator: Any, instance: Any, schema: Any) -> int | None:
    if not isinstance(instance, list) or "contains" not in schema:
        return None
    inner = validator.inside(schema["contains"])
    return sum(1 for item in instance if inner.is_valid(item))


# -- references -------------------------------------------------------------------------------


def _ref(validator: Any, reference: Any, instance: Any, schema: Any) -> Errors:
    for error in validator.enter(validator.resolver_now.lookup(reference)).iter_errors(instance):
        error.schema_path.appendleft("$ref")  # `jsonschema` leaves it out of the path
        yield error


def _dynamic_ref(validator: Any, reference: Any, instance: Any, schema: Any) -> Errors:
    yield from validator.enter(validator.resolver_now.lookup(reference)).iter_errors(instance)


def _recursive_ref(validator: Any, reference: Any, instance: Any, schema: Any) -> Errors:
    resolved = lookup_recursive_ref(validator.resolver_now)
    yield from validator.enter(resolved).iter_errors(instance)


# -- per dialect ------------------------------------------------------------------------------

_ALWAYS: Mapping[str, Keyword] = {
    "$ref": _ref,
    "enum": _enum,
    "minimum": _minimum,
    "maximum": _maximum,
    "multipleOf": _multiple_of,
    "pattern": _pattern,
    "format": _format,
    "required": _required,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "items": _items_until_2019,
    "additionalItems": _additional_items,
    "uniqueItems": _unique_items,
    "dependencies": _dependencies,
}
_SINCE_6: Mapping[str, Keyword] = {
    **_ALWAYS,
    "const": _const,
    "exclusiveMinimum": _exclusive_minimum,
    "exclusiveMaximum": _exclusive_maximum,
    "contains": _contains_until_7,
}
_SINCE_2019: Mapping[str, Keyword] = {
    **{keyword: judge for keyword, judge in _SINCE_6.items() if keyword != "dependencies"},
    "contains": _contains,
    "minContains": _min_contains,
    "maxContains": _max_contains,
    "dependentRequired": _dependent_required,
    "unevaluatedProperties": _unevaluated_properties,
}


def keywords_of(dialect: Dialect) -> Mapping[str, Keyword]:
    """The keywords of a dialect that replace those of `jsonschema`."""
    if dialect is DRAFT4:
        return {**_ALWAYS, "minimum": _minimum_draft4, "maximum": _maximum_draft4}
    if dialect is DRAFT201909:
        unevaluated = _unevaluated_items(dialect)
        return {**_SINCE_2019, "$recursiveRef": _recursive_ref, "unevaluatedItems": unevaluated}
    if dialect is DRAFT202012:
        kept = {k: judge for k, judge in _SINCE_2019.items() if k != "additionalItems"}
        unevaluated = _unevaluated_items(dialect)
        return {
            **kept,
            "$dynamicRef": _dynamic_ref,
            "items": _items,
            "unevaluatedItems": unevaluated,
        }
    return _SINCE_6
