"""The conformance pipeline: blend, check, judge. What it returns may be sent; nothing else may."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

import pyarrow as pa

from coordinator.grid import Grid
from provider.blend import Blended, Marks, Piece, ReadPieces, blend
from provider.conformance.errors import ConformancePipelineError, SchemaRefused
from provider.conformance.findings import Finding, FindingClass
from provider.conformance.report import ConformanceReport
from provider.conformance.schema import Schema, check_schema
from provider.conformance.temporal import (
    MISSING_FLAGS,
    STALE_FLAG,
    ExpectedSeries,
    check_time,
)
from provider.conformance.values import check_values
from registry.frame import Frame, frame_of
from registry.policies import OnViolation, SLAPolicy
from registry.spans import span

Rule = Callable[[Blended], Iterable[Finding]]
"""A check of the rows together, beside schema, values and time (`provider.conformance.rules`)."""


class Enforcement(StrEnum):
    """What a schema finding leads to.

    `strict`: the release of a strict rollout; refused, whatever else is asked for. `direct`: a
    schema given without a rollout; refused unless partial answers are taken. `record`: a canary or
    ungoverned read; only reported.
    """

    STRICT = "strict"
    DIRECT = "direct"
    RECORD = "record"


@dataclass(frozen=True, slots=True, eq=False)
class Conformed:
    """Rows that passed, in as few parts as exact types allow, and the report on them."""

    blended: Blended
    report: ConformanceReport


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """Rows that were checked and not judged yet: one part per set of column types.

    `marks` are the rows and bars that the temporal roll-up flagged.
    """

    blended: Blended
    report: ConformanceReport
    marks: Mapping[str, Marks]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformancePipeline:
    """Checks one answer against a schema, a grid and the bars that were expected.

    Each of the three can be left out, and so can its checks. `frame` says which columns are time
    and key (default: what the schema says); `rules` are further checks of the rows together.
    Missing bars do not block where `policy` fills partially or holds, or where its `min_coverage`
    is met.
    """

    schema: Schema | None = None
    references: Mapping[str, Any] = field(default_factory=dict)
    frame: Frame | None = None
    enforcement: Enforcement = Enforcement.DIRECT
    grid: Grid | None = None
    expected: Sequence[ExpectedSeries] | None = None
    policy: SLAPolicy = field(default_factory=SLAPolicy)
    partial_ok: bool = False
    rules: Sequence[Rule] = ()

    def run(self, pieces: Sequence[Piece] | pa.Table) -> Conformed:
        """The answer made of the pieces (later ones override earlier), checked.

        Raises SchemaRefused where a strict schema is violated and ConformancePipelineError where
        quality blocks, or where a check could not be carried out: a crash never lets rows pass.
        """
        given = [Piece("table", pieces)] if isinstance(pieces, pa.Table) else pieces
        examined = self.examine(given)
        self.judge(examined.report)
        with refusing_crashes():
            return Conformed(examined.blended.joined(), examined.report)

    def examine(self, pieces: Sequence[Piece] | ReadPieces) -> Examined:
        """Blend, normalise the times, roll up, flag and report; nothing is refused but a crash.

        Rows are the same bar only by their exact times, so blending reads and normalises them.
        """
        with refusing_crashes():
            keys = [series.key for series in self.expected or ()]
            blended = blend(pieces, self._frame(), grid=self.grid, expected=keys)
            with span("seamless.conformance.schema"):
                by_schema, crashed = self._schema_findings(blended)
                by_value = check_values(blended, self._refused_nulls(by_schema))
            with span("seamless.conformance.temporal"):
                in_time = check_time(blended, self.grid, self.expected)
            by_rule = [finding for rule in self.rules for finding in rule(blended)]
            report = ConformanceReport(
                rows=blended.rows,
                findings=(*by_schema, *by_value, *in_time.findings, *by_rule),
                series=in_time.series,
                interval=None if self.grid is None else self.grid.interval,
                coverage=in_time.coverage,
                bars=in_time.bars,
                crashed=crashed,
            )
            return Examined(blended, report, in_time.marks)

    def _frame(self) -> Frame:
        if self.frame is not None:
            return self.frame
        return frame_of(cast(Any, self.schema)) if self.schema is not None else Frame()

    def _schema_findings(self, blended: Blended) -> tuple[tuple[Finding, ...], bool]:
        """What the schema refuses, and whether it could not even be asked."""
        if self.schema is None:
            return (), False
        try:
            return check_schema(self.schema, blended, references=self.references), False
        except Exception as error:
            # Recorded like any schema finding; `_judge` refuses it wherever a check is binding.
            return (_crash_finding(error),), True

    def _refused_nulls(self, findings: Sequence[Finding]) -> set[str] | None:
        return None if self.schema is None else {finding.column for finding in findings}

    def judge(self, report: ConformanceReport) -> None:
        """Refuse what a report says must not be sent: SchemaRefused, ConformancePipelineError."""
        by_schema = report.of_class(FindingClass.SCHEMA)
        if by_schema and self.enforcement is Enforcement.STRICT:
            raise SchemaRefused(report)
        direct = by_schema and self.enforcement is Enforcement.DIRECT
        if direct and (report.crashed or not self.partial_ok):
            raise ConformancePipelineError(report)
        if not self.partial_ok and any(self._blocking(report)):
            raise ConformancePipelineError(report)

    def _blocking(self, report: ConformanceReport) -> Iterator[Finding]:
        excused = self._excused(report)
        return (f for f in report.of_class(FindingClass.QUALITY) if f.flag not in excused)

    def _excused(self, report: ConformanceReport) -> frozenset[str]:
        """What the policy puts up with: missing and late bars, or a few missing ones only."""
        if self.policy.on_violation is not OnViolation.FAIL_FAST:
            return MISSING_FLAGS | {STALE_FLAG}
        least = self.policy.min_coverage
        enough = least is not None and report.coverage is not None and report.coverage >= least
        return MISSING_FLAGS if enough else frozenset()


@contextmanager
def refusing_crashes() -> Iterator[None]:
    """What goes wrong inside refuses the answer: a crash never lets rows pass."""
    try:
        yield
    except ConformancePipelineError:
        raise
    except Exception as error:
        raise ConformancePipelineError(_crash_report(error)) from error


def _crash_finding(error: Exception) -> Finding:
    # The type of the error only: its message may quote the data.
    kind = type(error).__name__
    return Finding(
        FindingClass.SCHEMA,
        "check_crashed",
        1,
        column=str(getattr(error, "column", "") or ""),
        warnings=(f"the schema check could not be carried out ({kind})",),
    )


def _crash_report(error: Exception) -> ConformanceReport:
    warning = f"the conformance check could not be carried out ({type(error).__name__})"
    finding = Finding(FindingClass.QUALITY, "check_crashed", 1, warnings=(warning,))
    return ConformanceReport(rows=0, findings=(finding,), crashed=True)
