"""What the coordinator asks of the room above it: how the rows of a shard are got and published.

The provider registers a factory when Django starts; the coordinator never imports the provider.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from coordinator.coverage import CoverageRange
from coordinator.origins import Origin

JSONObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard as its handler sees it: a closed range of bar times of one node."""

    shard_id: int
    job_id: int
    node_id: str
    interval: int
    range: CoverageRange
    bound_version_id: int
    origin: str = Origin.SOURCE


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row that was set aside, as plain JSON, with what was found in it."""

    row: JSONObject
    diagnostics: Sequence[JSONObject]


@dataclass(frozen=True, slots=True)
class Staged:
    """Rows written but not yet visible: nothing reads them until `publish` has committed.

    `checksum` identifies the rows (`sha256:` + hex); `payload` is the handler's own.
    """

    n_rows: int
    checksum: str
    payload: Any = None
    quarantined: Sequence[QuarantinedRow] = ()


class ShardRefused(Exception):
    """The rows break the agreed schema: trying again cannot help, a person must look."""

    def __init__(
        self,
        code: str,
        diagnostics: Sequence[JSONObject],
        quarantined: Sequence[QuarantinedRow] = (),
    ) -> None:
        super().__init__(f"{code}: {len(diagnostics)} finding(s), {len(quarantined)} row(s) kept")
        self.code = code
        self.diagnostics = tuple(diagnostics)
        self.quarantined = tuple(quarantined)


class SourceBusy(Exception):
    """The source asks for patience (429, 503 with Retry-After): nobody asks it until then.

    Costs no attempt, as long as the source does not say so for ever.
    """

    def __init__(self, retry_after: float, reason: str = "") -> None:
        super().__init__(reason or f"the source is busy for {retry_after:g} s")
        self.retry_after = retry_after


class ShardCancelled(Exception):
    """The lease was lost or the job cancelled while the handler worked: the result is unwanted."""


class CancelSignal:
    """Says to a handler that it should stop, and to the heartbeat that the handler still moves.

    A handler asks `is_set` (or `raise_if_set`) between chunks and calls `progressed` after each;
    the lease is renewed only while progress moves. Safe to share between threads.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._event = threading.Event()
        self._moved_at = clock()
        self.reason = ""

    def set(self, reason: str) -> None:
        """The first reason stays."""
        if not self._event.is_set():
            self.reason = reason
            self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake at once when stopped; whether it is."""
        return self._event.wait(seconds)

    def raise_if_set(self) -> None:
        if self._event.is_set():
            raise ShardCancelled(self.reason)

    def progressed(self) -> None:
        self._moved_at = self._clock()

    def seconds_still(self) -> float:
        """Seconds since the handler last moved."""
        return self._clock() - self._moved_at


class ShardHandler(Protocol):
    """How one node's rows are fetched, checked, written and made visible."""

    def fetch(self, range: CoverageRange, deadline: float, cancel: CancelSignal) -> pa.Table:
        """The rows of the closed range; `deadline` is a `time.monotonic()` value.

        A source without data for some bars returns fewer rows. Any exception costs one attempt,
        but for SourceBusy.
        """
        ...

    def stage(self, table: pa.Table, shard: ShardTask, epoch: int) -> Staged:
        """Check and write the rows where no reader looks; called outside any transaction.

        Raises ShardRefused where the rows break the bound schema version.
        """
        ...

    def publish(self, staged: Staged, connection: Any) -> None:
        """Make the rows visible, on this Django database connection, inside the fenced transaction.

        It commits with the shard's `done` or not at all; it must do no network or file work.
        """
        ...

    def discard(self, staged: Staged) -> None:
        """Remove what `stage` wrote, because it will never be published. May be called twice."""
        ...


ShardHandlerFactory = Callable[[Any], ShardHandler]


class NoShardHandler(RuntimeError):
    """Nothing can run shards here."""

    def __init__(self) -> None:
        super().__init__(
            "no shard handler is registered: the provider app registers one when Django starts, "
            "so put 'provider' into INSTALLED_APPS"
        )


_factories: dict[str, ShardHandlerFactory] = {}


def set_shard_handler_factory(
    factory: ShardHandlerFactory | None, origin: Origin = Origin.SOURCE
) -> None:
    """Register how a `registry.models.Node` gets the handler of jobs of this origin; None takes the
    registration back.
    """
    if factory is None:
        _factories.pop(origin, None)
    else:
        _factories[origin] = factory


def shard_handler(node: Any, origin: str) -> ShardHandler:
    """The handler of a node's jobs of this origin. Raises NoShardHandler."""
    factory = _factories.get(origin)
    if factory is None:
        raise NoShardHandler
    return factory(node)


GapFinder = Callable[[Any, Any, Sequence[CoverageRange]], Sequence[CoverageRange]]

_find_gaps: GapFinder | None = None


def set_gap_finder(finder: GapFinder | None) -> None:
    """Register what storage lacks: (node, bound version, ranges) -> the ranges of missing bars."""
    global _find_gaps
    _find_gaps = finder


def stored_gaps(
    node: Any, version: Any, ranges: Sequence[CoverageRange]
) -> Sequence[CoverageRange]:
    """Of these ranges, what a series of the node lacks; all of them where nobody knows storage."""
    return ranges if _find_gaps is None else _find_gaps(node, version, ranges)
