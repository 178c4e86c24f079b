"""How much work a schema can make: subschemas evaluated for one value, and for a chain of values.

Two in-place references to one subschema double its work; thirty such steps make a billion. The same
happens below a property that two branches describe by a recursive reference, once per level of the
document. The bounds here are what a validator without memory does at worst.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from registry.dialects import Applies
from registry.patterns import InvalidPattern, compile_pattern
from registry.references import Place, Reached

MAX_EVALUATIONS_OF_A_VALUE = 10_000
MAX_EVALUATIONS_OF_A_CHAIN = 1_000_000
CHAIN_LENGTH = 24
MAX_STEPS = 500_000

_ANY = None
_EVERYWHERE = frozenset({"additionalProperties", "unevaluatedProperties"})
_ITEMS = frozenset({"items", "additionalItems", "contains", "unevaluatedItems", "prefixItems"})

Slot = tuple[str, str | int | None]


@dataclass(frozen=True)
class Excess:
    """Where a schema makes too much work, and how."""

    pointer: str
    reason: str


def excessive_work(reached: Reached) -> Excess | None:
    """The first place whose work is out of bounds; None where all is well.

    The schema has no endless references (`references.endless_references`).
    """
    order = _inner_first(reached)
    here = _work_on_a_value(reached, order)
    for index in order:
        if here[index] > MAX_EVALUATIONS_OF_A_VALUE:
            return Excess(
                reached.places[index].pointer,
                f"one value is evaluated against more than {MAX_EVALUATIONS_OF_A_VALUE} "
                "subschemas: refer to each part once",
            )
    return _Chains(reached, order, here).excess()


def _inner_first(reached: Reached) -> list[int]:
    """All places, each after those that it applies in place."""
    order: list[int] = []
    seen: set[int] = set()
    for start in range(len(reached.places)):
        stack = [(start, iter(_in_place(reached.places[start])))] if start not in seen else []
        seen.add(start)
        while stack:
            index, targets = stack[-1]
            target = next(targets, None)
            if target is None:
                order.append(index)
                stack.pop()
            elif target not in seen:
                seen.add(target)
                stack.append((target, iter(_in_place(reached.places[target]))))
    return order


def _in_place(place: Place) -> list[int]:
    return [edge.target for edge in place.edges if edge.applies is Applies.IN_PLACE]


def _work_on_a_value(reached: Reached, order: list[int]) -> list[int]:
    """Evaluations of each place on one value; `unevaluated…` evaluates what is in place again."""
    judging, collecting = [1] * len(reached.places), [0] * len(reached.places)
    for index in order:
        place = reached.places[index]
        targets = _in_place(place)
        again = sum(judging[target] + collecting[target] for target in targets)
        closes = _closes(place)
        judging[index] += sum(judging[target] for target in targets) + (again if closes else 0)
        collecting[index] = 0 if closes else again
    return judging


def _closes(place: Place) -> bool:
    schema = place.schema
    return isinstance(schema, dict) and (
        "unevaluatedProperties" in schema or "unevaluatedItems" in schema
    )


class _Chains:
    """The work on a document that is a chain: each value holds one that matters."""

    def __init__(self, reached: Reached, order: list[int], here: list[int]) -> None:
        self.reached = reached
        self.order = order
        self.here = here
        self.steps = 0
        self.own = [dict(_own_slots(place)) for place in reached.places]

    def excess(self) -> Excess | None:
        work = [1] * len(self.reached.places)
        for _ in range(CHAIN_LENGTH):
            longer = self._one_level_more(work)
            if longer is None:
                return Excess("", "the parts refer to each other in too many ways: simplify")
            if longer == work:
                return None
            work = longer
            if work[0] > MAX_EVALUATIONS_OF_A_CHAIN:
                return Excess(
                    self._busiest(),
                    f"a document {CHAIN_LENGTH} levels deep is evaluated more than "
                    f"{MAX_EVALUATIONS_OF_A_CHAIN} times, because several branches describe the "
                    "same property by reference: describe it once, outside the branches",
                )
        return None

    def _one_level_more(self, work: list[int]) -> list[int] | None:
        below: list[dict[Slot, int]] = [{} for _ in work]
        longer = list(self.here)
        for index in self.order:
            slots = {
                slot: sum(work[child] for child in children)
                for slot, children in self.own[index].items()
            }
            for target in _in_place(self.reached.places[index]):
                self.steps += len(slots) + len(below[target])
                if self.steps > MAX_STEPS:
                    return None
                _add(slots, below[target])
            below[index] = slots
            longer[index] += max(slots.values(), default=0)
        return longer

    def _busiest(self) -> str:
        counts = [
            max((len(children) for children in slots.values()), default=0) for slots in self.own
        ]
        for index in self.order:
            for target in _in_place(self.reached.places[index]):
                counts[index] += counts[target]
        return self.reached.places[counts.index(max(counts))].pointer


def _add(slots: dict[Slot, int], more: dict[Slot, int]) -> None:
    """Add the work of an in-place subschema; a name that one side lacks is `_ANY` name there."""
    kinds = ("property", "item")
    mine = {kind: slots.get((kind, _ANY), 0) for kind in kinds}
    theirs = {kind: more.get((kind, _ANY), 0) for kind in kinds}
    for slot in slots.keys() | more.keys():
        kind = slot[0]
        slots[slot] = slots.get(slot, mine[kind]) + more.get(slot, theirs[kind])


def _own_slots(place: Place) -> Iterator[tuple[Slot, list[int]]]:
    """Which places a schema itself applies to the value of a property, or to an item."""
    named = {str(e.path[1]): e.target for e in place.edges if e.path[0] == "properties"}
    others = [e.target for e in place.edges if e.path[0] in _EVERYWHERE]
    patterns = [(str(e.path[1]), e.target) for e in place.edges if e.path[0] == "patternProperties"]
    for name, target in named.items():
        matching = [found for pattern, found in patterns if _may_match(pattern, name)]
        yield ("property", name), [target, *matching]
    yield ("property", _ANY), [*others, *(target for _, target in patterns)]
    indexed = {e.path[1]: e.target for e in place.edges if len(e.path) > 1 and e.path[0] in _ITEMS}
    rest = [e.target for e in place.edges if len(e.path) == 1 and e.path[0] in _ITEMS]
    for index, target in indexed.items():
        yield ("item", index), [target, *rest]
    yield ("item", _ANY), rest


def _may_match(pattern: str, name: str) -> bool:
    try:
        return compile_pattern(pattern).search(name)
    except InvalidPattern:
        return True
