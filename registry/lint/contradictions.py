"""Parts that no value can satisfy, and names that lead nowhere."""

from collections.abc import Iterator
from decimal import Decimal

from registry.canonical import JSON
from registry.evaluation.values import is_integer, is_less, is_number
from registry.lint.finding import LintFinding, Subject, properties_of, required_of, types_of

_ORDERED = (
    ("minimum", "maximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
    ("minContains", "maxContains"),
)
_STRICT = (
    ("exclusiveMinimum", "maximum"),
    ("minimum", "exclusiveMaximum"),
    ("exclusiveMinimum", "exclusiveMaximum"),
)


def reversed_bounds(subject: Subject) -> Iterator[LintFinding]:
    for pairs, touching in ((_ORDERED, False), (_STRICT, True)):
        for lower, upper in pairs:
            low, high = _number(subject, lower), _number(subject, upper)
            if low is not None and high is not None and _excludes(low, high, touching):
                yield _unsatisfiable(
                    subject.at(lower),
                    f"{lower} {low} leaves nothing below {upper} {high}",
                    f"swap or widen {lower} and {upper}",
                )


def _number(subject: Subject, keyword: str) -> int | float | None:
    value = subject.schema.get(keyword)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _excludes(low: int | float, high: int | float, touching: bool) -> bool:
    return is_less(high, low) or (touching and not is_less(low, high))


def values_of_the_wrong_type(subject: Subject) -> Iterator[LintFinding]:
    types = types_of(subject.schema)
    if types is None:
        return
    if "const" in subject.schema and not _is_of(subject.schema["const"], types):
        yield _unsatisfiable(
            subject.at("const"),
            "the one allowed value is not of the declared type",
            "correct the value or the type",
        )
    values = subject.schema.get("enum")
    if not isinstance(values, list):
        return
    wrong = [index for index, value in enumerate(values) if not _is_of(value, types)]
    if values and len(wrong) == len(values):
        yield _unsatisfiable(
            subject.at("enum"),
            "no listed value is of the declared type",
            "correct the values or the type",
        )
        return
    for index in wrong:
        yield LintFinding(
            "value_never_allowed",
            subject.at("enum", index),
            "this value is not of the declared type, so it is never allowed",
            "remove it, or allow its type",
        )


def forbidden_and_required(subject: Subject) -> Iterator[LintFinding]:
    declared = properties_of(subject.schema)
    closed = subject.schema.get("additionalProperties") is False
    patterns = bool(subject.schema.get("patternProperties"))
    for name in required_of(subject.schema):
        forbidden = declared.get(name) is False
        if forbidden or (closed and not patterns and name not in declared):
            yield _unsatisfiable(
                subject.at("required"),
                f"{name!r} is required and not allowed",
                f"declare {name!r} in properties, or do not require it",
            )
        elif name not in declared:
            yield LintFinding(
                "required_not_declared",
                subject.at("required"),
                f"{name!r} is required, but properties does not describe it",
                f"declare {name!r} in properties, or correct the name",
            )


def disjoint_branches(subject: Subject) -> Iterator[LintFinding]:
    branches = subject.schema.get("allOf")
    together = types_of(subject.schema)
    for index, branch in enumerate(branches if isinstance(branches, list) else []):
        types = types_of(branch)
        if types is None:
            continue
        if together is not None and not _common(together, types):
            yield _unsatisfiable(
                subject.at("allOf", index, "type"),
                "the branches allow no common type",
                "use anyOf, or align the types",
            )
            return
        together = types if together is None else _common(together, types)


def nothing_allowed(subject: Subject) -> Iterator[LintFinding]:
    if subject.schema.get("type") == []:
        yield _unsatisfiable(subject.at("type"), "no type is allowed", "name at least one type")
    if subject.schema.get("enum") == []:
        yield _unsatisfiable(subject.at("enum"), "no value is allowed", "list at least one value")
    negated = subject.schema.get("not")
    if negated is True or negated == {}:
        yield _unsatisfiable(
            subject.at("not"), "everything is excluded", "say what is to be excluded"
        )


def _common(left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    def widened(types: frozenset[str]) -> frozenset[str]:
        return types | {"integer"} if "number" in types else types

    return widened(left) & widened(right)


def _is_of(value: JSON, types: frozenset[str]) -> bool:
    return bool(_types_of_value(value) & types)


def _types_of_value(value: JSON | Decimal) -> frozenset[str]:
    if is_number(value):
        return frozenset({"number", "integer"} if is_integer(value) else {"number"})
    names = {bool: "boolean", str: "string", list: "array", dict: "object"}
    return frozenset({"null" if value is None else names[type(value)]})


def _unsatisfiable(pointer: str, message: str, fix: str) -> LintFinding:
    return LintFinding("unsatisfiable", pointer, message, fix)
