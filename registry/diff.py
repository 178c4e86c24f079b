"""What is written differently in two schemas, as data for people and programs.

Unlike the changes of a compatibility report this says nothing about documents: one entry for each
keyword, property, branch or list member that was added, removed or changed, with its value before
and after. Annotations (titles, descriptions, defaults …) are marked, and a removed property that
seems to live on under another name is suggested as a rename.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Literal

from registry.canonical import JSON, Path
from registry.dialects import DRAFT202012, Dialect, Holds, embedded_dialect
from registry.evaluation.values import identity
from registry.metaschemas import UnknownDialect, dialect_of
from registry.pointers import pointer

Kind = Literal["added", "removed", "changed"]

_MEMBERS = ("required", "enum", "type")
_ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
    | {"$comment", "contentMediaType", "contentEncoding", "contentSchema"}
)
_ALIKE = 0.6


@dataclass(frozen=True)
class SchemaChange:
    """One difference. A pointer is None where the thing does not exist on that side."""

    kind: Kind
    old_pointer: str | None
    new_pointer: str | None
    before: JSON
    after: JSON
    annotation: bool = False
    """Whether it is an annotation: no document becomes valid or invalid by it."""
    renamed_from: str | None = None
    """On an added property: the old pointer of a removed one that it may continue."""


def diff(old: JSON, new: JSON) -> tuple[SchemaChange, ...]:
    """The differences from one schema to the next, in the order of the new one, removals first.

    Both are objects or booleans; they need not be valid schemas.
    """
    walk = _Walk()
    walk.schemas(old, new, ((), ()), _dialect(new))
    return tuple(walk.found)


def _dialect(schema: JSON) -> Dialect:
    try:
        return dialect_of(schema)
    except UnknownDialect:
        return DRAFT202012


Place = tuple[Path, Path]


class _Walk:
    def __init__(self) -> None:
        self.found: list[SchemaChange] = []

    def schemas(self, old: JSON, new: JSON, at: Place, dialect: Dialect) -> None:
        """Compare two schemas in corresponding places."""
        if not isinstance(old, dict) or not isinstance(new, dict):
            self._value(old, new, at)
            return
        dialect = embedded_dialect(new, dialect)
        for keyword in [*(one for one in old if one not in new), *new]:
            below = _below(at, keyword)
            note = keyword in _ANNOTATIONS or (keyword.startswith("x-") and keyword != "x-seamless")
            if keyword not in new or keyword not in old:
                self._one_sided(old, new, keyword, at, note)
            elif not _equal(old[keyword], new[keyword]):
                self._keyword(keyword, old[keyword], new[keyword], below, dialect, note)

    def _one_sided(
        self, old: dict[str, JSON], new: dict[str, JSON], keyword: str, at: Place, note: bool
    ) -> None:
        value = new.get(keyword, old.get(keyword))
        if keyword == "properties" and isinstance(value, dict) and value:
            self._map(old.get(keyword, {}), new.get(keyword, {}), _below(at, keyword), None)
        elif keyword in new:
            self._added(new[keyword], at, keyword, note)
        else:
            self._removed(old[keyword], at, keyword, note)

    def _keyword(
        self, keyword: str, old: JSON, new: JSON, at: Place, dialect: Dialect, note: bool
    ) -> None:
        holds, _ = dialect.applicators.get(keyword, (None, None))
        if holds in (Holds.MAP, Holds.MAP_OF_SCHEMAS_OR_NAMES):
            self._map(old, new, at, dialect)
        elif holds is not None and isinstance(old, list) and isinstance(new, list):
            self._branches(old, new, at, dialect)
        elif holds is not None:
            self.schemas(old, new, at, dialect)
        elif keyword in _MEMBERS and isinstance(old, list) and isinstance(new, list):
            self._members(old, new, at)
        else:
            self._value(old, new, at, note)

    def _map(self, old: JSON, new: JSON, at: Place, dialect: Dialect | None) -> None:
        if not isinstance(old, dict) or not isinstance(new, dict):
            self._value(old, new, at)
            return
        gone = [name for name in old if name not in new]
        come = [name for name in new if name not in old]
        for name in gone:
            self._removed(old[name], at, name)
        renames = _renames(old, new, gone, come)
        for name in new:
            if name in old and dialect is not None:
                self.schemas(old[name], new[name], _below(at, name), dialect)
            elif name in come:
                self._added(new[name], at, name)
                if name in renames:
                    before = pointer((*at[0], renames[name]))
                    self.found[-1] = replace(self.found[-1], renamed_from=before)

    def _branches(self, old: list[JSON], new: list[JSON], at: Place, dialect: Dialect) -> None:
        """Equal branches are the same branch wherever they stand; the others pair up in order."""
        spare = list(enumerate(new))
        rest: list[tuple[int, JSON]] = []
        for index, branch in enumerate(old):
            same = next((one for one in spare if _equal(one[1], branch)), None)
            if same is None:
                rest.append((index, branch))
            else:
                spare.remove(same)
        for (left, before), (right, after) in zip(rest, spare, strict=False):
            self.schemas(before, after, ((*at[0], left), (*at[1], right)), dialect)
        for index, branch in rest[len(spare) :]:
            self._removed(branch, at, index)
        for index, branch in spare[len(rest) :]:
            self._added(branch, at, index)

    def _members(self, old: list[JSON], new: list[JSON], at: Place) -> None:
        """Lists whose order says nothing: each member comes or goes by itself."""
        for index, member in enumerate(old):
            if not _holds(new, member):
                self._removed(member, at, index)
        for index, member in enumerate(new):
            if not _holds(old, member):
                self._added(member, at, index)

    def _value(self, old: JSON, new: JSON, at: Place, note: bool = False) -> None:
        if not _equal(old, new):
            change = SchemaChange("changed", pointer(at[0]), pointer(at[1]), old, new, note)
            self.found.append(change)

    def _added(self, value: JSON, at: Place, step: str | int, note: bool = False) -> None:
        place = pointer((*at[1], step))
        self.found.append(SchemaChange("added", None, place, None, value, note))

    def _removed(self, value: JSON, at: Place, step: str | int, note: bool = False) -> None:
        place = pointer((*at[0], step))
        self.found.append(SchemaChange("removed", place, None, value, None, note))


def _below(at: Place, step: str | int) -> Place:
    return (*at[0], step), (*at[1], step)


def _equal(one: JSON, other: JSON) -> bool:
    """Equal as JSON: true and 1 are equal in Python, but not here."""
    return identity(one) == identity(other)


def _holds(members: list[JSON], wanted: JSON) -> bool:
    return any(_equal(one, wanted) for one in members)


def _renames(
    old: Mapping[str, JSON], new: Mapping[str, JSON], gone: list[str], come: list[str]
) -> dict[str, str]:
    """For added names the removed name they may continue, best match first, each used once."""
    scores = [
        (_likeness(before, after, old[before], new[after]), before, after)
        for before in gone
        for after in come
        if _same_substance(old[before], new[after])
    ]
    renames: dict[str, str] = {}
    for score, before, after in sorted(scores, reverse=True):
        if score >= _ALIKE and after not in renames and before not in renames.values():
            renames[after] = before
    return renames


def _likeness(before: str, after: str, old: JSON, new: JSON) -> float:
    """How alike two properties are: their names, and a bonus for the same words about them."""
    names = SequenceMatcher(None, before.lower(), after.lower()).ratio()
    told = isinstance(old, dict) and isinstance(new, dict) and old.get("description")
    same_words = bool(told) and old.get("description") == new.get("description")  # type: ignore[union-attr]
    return min(1.0, names + (0.5 if same_words else 0.0))


def _same_substance(old: JSON, new: JSON) -> bool:
    """Equal but for annotations."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return False
    return _without_annotations(old) == _without_annotations(new)


def _without_annotations(schema: dict[str, JSON]) -> dict[str, JSON]:
    return {name: value for name, value in schema.items() if name not in _ANNOTATIONS}
