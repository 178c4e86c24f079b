"""Keywords that are not what they look like: misspelt, of another draft, or without effect."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from registry.dialects import DRAFT4, DRAFT6, DRAFT7, DRAFT201909, DRAFT202012, Dialect
from registry.formats import ASSERTED_FORMATS
from registry.lint.finding import LintFinding, Subject, types_of

_DRAFT4_WORDS = frozenset(
    [
        "$schema",
        "id",
        "$ref",
        "title",
        "description",
        "default",
        "multipleOf",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "pattern",
        "additionalItems",
        "items",
        "maxItems",
        "minItems",
        "uniqueItems",
        "maxProperties",
        "minProperties",
        "required",
        "additionalProperties",
        "definitions",
        "properties",
        "patternProperties",
        "dependencies",
        "enum",
        "type",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "format",
    ]
)
_DRAFT6_WORDS = (_DRAFT4_WORDS - {"id"}) | frozenset(
    ["$id", "const", "contains", "propertyNames", "examples"]
)
_DRAFT7_WORDS = _DRAFT6_WORDS | frozenset(
    [
        "$comment",
        "if",
        "then",
        "else",
        "readOnly",
        "writeOnly",
        "contentMediaType",
        "contentEncoding",
    ]
)
_DRAFT2019_WORDS = (_DRAFT7_WORDS - {"dependencies"}) | frozenset(
    [
        "$anchor",
        "$defs",
        "$vocabulary",
        "$recursiveRef",
        "$recursiveAnchor",
        "dependentSchemas",
        "dependentRequired",
        "unevaluatedItems",
        "unevaluatedProperties",
        "minContains",
        "maxContains",
        "contentSchema",
        "deprecated",
    ]
)
_DRAFT2020_WORDS = (
    _DRAFT2019_WORDS - {"additionalItems", "$recursiveRef", "$recursiveAnchor"}
) | frozenset(["$dynamicRef", "$dynamicAnchor", "prefixItems"])

_WORDS: Mapping[Dialect, frozenset[str]] = {
    DRAFT4: _DRAFT4_WORDS,
    DRAFT6: _DRAFT6_WORDS,
    DRAFT7: _DRAFT7_WORDS,
    DRAFT201909: _DRAFT2019_WORDS,
    DRAFT202012: _DRAFT2020_WORDS,
}
_ALL_WORDS = frozenset[str]().union(*_WORDS.values())
_BESIDE_REFERENCE = frozenset(
    ["$ref", "$schema", "$id", "id", "$comment", "title", "description", "definitions"]
)

_NUMBER = frozenset({"number", "integer"})
_ONLY_FOR: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), _NUMBER
    ),
    **dict.fromkeys(("minLength", "maxLength", "pattern", "format"), frozenset({"string"})),
    **dict.fromkeys(
        [
            "items",
            "prefixItems",
            "additionalItems",
            "unevaluatedItems",
            "minItems",
            "maxItems",
            "uniqueItems",
            "contains",
            "minContains",
            "maxContains",
        ],
        frozenset({"array"}),
    ),
    **dict.fromkeys(
        [
            "properties",
            "patternProperties",
            "additionalProperties",
            "unevaluatedProperties",
            "propertyNames",
            "required",
            "minProperties",
            "maxProperties",
            "dependentRequired",
            "dependentSchemas",
            "dependencies",
        ],
        frozenset({"object"}),
    ),
}
_NEEDS: Mapping[str, str] = {
    "then": "if",
    "else": "if",
    "minContains": "contains",
    "maxContains": "contains",
    "additionalItems": "items",
}


def misspelt_keywords(subject: Subject) -> Iterator[LintFinding]:
    known = _WORDS[subject.dialect]
    for keyword in subject.schema:
        if keyword in known or keyword.startswith("x-"):
            continue
        if keyword in _ALL_WORDS:
            yield LintFinding(
                "keyword_of_another_draft",
                subject.at(keyword),
                f"{keyword!r} means nothing in {subject.dialect.name}",
                "write what this draft has for it, or name the other draft in $schema",
            )
        elif close := get_close_matches(keyword, known, n=1, cutoff=0.8):
            yield LintFinding(
                "keyword_misspelt",
                subject.at(keyword),
                f"{keyword!r} is no keyword and looks like {close[0]!r}",
                f"write {close[0]!r}, or start the name of an annotation with x-",
            )


def hidden_beside_reference(subject: Subject) -> Iterator[LintFinding]:
    if not subject.dialect.reference_hides_siblings or "$ref" not in subject.schema:
        return
    for keyword in subject.schema:
        if keyword in _WORDS[subject.dialect] - _BESIDE_REFERENCE:
            yield LintFinding(
                "keyword_hidden_by_reference",
                subject.at(keyword),
                f"{subject.dialect.name} ignores {keyword!r} beside $ref",
                "put the $ref into an allOf beside the other keywords",
            )


def keywords_without_effect(subject: Subject) -> Iterator[LintFinding]:
    types = types_of(subject.schema)
    for keyword in subject.schema:
        wanted = _ONLY_FOR.get(keyword)
        if types and wanted and not types & wanted:
            yield LintFinding(
                "keyword_without_effect",
                subject.at(keyword),
                f"{keyword!r} says nothing about the type {' or '.join(sorted(types))}",
                f"remove it, or allow the type {' or '.join(sorted(wanted))}",
            )
        elif keyword in _NEEDS and _NEEDS[keyword] not in subject.schema:
            yield LintFinding(
                "keyword_without_effect",
                subject.at(keyword),
                f"{keyword!r} has no effect without {_NEEDS[keyword]!r}",
                f"add {_NEEDS[keyword]!r}, or remove it",
            )


def formats_not_asserted(subject: Subject) -> Iterator[LintFinding]:
    name = subject.schema.get("format")
    if isinstance(name, str) and name not in ASSERTED_FORMATS:
        close = get_close_matches(name, ASSERTED_FORMATS, n=1, cutoff=0.7)
        yield LintFinding(
            "format_not_asserted",
            subject.at("format"),
            f"the format {name!r} is an annotation here: no value is checked against it",
            f"write {close[0]!r}" if close else "add a pattern, if values are to be checked",
        )
