"""What the lint says, and what its rules look at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from registry.canonical import JSON, Path
from registry.dialects import Dialect
from registry.pointers import pointer


@dataclass(frozen=True)
class LintFinding:
    """Advice about a schema: a stable code, where, what looks wrong, and a suggested fix."""

    code: str
    pointer: str
    message: str
    fix: str


@dataclass(frozen=True)
class Subject:
    """One object-valued subschema, with its path from the root and the dialect it is read in."""

    path: Path
    schema: dict[str, JSON]
    dialect: Dialect

    def at(self, *inner: str | int) -> str:
        """The pointer of something in this subschema."""
        return pointer((*self.path, *inner))


Rule = Callable[[Subject], Iterator[LintFinding]]


def types_of(schema: JSON) -> frozenset[str] | None:
    """The types that `type` allows; None where it says nothing."""
    declared = schema.get("type") if isinstance(schema, dict) else None
    if isinstance(declared, str):
        return frozenset({declared})
    if isinstance(declared, list):
        return frozenset(name for name in declared if isinstance(name, str))
    return None


def properties_of(schema: JSON) -> dict[str, JSON]:
    """The declared properties of a schema."""
    declared = schema.get("properties") if isinstance(schema, dict) else None
    return declared if isinstance(declared, dict) else {}


def required_of(schema: JSON) -> list[str]:
    """The names that a schema requires."""
    names = schema.get("required") if isinstance(schema, dict) else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
