"""`x-seamless`: what the schema of a row cannot say about the rows together.

A root keyword. `time` names the column of bar times and `unit` its unit where times are integers
(absent: RFC 3339 text); `key` names the columns that with the time make a row unique; `sensitive`
names the columns whose values are never shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from registry.canonical import JSON
from registry.pointers import pointer
from registry.validity import iter_findings

KEYWORD = "x-seamless"
UNITS = ("s", "ms", "us", "ns")

_COLUMN: dict[str, JSON] = {"type": "string", "minLength": 1}
_COLUMNS: dict[str, JSON] = {"type": "array", "items": _COLUMN, "uniqueItems": True}

FRAME_SCHEMA: dict[str, JSON] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "x-seamless",
    "type": "object",
    "properties": {
        "time": {**_COLUMN, "description": "The column of bar times."},
        "unit": {
            "enum": list(UNITS),
            "description": "The unit of integer times; absent, times are RFC 3339 text.",
        },
        "key": {**_COLUMNS, "description": "The columns that with the time make a row unique."},
        "sensitive": {**_COLUMNS, "description": "The columns whose values are never shown."},
    },
    "dependentRequired": {"unit": ["time"]},
    "additionalProperties": False,
}
"""The meta-schema of `x-seamless`."""


@dataclass(frozen=True)
class Frame:
    """How the rows of a subject hang together; everything absent where nothing is declared."""

    time: str | None = None
    unit: str | None = None
    key: tuple[str, ...] = ()
    sensitive: frozenset[str] = frozenset()


@dataclass(frozen=True)
class FrameFault:
    """What is wrong with an `x-seamless`: a stable code, where, what, and the usual way out."""

    code: str
    pointer: str
    reason: str
    fix: str


class InvalidFrame(ValueError):
    """`x-seamless` is malformed; `.fault` says where and why."""

    def __init__(self, fault: FrameFault) -> None:
        super().__init__(f"{fault.reason} (at {fault.pointer}): {fault.fix}")
        self.fault = fault


def frame_of(schema: JSON) -> Frame:
    """The frame that a schema declares. Raises `InvalidFrame` where `x-seamless` is malformed."""
    if not isinstance(schema, dict) or KEYWORD not in schema:
        return Frame()
    declared = schema[KEYWORD]
    for fault in _malformed(declared):
        raise InvalidFrame(fault)
    assert isinstance(declared, dict)
    time, unit = declared.get("time"), declared.get("unit")
    return Frame(
        time=str(time) if time is not None else None,
        unit=str(unit) if unit is not None else None,
        key=_names(declared.get("key")),
        sensitive=frozenset(_names(declared.get("sensitive"))),
    )


def iter_frame_faults(schema: JSON) -> Iterator[FrameFault]:
    """Everything wrong with the `x-seamless` of a schema, its columns included."""
    if not isinstance(schema, dict) or KEYWORD not in schema:
        return
    malformed = list(_malformed(schema[KEYWORD]))
    yield from malformed
    if not malformed:
        frame = frame_of(schema)
        properties = schema.get("properties")
        columns = properties if isinstance(properties, dict) else {}
        yield from _undeclared(frame, columns)
        yield from _contradictions(frame, columns)


def _malformed(declared: JSON) -> Iterator[FrameFault]:
    for finding in iter_findings(FRAME_SCHEMA, declared):
        yield FrameFault(
            "frame_malformed",
            f"/{KEYWORD}{finding.instance_pointer}",
            finding.message,
            f"{KEYWORD} holds time, unit ({', '.join(UNITS)}), key and sensitive, nothing else",
        )


def _undeclared(frame: Frame, columns: dict[str, JSON]) -> Iterator[FrameFault]:
    places: list[tuple[tuple[str | int, ...], str]] = []
    if frame.time is not None:
        places.append(((KEYWORD, "time"), frame.time))
    places += [((KEYWORD, "key", index), name) for index, name in enumerate(frame.key)]
    places += [((KEYWORD, "sensitive"), name) for name in sorted(frame.sensitive)]
    for place, name in places:
        if name not in columns:
            yield FrameFault(
                "frame_column_missing",
                pointer(place),
                f"the column {name!r} is not in properties",
                f"declare {name!r} in properties, or correct the name",
            )


def _contradictions(frame: Frame, columns: dict[str, JSON]) -> Iterator[FrameFault]:
    if frame.time is None:
        return
    if frame.time in frame.key:
        yield FrameFault(
            "frame_time_in_key",
            pointer((KEYWORD, "key", frame.key.index(frame.time))),
            "the time column is always part of what makes a row unique",
            f"take {frame.time!r} out of key",
        )
    types = _types(columns.get(frame.time))
    wanted = "string" if frame.unit is None else "integer"
    if types and wanted not in types and not (wanted == "integer" and "number" in types):
        yield FrameFault(
            "frame_unit_mismatch",
            pointer((KEYWORD, "time")),
            f"{frame.time!r} is of type {' or '.join(sorted(types))}, and "
            + ("no unit is given" if frame.unit is None else f"its unit is {frame.unit!r}"),
            "give a unit to integer times, and none to RFC 3339 text",
        )


def _types(column: JSON) -> set[str]:
    declared = column.get("type") if isinstance(column, dict) else None
    if isinstance(declared, str):
        return {declared}
    return {str(name) for name in declared} if isinstance(declared, list) else set()


def _names(value: JSON) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
