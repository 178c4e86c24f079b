"""How far `as_of` has come, per world and node. A read asks, and writes nothing but Redis.

Redis holds the newest moment for all processes and compares with it in one step. What a read has
brought forward is written to the database behind it, and read from there where Redis knows nothing,
so that an emptied Redis forgets nothing that is older than a second. With Redis away each process
goes by the database and by its own reads.
"""

import os
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from threading import Lock

from django.conf import settings

from coordinator.guarded_redis import GuardedRedis
from provider.metrics import AS_OF_ADVANCES
from provider.models import AsOfMark
from registry.errors import InvalidInput
from registry.models import Node
from registry.services.behind_reads import flushed_behind_reads, wake

MOST_WORLDS = 1_000
KEY_PREFIX = "seamless:as-of:"
_MOST_KNOWN = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# World, its new moment, the newest that the caller knows of ("": none), and whether that is all
# there is to know. Answers what was the newest before, "?" where somebody should look first.
_ADVANCE = """
local latest = redis.call('HGET', KEYS[1], ARGV[1])
if not latest and ARGV[4] == '' then return '?' end
if ARGV[3] ~= '' and (not latest or tonumber(latest) < tonumber(ARGV[3])) then latest = ARGV[3] end
local newest = latest
if not latest or tonumber(latest) < tonumber(ARGV[2]) then newest = ARGV[2] end
redis.call('HSET', KEYS[1], ARGV[1], newest)
return latest or ''
"""
_LOOK_FIRST = "?"

World = tuple[int, str]


def advance(node: Node, world: str, as_of: datetime) -> bool:
    """Bring a world's moment forward to `as_of`; False where it stands later already.

    Raises InvalidInput for a new world of a node that has MOST_WORLDS.
    """
    mark, shared = (node.pk, world), _shared(settings.REDIS_URL)
    answer = shared.advance(node.node_id, world, as_of, _marks.known(mark))
    if answer is None or answer == _LOOK_FIRST:
        _look(node, world)
        if answer is not None:
            answer = shared.advance(node.node_id, world, as_of, _marks.known(mark), looked=True)
    if answer is None:
        latest = _marks.bring_forward(mark, as_of)
    else:
        latest = _EPOCH + int(answer) * _MICROSECOND if answer else None
    if latest is not None and latest > as_of:
        _marks.learn(mark, latest)
        return False
    if latest != as_of:
        AS_OF_ADVANCES.labels(node.node_id).inc()
        _marks.bring_forward(mark, as_of)
        wake()
    return True


def _look(node: Node, world: str) -> None:
    """Learn what was written. Raises InvalidInput for a world too many."""
    stored = AsOfMark.objects.filter(node=node, world=world).first()
    if stored is not None:
        _marks.learn((node.pk, world), stored.as_of)
    elif _marks.known((node.pk, world)) is None:
        written = AsOfMark.objects.filter(node=node).count()
        if written + _marks.unwritten_worlds(node.pk) >= MOST_WORLDS:
            raise InvalidInput(
                f"{node.node_id} is read with an as_of in {MOST_WORLDS} worlds already; use one of "
                "them, or leave as_of out.",
                parameter="world",
            )


class _Shared(GuardedRedis):
    """The moments in Redis."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._advance = self._client.register_script(_ADVANCE)

    def advance(
        self,
        node_id: str,
        world: str,
        as_of: datetime,
        known: datetime | None,
        *,
        looked: bool = False,
    ) -> str | None:
        """The newest that was there, "" for none; None while Redis is away."""
        arguments = [world, _number(as_of), _number(known), "looked" if looked else ""]
        answer = self._ask(lambda: self._advance(keys=[KEY_PREFIX + node_id], args=arguments))
        return None if answer is None else str(answer)


@lru_cache(maxsize=8)
def _shared(url: str) -> _Shared:
    return _Shared(url)


class Marks:
    """What this process knows, and what of it is not written yet. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._newest: OrderedDict[World, datetime] = OrderedDict()
        self._unwritten: dict[World, datetime] = {}

    def known(self, world: World) -> datetime | None:
        with self._lock:
            return self._newest.get(world)

    def unwritten_worlds(self, node_pk: int) -> int:
        with self._lock:
            return sum(1 for known, _ in self._unwritten if known == node_pk)

    def learn(self, world: World, as_of: datetime) -> None:
        with self._lock:
            self._newest[world] = max(as_of, self._newest.get(world, as_of))
            self._newest.move_to_end(world)
            while len(self._newest) > _MOST_KNOWN:
                self._newest.popitem(last=False)

    def bring_forward(self, world: World, as_of: datetime) -> datetime | None:
        """The newest before; a later one takes its place, and is to be written."""
        with self._lock:
            before = self._newest.get(world)
            if before is None or before < as_of:
                self._newest[world] = self._unwritten[world] = as_of
            return before

    def put_back(self, taken: Mapping[World, datetime]) -> None:
        with self._lock:
            for world, as_of in taken.items():
                self._unwritten[world] = max(as_of, self._unwritten.get(world, as_of))

    def take(self) -> dict[World, datetime]:
        with self._lock:
            taken, self._unwritten = self._unwritten, {}
        return taken


_marks = Marks()


@flushed_behind_reads
def flush_marks() -> None:
    """Write what was brought forward; what the database does not take now is tried again."""
    taken = _marks.take()
    while taken:
        world, as_of = next(iter(taken.items()))
        try:
            _write(world, as_of)
        except Exception:
            _marks.put_back(taken)
            raise
        del taken[world]


def _write(world: World, as_of: datetime) -> None:
    node_id, name = world
    mark, made = AsOfMark.objects.get_or_create(
        node_id=node_id, world=name, defaults={"as_of": as_of}
    )
    if not made:
        AsOfMark.objects.filter(pk=mark.pk, as_of__lt=as_of).update(as_of=as_of)


def _number(moment: datetime | None) -> str:
    return "" if moment is None else str((moment - _EPOCH) // _MICROSECOND)


def _start_anew() -> None:
    """A forked child must not wait for a lock that a thread of its parent held."""
    global _marks
    _marks = Marks()


os.register_at_fork(after_in_child=_start_anew)
