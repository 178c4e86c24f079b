"""A port: whether a node, as it is about to be kept, could be read at all.

The rooms above know which stores, sources and calendars there are; the check is registered when
Django starts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.frame import Frame


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What a node is made of; `frame` is its schema's, None while no version is approved."""

    node_id: str
    interval: int
    anchor: int
    calendar: str
    series: Sequence[Mapping[str, Any]]
    store: Mapping[str, Any]
    source: Mapping[str, Any]
    frame: Frame | None


def _accept(settings: NodeSettings) -> None:
    """Nobody knows better: a registry without a provider keeps what it is given."""


_check: Callable[[NodeSettings], None] = _accept


def set_node_settings_check(check: Callable[[NodeSettings], None]) -> None:
    global _check
    _check = check


def check_node_settings(settings: NodeSettings) -> None:
    """Raises InvalidInput, which names the setting that is wrong."""
    _check(settings)
