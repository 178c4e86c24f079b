"""Differences of what objects hold: required names, properties, dependencies."""

from __future__ import annotations

from registry.compatibility.changes.walk import ABSENT, Pair, Walk, only, sides

_OBJECT = ("properties", "patternProperties", "additionalProperties")
_DEPENDENCIES = ("dependencies", "dependentRequired", "dependentSchemas")


def required(walk: Walk, pair: Pair) -> None:
    old, new = pair.before.get("required", []), pair.after.get("required", [])
    for name in new:
        if name not in old:
            breaks = walk.weigh(pair, {}, {"required": [name]})
            walk.add(
                pair,
                "required_added",
                ("required",),
                breaks=breaks,
                name=name,
                sides=sides(pair, "required"),
            )
    for name in old:
        if name not in new:
            breaks = walk.weigh(pair, {"required": [name]}, {})
            walk.add(
                pair,
                "required_removed",
                ("required",),
                breaks=breaks,
                name=name,
                sides=sides(pair, "required"),
            )


def objects(walk: Walk, pair: Pair) -> None:
    for keyword, stem in (("properties", "property"), ("patternProperties", "pattern_property")):
        old, new = pair.before.get(keyword, {}), pair.after.get(keyword, {})
        for name in old:
            if name in new:
                walk.inside(pair, keyword, name)
            else:
                model = only(pair.after, _OBJECT)
                was = {**model, keyword: {**model.get(keyword, {}), name: old[name]}}
                walk.add(
                    pair,
                    f"{stem}_removed",
                    (keyword, name),
                    name=name,
                    sides="old",
                    breaks=walk.weigh(pair, was, model),
                )
        for name in new:
            if name not in old:
                model = only(pair.before, _OBJECT)
                becomes = {**model, keyword: {**model.get(keyword, {}), name: new[name]}}
                walk.add(
                    pair,
                    f"{stem}_added",
                    (keyword, name),
                    name=name,
                    sides="new",
                    breaks=walk.weigh(pair, model, becomes),
                )
    _additional(walk, pair)


def _additional(walk: Walk, pair: Pair) -> None:
    old, new = (one.get("additionalProperties") for one in (pair.before, pair.after))
    if isinstance(old, dict) and isinstance(new, dict):
        walk.inside(pair, "additionalProperties")
    elif pair.differs("additionalProperties"):
        declared = only(pair.after, ["properties", "patternProperties"])
        breaks = walk.weigh(
            pair,
            {**declared, "additionalProperties": True if old is None else old},
            {**declared, "additionalProperties": True if new is None else new},
        )
        walk.add(
            pair,
            "additional_properties_changed",
            ("additionalProperties",),
            breaks=breaks,
            old=True if old is None else old,
            new=True if new is None else new,
            sides=sides(pair, "additionalProperties"),
        )


def dependencies(walk: Walk, pair: Pair) -> None:
    for keyword in _DEPENDENCIES:
        old, new = pair.before.get(keyword, {}), pair.after.get(keyword, {})
        for name in dict.fromkeys([*old, *new]):
            if old.get(name, ABSENT) == new.get(name, ABSENT):
                continue
            verb = "added" if name not in old else "removed" if name not in new else "changed"
            sides = {"added": "new", "removed": "old"}.get(verb, "both")
            breaks = walk.weigh(pair, {keyword: only(old, [name])}, {keyword: only(new, [name])})
            walk.add(
                pair, f"dependency_{verb}", (keyword, name), breaks=breaks, name=name, sides=sides
            )
