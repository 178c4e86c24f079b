"""Which records may be empty: those that a record of the log says were emptied.

An erasure (`audit.erase_person`) takes personal fields, a retention (`audit.drop_payloads`) the
payloads too. The `after` of either holds `records`: ascending numbers and runs of them (`0-4,7`).
"""

import json
from bisect import bisect_right
from collections.abc import Iterable

from .records import Proven

ERASURE, RETENTION = "audit.erase_person", "audit.drop_payloads"

Run = tuple[int, int]


class Emptied:
    """The records that removals of some kinds name."""

    def __init__(self, removals: Iterable[Proven], *actions: str) -> None:
        """ValueError, TypeError or KeyError where a removal cannot be read."""
        runs = [run for removal in removals for run in _runs_of(removal, actions)]
        self._runs = _merged(runs)
        self._starts = [first for first, _ in self._runs]

    def __contains__(self, seq: int) -> bool:
        place = bisect_right(self._starts, seq) - 1
        return place >= 0 and seq <= self._runs[place][1]


def _runs_of(removal: Proven, actions: tuple[str, ...]) -> list[Run]:
    stated = json.loads(removal.payload)
    if stated["outcome"] != "ok" or stated["action"] not in (ERASURE, RETENTION):
        raise ValueError("not the record of a removal")
    if stated["action"] not in actions:
        return []
    return [_run(text) for text in stated["after"]["records"].split(",") if text]


def _run(text: str) -> Run:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def _merged(runs: list[Run]) -> list[Run]:
    merged: list[Run] = []
    for first, last in sorted(runs):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
