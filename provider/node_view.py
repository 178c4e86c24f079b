"""What a node's settings mean for a read: its grid, its policy, its expected bars, its segments."""

from collections.abc import Sequence
from datetime import datetime

from coordinator.calendars import OutsideCalendar, UnknownCalendar
from coordinator.coverage import Int64s, Window
from coordinator.grid import Grid, expected_bars
from provider.conformance import ExpectedSeries
from provider.models import Segment
from provider.sla import SLAPolicy
from registry.errors import InvalidInput
from registry.models import Node

STABILIZATION_BARS = 2  # of a live feed whose settings do not say


def grid_of(node: Node) -> Grid:
    return Grid(node.interval, node.anchor)


def policy_of(node: Node) -> SLAPolicy:
    return SLAPolicy.from_dict(node.sla.document) if node.sla else SLAPolicy()


def newest_ended_bar(node: Node, now: datetime) -> int:
    """The last bar time whose bar is over: a bar lasts from its time for one interval."""
    latest = int(now.timestamp()) - node.interval
    return latest - (latest - node.anchor) % node.interval


def newest_settled_bar(node: Node, now: datetime, stabilization_bars: int) -> int:
    """The last bar time that is no longer among the newest ones, which may still change.

    One of them is the bar that has just ended: with 1 the result is `newest_ended_bar`.
    """
    settled = int(now.timestamp()) - stabilization_bars * node.interval
    return settled - (settled - node.anchor) % node.interval


def newest_final_bar(node: Node, now: datetime) -> int:
    """The last bar that no feed changes any more; of a node without one, the last that is over."""
    if not node.live:
        return newest_ended_bar(node, now)
    return newest_settled_bar(node, now, node.live.get("stabilization_bars", STABILIZATION_BARS))


def reaches_present(node: Node, window: Window, now: datetime) -> bool:
    """Whether the newest bar that could exist lies in the window."""
    return window.start <= newest_ended_bar(node, now) <= window.end


def committed_segments(node: Node, window: Window) -> list[str]:
    """The published segments that touch the window, in order of publication."""
    return list(Segment.objects.touching(node, window).values_list("file", flat=True))


def expected_series(
    node: Node, window: Window, now: datetime | None = None
) -> Sequence[ExpectedSeries]:
    """The node's series with the bars each should have in the window.

    With `now`, only bars that are over: what has not happened yet is not missing.
    """
    grid, calendar = grid_of(node), node.calendar
    newest = None if now is None else newest_ended_bar(node, now)
    try:
        return [
            ExpectedSeries(
                one["key"],
                _until(expected_bars(calendar, grid, window, one.get("since")), newest),
            )
            for one in node.series
        ]
    except (OutsideCalendar, UnknownCalendar) as error:
        raise InvalidInput(f"{node.node_id}: {error}.", parameter="start") from None


def _until(bars: Int64s, newest: int | None) -> Int64s:
    if newest is None or len(bars) == 0 or bars[-1] <= newest:
        return bars
    ended: Int64s = bars[bars <= newest]
    return ended
