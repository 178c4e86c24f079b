"""The conformance report of one response: what was found, and how complete each series is."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coordinator.coverage import CoverageRange
from provider.conformance.findings import Finding, FindingClass
from provider.timeline import Key

REPORT_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SeriesQuality:
    """One series of the answer. `expected` and `observed` count bars, None where none are known.

    `gaps` are the first gaps, closed ranges of expected bars; `counts` has a number per flag;
    `last` is the newest expected bar that was observed.
    """

    key: Key
    rows: int
    expected: int | None
    observed: int | None
    gaps: tuple[CoverageRange, ...]
    counts: Mapping[str, int]
    last: int | None = None

    @property
    def completeness(self) -> float | None:
        """Observed bars of the expected ones; 1.0 where none are expected."""
        if self.expected is None or self.observed is None:
            return None
        return self.observed / self.expected if self.expected else 1.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "key": dict(self.key),
            "rows": self.rows,
            "expected": self.expected,
            "observed": self.observed,
            "completeness": self.completeness,
            "last": self.last,
            "gaps": [list(gap) for gap in self.gaps],
            "counts": dict(self.counts),
        }


@dataclass(frozen=True, slots=True)
class ConformanceReport:
    """What the roll-ups of one response found.

    `coverage` is the share of expected bars that every series expecting them has, None where the
    expected bars are not known, `bars` the number of times at which any series expects one.
    `crashed` says that a check could not be carried out.
    """

    rows: int
    findings: tuple[Finding, ...] = ()
    series: tuple[SeriesQuality, ...] = ()
    interval: int | None = None
    coverage: float | None = None
    crashed: bool = False
    bars: int | None = None

    @property
    def flags(self) -> dict[str, int]:
        """How much was flagged, by flag: rows or bars; columns for flags that are about columns."""
        counts: Counter[str] = Counter()
        for finding in self.findings:
            counts[finding.flag] += 1 if finding.per_column else finding.count
        return dict(counts)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The sentences of all findings."""
        return tuple(warning for finding in self.findings for warning in finding.warnings)

    @property
    def expected_bars(self) -> int | None:
        """Bars expected, summed over the series that are; None where none are known."""
        known = [series.expected for series in self.series if series.expected is not None]
        return sum(known) if known else None

    @property
    def is_clean(self) -> bool:
        """Nothing was found but notes."""
        return all(f.finding_class is FindingClass.NOTE for f in self.findings)

    def of_class(self, finding_class: FindingClass) -> tuple[Finding, ...]:
        """The findings of one class."""
        return tuple(f for f in self.findings if f.finding_class is finding_class)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON."""
        return {
            "format": REPORT_FORMAT,
            "rows": self.rows,
            "interval": self.interval,
            "coverage": self.coverage,
            "expected_bars": self.expected_bars,
            "crashed": self.crashed,
            "flags": self.flags,
            "warnings": list(self.warnings),
            "findings": [finding.to_dict() for finding in self.findings],
            "series": [series.to_dict() for series in self.series],
        }
