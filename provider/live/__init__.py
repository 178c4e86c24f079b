"""A port: the newest bars of a node that no store holds yet.

What is read here has the lowest precedence: a stored row is settled, a live one is provisional.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from provider.blend import Piece
from provider.conformance.findings import Finding
from registry.frame import Frame
from registry.models import Node

LIVE_SOURCE = "live"
"""What pieces of live rows are named."""


class LiveUnavailable(RuntimeError):
    """The live source gave no rows; the sentence says why."""


@dataclass(frozen=True, slots=True)
class LiveRows:
    """Rows that arrived, and what is to be said of what arrived and is no row."""

    pieces: Sequence[Piece] = ()
    findings: tuple[Finding, ...] = ()


class LiveTail(Protocol):
    """The live end of one node; `reach_seconds` is how far before the newest bar it is asked."""

    @property
    def reach_seconds(self) -> int: ...

    def read(self, start: int, end: int, *, deadline: float | None) -> LiveRows:
        """The rows in the closed [start, end] epoch seconds that arrived so far.

        `deadline` is a time of `time.monotonic()`; the caller does not wait past it. Raises
        LiveUnavailable and TimeoutError.
        """
        ...


LiveTailFactory = Callable[[Node, Frame], LiveTail | None]


def _no_tail(node: Node, frame: Frame) -> LiveTail | None:
    """Without a registration no node has a live end."""
    return None


_factory: LiveTailFactory = _no_tail


def set_live_tail_factory(factory: LiveTailFactory | None) -> None:
    """Register how a node gets its live tail; None takes the registration back."""
    global _factory
    _factory = factory or _no_tail


def live_tail(node: Node, frame: Frame) -> LiveTail | None:
    return _factory(node, frame)
