"""A token bucket as a value: how many may begin now, and how long the next one has to wait."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """`tokens` as of `refilled_at`; it fills by `per_second` up to `burst`."""

    tokens: float
    refilled_at: datetime
    per_second: float
    burst: int

    def refilled(self, now: datetime) -> "TokenBucket":
        """The bucket at `now`; a clock that went back refills nothing."""
        passed = max(0.0, (now - self.refilled_at).total_seconds())
        tokens = min(float(self.burst), self.tokens + passed * self.per_second)
        return TokenBucket(tokens, max(now, self.refilled_at), self.per_second, self.burst)

    def taken(self) -> "TokenBucket | None":
        """The bucket with one token less; None where there is none."""
        if self.tokens < 1:
            return None
        return TokenBucket(self.tokens - 1, self.refilled_at, self.per_second, self.burst)

    @property
    def wait(self) -> timedelta:
        """How long until there is a whole token."""
        return timedelta(seconds=max(0.0, 1 - self.tokens) / self.per_second)
