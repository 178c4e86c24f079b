"""Ports: whether a node, as it is about to be kept, could be read at all, and which series it has.

The rooms above know which stores, sources and calendars there are; both are registered when Django
starts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.actors import Actor
from registry.errors import InvalidInput
from registry.frame import Frame

Series = Mapping[str, Any]


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
    live: Mapping[str, Any]
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


def _no_discovery(
    *, actor: Actor, node_id: str, subject: str, store: Mapping[str, Any]
) -> Sequence[Series]:
    raise InvalidInput(f"Name the series of {node_id}: nothing here can look into its store.")


_discover: Callable[..., Sequence[Series]] = _no_discovery


def set_series_discovery(discover: Callable[..., Sequence[Series]]) -> None:
    global _discover
    _discover = discover


def discover_series(
    *, actor: Actor, node_id: str, subject: str, store: Mapping[str, Any]
) -> Sequence[Series]:
    """The series that a store holds now. Raises InvalidInput, NotFound, NotAllowed, Unavailable."""
    return _discover(actor=actor, node_id=node_id, subject=subject, store=store)
