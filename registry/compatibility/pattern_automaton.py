r"""Patterns as automata: built from the syntax tree of `registry.patterns`, run state by state.

A pattern is *searched* for: what precedes and follows the match is free. Look-around and
back-references have no automaton here and raise `UnsupportedPatternError`; nothing is guessed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from registry.compatibility.budget import Budget
from registry.patterns.characters import (
    LAST_CODE_POINT,
    WORD,
    CharacterSet,
    Range,
    complement,
    merged,
    ranges_of,
)
from registry.patterns.syntax import (
    Assertion,
    Characters,
    Choice,
    Group,
    InvalidPattern,
    Node,
    Repeat,
    Sequence,
    parse,
)

_MOST_STATES = 3_000
_EXPANDED = 1_000

Ranges = tuple[Range, ...]
Edge = Literal["start", "end", "word", "other"]


class UnsupportedPatternError(Exception):
    """The pattern uses a construct that has no automaton here, or is too large."""


@dataclass
class _Automaton:
    """States 0…n-1 with edges on a character, free edges, and edges under an assertion."""

    steps: list[list[tuple[Ranges, int]]] = field(default_factory=list)
    free: list[list[int]] = field(default_factory=list)
    guarded: list[list[tuple[str, int]]] = field(default_factory=list)

    def state(self) -> int:
        if len(self.steps) >= _MOST_STATES:
            raise UnsupportedPatternError("the pattern is too large")
        self.steps.append([])
        self.free.append([])
        self.guarded.append([])
        return len(self.steps) - 1

    def build(self, node: Node, first: int) -> int:
        """Add what the node matches after state `first`; the state after it."""
        if isinstance(node, Characters):
            last = self.state()
            self.steps[first].append((_ranges(node.allowed), last))
            return last
        if isinstance(node, Assertion):
            last = self.state()
            self.guarded[first].append((node.kind, last))
            return last
        if isinstance(node, Sequence):
            for part in node.parts:
                first = self.build(part, first)
            return first
        if isinstance(node, Choice):
            return self._choice(node, first)
        if isinstance(node, Group):
            return self.build(node.part, first)
        if isinstance(node, Repeat):
            return self._repeat(node, first)
        raise UnsupportedPatternError("look-around or a back-reference")

    def _choice(self, node: Choice, first: int) -> int:
        last = self.state()
        for option in node.options:
            entry = self.state()
            self.free[first].append(entry)
            self.free[self.build(option, entry)].append(last)
        return last

    def _repeat(self, node: Repeat, first: int) -> int:
        if node.low > _EXPANDED or (node.high or 0) > _EXPANDED:
            raise UnsupportedPatternError("the pattern is too large")
        for _ in range(node.low):
            first = self.build(node.part, first)
        if node.high is None:
            hub = self.state()
            self.free[first].append(hub)
            entry = self.state()
            self.free[hub].append(entry)
            self.free[self.build(node.part, entry)].append(hub)
            return hub
        last = self.state()
        for _ in range(node.high - node.low):
            self.free[first].append(last)
            entry = self.state()
            self.free[first].append(entry)
            first = self.build(node.part, entry)
        self.free[first].append(last)
        return last

    def reaching(self, final: int) -> frozenset[int]:
        """States from which `final` can be reached once a character has been read."""
        back: list[list[int]] = [[] for _ in self.steps]
        for state, edges in enumerate(self.steps):
            later = [one for kind, one in self.guarded[state] if kind != "^"]
            for target in [one for _, one in edges] + self.free[state] + later:
                back[target].append(state)
        seen, pending = {final}, [final]
        while pending:
            for one in back[pending.pop()]:
                if one not in seen:
                    seen.add(one)
                    pending.append(one)
        return frozenset(seen)


@dataclass(frozen=True)
class State:
    """Where a search stands: automaton states, and what kind of character was read last."""

    places: frozenset[int]
    behind: Edge


class SearchedPattern:
    """A deterministic view of "the pattern is found somewhere in the word", built on demand.

    Raises `UnsupportedPatternError` where the pattern has no automaton.
    """

    def __init__(self, pattern: str) -> None:
        self._nfa = _Automaton()
        begin = self._nfa.state()
        try:
            self._final = self._nfa.build(parse(pattern).root, begin)
        except (InvalidPattern, RecursionError) as error:
            raise UnsupportedPatternError(str(error)) from error
        kinds = {kind for edges in self._nfa.guarded for kind, _ in edges}
        self._looks_at_words = bool(kinds & {"b", "B"})
        self._alive = self._nfa.reaching(self._final)
        self._moves: dict[tuple[State, int], State] = {}
        self._ends: dict[State, bool] = {}
        self._matched = State(frozenset({self._final}), "other")
        self._begin = self._close({begin}, None, None)
        first = self._begin
        self.start = self._matched if self._final in first else State(first, "start")

    def _close(
        self, places: Iterable[int], behind: Edge | None, ahead: Edge | None
    ) -> frozenset[int]:
        """Follow free edges, and guarded ones too when both neighbours are given."""
        seen = set(places)
        pending = list(seen)
        while pending:
            place = pending.pop()
            reachable = list(self._nfa.free[place])
            if behind is not None and ahead is not None:
                reachable += [
                    one for kind, one in self._nfa.guarded[place] if _allows(kind, behind, ahead)
                ]
            for one in reachable:
                if one not in seen:
                    seen.add(one)
                    pending.append(one)
        return frozenset(seen)

    def move(self, state: State, point: int, budget: Budget) -> State:
        """The state after one more character; a match, once found, stays found."""
        if self.found(state):
            return state
        key = (state, point)
        if key not in self._moves:
            budget.spend(1 + len(state.places) // 4)
            self._moves[key] = self._step(state, point)
        return self._moves[key]

    def _step(self, state: State, point: int) -> State:
        ahead: Edge = "word" if _holds(WORD, point) else "other"
        closed = self._close(state.places, state.behind, ahead)
        if self._final in closed:
            return self._matched
        reached = {
            target
            for place in closed
            for ranges, target in self._nfa.steps[place]
            if _holds(ranges, point)
        }
        places = (self._close(reached, None, None) | self._begin) & self._alive
        if self._final in places:
            return self._matched
        return State(places, ahead if self._looks_at_words else "other")

    def found(self, state: State) -> bool:
        """Whether the pattern is already found, whatever follows."""
        return state is self._matched

    def hopeless(self, state: State) -> bool:
        """Whether the pattern can no longer be found, whatever follows."""
        return not state.places

    def accepts(self, state: State) -> bool:
        """Whether a word that ends here matches."""
        if state not in self._ends:
            self._ends[state] = self._final in self._close(state.places, state.behind, "end")
        return self._ends[state]

    def boundaries(self) -> set[int]:
        """Code points at which the pattern starts to treat characters differently."""
        used = {ranges for edges in self._nfa.steps for ranges, _ in edges}
        if self._looks_at_words:
            used.add(WORD)
        return {edge for ranges in used for low, high in ranges for edge in (low, high + 1)}


def _allows(kind: str, behind: Edge, ahead: Edge) -> bool:
    if kind == "^":
        return behind == "start"
    if kind == "$":
        return ahead == "end"
    at_boundary = (behind == "word") != (ahead == "word")
    return at_boundary == (kind == "b")


def _holds(ranges: Ranges, point: int) -> bool:
    at = bisect_right(ranges, (point, LAST_CODE_POINT + 1)) - 1
    return at >= 0 and ranges[at][0] <= point <= ranges[at][1]


def _ranges(allowed: CharacterSet) -> Ranges:
    pieces = list(allowed.ranges)
    for one in allowed.properties:
        pieces += ranges_of(one)
    return complement(tuple(pieces)) if allowed.negated else merged(pieces)
