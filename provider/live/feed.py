"""From a node's live settings to its live source and its tail."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from coordinator.coverage import CoverageRange
from coordinator.ports import SourceBusy
from provider.alignment import align, whole_bars
from provider.blend import Piece
from provider.conformance.findings import Finding, FindingClass
from provider.live import LIVE_SOURCE, LiveRows, LiveTail, LiveUnavailable
from provider.live.entries import Decoded, decode
from provider.live.polled import PolledHTTP
from provider.live.received import LiveSource
from provider.live.redis_stream import RedisStream
from provider.node_view import STABILIZATION_BARS, grid_of
from provider.sources import InvalidSourceSettings, SourceEnvironment
from provider.sources.alignment import alignment_of
from provider.sources.http import SourceRefused
from provider.sources.rows import WrongRows
from provider.sources.settings import whole_number
from provider.stores.opening import source_environment
from registry.errors import Conflict
from registry.frame import Frame
from registry.models import Node

MALFORMED_FLAG, CUT_FLAG = "live_malformed", "live_cut"
_OWN = ("type", "align", "stabilization_bars", "lookback_bars")


class NoLiveFeed(Conflict):
    code = "no_live_feed"
    title = "Node without a live feed"


LiveSourceFactory = Callable[[Mapping[str, Any], SourceEnvironment], LiveSource]
_TYPES: Mapping[str, LiveSourceFactory] = {
    "http": PolledHTTP.from_settings,
    "redis": RedisStream.from_settings,
}


@dataclass(frozen=True, slots=True)
class LiveFeed:
    """`alignment`: how its rows are put on the grid, "" where they lie there.

    `stabilization_bars`: how many of the newest bars may still change and are not stored yet.

    `lookback_bars`: how many of the newest bars the source is asked for at most.
    """

    source: LiveSource
    stabilization_bars: int = STABILIZATION_BARS
    lookback_bars: int = 1_000
    alignment: str = ""


def open_live(settings: Mapping[str, Any], environment: SourceEnvironment) -> LiveFeed:
    """The feed that `{"type": "redis" | "http", …}` describes. Nothing is connected yet.

    Raises InvalidSourceSettings, which names the key.
    """
    name = settings.get("type")
    if not isinstance(name, str) or name not in _TYPES:
        raise InvalidSourceSettings("type", f"is {name!r}; there are {', '.join(sorted(_TYPES))}")
    rest = {key: value for key, value in settings.items() if key not in _OWN}
    return LiveFeed(
        source=_TYPES[name](rest, environment),
        stabilization_bars=whole_number(
            settings, "stabilization_bars", STABILIZATION_BARS, least=1, most=1_000
        ),
        lookback_bars=whole_number(settings, "lookback_bars", 1_000, least=1, most=100_000),
        alignment=alignment_of(settings),
    )


def live_feed_of(node: Node) -> LiveFeed | None:
    """None where the node has none. Raises InvalidSourceSettings."""
    return open_live(node.live, source_environment()) if node.live else None


@dataclass(frozen=True, slots=True)
class NodeTail:
    """The live end of a node whose settings name a live source."""

    node: Node
    frame: Frame
    feed: LiveFeed

    @property
    def reach_seconds(self) -> int:
        return (self.feed.lookback_bars - 1) * self.node.interval

    def read(self, start: int, end: int, *, deadline: float | None) -> LiveRows:
        """See `provider.live.LiveTail`."""
        if self.frame.time is None:
            raise LiveUnavailable("the schema names no time column")
        bars, source = CoverageRange(start, end), self.feed.source
        span = whole_bars(bars, self.node.interval) if self.feed.alignment else bars
        keys = [series["key"] for series in self.node.series if series["key"]]
        try:
            received = source.receive(span, keys, deadline)
        except (SourceBusy, SourceRefused, WrongRows, InvalidSourceSettings, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise LiveUnavailable(f"{type(error).__name__}: {error}") from error
        decoded = decode(received.entries, source.form, self.frame, span)
        pieces = [Piece(LIVE_SOURCE, self._aligned(table, bars)) for table in decoded.tables]
        return LiveRows(pieces, tuple(_findings(decoded, received.cut, len(received.entries))))

    def _aligned(self, table: pa.Table, bars: CoverageRange) -> pa.Table:
        how = self.feed.alignment
        return align(table, self.frame, grid_of(self.node), how, bars) if how else table


def tail_of(node: Node, frame: Frame) -> NodeTail:
    """For those who cannot do without it. Raises NoLiveFeed and LiveUnavailable."""
    try:
        feed = live_feed_of(node)
    except InvalidSourceSettings as wrong:
        raise LiveUnavailable(_wrong_settings(wrong)) from None
    if feed is None:
        raise NoLiveFeed(f"{node.node_id} has no live feed to take bars from.")
    return NodeTail(node, frame, feed)


def node_tail(node: Node, frame: Frame) -> LiveTail | None:
    """For `set_live_tail_factory`. A feed whose settings do not hold any more is unavailable."""
    try:
        feed = live_feed_of(node)
        return None if feed is None else NodeTail(node, frame, feed)
    except InvalidSourceSettings as wrong:
        return _NoTail(_wrong_settings(wrong))


def _wrong_settings(wrong: InvalidSourceSettings) -> str:
    return f"the settings of the live feed: {wrong.key!r} {wrong.reason}"


@dataclass(frozen=True, slots=True)
class _NoTail:
    reason: str
    reach_seconds: int = 0

    def read(self, start: int, end: int, *, deadline: float | None) -> LiveRows:
        raise LiveUnavailable(self.reason)


def _findings(decoded: Decoded, cut: bool, entries: int) -> list[Finding]:
    """Notes: a bar that is missing for it is flagged as missing, which is what blocks."""
    found = []
    if decoded.malformed:
        count = sum(decoded.malformed.values())
        reasons = ", ".join(f"{n} with {reason}" for reason, n in sorted(decoded.malformed.items()))
        said = f"{count} of {entries} live entries are no rows: {reasons}"
        found.append(Finding(FindingClass.NOTE, MALFORMED_FLAG, count, warnings=(said,)))
    if cut:
        said = f"only the newest {entries} live entries were read; raise `entries`"
        found.append(Finding(FindingClass.NOTE, CUT_FLAG, 1, warnings=(said,)))
    return found
