"""Advice about a schema that is valid but may not say what its owner means.

| code | about |
|---|---|
| `dialect_assumed` | no `$schema`: which dialect it is read in |
| `keyword_misspelt`, `keyword_of_another_draft` | keywords that mean nothing here |
| `keyword_hidden_by_reference`, `keyword_without_effect` | keywords that do nothing here |
| `format_not_asserted` | a `format` that no value is checked against |
| `unsatisfiable`, `value_never_allowed` | parts that nothing can satisfy |
| `required_not_declared` | a required name without a description |
| `open_content_model`, `optional_without_null` | columns that will hurt when the schema evolves |
| `description_missing`, `unit_missing` | what a reader of the data needs to know |
| `frame_missing` | no `x-seamless`: neither time nor key is known |
"""

from collections.abc import Iterator

from registry.canonical import JSON
from registry.dialects import Dialect, subschemas
from registry.frame import KEYWORD as FRAME_KEYWORD
from registry.lint.contradictions import (
    disjoint_branches,
    forbidden_and_required,
    nothing_allowed,
    reversed_bounds,
    values_of_the_wrong_type,
)
from registry.lint.finding import LintFinding, Rule, Subject
from registry.lint.rows import (
    missing_descriptions,
    missing_units,
    open_content,
    optional_without_null,
)
from registry.lint.vocabulary import (
    formats_not_asserted,
    hidden_beside_reference,
    keywords_without_effect,
    misspelt_keywords,
)
from registry.validity import dialect_of

__all__ = ["LintFinding", "lint"]

_RULES: tuple[Rule, ...] = (
    misspelt_keywords,
    hidden_beside_reference,
    keywords_without_effect,
    formats_not_asserted,
    reversed_bounds,
    values_of_the_wrong_type,
    forbidden_and_required,
    disjoint_branches,
    nothing_allowed,
    open_content,
    optional_without_null,
    missing_descriptions,
    missing_units,
)


def lint(document: JSON) -> list[LintFinding]:
    """The advice about a schema, in the order of the document. Never judges whether it is valid.

    Raises `registry.metaschemas.UnknownDialect`.
    """
    dialect = dialect_of(document)
    findings = list(_about_the_whole(document, dialect))
    for path, schema, spoken in subschemas(document, dialect):
        if isinstance(schema, dict):
            subject = Subject(path, schema, spoken)
            findings += [finding for rule in _RULES for finding in rule(subject)]
    return findings


def _about_the_whole(document: JSON, dialect: Dialect) -> Iterator[LintFinding]:
    if not isinstance(document, dict):
        return
    if "$schema" not in document:
        yield LintFinding(
            "dialect_assumed",
            "",
            f"no $schema: it is read as {dialect.name}",
            f'add "$schema": "{dialect.uri}"',
        )
    if FRAME_KEYWORD not in document:
        yield LintFinding(
            "frame_missing",
            "",
            f"no {FRAME_KEYWORD}: neither the time of a row nor what makes it unique is known",
            f'add "{FRAME_KEYWORD}" with time and key',
        )
