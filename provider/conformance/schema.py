"""The schema roll-up: the columns of an answer against an agreed schema."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from provider.blend import Blended
from provider.conformance.findings import MAX_SAMPLES, Finding, FindingClass, Sample, Sampler
from provider.parts import Part
from registry.columnar import compile_schema
from registry.columnar.verdict import Violation

Schema = Mapping[str, Any] | bool

_FLAGS = {"required": "missing_column", "type": "dtype_mismatch"}


def check_schema(
    schema: Schema, blended: Blended, *, references: Mapping[str, Any] | None = None
) -> tuple[Finding, ...]:
    """What the schema refuses in the rows, those with unreadable times included.

    Parts are checked apart, each with its own column types. One finding per column, keyword and
    place in the schema. Raises what `registry.columnar` raises where a table cannot be checked.
    """
    validator = compile_schema(cast(Any, schema), references=references)
    sampler = Sampler(blended.frame, blended.keys)
    found: dict[tuple[str, str, str], Finding] = {}
    sentences: dict[tuple[str, str, str], str] = {}
    for part in (*blended.parts, *blended.unreadable):
        for violation in validator.check(part.table).violations:
            place = (violation.column or "", violation.keyword, violation.schema_pointer)
            finding = _finding(violation, _samples(violation, part, sampler))
            found[place] = _added(found[place], finding) if place in found else finding
            sentences.setdefault(place, violation.sentence)
    return _with_warnings([(found[place], sentences[place]) for place in found])


def _finding(violation: Violation, samples: Sequence[Sample]) -> Finding:
    return Finding(
        FindingClass.SCHEMA,
        _FLAGS.get(violation.keyword, f"schema_{violation.keyword}"),
        violation.count,
        column=violation.column or "",
        keyword=violation.keyword,
        schema_pointer=violation.schema_pointer,
        samples=tuple(samples),
        per_column=violation.keyword in _FLAGS,
    )


def _samples(violation: Violation, part: Part, sampler: Sampler) -> list[Sample]:
    # A property that is not there, and a row as a whole, have no value to show.
    column = None if violation.keyword == "required" else violation.column
    return [
        sampler.of(int(part.series[item.row]), part.time_of(item.row), column, item.value)
        for item in violation.samples[:MAX_SAMPLES]
    ]


def _added(left: Finding, right: Finding) -> Finding:
    samples = (*left.samples, *right.samples)[:MAX_SAMPLES]
    return replace(left, count=left.count + right.count, samples=samples)


def _with_warnings(findings: Sequence[tuple[Finding, str]]) -> tuple[Finding, ...]:
    missing = [finding.column for finding, _ in findings if finding.flag == "missing_column"]
    first_missing = next((f for f, _ in findings if f.flag == "missing_column"), None)
    warned = []
    for finding, sentence in findings:
        if finding is first_missing:
            warnings: tuple[str, ...] = (
                f"missing columns detected: {', '.join(missing)}",
                f"missing columns: {missing}",
            )
        elif finding.flag == "missing_column":
            warnings = ()
        else:
            kind = "dtype mismatch" if finding.flag == "dtype_mismatch" else "schema violation"
            where = finding.column or "row"
            warnings = (f"{kind}: {where} ({finding.count} rows: {sentence})",)
        warned.append(replace(finding, warnings=warnings))
    return tuple(warned)
