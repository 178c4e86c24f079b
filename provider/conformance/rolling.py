"""The report of an answer that is checked in batches, one after the other in time.

What a batch says of its edges is not what the whole says: bars missing at the end of one batch and
the beginning of the next are one gap, and lie inside. So the kinds of gap are counted again over
the seams; everything else adds up.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from coordinator.coverage import CoverageRange
from provider.blend import Blended
from provider.conformance.findings import MAX_SAMPLES, Finding, FindingClass, Sample, Sampler
from provider.conformance.report import ConformanceReport, SeriesQuality
from provider.conformance.temporal import MAX_GAPS, MISSING_FLAGS, sentence_of
from provider.parts import Part

_MOST_WARNINGS = 10
_Place = tuple[str, str, str, str, str]
_Instant = tuple[int, int]  # a second and nanoseconds of it


@dataclass(slots=True)
class _Series:
    """One series so far: `open_bars` are missing since the last that was observed.

    `ends_missing`: its last expected bar is.
    """

    quality: SeriesQuality
    leading: int = 0
    inside: int = 0
    open_bars: int = 0
    seen: bool = False
    ends_missing: bool = False

    def add(self, more: SeriesQuality) -> None:
        counts = more.counts
        head = counts.get("leading_gap", 0) + counts.get("missing_series", 0)
        joins = self.ends_missing and head > 0
        if self.seen:
            self.open_bars += head
        else:
            self.leading += head
        if more.observed:
            self.inside += self.open_bars + counts.get("gap", 0)
            self.open_bars, self.seen = counts.get("trailing_gap", 0), True
        if more.expected:
            self.ends_missing = not more.observed or counts.get("trailing_gap", 0) > 0
        self.quality = _joined(self.quality, more, joins)

    def kinds(self) -> dict[str, int]:
        if not self.seen:
            return {"missing_series": self.leading}
        return {
            "leading_gap": self.leading,
            "gap": self.inside,
            "trailing_gap": self.open_bars,
        }

    def result(self) -> SeriesQuality:
        others = {f: n for f, n in self.quality.counts.items() if f not in MISSING_FLAGS}
        kinds = {flag: count for flag, count in self.kinds().items() if count}
        return replace(self.quality, counts=others | kinds)


@dataclass(slots=True)
class RollingReport:
    """Reports of neighbouring windows, put together in the order of time."""

    interval: int | None = None
    _batches: int = 0
    _rows: int = 0
    _bars: int = 0
    _covered: int = 0
    _knows_bars: bool = False
    _crashed: bool = False
    _series: dict[str, _Series] = field(default_factory=dict)
    _findings: dict[_Place, Finding] = field(default_factory=dict)
    _last: dict[str, _Instant] = field(default_factory=dict)

    @property
    def has_begun(self) -> bool:
        return self._batches > 0

    def add(self, report: ConformanceReport, rows: Blended) -> None:
        """The next batch in time: what was found in it, and its rows for the seam."""
        self._batches += 1
        self._rows += report.rows
        self._crashed = self._crashed or report.crashed
        if report.coverage is not None and report.bars is not None:
            self._knows_bars = True
            self._bars += report.bars
            self._covered += round(report.coverage * report.bars)
        for quality in report.series:
            self._add_series(quality)
        for finding in report.findings:
            self._add_finding(finding)
        self._cross_seam(rows)

    def report(self) -> ConformanceReport:
        """The report of everything added so far."""
        coverage = None
        if self._knows_bars:
            coverage = self._covered / self._bars if self._bars else 1.0
        return ConformanceReport(
            rows=self._rows,
            findings=(*self._other_findings(), *self._missing_findings()),
            series=tuple(series.result() for series in self._series.values()),
            interval=self.interval,
            coverage=coverage,
            bars=self._bars if self._knows_bars else None,
            crashed=self._crashed,
        )

    def _add_series(self, quality: SeriesQuality) -> None:
        name = repr(sorted(quality.key.items()))
        if name not in self._series:
            empty = replace(
                quality,
                rows=0,
                expected=None if quality.expected is None else 0,
                observed=None if quality.observed is None else 0,
                gaps=(),
                counts={},
                last=None,
            )
            self._series[name] = _Series(empty)
        self._series[name].add(quality)

    def _cross_seam(self, rows: Blended) -> None:
        """Rows closer to the last of the batch before than the interval."""
        if self.interval is None:
            return
        sampler = Sampler(rows.frame, rows.keys)
        for number, (first, last) in _edges(rows).items():
            key = repr(sorted(rows.keys[number].items()))
            before = self._last.get(key)
            if before is not None and first[0] - before[0] - (first[1] < before[1]) < self.interval:
                self._add_crowded(sampler.at(number, first[0]), rows.frame.time or "")
            self._last[key] = last

    def _add_crowded(self, sample: Sample, column: str) -> None:
        warning = sentence_of("dense", 1, self.interval)
        self._add_finding(
            Finding(
                FindingClass.QUALITY,
                "dense",
                1,
                column=column,
                samples=(sample,),
                warnings=(warning,),
            )
        )
        series = self._series.get(repr(sorted(sample.key.items())))
        if series is not None:
            counts = {**series.quality.counts, "dense": series.quality.counts.get("dense", 0) + 1}
            series.quality = replace(series.quality, counts=counts)

    def _add_finding(self, finding: Finding) -> None:
        place = (
            finding.finding_class.value,
            finding.flag,
            finding.column,
            finding.keyword,
            finding.schema_pointer,
        )
        known = self._findings.get(place)
        self._findings[place] = finding if known is None else _added(known, finding)

    def _other_findings(self) -> list[Finding]:
        return [found for found in self._findings.values() if found.flag not in MISSING_FLAGS]

    def _missing_findings(self) -> list[Finding]:
        """One finding per kind of gap, counted over the seams, with the places of the batches."""
        kinds: Counter[str] = Counter()
        for series in self._series.values():
            kinds.update(series.kinds())
        given = [found for found in self._findings.values() if found.flag in MISSING_FLAGS]
        samples = [sample for found in given for sample in found.samples][:MAX_SAMPLES]
        return [
            Finding(
                FindingClass.QUALITY,
                flag,
                count,
                column=given[0].column if given else "",
                samples=tuple(samples),
                warnings=(sentence_of(flag, count, self.interval),),
            )
            for flag, count in kinds.items()
            if count
        ]


def _edges(rows: Blended) -> dict[int, tuple[_Instant, _Instant]]:
    """The first and the last time of each series that has rows."""
    found: dict[int, tuple[_Instant, _Instant]] = {}
    for part in rows.parts:
        numbers, firsts = np.unique(part.series, return_index=True)
        lasts = len(part.series) - 1 - np.unique(part.series[::-1], return_index=True)[1]
        for number, first, last in zip(numbers, firsts, lasts, strict=True):
            edges = (_instant(part, first), _instant(part, last))
            known = found.get(int(number), edges)
            found[int(number)] = (min(known[0], edges[0]), max(known[1], edges[1]))
    return found


def _instant(part: Part, row: int) -> _Instant:
    return int(part.times.seconds[row]), int(part.times.nanos[row])


def _joined(left: SeriesQuality, right: SeriesQuality, at_the_seam: bool) -> SeriesQuality:
    counts = Counter(left.counts)
    counts.update(right.counts)
    return replace(
        left,
        rows=left.rows + right.rows,
        expected=_sum(left.expected, right.expected),
        observed=_sum(left.observed, right.observed),
        gaps=_gaps(left.gaps, right.gaps, at_the_seam),
        counts=_plain(counts),
        last=left.last if right.last is None else right.last,
    )


def _gaps(
    left: Sequence[CoverageRange], right: Sequence[CoverageRange], at_the_seam: bool
) -> tuple[CoverageRange, ...]:
    both = [*left, *right]
    if at_the_seam and right and 0 < len(left) < MAX_GAPS:
        both = [*left[:-1], CoverageRange(left[-1][0], right[0][1]), *right[1:]]
    return tuple(both[:MAX_GAPS])


def _added(left: Finding, right: Finding) -> Finding:
    warnings = dict.fromkeys((*left.warnings, *right.warnings))
    return replace(
        left,
        count=max(left.count, right.count) if left.per_column else left.count + right.count,
        samples=(*left.samples, *right.samples)[:MAX_SAMPLES],
        warnings=tuple(warnings)[:_MOST_WARNINGS],
    )


def _sum(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right


def _plain(counts: Mapping[str, int]) -> dict[str, int]:
    return {flag: count for flag, count in counts.items() if count}
