"""How long a backfill will take and what will slow it down, from what the last ones did."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from coordinator.lease_state import UNFINISHED_SHARD_STATES, ShardState, queue_rank
from coordinator.models import BackfillShard
from coordinator.services.limits import EVERY_SOURCE, LimitState, limit_states
from coordinator.services.requesting import Outline
from coordinator.source_names import source_name
from registry.models import Node

SAMPLE = 200
_NO_TIME = timedelta(0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """`calls` are shards to fetch. `minutes` is None without history; `based_on` says whose
    ("nothing" also where nothing new is to be fetched: all zero then).

    `ahead`: unfinished shards of others that stand before these in the queue.
    """

    shards: int
    expected_bars: int
    rows: int
    calls: int
    minutes: float | None
    ahead: int
    based_on: str
    sample: int


@dataclass(frozen=True, slots=True)
class LimitHit:
    """Something that slows the backfill down or holds it up: a stable code, and a sentence."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class _History:
    """Of the newest finished shards: seconds for one, rows for an expected bar, how many at once"""

    based_on: str
    sample: int
    seconds: float
    density: float
    at_once: float


def estimate(node: Node, outline: Outline, now: datetime) -> Estimate:
    shards = outline.shards
    if not shards:
        return Estimate(0, 0, 0, 0, 0.0, 0, "nothing", 0)
    expected = sum(job.expected_bars for job in outline.new)
    history = _history_of(node)
    ahead = BackfillShard.objects.filter(
        state__in=UNFINISHED_SHARD_STATES, rank__lt=queue_rank(now, outline.wish.priority)
    )
    return Estimate(
        shards=shards,
        expected_bars=expected,
        rows=round(expected * (history.density if history else 1.0)),
        calls=shards,
        minutes=None if history is None else _minutes(node, shards, history, now),
        ahead=ahead.count(),
        based_on=history.based_on if history else "nothing",
        sample=history.sample if history else 0,
    )


def limits_hit(node: Node, now: datetime) -> Iterator[LimitHit]:
    """What stands in the way right now, of the node's source and of all sources together."""
    if not node.source:
        yield LimitHit("no_source", f"{node.node_id} has no source to fetch from.")
    for state in _states(node, now):
        limit = state.limit
        if limit.blocked_until is not None and limit.blocked_until > now:
            until = f"{limit.blocked_until:%Y-%m-%dT%H:%M:%SZ}"
            yield LimitHit("source_blocked", f"{limit} asked for patience until {until}.")
        if limit.max_running is not None:
            yield LimitHit(
                "max_running",
                f"{limit}: {state.running} of at most {limit.max_running} shards run.",
            )
        if limit.per_minute is not None:
            yield LimitHit("per_minute", f"{limit}: at most {limit.per_minute:g} shards a minute.")


def _minutes(node: Node, shards: int, history: _History, now: datetime) -> float:
    states = _states(node, now)
    places = [s.limit.max_running for s in states if s.limit.max_running is not None]
    rates = [s.limit.per_minute for s in states if s.limit.per_minute is not None]
    at_once = min([history.at_once, *map(float, places)])
    by_work = shards * history.seconds / at_once / 60
    by_rate = max((shards / rate for rate in rates), default=0.0)
    blocked = max((s.wait for s in states), default=_NO_TIME).total_seconds() / 60
    return round(max(by_work, by_rate) + blocked, 2)


def _states(node: Node, now: datetime) -> list[LimitState]:
    names = {EVERY_SOURCE, source_name(node.source)}
    return [state for state in limit_states(now) if state.limit.name in names]


def _history_of(node: Node) -> _History | None:
    done = BackfillShard.objects.filter(state=ShardState.DONE, leased_at__isnull=False)
    own = _history(done.filter(job__node=node), "node")
    source = source_name(node.source)
    return own or (_history(done.filter(job__source=source), "source") if source else None)


def _history(done: QuerySet[BackfillShard], based_on: str) -> _History | None:
    facts = ("leased_at", "done_at", "n_rows", "expected_bars")
    rows: list[Any] = list(done.order_by("-done_at").values_list(*facts)[:SAMPLE])
    if not rows:
        return None
    busy = sum(max(0.0, (end - begin).total_seconds()) for begin, end, _, _ in rows)
    span = (max(end for _, end, _, _ in rows) - min(begin for begin, *_ in rows)).total_seconds()
    return _History(
        based_on=based_on,
        sample=len(rows),
        seconds=busy / len(rows),
        density=sum(n for _, _, n, _ in rows) / sum(bars for *_, bars in rows),
        at_once=max(1.0, busy / span if span > 0 else 1.0),
    )
