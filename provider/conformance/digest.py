"""The regression digest: is this report better or worse than the last one of the node?"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from provider.conformance.report import ConformanceReport


class Change(StrEnum):
    """How the rate of a flag moved."""

    NEW = "new"
    WORSE = "worse"
    SAME = "same"
    BETTER = "better"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class FlagChange:
    """One flag's rate per 1,000 expected bars (rows, where none are expected), now and before."""

    flag: str
    rate: float
    previous: float
    change: Change


@dataclass(frozen=True, slots=True)
class RegressionDigest:
    """The flags of two reports compared; `verdict` is `first` where there was none to compare."""

    verdict: str
    flags: tuple[FlagChange, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "flags": {
                item.flag: {
                    "rate": item.rate,
                    "previous": item.previous,
                    "change": item.change.value,
                }
                for item in self.flags
            },
        }


def regression_digest(
    report: ConformanceReport, previous: Mapping[str, Any] | None
) -> RegressionDigest:
    """Compare a report with the node's last one of the same version (its `to_dict`), if any.

    The verdict is `worse` where any flag is new or worse, else `better` where any is better or
    gone, else `same`.
    """
    now = _rates(report.to_dict())
    if previous is None:
        return RegressionDigest(
            "first", tuple(FlagChange(flag, rate, 0.0, Change.NEW) for flag, rate in now.items())
        )
    before = _rates(previous)
    flags = tuple(
        FlagChange(flag, now.get(flag, 0.0), before.get(flag, 0.0), _change(flag, now, before))
        for flag in sorted(now | before)
    )
    return RegressionDigest(_verdict({item.change for item in flags}), flags)


def _rates(report: Mapping[str, Any]) -> dict[str, float]:
    bars = report["expected_bars"] or report["rows"] or 1
    flags: Mapping[str, int] = report["flags"]
    return {flag: round(count * 1000 / bars, 6) for flag, count in sorted(flags.items())}


def _change(flag: str, now: Mapping[str, float], before: Mapping[str, float]) -> Change:
    if flag not in before:
        return Change.NEW
    if flag not in now:
        return Change.GONE
    if now[flag] == before[flag]:
        return Change.SAME
    return Change.WORSE if now[flag] > before[flag] else Change.BETTER


def _verdict(changes: set[Change]) -> str:
    if changes & {Change.NEW, Change.WORSE}:
        return "worse"
    return "better" if changes & {Change.BETTER, Change.GONE} else "same"
