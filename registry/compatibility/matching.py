"""Giving each place a value of its own: bipartite matching by augmenting paths."""

from __future__ import annotations

from collections.abc import Hashable

from registry.compatibility.values import Json
from registry.evaluation.values import identity


def assign_distinct(options: list[list[Json]]) -> list[Json] | None:
    """One value per place from its options, no two equal; None where there is no such choice."""
    holder: dict[Hashable, int] = {}
    chosen: list[Json] = [None] * len(options)

    def augment(place: int, visited: set[Hashable]) -> bool:
        for value in options[place]:
            key = identity(value)
            if key in visited:
                continue
            visited.add(key)
            if key not in holder or augment(holder[key], visited):
                holder[key] = place
                chosen[place] = value
                return True
        return False

    return chosen if all(augment(place, set()) for place in range(len(options))) else None
