"""Differences of keywords that stand alone: types, values, limits."""

from __future__ import annotations

from registry.compatibility.changes.codes import ASSERTIONS, LIMITS
from registry.compatibility.changes.walk import ABSENT, Pair, Walk, only, sides
from registry.compatibility.values import Json
from registry.evaluation.values import identity


def types(walk: Walk, pair: Pair) -> None:
    if not pair.differs("type"):
        return
    local = walk.parts.breaks(
        walk.parts.part(pair.old, only(pair.before, ["type"])),
        walk.parts.part(pair.new, only(pair.after, ["type"])),
    )
    names = {"backward": "type_narrowed", "forward": "type_widened", "both": "type_changed"}
    if local in names:
        walk.add(
            pair,
            names[local],
            ("type",),
            breaks=walk.weigh_keywords(pair, ["type"]),
            old=pair.before.get("type", "any"),
            new=pair.after.get("type", "any"),
            sides=sides(pair, "type"),
        )


def values(walk: Walk, pair: Pair) -> None:
    if not pair.differs("enum"):
        return
    old, new = pair.before.get("enum"), pair.after.get("enum")
    if old is None or new is None:
        code = "enum_added" if old is None else "enum_removed"
        walk.add(
            pair,
            code,
            ("enum",),
            breaks=walk.weigh_keywords(pair, ["enum"]),
            old=old,
            new=new,
            sides=sides(pair, "enum"),
        )
        return
    known, kept = {identity(one) for one in old}, {identity(one) for one in new}
    gone = [one for one in old if identity(one) not in kept]
    come = [one for one in new if identity(one) not in known]
    stay = [one for one in old if identity(one) in kept]
    if gone:
        breaks = walk.weigh(pair, {"enum": old}, _listing(stay))
        walk.add(pair, "enum_value_removed", ("enum",), breaks=breaks, old=gone)
    if come:
        breaks = walk.weigh(pair, _listing(stay), _listing([*stay, *come]))
        walk.add(pair, "enum_value_added", ("enum",), breaks=breaks, new=come)


def _listing(values: list[Json]) -> dict[str, Json]:
    return {"enum": values} if values else {"not": {}}


def limits(walk: Walk, pair: Pair) -> None:
    for keyword, stem in LIMITS.items():
        if not pair.differs(keyword):
            continue
        old, new = pair.before.get(keyword), pair.after.get(keyword)
        if isinstance(old, bool) or isinstance(new, bool):  # draft 4: a modifier
            verb, group = "changed", [keyword, keyword.replace("exclusiveM", "m")]
            stem = "exclusive_" + stem.removeprefix("exclusive_")
            code = f"{stem}_added" if new is True else f"{stem}_removed"
        else:
            verb = (
                "added"
                if old is None
                else "removed"
                if new is None
                else ("raised" if new > old else "lowered")
            )
            group, code = [keyword], f"{stem}_{verb}"
            modifier = "exclusive" + keyword[:1].upper() + keyword[1:]
            if isinstance(pair.before.get(modifier, pair.after.get(modifier)), bool):
                group.append(modifier)
        walk.add(
            pair,
            code,
            (keyword,),
            breaks=walk.weigh_keywords(pair, group),
            old=old,
            new=new,
            sides=sides(pair, keyword),
        )


def assertions(walk: Walk, pair: Pair) -> None:
    for keyword, stem in ASSERTIONS.items():
        if not pair.differs(keyword):
            continue
        old, new = pair.before.get(keyword, ABSENT), pair.after.get(keyword, ABSENT)
        if keyword == "propertyNames" and ABSENT not in (old, new):
            walk.inside(pair, keyword)
            continue
        verb = "added" if old is ABSENT else "removed" if new is ABSENT else "changed"
        walk.add(
            pair,
            f"{stem}_{verb}",
            (keyword,),
            breaks=walk.weigh_keywords(pair, [keyword]),
            old=pair.before.get(keyword),
            new=pair.after.get(keyword),
            sides=sides(pair, keyword),
        )
