"""How long things may take: everything derives from the lease's time to live."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds, from one number: a lease that is not renewed for `ttl_seconds` may be taken over."""

    ttl_seconds: float = 30.0

    @property
    def ttl(self) -> timedelta:
        return timedelta(seconds=self.ttl_seconds)

    @property
    def renew_every(self) -> float:
        return self.ttl_seconds / 3

    @property
    def usable(self) -> float:
        """How long after a renewal was sent its holder may count on it."""
        return self.ttl_seconds * 0.9

    @property
    def progress_timeout(self) -> float:
        """A handler that does not move for so long is no longer renewed."""
        return self.ttl_seconds * 1.5

    @property
    def longest_hold(self) -> float:
        """No lease is renewed beyond this age."""
        return self.ttl_seconds * 10

    @property
    def shard_seconds(self) -> float:
        """What a handler gets for fetching one shard."""
        return self.ttl_seconds * 1.5

    @property
    def statement_ms(self) -> int:
        """Limit of one statement of the fenced transaction."""
        return int(self.ttl_seconds * 1000)

    @property
    def idle_ms(self) -> int:
        """Limit of doing nothing inside the fenced transaction: a frozen holder blocks the row."""
        return int(self.ttl_seconds * 500)
