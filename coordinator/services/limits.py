"""How much a source is asked for at once and per minute, by all workers together.

The state is rows of the database, so it holds with Redis away and over any number of hosts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count

from coordinator.lease_state import ShardState
from coordinator.models import BackfillShard, SourceLimit
from coordinator.source_names import LONGEST
from coordinator.token_bucket import TokenBucket
from registry.actors import Actor
from registry.errors import InvalidInput
from registry.models import Role
from registry.services.access import require_any_team
from registry.services.actions import audited_action

EVERY_SOURCE = SourceLimit.EVERY_SOURCE
LONGEST_BLOCK = timedelta(hours=1)
_NO_TIME = timedelta(0)
_UNTIL_ONE_ENDS = timedelta(seconds=5)


class SourceClosed(Exception):
    """The source may not be asked now: its places are taken, its tokens spent, or it said so."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the source {name!r} may not be asked for more now")
        self.name = name


@dataclass(frozen=True, slots=True)
class LimitState:
    """A limit and what is used of it. `wait` is how long nothing may begin, zero for now."""

    limit: SourceLimit
    running: int
    tokens: float
    wait: timedelta

    @property
    def is_open(self) -> bool:
        return self.wait == _NO_TIME


def save_source_limit(
    *,
    actor: Actor,
    name: str,
    now: datetime,
    max_running: int | None = None,
    per_minute: float | None = None,
    burst: int = 1,
) -> SourceLimit:
    """Limit a source (`*`: all together); saving again replaces it. None: no limit of the kind."""
    with audited_action(
        "backfill.limit", actor=actor, object_type="source", object_id=name, now=now
    ) as entry:
        require_any_team(actor, Role.OPERATOR)
        _check(name, max_running, per_minute, burst)
        before = SourceLimit.objects.filter(name=name).first()
        entry.before = _facts(before) if before else None
        changes = {"max_running": max_running, "per_minute": per_minute, "burst": burst}
        fresh = {"tokens": float(burst), "refilled_at": now}
        entry.after = changes
        return SourceLimit.objects.update_or_create(
            name=name, defaults=changes, create_defaults=changes | fresh
        )[0]


def limit_states(now: datetime) -> list[LimitState]:
    """Every limit there is with what is used of it, `*` first."""
    limits = list(SourceLimit.objects.order_by("name"))
    if not limits:
        return []
    running = _running_by_source(now)
    return [_state(limit, running, now) for limit in limits]


def closed_sources(now: datetime) -> set[str]:
    """The sources that may not be asked for another shard now."""
    return {state.limit.name for state in limit_states(now) if not state.is_open}


def source_wait(source: str, now: datetime) -> timedelta:
    """How long until the source may be asked for another shard, as far as one can know."""
    names = {source, EVERY_SOURCE}
    waits = [state.wait for state in limit_states(now) if state.limit.name in names]
    return max(waits, default=_NO_TIME)


def take_place(source: str, now: datetime) -> None:
    """Count one more shard of the source, in the transaction that leases it. Raises SourceClosed.

    The rows of its limits stay locked until that transaction ends, so two claims at once cannot
    both take the last place.
    """
    names = [EVERY_SOURCE, source]
    limits = list(SourceLimit.objects.filter(name__in=names).order_by("name").select_for_update())
    running = _running_by_source(now) if limits else {}
    for limit in limits:
        if not _state(limit, running, now).is_open:
            raise SourceClosed(limit.name)
    for limit in limits:
        bucket = _bucket(limit)
        if bucket is not None and (taken := bucket.refilled(now).taken()) is not None:
            limit.tokens, limit.refilled_at = taken.tokens, taken.refilled_at
            limit.save(update_fields=["tokens", "refilled_at"])


def block_source(source: str, *, wait: timedelta, now: datetime) -> datetime:
    """Nobody asks the source for so long (an hour at most): it said so. When it may be again."""
    until = now + min(max(wait, _NO_TIME), LONGEST_BLOCK)
    with transaction.atomic():
        limit, _ = SourceLimit.objects.select_for_update().get_or_create(
            name=source, defaults={"refilled_at": now}
        )
        limit.blocked_until = max(until, limit.blocked_until or until)
        limit.save(update_fields=["blocked_until"])
    return limit.blocked_until


def _state(limit: SourceLimit, running: Mapping[str, int], now: datetime) -> LimitState:
    used = sum(running.values()) if limit.name == EVERY_SOURCE else running.get(limit.name, 0)
    waits = [_NO_TIME]
    if limit.blocked_until is not None:
        waits.append(limit.blocked_until - now)
    if limit.max_running is not None and used >= limit.max_running:
        waits.append(_UNTIL_ONE_ENDS)
    bucket = _bucket(limit)
    tokens = 0.0
    if bucket is not None:
        bucket = bucket.refilled(now)
        tokens = bucket.tokens
        if bucket.taken() is None:
            waits.append(bucket.wait)
    return LimitState(limit, used, tokens, max(waits))


def _bucket(limit: SourceLimit) -> TokenBucket | None:
    if limit.per_minute is None:
        return None
    return TokenBucket(limit.tokens, limit.refilled_at, limit.per_minute / 60, limit.burst)


def _running_by_source(now: datetime) -> dict[str, int]:
    held = BackfillShard.objects.filter(state=ShardState.LEASED, expires_at__gte=now)
    return dict(held.values_list("job__source").annotate(n=Count("pk")))


def _check(name: str, max_running: int | None, per_minute: float | None, burst: int) -> None:
    if not 1 <= len(name) <= LONGEST:
        raise InvalidInput("A source's name is 1 to 300 characters; * stands for all together.")
    if max_running is not None and max_running < 1:
        raise InvalidInput("At least 1 shard of a source may run at once; to stop, pause its jobs.")
    if per_minute is not None and not 0 < per_minute < 1_000_000:
        raise InvalidInput("Shards per minute are more than 0 and fewer than 1,000,000.")
    if not 1 <= burst <= 10_000:
        raise InvalidInput("A burst is 1 to 10,000 shards.")


def _facts(limit: SourceLimit) -> dict[str, int | float | None]:
    return {name: getattr(limit, name) for name in ("max_running", "per_minute", "burst")}
