"""Every difference between two schemas, in words, with the direction it can break."""

from __future__ import annotations

from contextlib import suppress

from registry.compatibility.changes.codes import CODES
from registry.compatibility.changes.object_rules import dependencies, objects, required
from registry.compatibility.changes.structure_rules import arrays, combined, unevaluated
from registry.compatibility.changes.value_rules import assertions, limits, types, values
from registry.compatibility.changes.walk import Rule, Walk
from registry.compatibility.report import Breaks, Change, Direction
from registry.compatibility.values import Json
from registry.references import References

__all__ = ["CODES", "list_changes"]

RULES: tuple[Rule, ...] = (
    types,
    values,
    limits,
    assertions,
    required,
    objects,
    dependencies,
    arrays,
    combined,
    unevaluated,
)


def list_changes(
    old: Json,
    new: Json,
    *,
    references: References | None = None,
    proven: frozenset[Direction] = frozenset(),
    broken: frozenset[Direction] = frozenset(),
) -> tuple[Change, ...]:
    """The differences, outer before inner. Directions in `proven` are known to break nothing.

    A direction in `broken` that no single difference explains gets a change of its own.
    """
    walk = Walk(references, RULES)
    # Too deep to be walked: what was found before still stands.
    with suppress(RecursionError):
        walk.run(old, new)
    changes = [_without(change, proven) for change in walk.changes]
    for direction in sorted(broken):
        if not any(change.breaks in (direction, "both") for change in changes):
            sentence = CODES["meaning_changed"].sentence
            changes.append(Change("meaning_changed", "", "", direction, sentence))
    return tuple(changes)


def _without(change: Change, proven: frozenset[Direction]) -> Change:
    breaks = change.breaks
    for direction in proven:
        breaks = _minus(breaks, direction)
    fix = None if breaks == "none" and change.breaks != "none" else change.fix
    return Change(change.code, change.old_pointer, change.new_pointer, breaks, change.message, fix)


def _minus(breaks: Breaks, direction: Direction) -> Breaks:
    if breaks == direction:
        return "none"
    if breaks == "both":
        return "forward" if direction == "backward" else "backward"
    return breaks
