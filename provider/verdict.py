"""The SLA verdict of a read that has an answer: whether it is what its policy promised.

A budget that ended under `partial_fill` or `hold`, too few bars, too old ones, or an `as_of` that
went back *downgrade* an answer: it is sent all the same, and says so.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from provider.conformance import STALE_FLAG, ConformanceReport, Finding, FindingClass
from provider.sla import OnViolation, SeamlessSLAExceeded, SLAPolicy


class DowngradeReason(StrEnum):
    """Why an answer is less than promised; where several hold, the last of them is named."""

    SLA_VIOLATION = "sla_violation"
    COVERAGE_BREACH = "coverage_breach"
    FRESHNESS_BREACH = "freshness_breach"
    AS_OF_REGRESSION = "as_of_regression"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`staleness_seconds` is the age of the newest bar that every series has, None where the window
    does not reach the present; `violation` the first budget that ended before its work.
    """

    coverage: float
    staleness_seconds: float | None = None
    mode: OnViolation | None = None
    reason: DowngradeReason | None = None
    violation: SeamlessSLAExceeded | None = None

    @property
    def downgraded(self) -> bool:
        return self.reason is not None

    def to_dict(self) -> dict[str, Any]:
        return {
            "coverage_ratio": self.coverage,
            "staleness_ms": _milliseconds(self.staleness_seconds),
            "downgraded": self.downgraded,
            "downgrade_mode": self.mode and self.mode.value,
            "downgrade_reason": self.reason and self.reason.value,
            "sla_violation": self.violation and _violation(self.violation),
        }


def sla_verdict(
    policy: SLAPolicy,
    *,
    coverage: float,
    staleness_seconds: float | None,
    violation: SeamlessSLAExceeded | None,
    regressed: bool = False,
) -> Verdict:
    """What the policy says of an answer; its own budgets were held while it was made.

    `regressed`: its `as_of` lies before one that its world has read this node as of.
    """
    mode, reason = None, None
    if violation is not None:
        mode, reason = policy.on_violation, DowngradeReason.SLA_VIOLATION
    if policy.min_coverage is not None and coverage < policy.min_coverage:
        mode, reason = OnViolation.HOLD, DowngradeReason.COVERAGE_BREACH
    if is_stale(policy, staleness_seconds):
        mode, reason = OnViolation.HOLD, DowngradeReason.FRESHNESS_BREACH
    if regressed:
        mode, reason = OnViolation.HOLD, DowngradeReason.AS_OF_REGRESSION
    return Verdict(coverage, staleness_seconds, mode, reason, violation)


def is_stale(policy: SLAPolicy, staleness_seconds: float | None) -> bool:
    most = policy.max_lag_seconds
    return most is not None and staleness_seconds is not None and staleness_seconds > most


def newest_common_bar(report: ConformanceReport) -> int | None:
    """The newest bar up to which every expected series has come; None where one has none."""
    newest = [series.last for series in report.series if series.expected]
    return (
        None if not newest or None in newest else min(time for time in newest if time is not None)
    )


def stale_finding(policy: SLAPolicy) -> Finding:
    """The age itself stays out: reports of equal content have equal names."""
    most = policy.max_lag_seconds
    return Finding(
        FindingClass.QUALITY,
        STALE_FLAG,
        1,
        warnings=(f"the newest bar is older than max_lag_seconds={most:g}",),
    )


def _violation(error: SeamlessSLAExceeded) -> dict[str, Any]:
    return {
        "phase": error.phase,
        "elapsed_ms": error.elapsed_ms,
        "budget_ms": error.budget_ms,
    }


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
