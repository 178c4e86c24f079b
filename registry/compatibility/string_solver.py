"""Strings: lengths, finite sets, patterns (exactly, as automata) and formats (by what is known)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from registry.compatibility import lore
from registry.compatibility.budget import Budget
from registry.compatibility.evaluate import string_satisfies
from registry.compatibility.formula import (
    AmongStrings,
    HasFormat,
    Matches,
    Node,
    SizeAtLeast,
)
from registry.compatibility.outcome import EMPTY, Found, Outcome, Unknown
from registry.compatibility.pattern_automaton import SearchedPattern, UnsupportedPatternError
from registry.compatibility.word_search import WordSearch

_READABLE = ("", "a", "x", "new", "b", "other", "0", "A")
_MOST_WORDS = 12
_LONGEST = 20_000
_FIRST_LETTER = ord("A")


@dataclass
class _Demand:
    least: int = 0
    most: int | None = None
    among: frozenset[str] | None = None
    excluded: set[str] = field(default_factory=set)
    patterns: list[tuple[str, bool]] = field(default_factory=list)
    formats: list[tuple[str, bool]] = field(default_factory=list)

    def add(self, atom: object, positive: bool) -> None:
        if isinstance(atom, SizeAtLeast):
            if positive:
                self.least = max(self.least, atom.size)
            else:
                self.most = atom.size - 1 if self.most is None else min(self.most, atom.size - 1)
        elif isinstance(atom, AmongStrings):
            if positive:
                self.among = atom.members if self.among is None else self.among & atom.members
            else:
                self.excluded |= atom.members
        elif isinstance(atom, Matches):
            self.patterns.append((atom.pattern, positive))
        elif isinstance(atom, HasFormat):
            self.formats.append((atom.name, positive))

    def contradictory(self) -> bool:
        if self.most is not None and self.most < self.least:
            return True
        held = [name for name, positive in self.formats if positive]
        broken = [name for name, positive in self.formats if not positive]
        return any(lore.implies(one, other) for one in held for other in broken)


class StringSolver:
    """Keeps the automata of the patterns of one question."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._automata: dict[str, SearchedPattern | None] = {}

    def solve(self, literals: Iterable[Node]) -> Outcome:
        """A string that satisfies every literal."""
        listed = [one for one in literals if not _is_opaque(one)]
        demand = _Demand()
        for one in listed:
            demand.add(one.atom, one.positive)
        self._budget.spend(1 + len(demand.excluded) // 16)
        if demand.contradictory():
            return EMPTY
        if demand.among is not None:
            return _first(listed, sorted(demand.among - demand.excluded, key=_shortness)) or EMPTY
        return _first(listed, _simple(demand)) or self._search(demand, listed)

    def _search(self, demand: _Demand, literals: list[Node]) -> Outcome:
        if demand.least > _LONGEST:
            return Unknown("strings longer than are tried")
        if not demand.patterns and not demand.formats:
            return _first(literals, _any_words(demand)) or EMPTY
        wanted, refused, exact = self._split(demand)
        excluded = frozenset(demand.excluded)
        words: list[str] = []
        for _ in range(_MOST_WORDS):
            search = WordSearch(wanted, refused, excluded | set(words), self._budget)
            word = search.shortest(demand.least, demand.most)
            if word is None and not words:
                return EMPTY
            if word is None:
                break
            words.append(word)
            found = _first(literals, [word])
            if found is not None:
                return found
            if exact:
                return Unknown("a pattern is read differently by the validator", tuple(words))
        names = ", ".join(sorted({name for name, _ in demand.formats})) or "this pattern"
        return Unknown(f"what exactly {names} allows is not known to the prover", tuple(words))

    def _split(self, demand: _Demand) -> tuple[list[SearchedPattern], list[SearchedPattern], bool]:
        """Automata that every solution matches, and matches none of; whether that is all of it."""
        sides: dict[bool, list[SearchedPattern]] = {True: [], False: []}
        exact = True
        for pattern, positive in dict.fromkeys(demand.patterns):
            automaton = self._automaton(pattern)
            if automaton is None:
                exact = False
            else:
                sides[positive].append(automaton)
        for name, positive in demand.formats:
            outline = lore.outline(name, positive)
            automaton = self._automaton(outline) if outline else None
            if automaton is not None:
                sides[positive].append(automaton)
            exact = exact and automaton is not None and lore.is_regular(name)
        return sides[True], sides[False], exact

    def _automaton(self, pattern: str) -> SearchedPattern | None:
        if pattern not in self._automata:
            try:
                self._automata[pattern] = SearchedPattern(pattern)
            except UnsupportedPatternError:
                self._automata[pattern] = None
        return self._automata[pattern]


def _simple(demand: _Demand) -> Iterator[str]:
    """Strings worth trying before any search: readable ones, samples of formats."""
    for name, _ in demand.formats:
        yield from lore.samples(name)
    if demand.formats and not any(positive for _, positive in demand.formats):
        yield from ("not a " + name for name, _ in demand.formats)
    if demand.least <= _LONGEST:
        yield from (word.ljust(demand.least, "a") for word in _READABLE)
        if demand.least:
            yield "a" * demand.least


def _any_words(demand: _Demand) -> Iterator[str]:
    """More words than are excluded, where nothing but the length matters and any may be used."""
    if demand.most == 0:
        return
    for at in range(len(demand.excluded) + 1):
        yield chr(_FIRST_LETTER + at) * max(demand.least, 1)


def _first(literals: list[Node], candidates: Iterable[str]) -> Found | None:
    for candidate in candidates:
        if all(_satisfies(one, candidate) for one in literals):
            return Found(candidate)
    return None


def _satisfies(literal: Node, value: str) -> bool:
    atom = literal.atom
    if isinstance(atom, SizeAtLeast):
        return (len(value) >= atom.size) == literal.positive
    assert isinstance(atom, (AmongStrings, Matches, HasFormat))
    return string_satisfies(atom, value) == literal.positive


def _is_opaque(literal: Node) -> bool:
    return not isinstance(literal.atom, (SizeAtLeast, AmongStrings, Matches, HasFormat))


def _shortness(word: str) -> tuple[int, str]:
    return len(word), word
