"""The live lease in Redis: admission, heartbeat and wake-up; it proves nothing by itself.

The database mints the epoch and guards the commit, so whatever is lost, doubled or flushed here
costs work and never correctness. Both scripts are idempotent: the same holder gets the same answer
again, an older epoch never overwrites a newer one, and the next heartbeat repairs a flush.
"""

from enum import StrEnum
from functools import lru_cache
from uuid import uuid4

from django.conf import settings

from coordinator.breaker import CircuitBreaker
from coordinator.guarded_redis import TIMEOUT_SECONDS, GuardedRedis

KEY_PREFIX = "seamless:lease:"
WAKE_CHANNEL = "seamless:backfill:wake"
GENERATION_KEY = "seamless:backfill:generation"

_HOLD = """
local v = redis.call('HMGET', KEYS[1], 'epoch', 'holder')
if v[1] and (tonumber(v[1]) > tonumber(ARGV[1])
             or v[1] == ARGV[1] and v[2] ~= ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'holder', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'beat', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""

_RELEASE = """
local v = redis.call('HMGET', KEYS[1], 'epoch', 'holder')
if v[1] ~= ARGV[1] or v[2] ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[3], KEYS[1])
return 1
"""


class LeaseAnswer(StrEnum):
    HELD = "held"
    LOST = "lost"
    UNREACHABLE = "unreachable"


class LiveLeases(GuardedRedis):
    """Leases in one Redis. One that is away answers UNREACHABLE: that is never the same as LOST."""

    def __init__(
        self, url: str, *, timeout: float = TIMEOUT_SECONDS, breaker: CircuitBreaker | None = None
    ) -> None:
        super().__init__(url, timeout=timeout, breaker=breaker)
        self._hold = self._client.register_script(_HOLD)
        self._release = self._client.register_script(_RELEASE)

    def hold(self, key: str, *, epoch: int, holder: str, ttl_seconds: float) -> LeaseAnswer:
        """Acquire the lease or renew it; LOST when another holder or a newer epoch has it."""
        arguments = [str(epoch), holder, str(int(ttl_seconds * 1000))]
        answer = self._ask(lambda: self._hold(keys=[KEY_PREFIX + key], args=arguments))
        if answer is None:
            return LeaseAnswer.UNREACHABLE
        return LeaseAnswer.HELD if answer == 1 else LeaseAnswer.LOST

    def release(self, key: str, *, epoch: int, holder: str) -> LeaseAnswer:
        """Give the lease back and wake who waits; LOST when it was no longer ours."""
        arguments = [str(epoch), holder, WAKE_CHANNEL]
        answer = self._ask(lambda: self._release(keys=[KEY_PREFIX + key], args=arguments))
        if answer is None:
            return LeaseAnswer.UNREACHABLE
        return LeaseAnswer.HELD if answer == 1 else LeaseAnswer.LOST

    def generation(self) -> str | None:
        """A random text that lives as long as what this Redis holds; None with Redis away.

        Another one than before: it was emptied, or another server answers.
        """
        found = self._ask(lambda: self._client.set(GENERATION_KEY, uuid4().hex, nx=True, get=True))
        if found is None:  # there was none, or Redis is away
            found = self._ask(lambda: self._client.get(GENERATION_KEY))
        return None if found is None else str(found)

    def length_of(self, queue: str) -> int | None:
        """How many messages a list of this Redis holds; None with Redis away."""
        length = self._ask(lambda: self._client.llen(queue))
        return None if length is None else int(length)


@lru_cache(maxsize=8)
def _leases_at(url: str) -> LiveLeases:
    return LiveLeases(url)


def live_leases() -> LiveLeases:
    """This process's leases in the Redis of the settings."""
    return _leases_at(settings.REDIS_URL)
