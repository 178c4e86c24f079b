"""Walking two schemas side by side, noting each difference with the direction it breaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import unquote

from registry.compatibility.changes.codes import CODES
from registry.compatibility.changes.parts import Parts
from registry.compatibility.keywords import asserting
from registry.compatibility.report import Breaks, Change
from registry.compatibility.schemas import Handle
from registry.compatibility.values import Json
from registry.pointers import pointer
from registry.references import References

_FRAME = "x-seamless"
_STRUCTURAL = frozenset(
    {"$schema", "$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$vocabulary"}
    | {"$defs", "definitions", _FRAME}
)
_FLIPPED: dict[Breaks, Breaks] = {"backward": "forward", "forward": "backward"}
_MOST = 500

ABSENT = object()


class Pair:
    """Two subschemas in corresponding places. `sense`: 1, -1 under one `not`, 0 where unclear."""

    def __init__(self, old: Handle, new: Handle, at: tuple[str, str], sense: int) -> None:
        self.old, self.new, self.at, self.sense = old, new, at, sense
        self.before = asserting(old.contents, old.dialect) if isinstance(old.contents, dict) else {}
        self.after = asserting(new.contents, new.dialect) if isinstance(new.contents, dict) else {}

    def differs(self, *keywords: str) -> bool:
        return any(self.before.get(one, ABSENT) != self.after.get(one, ABSENT) for one in keywords)

    def where(self) -> str:
        return self.at[1] or "the document"


class Walk:
    def __init__(self, references: References | None, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self.parts = Parts(references)
        self.changes: list[Change] = []
        self._seen: set[tuple[int, int, int]] = set()

    def run(self, old: Json, new: Json) -> None:
        pair = Pair(self.parts.schemas.root(old), self.parts.schemas.root(new), ("", ""), 1)
        if isinstance(old, dict) and isinstance(new, dict):
            self._frame(old.get(_FRAME), new.get(_FRAME))
        if pair.old.dialect is not pair.new.dialect:
            self.add(
                pair,
                "dialect_changed",
                ("$schema",),
                old=pair.old.dialect.name,
                new=pair.new.dialect.name,
                breaks="none",
            )
        self.compare(pair)

    def compare(self, pair: Pair) -> None:
        """List the differences of two subschemas and of what is in them."""
        key = (id(pair.old.contents), id(pair.new.contents), pair.sense)
        same = pair.old.number == pair.new.number and pair.old.contents == pair.new.contents
        if same or key in self._seen or len(self.changes) >= _MOST:
            return
        self._seen.add(key)
        followed = self._follow(pair)
        if followed is not None:
            self.compare(followed)
            return
        if not isinstance(pair.old.contents, dict) or not isinstance(pair.new.contents, dict):
            self._replaced(pair)
            return
        self._annotations(pair)
        for rule in self._rules:
            rule(self, pair)

    def _follow(self, pair: Pair) -> Pair | None:
        """The pair behind references that stand alone on either side."""
        old, old_at = self._target(pair.old, pair.before, pair.at[0])
        new, new_at = self._target(pair.new, pair.after, pair.at[1])
        if old is pair.old and new is pair.new:
            return None
        return Pair(old, new, (old_at, new_at), pair.sense)

    def _target(self, handle: Handle, present: dict[str, Json], at: str) -> tuple[Handle, str]:
        if list(present) != ["$ref"]:
            return handle, at
        reference = str(present["$ref"])
        place = unquote(reference[1:]) if reference.startswith("#") else reference
        return self.parts.schemas.follow(handle, "$ref"), place

    def _replaced(self, pair: Pair) -> None:
        if pair.old.contents != pair.new.contents:
            self.add(
                pair,
                "schema_replaced",
                (),
                old=pair.old.contents,
                new=pair.new.contents,
                breaks=self.parts.breaks(pair.old, pair.new),
            )

    def _annotations(self, pair: Pair) -> None:
        old, new = pair.old.contents, pair.new.contents
        for name in dict.fromkeys([*old, *new]):
            known = name in pair.before or name in pair.after or name in _STRUCTURAL
            if not known and old.get(name, ABSENT) != new.get(name, ABSENT):
                sides = "new" if name not in old else "both" if name in new else "old"
                self.add(pair, "annotation_changed", (name,), name=name, breaks="none", sides=sides)

    def _frame(self, old: Json, new: Json) -> None:
        before = old if isinstance(old, dict) else {}
        after = new if isinstance(new, dict) else {}
        for name in ("time", "unit", "key", "sensitive"):
            if before.get(name) != after.get(name):
                code = "sensitive_changed" if name == "sensitive" else "frame_changed"
                place = pointer((_FRAME, name))
                self._note(
                    code,
                    place if name in before else None,
                    place if name in after else None,
                    "none",
                    name=name,
                    old=before.get(name),
                    new=after.get(name),
                )

    def inside(self, pair: Pair, *path: str | int, sense: int | None = None) -> None:
        """Compare the subschemas at the same path of both sides."""
        self.across(pair, path, path, pair.sense if sense is None else sense)

    def across(
        self,
        pair: Pair,
        old_path: tuple[str | int, ...],
        new_path: tuple[str | int, ...],
        sense: int,
    ) -> None:
        """Compare subschemas at two paths."""
        old = self.parts.schemas.child(pair.old, _at(pair.old.contents, old_path))
        new = self.parts.schemas.child(pair.new, _at(pair.new.contents, new_path))
        at = (pair.at[0] + pointer(old_path), pair.at[1] + pointer(new_path))
        self.compare(Pair(old, new, at, sense))

    def weigh(self, pair: Pair, old: Json, new: Json) -> Breaks:
        """The directions a change from one part to another breaks, seen from the whole document."""
        breaks = self.parts.breaks(self.parts.part(pair.old, old), self.parts.part(pair.new, new))
        if breaks == "none" or pair.sense == 1:
            return breaks
        return _FLIPPED.get(breaks, breaks) if pair.sense == -1 else "both"

    def weigh_keywords(self, pair: Pair, keywords: Iterable[str]) -> Breaks:
        """As `weigh`, for the same keywords of both sides."""
        listed = list(keywords)
        return self.weigh(pair, only(pair.before, listed), only(pair.after, listed))

    def add(
        self,
        pair: Pair,
        code: str,
        path: tuple[str | int, ...],
        *,
        breaks: Breaks,
        name: str = "",
        old: Json = None,
        new: Json = None,
        sides: str = "both",
    ) -> None:
        end = pointer(path)
        self._note(
            code,
            None if sides == "new" else pair.at[0] + end,
            None if sides == "old" else pair.at[1] + end,
            breaks,
            name=name,
            old=old,
            new=new,
            where=pair.where(),
        )

    def _note(
        self,
        code: str,
        old_pointer: str | None,
        new_pointer: str | None,
        breaks: Breaks,
        *,
        name: str = "",
        old: Json = None,
        new: Json = None,
        where: str = "the document",
    ) -> None:
        known = CODES[code]
        sentence = known.sentence.format(
            where=where, name=repr(name), old=_shown(old), new=_shown(new)
        )
        fix = None if breaks == "none" and code != "frame_changed" else known.fix
        self.changes.append(
            Change(code, old_pointer, new_pointer, breaks, sentence[:1].upper() + sentence[1:], fix)
        )


def sides(pair: Pair, keyword: str) -> str:
    if keyword not in pair.before:
        return "new"
    return "both" if keyword in pair.after else "old"


def only(present: dict[str, Json], keywords: Iterable[str]) -> dict[str, Json]:
    return {one: present[one] for one in keywords if one in present}


def _at(contents: Json, path: tuple[str | int, ...]) -> Json:
    for step in path:
        contents = contents[step]
    return contents


def _shown(value: Json) -> str:
    if isinstance(value, str):
        return value if len(value) <= 60 else value[:60] + "…"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:60] + "…"


Rule = Callable[[Walk, Pair], None]
