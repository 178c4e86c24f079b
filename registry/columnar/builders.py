"""What each keyword becomes, per dialect: the table that a new keyword is added to."""

from collections.abc import Callable, Mapping
from typing import Final

from registry.columnar.arrays import ItemAt, ItemCount, Items, MatchCount, UniqueItems
from registry.columnar.checks import Check, Node
from registry.columnar.combinators import AllOf, AnyOf, IfThenElse, Not, OneOf, Ref
from registry.columnar.compiler import Builder, Compiler, NotColumnar, Site
from registry.columnar.numbers import Bound, MultipleOf
from registry.columnar.objects import (
    DependentSchema,
    Members,
    PropertyCount,
    PropertyNames,
    Required,
    UnevaluatedProperties,
)
from registry.columnar.scalars import AllowedValues, Type
from registry.columnar.strings import Format, Pattern, TextLength
from registry.dialects import DRAFT4, DRAFT6, DRAFT7, DRAFT201909, DRAFT202012, Dialect
from registry.formats import ASSERTED_FORMATS
from registry.patterns import compile_pattern

# -- any value ----------------------------------------------------------------------


def _type(compiler: Compiler, site: Site) -> Check:
    names = [site.value] if isinstance(site.value, str) else site.value
    return Type(path=site.here, names=frozenset(names))


def _enum(compiler: Compiler, site: Site) -> Check:
    return AllowedValues(path=site.here, values=site.value)


def _const(compiler: Compiler, site: Site) -> Check:
    return AllowedValues(path=site.here, values=[site.value])


def _all_of(compiler: Compiler, site: Site) -> Check:
    return AllOf(path=site.here, branches=_branches(compiler, site))


def _any_of(compiler: Compiler, site: Site) -> Check:
    return AnyOf(path=site.here, branches=_branches(compiler, site))


def _one_of(compiler: Compiler, site: Site) -> Check:
    return OneOf(path=site.here, branches=_branches(compiler, site))


def _branches(compiler: Compiler, site: Site) -> list[Node]:
    return [compiler.below(site, i, schema=branch) for i, branch in enumerate(site.value)]


def _not(compiler: Compiler, site: Site) -> Check:
    return Not(path=site.here, node=compiler.below(site))


def _if(compiler: Compiler, site: Site) -> Check:
    return IfThenElse(
        path=site.here,
        condition=compiler.below(site),
        then=compiler.sibling(site, "then"),
        otherwise=compiler.sibling(site, "else"),
    )


def _ref(compiler: Compiler, site: Site) -> Check:
    return Ref(path=site.here, target=compiler.target(site))


def _row_by_row(compiler: Compiler, site: Site) -> Check:
    raise NotColumnar((*site.route, *site.path), site.keyword)


# -- numbers ----------------------------------------------------------------------


def _minimum(compiler: Compiler, site: Site) -> Check:
    return Bound(path=site.here, limit=site.value, lower=True, exclusive=False)


def _maximum(compiler: Compiler, site: Site) -> Check:
    return Bound(path=site.here, limit=site.value, lower=False, exclusive=False)


def _exclusive_minimum(compiler: Compiler, site: Site) -> Check:
    return Bound(path=site.here, limit=site.value, lower=True, exclusive=True)


def _exclusive_maximum(compiler: Compiler, site: Site) -> Check:
    return Bound(path=site.here, limit=site.value, lower=False, exclusive=True)


def _minimum_draft4(compiler: Compiler, site: Site) -> Check:
    exclusive = site.schema.get("exclusiveMinimum") is True
    return Bound(path=site.here, limit=site.value, lower=True, exclusive=exclusive)


def _maximum_draft4(compiler: Compiler, site: Site) -> Check:
    exclusive = site.schema.get("exclusiveMaximum") is True
    return Bound(path=site.here, limit=site.value, lower=False, exclusive=exclusive)


def _multiple_of(compiler: Compiler, site: Site) -> Check:
    return MultipleOf(path=site.here, factor=site.value)


# -- strings ----------------------------------------------------------------------


