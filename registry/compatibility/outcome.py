"""What the solver can say about a set of values: empty, a member of it, or nothing certain."""

from __future__ import annotations

from dataclasses import dataclass

from registry.compatibility.values import Json


@dataclass(frozen=True)
class Empty:
    """Proven: no value."""


@dataclass(frozen=True)
class Found:
    """A value of the set."""

    value: Json


@dataclass(frozen=True)
class Unknown:
    """Neither proven empty nor shown inhabited; `guesses` are values worth trying."""

    reason: str
    guesses: tuple[Json, ...] = ()


Outcome = Empty | Found | Unknown
EMPTY = Empty()


class Tally:
    """Collects the outcomes of alternatives: empty only if every one of them was."""

    def __init__(self) -> None:
        self.reasons: dict[str, None] = {}
        self.guesses: list[Json] = []

    def add(self, outcome: Outcome) -> Found | None:
        """Note one alternative; a found value is handed back at once."""
        if isinstance(outcome, Found):
            return outcome
        if isinstance(outcome, Unknown):
            self.reasons[outcome.reason] = None
            self.guesses.extend(outcome.guesses[:8])
        return None

    def result(self) -> Outcome:
        """The outcome of the union of all alternatives noted, none of which was `Found`."""
        if not self.reasons:
            return EMPTY
        return Unknown("; ".join(list(self.reasons)[:3]), tuple(self.guesses[:40]))
