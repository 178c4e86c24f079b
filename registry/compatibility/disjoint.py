"""A quick look at two branches: can no value lie in both?

Branches told apart by a constant property are the usual form of `oneOf`. Seeing it at once spares
the solver one clause for each pair of branches. "No" only means that it is not obvious.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from registry.compatibility.formula import (
    AmongNumbers,
    AmongStrings,
    EachProperty,
    Node,
    Pool,
    Under,
)
from registry.compatibility.schemas import Schemas
from registry.evaluation.values import identity


@dataclass
class Outline:
    """What is obvious about a branch: required names, and the few values a place may have."""

    required: set[str] = field(default_factory=set)
    listed: dict[str | None, frozenset[Hashable]] = field(default_factory=dict)

    def excludes(self, other: Outline) -> bool:
        """Whether no value can lie in both branches."""
        required = {None} | self.required | other.required
        return any(
            place in required and not (values & other.listed[place])
            for place, values in self.listed.items()
            if place in other.listed
        )


def outline(node: Node, pool: Pool, schemas: Schemas) -> Outline:
    """The outline of a branch; the place None is the value itself."""
    made = Outline()
    for part in node.parts if node.op == "and" else (node,):
        atom = part.atom
        if isinstance(atom, (AmongStrings, AmongNumbers)) and part.positive:
            made.listed[None] = frozenset(atom.members)
        elif isinstance(atom, EachProperty) and isinstance(atom.names.atom, AmongStrings):
            if part.positive:
                _note(made, atom.names.atom.members, atom.value, schemas)
            elif atom.value is pool.false and len(atom.names.atom.members) == 1:
                made.required |= atom.names.atom.members
    return made


def _note(made: Outline, names: Iterable[str], value: Node, schemas: Schemas) -> None:
    if value.op != "literal" or not value.positive or not isinstance(value.atom, Under):
        return
    contents = schemas[value.atom.handle].contents
    listed = [contents["const"]] if "const" in contents else contents.get("enum")
    if isinstance(listed, list):
        made.listed.update(dict.fromkeys(names, frozenset(identity(one) for one in listed)))