def _min_length(compiler: Compiler, site: Site) -> Check:
    return TextLength(path=site.here, least=int(site.value))


def _max_length(compiler: Compiler, site: Site) -> Check:
    return TextLength(path=site.here, most=int(site.value))


def _pattern(compiler: Compiler, site: Site) -> Check:
    return Pattern(path=site.here, pattern=compile_pattern(site.value))


def _format(compiler: Compiler, site: Site) -> Check | None:
    conforms = ASSERTED_FORMATS.get(site.value) if isinstance(site.value, str) else None
    return Format(path=site.here, name=site.value, conforms=conforms) if conforms else None


# -- objects ----------------------------------------------------------------------


def _properties(compiler: Compiler, site: Site) -> Check:
    nodes = {
        name: [compiler.below(site, name, schema=schema)] for name, schema in site.value.items()
    }
    return Members(path=site.here, nodes_for=lambda name: nodes.get(name, []))


def _pattern_properties(compiler: Compiler, site: Site) -> Check:
    rules = [
        (compile_pattern(pattern).search, compiler.below(site, pattern, schema=schema))
        for pattern, schema in site.value.items()
    ]
    return Members(
        path=site.here, nodes_for=lambda name: [node for search, node in rules if search(name)]
    )


def _additional_properties(compiler: Compiler, site: Site) -> Check:
    is_known, node = _known_properties(site), compiler.below(site)
    return Members(
        path=site.here,
        nodes_for=lambda name: [] if is_known(name) else [node],
        evaluates_all=True,
    )


def _known_properties(site: Site) -> Callable[[str], bool]:
    """Whether `properties` or `patternProperties` beside this keyword apply to a property."""
    named = frozenset(site.schema.get("properties", ()))
    searches = [
        compile_pattern(pattern).search for pattern in site.schema.get("patternProperties", ())
    ]
    return lambda name: name in named or any(search(name) for search in searches)


def _unevaluated_properties(compiler: Compiler, site: Site) -> Check:
    return UnevaluatedProperties(path=site.here, owner=site.owner, node=compiler.below(site))


def _required(compiler: Compiler, site: Site) -> Check:
    return Required(path=site.here, names=site.value)


def _dependent_required(compiler: Compiler, site: Site) -> list[Check]:
    return [
        Required(path=(*site.here, given), given=given, names=names)
        for given, names in site.value.items()
    ]


def _dependent_schemas(compiler: Compiler, site: Site) -> list[Check]:
    return [
        DependentSchema(
            path=(*site.here, given), given=given, node=compiler.below(site, given, schema=schema)
        )
        for given, schema in site.value.items()
    ]


def _dependencies(compiler: Compiler, site: Site) -> list[Check]:
    """Until draft 7: an array of names is `dependentRequired`, a schema `dependentSchemas`."""
    return [
        Required(path=(*site.here, given), given=given, names=wanted)
        if isinstance(wanted, list)
        else DependentSchema(
            path=(*site.here, given), given=given, node=compiler.below(site, given, schema=wanted)
        )
        for given, wanted in site.value.items()
    ]


def _property_names(compiler: Compiler, site: Site) -> Check:
    return PropertyNames(path=site.here, node=compiler.below(site))


def _min_properties(compiler: Compiler, site: Site) -> Check:
    return PropertyCount(path=site.here, least=int(site.value))


def _max_properties(compiler: Compiler, site: Site) -> Check:
    return PropertyCount(path=site.here, most=int(site.value))


# -- arrays ----------------------------------------------------------------------


def _min_items(compiler: Compiler, site: Site) -> Check:
    return ItemCount(path=site.here, least=int(site.value))


def _max_items(compiler: Compiler, site: Site) -> Check:
    return ItemCount(path=site.here, most=int(site.value))


def _items(compiler: Compiler, site: Site) -> Check:
    first = len(site.schema.get("prefixItems", ()))
    return Items(path=site.here, first=first, node=compiler.below(site))


def _items_until_2019(compiler: Compiler, site: Site) -> Check | list[Check]:
    if isinstance(site.value, list):
        return _prefix_items(compiler, site)
    return Items(path=site.here, first=0, node=compiler.below(site))


