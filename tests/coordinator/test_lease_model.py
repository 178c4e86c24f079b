"""Every order of events of a small world, on the real rules of `lease_state`: two workers, one
shard of two chunks, a lease that may run out at any moment, crashes, and at most one FLUSHALL.

What must hold: I1 nothing stale is written after something newer, I2 nothing is written twice, I3
the newest holder is never refused, and from everywhere the shard can still end. F20: with the fence
taken out, or its check and its write taken apart, the same search finds the damage.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from coordinator.lease_state import (
    UNFINISHED_SHARD_STATES,
    RetryPolicy,
    ShardLease,
    StaleLease,
    claimed,
    committed,
    failed,
    is_claimable,
)

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LONG_AGO, TTL = NOW - timedelta(hours=1), timedelta(seconds=30)
ATTEMPTS = 3
POLICY = RetryPolicy(max_attempts=ATTEMPTS)
CHUNKS = 2


@dataclass(frozen=True)
class Worker:
    """`epoch` 0: idle. `checked`: has looked at the row and is about to write."""

    epoch: int = 0
    chunks: int = 0
    checked: bool = False


FRESH = ShardLease(next_attempt_at=LONG_AGO)


@dataclass(frozen=True)
class World:
    lease: ShardLease = FRESH
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    live: tuple[int, int] | None = None  # the key in Redis: epoch, worker
    written: tuple[int, ...] = ()  # the epochs whose rows were published, in order
    flushes: int = 0
    wrongly_refused: bool = False


class Protocol:
    """How a worker publishes."""

    def publish(self, world: World, number: int) -> Iterator[World]:
        raise NotImplementedError


class Fenced(Protocol):
    """Check and write are one step, by epoch."""

    def publish(self, world: World, number: int) -> Iterator[World]:
        epoch = world.workers[number].epoch
        idle = with_worker(world, number, Worker())
        try:
            lease = committed(world.lease, epoch=epoch)
        except StaleLease:
            newest = world.lease.epoch == epoch and world.lease.state in UNFINISHED_SHARD_STATES
            yield replace(idle, wrongly_refused=newest and world.lease.holder == str(number))
            return
        yield replace(idle, lease=lease, written=(*world.written, epoch))


class Unfenced(Protocol):
    """Whoever was granted the lease once writes."""

    def publish(self, world: World, number: int) -> Iterator[World]:
        yield _write_anyway(world, number)


class CheckedThenWritten(Protocol):
    """The epoch is looked at, and the rows are written a moment later."""

    def publish(self, world: World, number: int) -> Iterator[World]:
        worker = world.workers[number]
        if worker.checked:
            yield _write_anyway(world, number)
        elif world.lease.epoch == worker.epoch and world.lease.state == "leased":
            yield with_worker(world, number, replace(worker, checked=True))
        else:
            yield with_worker(world, number, Worker())


def _write_anyway(world: World, number: int) -> World:
    epoch = world.workers[number].epoch
    lease = replace(world.lease, state="done", holder="", expires_at=None, next_attempt_at=None)
    idle = with_worker(world, number, Worker())
    return replace(idle, lease=lease, written=(*world.written, epoch))


def with_worker(world: World, number: int, worker: Worker) -> World:
    workers = tuple(worker if n == number else old for n, old in enumerate(world.workers))
    return replace(world, workers=workers)


def steps(world: World, protocol: Protocol) -> Iterator[World]:
    lease = world.lease
    if lease.state == "leased":
        yield replace(world, lease=replace(lease, expires_at=LONG_AGO))  # time passes
    if lease.state == "failed":
        yield replace(world, lease=replace(lease, next_attempt_at=LONG_AGO))
    if lease.has_expired(NOW):  # the reaper
        reaped = failed(lease, epoch=lease.epoch, now=NOW, policy=POLICY, draw=lambda: 0.0)
        yield replace(world, lease=reaped)
    if world.flushes == 0:
        yield replace(world, live=None, flushes=1)
    if world.live is not None:
        yield replace(world, live=None)  # the key expires by itself
    for number, worker in enumerate(world.workers):
        if worker.epoch == 0:
            yield from _claim(world, number)
        else:
            yield with_worker(world, number, Worker())  # a crash
            yield from _work(world, number, protocol)


def _claim(world: World, number: int) -> Iterator[World]:
    if is_claimable(world.lease, now=NOW, max_attempts=ATTEMPTS):
        lease = claimed(world.lease, holder=str(number), now=NOW, ttl=TTL, max_attempts=ATTEMPTS)
        yield with_worker(replace(world, lease=lease), number, Worker(epoch=lease.epoch))


def _work(world: World, number: int, protocol: Protocol) -> Iterator[World]:
    """One chunk, with the heartbeat's question to Redis before it; then the publish."""
    worker = world.workers[number]
    if worker.chunks == CHUNKS:
        yield from protocol.publish(world, number)
        return
    if world.live is not None and world.live[0] > worker.epoch:
        yield with_worker(world, number, Worker())  # lost
        return
    held = replace(world, live=(worker.epoch, number))
    yield with_worker(held, number, replace(worker, chunks=worker.chunks + 1))


def damage(world: World) -> str:
    if len(world.written) > 1:
        stale = world.written[-1] < max(world.written[:-1])
        return "I1: stale after newer" if stale else "I2: written twice"
    return "I3: the newest holder was refused" if world.wrongly_refused else ""


def explore(protocol: Protocol) -> tuple[dict[World, list[World]], set[str]]:
    """Every reachable world with what follows it, and the kinds of damage found on the way."""
    graph: dict[World, list[World]] = {}
    found: set[str] = set()
    waiting = deque([World()])
    while waiting:
        world = waiting.popleft()
        if world in graph:
            continue
        if harm := damage(world):
            found.add(harm)
            graph[world] = []
            continue
        graph[world] = list(steps(world, protocol))
        waiting.extend(graph[world])
    return graph, found


def test_f20_with_the_fence_no_order_of_events_does_damage():
    graph, found = explore(Fenced())
    assert found == set()
    assert len(graph) > 1_000
    assert any(world.flushes and world.lease.state == "done" for world in graph)
    assert max(world.lease.epoch for world in graph) == ATTEMPTS


def test_from_every_world_the_shard_can_still_end():
    graph, _ = explore(Fenced())
    before: dict[World, list[World]] = {world: [] for world in graph}
    for world, followers in graph.items():
        for follower in followers:
            before[follower].append(world)
    ended = [world for world in graph if world.lease.state in {"done", "violation"}]
    seen, waiting = set(ended), deque(ended)
    while waiting:
        for world in before[waiting.popleft()]:
            if world not in seen:
                seen.add(world)
                waiting.append(world)
    assert seen == set(graph)


@pytest.mark.parametrize("protocol", [Unfenced(), CheckedThenWritten()])
def test_f20_without_the_fence_the_same_search_finds_the_damage(protocol):
    _, found = explore(protocol)
    assert "I1: stale after newer" in found
    assert "I2: written twice" in found
