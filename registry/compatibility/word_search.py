"""Shortest words that several patterns demand or forbid at once: a search in their product."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TypeAlias

from registry.compatibility.budget import Budget
from registry.compatibility.pattern_automaton import SearchedPattern, State
from registry.patterns.characters import LAST_CODE_POINT

_SURROGATES = (0xD800, 0xE000)
_READABLE = [ord(one) for one in "a0A_- .b1Bc2C/:@"]
_RANK = {point: at for at, point in enumerate(_READABLE)}
_END = -1

_Place: TypeAlias = "tuple[tuple[State, ...], int]"
_Trail: TypeAlias = "tuple[_Trail, int] | None"
_Layer: TypeAlias = "dict[_Place, _Trail]"


class WordSearch:
    """Words that match all of `wanted`, none of `refused`, and are not `excluded`."""

    def __init__(
        self,
        wanted: list[SearchedPattern],
        refused: list[SearchedPattern],
        excluded: frozenset[str],
        budget: Budget,
    ) -> None:
        self._patterns = wanted + refused
        self._goals = [True] * len(wanted) + [False] * len(refused)
        self._budget = budget
        letters = {ord(char) for word in excluded for char in word}
        budget.spend(1 + (len(letters) + len(excluded)) // 8)
        self._alphabet = _alphabet(self._patterns, letters)
        self._tree = _tree(excluded)

    def shortest(self, least: int, most: int | None) -> str | None:
        """A shortest such word with a length in `least…most`; None proves that there is none."""
        layer: _Layer = {(tuple(one.start for one in self._patterns), 0): None}
        seen: set[_Place] = set()
        length = 0
        while layer:
            if length >= least:
                for place, trail in layer.items():
                    if self._accepted(place):
                        return _spell(trail)
                layer = {place: trail for place, trail in layer.items() if place not in seen}
                seen |= layer.keys()
            if most is not None and length >= most:
                return None
            layer = self._after(layer)
            length += 1
        return None

    def _after(self, layer: _Layer) -> _Layer:
        following: _Layer = {}
        for (states, branch), trail in layer.items():
            self._budget.spend(1 + len(self._alphabet) * len(states) // 8)
            for point in self._alphabet:
                moved = tuple(
                    one.move(state, point, self._budget)
                    for one, state in zip(self._patterns, states, strict=True)
                )
                place = (moved, self._tree[branch].get(point, _END) if branch >= 0 else _END)
                if place not in following and not self._lost(moved):
                    following[place] = (trail, point)
        return following

    def _lost(self, states: tuple[State, ...]) -> bool:
        return any(
            one.hopeless(state) if goal else one.found(state)
            for one, state, goal in zip(self._patterns, states, self._goals, strict=True)
        )

    def _accepted(self, place: _Place) -> bool:
        states, branch = place
        if branch >= 0 and _END in self._tree[branch]:
            return False
        return all(
            one.accepts(state) == goal
            for one, state, goal in zip(self._patterns, states, self._goals, strict=True)
        )


def _alphabet(patterns: list[SearchedPattern], letters: Iterable[int]) -> list[int]:
    """One readable character for each class of characters that nothing here tells apart."""
    edges = {0, *_SURROGATES, LAST_CODE_POINT + 1}
    for pattern in patterns:
        edges |= pattern.boundaries()
    for point in letters:
        edges |= {point, point + 1}
    chosen = [
        _representative(low, high)
        for low, high in pairwise(sorted(edges))
        if not _SURROGATES[0] <= low < _SURROGATES[1]
    ]
    return sorted(chosen, key=lambda one: (_RANK.get(one, 99), not 33 <= one < 127, one))


def _representative(low: int, high: int) -> int:
    inside = [one for one in _READABLE if low <= one < high]
    visible = [max(low, one) for one in (97, 65, 48, 33) if max(low, one) < min(high, 127)]
    return next(iter(inside + visible), low)


def _tree(words: frozenset[str]) -> list[dict[int, int]]:
    """The words as a tree of letters; the key `_END` marks the end of one."""
    nodes: list[dict[int, int]] = [{}]
    for word in words:
        at = 0
        for char in word:
            if ord(char) not in nodes[at]:
                nodes.append({})
                nodes[at][ord(char)] = len(nodes) - 1
            at = nodes[at][ord(char)]
        nodes[at][_END] = at
    return nodes


def _spell(trail: _Trail) -> str:
    letters: list[str] = []
    while trail is not None:
        trail, point = trail
        letters.append(chr(point))
    return "".join(reversed(letters))