def _additional_items(compiler: Compiler, site: Site) -> Check | None:
    by_position = site.schema.get("items")
    if not isinstance(by_position, list):
        return None
    return Items(path=site.here, first=len(by_position), node=compiler.below(site))


def _prefix_items(compiler: Compiler, site: Site) -> list[Check]:
    return [
        ItemAt(path=site.here, position=i, node=compiler.below(site, i, schema=schema))
        for i, schema in enumerate(site.value)
    ]


def _unique_items(compiler: Compiler, site: Site) -> Check | None:
    return UniqueItems(path=site.here) if site.value else None


def _contains_until_7(compiler: Compiler, site: Site) -> Check:
    return MatchCount(
        path=site.here, node=compiler.below(site), least=1, says="no item satisfies `contains`"
    )


def _contains(compiler: Compiler, site: Site) -> Check | None:
    """`minContains: 0` lifts it."""
    lifted = site.schema.get("minContains", 1) == 0
    return None if lifted else _contains_until_7(compiler, site)


def _min_contains(compiler: Compiler, site: Site) -> Check | None:
    node = compiler.sibling(site, "contains")
    says = f"fewer than {site.value} items satisfy `contains`"
    if node is None:
        return None
    return MatchCount(path=site.here, node=node, least=int(site.value), says=says)


def _max_contains(compiler: Compiler, site: Site) -> Check | None:
    node = compiler.sibling(site, "contains")
    says = f"more than {site.value} items satisfy `contains`"
    if node is None:
        return None
    return MatchCount(path=site.here, node=node, most=int(site.value), says=says)


# -- per dialect ----------------------------------------------------------------------

_ALWAYS: Final[Mapping[str, Builder]] = {
    "$ref": _ref,
    "type": _type,
    "enum": _enum,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "multipleOf": _multiple_of,
    "minLength": _min_length,
    "maxLength": _max_length,
    "pattern": _pattern,
    "format": _format,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "required": _required,
    "minProperties": _min_properties,
    "maxProperties": _max_properties,
    "minItems": _min_items,
    "maxItems": _max_items,
    "uniqueItems": _unique_items,
}
_UNTIL_2019: Final[Mapping[str, Builder]] = {
    **_ALWAYS,
    "items": _items_until_2019,
    "additionalItems": _additional_items,
}
_SINCE_6: Final[Mapping[str, Builder]] = {
    "const": _const,
    "minimum": _minimum,
    "maximum": _maximum,
    "exclusiveMinimum": _exclusive_minimum,
    "exclusiveMaximum": _exclusive_maximum,
    "propertyNames": _property_names,
}
_SINCE_2019: Final[Mapping[str, Builder]] = {
    **_SINCE_6,
    "if": _if,
    "contains": _contains,
    "minContains": _min_contains,
    "maxContains": _max_contains,
    "dependentRequired": _dependent_required,
    "dependentSchemas": _dependent_schemas,
    "unevaluatedProperties": _unevaluated_properties,
    "unevaluatedItems": _row_by_row,
}

BUILDERS: Final[Mapping[Dialect, Mapping[str, Builder]]] = {
    DRAFT4: {
        **_UNTIL_2019,
        "minimum": _minimum_draft4,
        "maximum": _maximum_draft4,
        "dependencies": _dependencies,
    },
    DRAFT6: {
        **_UNTIL_2019,
        **_SINCE_6,
        "contains": _contains_until_7,
        "dependencies": _dependencies,
    },
    DRAFT7: {
        **_UNTIL_2019,
        **_SINCE_6,
        "if": _if,
        "contains": _contains_until_7,
        "dependencies": _dependencies,
    },
    DRAFT201909: {**_UNTIL_2019, **_SINCE_2019, "$recursiveRef": _row_by_row},
    DRAFT202012: {
        **_ALWAYS,
        **_SINCE_2019,
        "items": _items,
        "prefixItems": _prefix_items,
        "$dynamicRef": _row_by_row,
    },
}
"""Keyword to builder; what a dialect leaves out is an annotation there."""
