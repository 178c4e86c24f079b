"""Hypothesis strategies: schemas of every draft, mutations of them, and documents near them."""

from functools import cache
from typing import Any

from hypothesis import strategies as st

from registry.formats import ASSERTED_FORMATS

Schema = dict[str, Any]

URIS = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "2019-09": "https://json-schema.org/draft/2019-09/schema",
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
}
LEGACY = ("draft4", "draft6", "draft7")
NAMES = ["a", "b", "ab", "c1", "x-y", ""]
PATTERNS = [
    "^a",
    "b$",
    "^[a-c]+$",
    r"\d",
    "^x-",
    "^.{2}$",
    "(ab)+",
    "^(a|b)*$",
    "^$",
    r"a\b",
    r"\bc",
]
SCALARS = [
    *(None, True, False, 0, 1, 2, -1, 0.5, 1.5, 3, 10, 0.3, 100, 1.0, 1e20),
    *("", "a", "b", "ab", "aa", "abc", "c1", "2024-01-01", "x-y", "\u00e4", "a\n"),
]
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]
FORMATS = [*ASSERTED_FORMATS, "isin"]

names = st.sampled_from(NAMES)
scalars = st.sampled_from(SCALARS)


def documents() -> st.SearchStrategy[Any]:
    """JSON values built from the names and scalars that the schemas speak of."""
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
        max_leaves=8,
    )


@st.composite
def keyword(draw: st.DrawFn, dialect: str, depth: int) -> Schema:
    """One keyword (with those it only means something with)."""
    leaf = depth <= 0 or draw(st.booleans())
    return draw(draw(st.sampled_from(_leaves(dialect) if leaf else _branches(dialect, depth))))


@st.composite
def schemas(draw: st.DrawFn, dialect: str, depth: int = 2) -> Any:
    """A subschema: an object with up to three keywords, rarely a boolean or a reference."""
    chance = draw(st.integers(0, 19))
    if chance == 0 and dialect != "draft4":
        return draw(st.booleans())
    if chance == 1 and depth < 2:
        return {"$ref": draw(st.sampled_from(["#", "#/definitions/p"]))}
    made: Schema = {}
    for _ in range(draw(st.integers(0 if depth < 2 else 1, 3))):
        made.update(draw(keyword(dialect, depth)))
    return made


@st.composite
def roots(draw: st.DrawFn) -> tuple[Schema, str]:
    """A whole document of a drawn draft, and the draft."""
    dialect = draw(st.sampled_from([*URIS, "2020-12", "2020-12"]))
    made: Schema = {"$schema": URIS[dialect], "definitions": {"p": draw(schemas(dialect, 1))}}
    for _ in range(draw(st.integers(1, 3))):
        made.update(draw(keyword(dialect, 2)))
    return made, dialect


@st.composite
def mutations(draw: st.DrawFn, schema: Any, dialect: str) -> Any:
    """The schema with one thing added, removed or changed somewhere in it."""
    if not isinstance(schema, dict):
        return draw(schemas(dialect, 1))
    keywords = [name for name in schema if name not in ("$schema", "definitions")]
    step = draw(st.sampled_from(["add", "remove", "inside", "inside"]))
    if step == "add" or not keywords:
        return {**schema, **draw(keyword(dialect, 1))}
    name = draw(st.sampled_from(keywords))
    if step == "remove":
        return {one: value for one, value in schema.items() if one != name}
    return {**schema, name: draw(_changed(name, schema[name], dialect))}


