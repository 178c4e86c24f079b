"""Where the rows of a job come from: what a node names as its source, or its live feed."""

from enum import StrEnum
from typing import Any, Protocol


class Origin(StrEnum):
    """`source`: an upstream that is asked for a range. `live`: what a feed has brought lately."""

    SOURCE = "source"
    LIVE = "live"


class NodeWithOrigins(Protocol):
    """The settings of a `registry.models.Node`."""

    source: Any
    live: Any


def settings_of(node: NodeWithOrigins, origin: str) -> dict[str, Any]:
    """The node's settings of that origin; empty where it has none."""
    settings: dict[str, Any] = node.live if origin == Origin.LIVE else node.source
    return settings
