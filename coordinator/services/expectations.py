"""How many bars a range of a node should have."""

import numpy as np

from coordinator.coverage import CoverageRange, Window
from coordinator.grid import Grid, expected_bars
from registry.models import Node


def expected_in(node: Node, wanted: CoverageRange) -> int:
    """Bars of all the node's series in the closed range: grid, calendar, and since they exist."""
    window = Window(wanted.start, wanted.end, node.interval)
    bars = expected_bars(node.calendar, Grid(node.interval, node.anchor), window)
    begins = [one.get("since") for one in node.series] or [None]
    return sum(
        len(bars) if since is None else len(bars) - int(np.searchsorted(bars, since))
        for since in begins
    )