@st.composite
def _changed(draw: st.DrawFn, name: str, value: Any, dialect: str) -> Any:
    if name in ("properties", "patternProperties", "dependentSchemas") and value:
        chosen = draw(st.sampled_from(list(value)))
        return {**value, chosen: draw(mutations(value[chosen], dialect))}
    if name in ("allOf", "anyOf", "oneOf", "prefixItems"):
        at = draw(st.integers(0, len(value)))
        inside = [draw(mutations(one, dialect)) for one in value[at : at + 1]]
        return value[:at] + (inside or [draw(schemas(dialect, 1))]) + value[at + 1 :]
    if name in ("items", "additionalProperties", "contains", "not", "if", "then", "else"):
        return draw(mutations(value, dialect)) if not isinstance(value, list) else value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and name != "const":
        return max(value + draw(st.sampled_from([-1, 1])), 1 if name == "multipleOf" else 0)
    if name == "enum":
        return [*value, "zz"]
    return value


@cache
def _leaves(dialect: str) -> list[st.SearchStrategy[Schema]]:
    def one(name: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[Schema]:
        return st.fixed_dictionaries({name: value})

    bounds = st.sampled_from([-1, 0, 0.5, 1, 2, 3, 10])
    sizes = ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"]
    made = [
        one(
            "type",
            st.sampled_from(TYPES)
            | st.lists(st.sampled_from(TYPES), min_size=1, max_size=2, unique=True),
        ),
        one("enum", st.lists(documents(), min_size=1, max_size=4, unique_by=_text)),
        one("minimum", bounds),
        one("maximum", bounds),
        one("multipleOf", st.sampled_from([1, 2, 3, 0.1, 0.5, 1.5])),
        one("pattern", st.sampled_from(PATTERNS)),
        one("format", st.sampled_from(FORMATS)),
        one("uniqueItems", st.booleans()),
        one("required", st.lists(names, min_size=1, max_size=2, unique=True)),
        *(one(name, st.integers(0, 3)) for name in sizes),
    ]
    if dialect == "draft4":
        flag = {"exclusiveMinimum": st.booleans(), "minimum": bounds}
        return [*made, st.fixed_dictionaries(flag)]
    made += [
        one("const", documents()),
        one("exclusiveMinimum", bounds),
        one("exclusiveMaximum", bounds),
    ]
    if dialect not in LEGACY:
        made.append(
            one(
                "dependentRequired", st.dictionaries(names, st.lists(names, max_size=1), max_size=1)
            )
        )
    return made


def _text(value: Any) -> str:
    return repr(value).replace("1.0", "1")


@cache
def _branches(dialect: str, depth: int) -> list[st.SearchStrategy[Schema]]:
    inner = schemas(dialect, depth - 1)
    objects = inner if dialect != "draft4" else inner.filter(lambda one: isinstance(one, dict))
    few = st.lists(objects, min_size=1, max_size=3)

    def one(name: str, value: st.SearchStrategy[Any], **more: Any) -> st.SearchStrategy[Schema]:
        return st.fixed_dictionaries({name: value}, optional=more)

    def named(keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
        return st.dictionaries(keys, objects, min_size=1, max_size=3)

    made = [
        one("properties", named(names)),
        one("properties", named(names), additionalProperties=inner),
        one("patternProperties", named(st.sampled_from(PATTERNS)), additionalProperties=inner),
        one("items", objects),
        *(one(name, few) for name in ("allOf", "anyOf", "oneOf")),
        one("not", objects),
    ]
    if dialect != "draft4":
        made += [one("contains", inner), one("propertyNames", inner)]
    if dialect not in ("draft4", "draft6"):
        made.append(one("if", inner, then=inner, **{"else": inner}))
    if dialect != "2020-12":
        made.append(one("items", few, additionalItems=inner))
    if dialect in LEGACY:
        made.append(
            one(
                "dependencies",
                st.dictionaries(
                    names, objects | st.lists(names, min_size=1, max_size=1), max_size=2
                ),
            )
        )
        return made
    closing = inner | st.just(False)
    counts = {"minContains": st.integers(0, 2), "maxContains": st.integers(0, 2)}
    return [
        *made,
        one("dependentSchemas", named(names)),
        one("contains", inner, **counts),
        one("unevaluatedProperties", closing),
        one("unevaluatedItems", closing),
        *([one("prefixItems", few, items=inner)] if dialect == "2020-12" else []),
    ]
