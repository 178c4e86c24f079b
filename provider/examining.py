"""A look into a node's store by those who run it: what a read of its newest bars would find."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from coordinator.coverage import Window
from coordinator.grid import Grid
from provider.blend import Piece
from provider.conformance import ConformancePipeline, ConformanceReport, Enforcement
from provider.diagnosis import (
    Advice,
    advise_on_keys,
    advise_on_report,
    advise_on_times,
    series_of,
)
from provider.live.diagnosis import LiveSight, look_at_live
from provider.node_view import committed_segments, expected_series, grid_of, policy_of
from provider.stores.opening import open_store, open_store_of
from provider.timeline import read_times
from registry.actors import Actor
from registry.errors import Conflict, InvalidInput
from registry.frame import Frame, frame_of
from registry.models import Node, Role, SchemaVersion, Subject
from registry.services.access import require_role
from registry.services.nodes import node_for
from registry.services.proposals import latest_version
from registry.services.references import stored_references
from registry.services.subjects import subject_named

_FARTHEST = 1 << 40  # seconds: some 35,000 years on either side of now


class NoVersionYet(Conflict):
    code = "no_version"
    title = "No approved version yet"


@dataclass(frozen=True, slots=True)
class Examination:
    """What was seen: `rows` in [first, last] (epoch seconds), their series, what to do about it.

    `live_newest` is the newest bar that the node's live feed has, None without one.
    """

    node_id: str
    version: int
    rows: int
    first: int | None
    last: int | None
    series: int
    coverage: float | None
    live_newest: int | None
    advice: tuple[Advice, ...]

    @property
    def healthy(self) -> bool:
        return not self.advice

    def to_dict(self) -> dict[str, Any]:
        facts = {name: getattr(self, name) for name in self.__slots__ if name != "advice"}
        return facts | {"advice": [one.to_dict() for one in self.advice]}


def examine_node(*, actor: Actor, node_id: str, now: datetime, bars: int = 10_000) -> Examination:
    """Check the newest `bars` bars as an ungoverned read would, and compare the node with them.

    Nothing is fetched, stored or recorded. For owners of the subject and operators of their team.
    Raises NotFound, NotAllowed, NoVersionYet and StoreUnreadable.
    """
    node = node_for(actor=actor, node_id=node_id)
    version = _version(node.subject)
    frame = frame_of(version.content.document)
    window, pieces = _newest(node, frame, int(now.timestamp()), bars)
    times = _times(pieces, frame)
    report = _checked(node, version, window, pieces) if len(times) else None
    live = look_at_live(node, frame, now) if node.live else LiveSight(None, ())
    return Examination(
        node_id=node_id,
        version=version.number,
        rows=sum(piece.table.num_rows for piece in pieces),
        first=int(times.min()) if len(times) else None,
        last=int(times.max()) if len(times) else None,
        series=len(series_of(pieces, frame)),
        coverage=None if report is None else report.coverage,
        live_newest=live.newest,
        advice=(*_advice(node, frame, pieces, report), *live.advice),
    )


def discover_series(
    *,
    actor: Actor,
    node_id: str,
    subject: str,
    store: Mapping[str, Any],
    key: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """The series that a store holds now, as a node that is about to be registered expects them.

    `key` names the key columns that the caller believes the schema has. Raises InvalidInput where
    it has others or the store holds no row, and what `examine_node` raises.
    """
    line = subject_named(subject)
    require_role(actor, line.owner_team, Role.OWNER)
    frame = frame_of(_version(line).content.document)
    if key and set(key) != set(frame.key):
        raise InvalidInput(
            f"The key columns of {subject} are {', '.join(frame.key) or 'none'}, "
            f"not {', '.join(key)}."
        )
    if not frame.key:
        return [{"key": {}, "since": None}]
    opened = open_store_of(store, node_id, frame)
    pieces = opened.read(-_FARTHEST, _FARTHEST, (), columns=frame.key)
    found = series_of(pieces, frame)
    if not found:
        raise InvalidInput(
            f"The store of {node_id} holds no row to take series from: name them "
            f"(--series {frame.key[0]}=…)."
        )
    return [{"key": series, "since": None} for series in found]


def _version(subject: Subject) -> SchemaVersion:
    version = latest_version(subject)
    if version is None:
        raise NoVersionYet(f"The subject {subject} has no approved version yet.")
    return version


def _newest(node: Node, frame: Frame, now: int, bars: int) -> tuple[Window, list[Piece]]:
    """The window of the newest bars, found by looking back ever farther, and its rows."""
    grid, store = grid_of(node), open_store(node, frame)
    back = bars * node.interval
    while True:
        span = _window(grid, now - back, now + back)
        committed = committed_segments(node, span)
        pieces = store.read(span.start, span.end, committed)
        times = _times(pieces, frame)
        if len(times) or back > _FARTHEST:
            break
        back *= 32
    if not len(times):
        return span, pieces
    last = int(times.max())
    window = _window(grid, last - (bars - 1) * node.interval, last)
    return window, store.read(window.start, last, committed_segments(node, window))


def _window(grid: Grid, start: int, end: int) -> Window:
    """The grid points of a span, at least one."""
    return grid.snap(start, end) or Window(end, end, grid.interval)


def _times(pieces: Sequence[Piece], frame: Frame) -> Any:
    """The epoch seconds of all rows whose time can be read."""
    found = [np.empty(0, np.int64)]
    for piece in pieces:
        if frame.time in piece.table.column_names:
            times = read_times(piece.table.column(frame.time), frame.unit)
            found.append(times.seconds[times.readable])
    return np.concatenate(found)


def _checked(
    node: Node, version: SchemaVersion, window: Window, pieces: Sequence[Piece]
) -> ConformanceReport:
    first = int(_times(pieces, frame_of(version.content.document)).min())
    seen = _window(grid_of(node), max(first, window.start), window.end)
    pipeline = ConformancePipeline(
        schema=version.content.document,
        references=stored_references(version.content.canonical),
        enforcement=Enforcement.RECORD,
        grid=grid_of(node),
        expected=expected_series(node, seen),
        policy=policy_of(node),
        partial_ok=True,
    )
    return pipeline.run(pieces).report


def _advice(
    node: Node, frame: Frame, pieces: Sequence[Piece], report: ConformanceReport | None
) -> tuple[Advice, ...]:
    """Each thing once: what a report repeats of the times and keys is left out."""
    expected = [one["key"] for one in node.series]
    found = [
        *advise_on_times(pieces, frame, grid_of(node)),
        *advise_on_keys(pieces, frame, expected),
    ]
    known = {one.code for one in found}
    reported = () if report is None else advise_on_report(report)
    return (*found, *(one for one in reported if one.code not in known))
