"""What a compatibility check answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from registry.compatibility.values import Json

Verdict = Literal["compatible", "incompatible", "not_proven"]
Direction = Literal["backward", "forward"]
Breaks = Literal["backward", "forward", "both", "none"]


class Level(StrEnum):
    """The promises a subject can ask its next version to keep."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Which of the two readings must hold."""
        if self is Level.NONE:
            return ()
        name = self.value.removesuffix("_TRANSITIVE")
        return ("backward", "forward") if name == "FULL" else (_DIRECTION[name],)

    @property
    def is_transitive(self) -> bool:
        """Whether every earlier version counts, not only the last."""
        return self.value.endswith("_TRANSITIVE")


_DIRECTION: dict[str, Direction] = {"BACKWARD": "backward", "FORWARD": "forward"}


@dataclass(frozen=True)
class Witness:
    """A document that one schema accepts and the other refuses, checked with `is_valid`."""

    document: Json
    direction: Direction
    """backward: valid under old, not under new; forward: valid under new, not under old."""
    version: int
    """Which of the old schemas it is about: its index in the list given."""
    pointer: str
    """Where in the document the refusing schema objects."""
    message: str
    """What the refusing schema says about the document."""


@dataclass(frozen=True)
class Change:
    """One difference between the last old schema and the new one."""

    code: str
    old_pointer: str | None
    new_pointer: str | None
    breaks: Breaks
    message: str
    fix: str | None = None


@dataclass(frozen=True)
class CompatibilityReport:
    """The verdict of a level, what proves or prevents it, and every difference."""

    level: Level
    verdict: Verdict
    witnesses: tuple[Witness, ...]
    """At most one for each direction that the level asks for."""
    changes: tuple[Change, ...]
    reasons: tuple[str, ...] = ()
    """What could not be decided, one sentence each."""

    @property
    def witness(self) -> Witness | None:
        """A document that shows why the verdict is "incompatible"."""
        return self.witnesses[0] if self.witnesses else None
