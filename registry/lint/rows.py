"""Advice about the columns of a row: what makes evolution hurt, and what a reader needs to know."""

from collections.abc import Iterator

from registry.canonical import JSON
from registry.frame import InvalidFrame, frame_of
from registry.lint.finding import LintFinding, Subject, properties_of, required_of, types_of

UNIT_ANNOTATION = "x-unit"
"""Where a numeric column says its unit (`"USD"`, `"shares"`, `"1"` for a bare ratio or count)."""

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf")


def open_content(subject: Subject) -> Iterator[LintFinding]:
    schema = subject.schema
    if subject.path or schema.get("type") != "object":
        return
    closing = ("additionalProperties", "unevaluatedProperties")
    if all(schema.get(keyword, True) in (True, {}) for keyword in closing):
        yield LintFinding(
            "open_content_model",
            "",
            "other columns of any type are allowed, so a column added later breaks readers of "
            "rows that already had one by that name",
            'add "additionalProperties": false',
        )


def optional_without_null(subject: Subject) -> Iterator[LintFinding]:
    required = required_of(subject.schema)
    for name, column in _columns(subject):
        types = types_of(column)
        if name not in required and types is not None and "null" not in types:
            kept = ", ".join(f'"{each}"' for each in sorted(types))
            yield LintFinding(
                "optional_without_null",
                subject.at("properties", name),
                f"{name!r} is optional, yet a missing value in a table is null, which is refused",
                f'require it, or write "type": [{kept}, "null"]',
            )


def missing_descriptions(subject: Subject) -> Iterator[LintFinding]:
    if not subject.path and not _has_text(subject.schema, "description"):
        yield LintFinding(
            "description_missing",
            "",
            "nothing says what a row is",
            'add a "description" at the root',
        )
    for name, column in _columns(subject):
        if not _has_text(column, "description") and not _refers(column):
            yield LintFinding(
                "description_missing",
                subject.at("properties", name),
                f"nothing says what {name!r} is",
                'add a "description"',
            )


def missing_units(subject: Subject) -> Iterator[LintFinding]:
    time = _time_column(subject.schema)
    for name, column in _columns(subject):
        numeric = (types_of(column) or frozenset()) & {"number", "integer"}
        if numeric and name != time and not _has_text(column, UNIT_ANNOTATION):
            yield LintFinding(
                "unit_missing",
                subject.at("properties", name),
                f"nothing says what {name!r} is measured in",
                f'add "{UNIT_ANNOTATION}", e.g. "USD", "shares", or "1" for a bare number',
            )


def _columns(subject: Subject) -> list[tuple[str, dict[str, JSON]]]:
    """The columns of the row: properties of the root only."""
    if subject.path:
        return []
    declared = properties_of(subject.schema).items()
    return [(name, column) for name, column in declared if isinstance(column, dict)]


def _has_text(schema: dict[str, JSON], keyword: str) -> bool:
    text = schema.get(keyword)
    return isinstance(text, str) and bool(text.strip())


def _refers(schema: dict[str, JSON]) -> bool:
    return any(keyword in schema for keyword in _REFERENCES)


def _time_column(schema: dict[str, JSON]) -> str | None:
    try:
        return frame_of(schema).time
    except InvalidFrame:
        return None
