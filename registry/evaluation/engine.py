"""`jsonschema`'s validators with the keywords of Seamless, one class per dialect.

`jsonschema` looks up a class of its own wherever it meets a `$schema`; these classes stay among
themselves, and follow a reference into a document of another dialect.
"""

from collections.abc import Callable, Iterator
from typing import Any

from jsonschema import validators
from jsonschema.exceptions import ValidationError
from referencing.jsonschema import lookup_recursive_ref

from registry.canonical import JSON
from registry.dialects import DIALECTS, Dialect, embedded_dialect
from registry.evaluation.keywords import keywords_of
from registry.evaluation.resources import resource_of, root_resolver, target_dialect
from registry.evaluation.values import is_integer, is_number

_IS_TYPE: dict[str, Callable[[object], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": is_integer,
    "number": is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def validator_of(schema: JSON, dialect: Dialect, resolver: Any) -> Any:
    """A validator of a schema that has been checked before; `resolver` starts at it."""
    return _ASSERTING[dialect](schema, _resolver=resolver)


def metaschema_validator(dialect: Dialect) -> Any:
    """A validator of the schemas of a dialect, for which `format` is an annotation."""
    found = validators.validator_for({"$schema": dialect.uri}).META_SCHEMA
    return _ANNOTATING[dialect](found, _resolver=root_resolver(resource_of(found, dialect)))


def _family(*, asserts_format: bool) -> dict[Dialect, Any]:
    family: dict[Dialect, Any] = {}
    for dialect in DIALECTS.values():
        family[dialect] = _make(dialect, family, asserts_format)
    return family


def _make(dialect: Dialect, family: dict[Dialect, Any], asserts_format: bool) -> Any:
    stock: Any = validators.validator_for({"$schema": dialect.uri})
    types = stock.TYPE_CHECKER.redefine_many(
        {name: _checked_by(is_type) for name, is_type in _IS_TYPE.items()}
    )
    keywords = dict(keywords_of(dialect))
    if not asserts_format:
        keywords["format"] = _annotation
    extend: Any = validators.extend
    made = extend(stock, validators=keywords, type_checker=types)
    plain_descend = made.descend

    def evolve(self: Any, **changes: Any) -> Any:
        schema = changes.get("schema", self.schema)
        resolver = changes.get("_resolver", self._resolver)
        return family[embedded_dialect(schema, dialect)](schema, _resolver=resolver)

    def inside(self: Any, schema: JSON) -> Any:
        """The validator of a subschema of this schema."""
        spoken = embedded_dialect(schema, dialect)
        resolver = self._resolver.in_subresource(resource_of(schema, spoken))
        return family[spoken](schema, _resolver=resolver)

    def enter(self: Any, resolved: Any) -> Any:
        """The validator of what a reference resolved to."""
        spoken = target_dialect(resolved, dialect)
        return family[spoken](resolved.contents, _resolver=resolved.resolver)

    def referred(self: Any) -> Iterator[Any]:
        """The validators of what the reference keywords of this schema lead to."""
        for keyword in ("$ref", "$dynamicRef"):
            if keyword in self.schema and keyword in made.VALIDATORS:
                yield enter(self, self._resolver.lookup(self.schema[keyword]))
        if "$recursiveRef" in self.schema and "$recursiveRef" in made.VALIDATORS:
            yield enter(self, lookup_recursive_ref(self._resolver))

    def descend(
        self: Any, instance: Any, schema: JSON, path: Any = None, schema_path: Any = None
    ) -> Iterator[ValidationError]:
        if embedded_dialect(schema, dialect) is dialect and schema is not False:
            yield from plain_descend(self, instance, schema, path, schema_path)
            return
        # `jsonschema` would place an error of `false` at the parent, and keep to one dialect.
        for error in inside(self, schema).iter_errors(instance):
            if path is not None:
                error.path.appendleft(path)
            if schema_path is not None:
                error.schema_path.appendleft(schema_path)
            yield error

    made.evolve, made.descend, made.inside, made.enter = evolve, descend, inside, enter
    made.referred = referred
    made.resolver_now = property(lambda self: self._resolver)
    return made


def _annotation(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
    return iter(())


def _checked_by(is_type: Callable[[object], bool]) -> Callable[[Any, object], bool]:
    return lambda _, value: is_type(value)


_ASSERTING = _family(asserts_format=True)
_ANNOTATING = _family(asserts_format=False)
