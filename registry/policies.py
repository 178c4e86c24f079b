"""What a node promises about time and completeness: the SLA policy, as a checked value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from math import isfinite
from typing import Any, Self


class OnViolation(StrEnum):
    """What a read does when a budget or a bound of its policy is broken."""

    FAIL_FAST = "fail_fast"
    PARTIAL_FILL = "partial_fill"
    HOLD = "hold"


class InvalidPolicy(ValueError):
    """A policy document that says something impossible: `key` is where, `reason` is what."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"SLA policy: {key!r} {reason}")
        self.key = key
        self.reason = reason


_MILLISECONDS = (
    "total_deadline_ms",
    "max_wait_storage_ms",
    "max_wait_backfill_ms",
    "max_wait_live_ms",
    "retry_backoff_ms",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SLAPolicy:
    """Budgets in milliseconds and bounds; None means "no limit".

    `max_wait_*` bound one call of that phase each, `total_deadline_ms` the whole request,
    `min_coverage` is a ratio from 0 to 1, `max_lag_seconds` bounds how old the newest bar of a
    window that reaches the present may be, `max_sync_gap_bars` how many missing bars a request may
    wait for. Raises InvalidPolicy, which names the key.
    """

    total_deadline_ms: int | None = None
    max_wait_storage_ms: int | None = None
    max_wait_backfill_ms: int | None = None
    max_wait_live_ms: int | None = None
    retry_backoff_ms: int | None = None
    min_coverage: float | None = None
    max_lag_seconds: float | None = None
    on_violation: OnViolation = OnViolation.FAIL_FAST
    max_sync_gap_bars: int | None = None

    def __post_init__(self) -> None:
        for key in (*_MILLISECONDS, "max_sync_gap_bars"):
            _check_count(key, getattr(self, key))
        _check_number("min_coverage", self.min_coverage, most=1)
        _check_number("max_lag_seconds", self.max_lag_seconds)
        object.__setattr__(self, "on_violation", _on_violation(self.on_violation))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The policy of a document with any of the field names as keys.

        Raises InvalidPolicy on an unknown key or a value out of bounds.
        """
        known = [field.name for field in fields(cls)]
        for key in document:
            if key not in known:
                raise InvalidPolicy(str(key), f"is not a key of a policy; use {', '.join(known)}")
        return cls(**document)

    def to_dict(self) -> dict[str, Any]:
        """The document of the policy: what `from_dict` takes, without the keys that set nothing."""
        document = asdict(self) | {"on_violation": self.on_violation.value}
        return {key: value for key, value in document.items() if value is not None}


def _check_count(key: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidPolicy(key, f"must be a whole number or null, got {value!r}")
    if value < 0:
        raise InvalidPolicy(key, f"must not be negative, got {value}")


def _check_number(key: str, value: object, most: float | None = None) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InvalidPolicy(key, f"must be a number or null, got {value!r}")
    if value < 0 or (most is not None and value > most):
        bounds = "must not be negative" if most is None else f"must lie between 0 and {most}"
        raise InvalidPolicy(key, f"{bounds}, got {value}")


def _on_violation(value: str) -> OnViolation:
    try:
        return OnViolation(value)
    except ValueError:
        choices = ", ".join(choice.value for choice in OnViolation)
        raise InvalidPolicy("on_violation", f"must be one of {choices}, got {value!r}") from None


PRESETS: Mapping[str, SLAPolicy] = {
    "baseline": SLAPolicy(
        total_deadline_ms=60_000,
        max_wait_storage_ms=3_000,
        max_wait_backfill_ms=45_000,
        max_wait_live_ms=5_000,
        retry_backoff_ms=500,
        min_coverage=0.98,
        max_lag_seconds=45,
    ),
    "tolerant-partial": SLAPolicy(
        total_deadline_ms=90_000,
        max_wait_storage_ms=5_000,
        max_wait_backfill_ms=75_000,
        max_wait_live_ms=7_000,
        retry_backoff_ms=1_000,
        min_coverage=0.9,
        max_lag_seconds=90,
        on_violation=OnViolation.PARTIAL_FILL,
    ),
}
