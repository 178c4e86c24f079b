"""What storage lacks of a range, for backfills that are asked for by range."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.utils import timezone

from coordinator.coverage import CoverageRange, Window, merge_coverage
from provider.node_view import committed_segments, expected_series, grid_of
from provider.planning import measure_coverage
from provider.stores.opening import open_store
from registry.frame import frame_of
from registry.models import Node, SchemaVersion

BARS_AT_ONCE = 100_000


def stored_gaps(
    node: Node, version: SchemaVersion, ranges: Sequence[CoverageRange]
) -> list[CoverageRange]:
    """Of these ranges, what some series lacks of its expected bars that are over.

    Read in windows of 100,000 bars, times and keys only.
    """
    now = timezone.now()
    gaps = [
        gap
        for wanted in ranges
        for window in _windows(wanted, node.interval)
        for gap in _gaps(node, version, window, now)
    ]
    return merge_coverage(gaps, node.interval)


def _gaps(node: Node, version: SchemaVersion, window: Window, now: datetime) -> list[CoverageRange]:
    frame = frame_of(version.content.document)
    columns = {*frame.key} | ({frame.time} if frame.time else set())
    pieces = open_store(node, frame).read(
        window.start, window.end, committed_segments(node, window), columns=columns
    )
    expected = expected_series(node, window, now)
    return measure_coverage(pieces, frame, expected, grid_of(node)).missing_ranges()


def _windows(wanted: CoverageRange, interval: int) -> Iterator[Window]:
    step = BARS_AT_ONCE * interval
    for start in range(wanted.start, wanted.end + 1, step):
        yield Window(start, min(start + step - interval, wanted.end), interval)
