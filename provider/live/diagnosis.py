"""A look at a node's live feed by those who run it: whether bars arrive, and what else does."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

import numpy as np

from coordinator.coverage import Window
from provider.blend import read_pieces
from provider.diagnosis import Advice
from provider.live import LiveUnavailable
from provider.live.feed import CUT_FLAG, tail_of
from provider.node_view import expected_series, newest_ended_bar
from registry.frame import Frame
from registry.models import Node

SECONDS = 5.0
_LATE_BARS = 3


@dataclass(frozen=True, slots=True)
class LiveSight:
    """`newest` is the newest bar that has arrived, in epoch seconds; None where none has."""

    newest: int | None
    advice: tuple[Advice, ...]


def look_at_live(node: Node, frame: Frame, now: datetime) -> LiveSight:
    """What the feed has of the bars it is asked for, within five seconds."""
    latest = newest_ended_bar(node, now)
    try:
        tail = tail_of(node, frame)
        first = latest - tail.reach_seconds
        found = tail.read(first, latest + node.interval, deadline=monotonic() + SECONDS)
    except (LiveUnavailable, TimeoutError) as error:
        fix = "Start it, or correct it: manage.py node change, SEAMLESS_LIVE_SERVERS."
        says = f"The live feed gave no rows: {error}."
        return LiveSight(None, (Advice("warning", "live_unavailable", says, fix),))
    arrived = [piece.times.seconds for piece in read_pieces(found.pieces, frame).read]
    times = np.concatenate([np.empty(0, np.int64), *arrived])
    newest = int(times.max()) if len(times) else None
    advice = [
        Advice("warning", one.flag, f"{one.warnings[0]}.", _fix(one.flag)) for one in found.findings
    ]
    window = Window(first, latest, node.interval)
    return LiveSight(newest, (*advice, *_advise_on_age(node, window, newest, now)))


def _fix(flag: str) -> str:
    if flag == CUT_FLAG:
        return "Raise `entries`, or lower `lookback_bars`, in the node's live settings."
    return "Mend the sender; what it means is in docs/how-to/live-feeds.md."


def _advise_on_age(
    node: Node, window: Window, newest: int | None, now: datetime
) -> Iterator[Advice]:
    """By the calendar: over a weekend nothing is late."""
    bars = [one.bars for one in expected_series(node, window, now) if len(one.bars)]
    if not bars:
        return
    latest = max(int(one[-1]) for one in bars)
    if newest is None or newest < latest - _LATE_BARS * node.interval:
        says = "No bar has arrived of those that the feed is asked for."
        if newest is not None:
            says = f"The feed's newest bar is {latest - newest} s older than the newest expected."
        fix = "See whether the sender runs, and whether it writes to what the settings name."
        yield Advice("warning", "live_late", says, fix)
