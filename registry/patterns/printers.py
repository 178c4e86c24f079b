"""An ECMA-262 tree written down for RE2 (linear time) and for Python's `re` (everything else)."""

from collections.abc import Callable, Mapping

from registry.patterns.characters import CharacterSet, Property, complement, merged, ranges_of
from registry.patterns.tree import (
    Assertion,
    BackReference,
    Characters,
    Choice,
    Group,
    Look,
    Node,
    Parsed,
    Repeat,
    Sequence,
)

MAX_REPEAT = 1000
"""RE2's bound on a counted repetition, nested ones multiplied."""


class NotLinear(ValueError):
    """The pattern is no member of the linear-time subset; `.position` counts characters from 0."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"{reason} (at character {position} of the pattern)")
        self.position = position
        self.reason = reason


def to_re2(parsed: Parsed) -> str:
    """The RE2 syntax of a tree; finds the same strings. Raises `NotLinear`."""
    return _re2(parsed.root)


def _re2(node: Node) -> str:
    match node:
        case Characters(allowed):
            return _re2_class(allowed)
        case Assertion(kind):
            return {"^": r"\A", "$": r"\z"}.get(kind, f"\\{kind}")
        case Repeat(part, low, high, _, position):
            if max(low, high or 0) > MAX_REPEAT:
                raise NotLinear(
                    position,
                    f"repeats more than {MAX_REPEAT} times: bound the text with maxLength instead",
                )
            return f"(?:{_re2(part)}){_bounds(low, high)}"
        case Look(_, ahead, _, position):
            side = "look-ahead" if ahead else "look-behind"
            raise NotLinear(position, f"{side} takes more than linear time: rewrite without it")
        case BackReference(_, position):
            raise NotLinear(position, "a back-reference takes more than linear time: spell it out")
        case Group(part, _):
            return f"(?:{_re2(part)})"
    return _joined(node, _re2)


def _re2_class(allowed: CharacterSet) -> str:
    ranges = merged(list(allowed.ranges))
    if len(ranges) == 1 and not allowed.properties and not allowed.negated:
        low, high = ranges[0]
        if low == high and chr(low).isalnum():
            return chr(low)
    members = [_re2_range(low, high) for low, high in ranges]
    members += [f"\\{'P' if p.negated else 'p'}{{{p.name}}}" for p in allowed.properties]
    if not members:
        return r"[\x{0}-\x{10FFFF}]" if allowed.negated else r"[^\x{0}-\x{10FFFF}]"
    return f"[{'^' if allowed.negated else ''}{''.join(members)}]"


def _re2_range(low: int, high: int) -> str:
    return f"\\x{{{low:X}}}" if low == high else f"\\x{{{low:X}}}-\\x{{{high:X}}}"


def to_python(parsed: Parsed) -> str:
    """The syntax of Python's `re` for a tree.

    It finds the same strings, but for one thing: ECMA-262 forgets what a group matched when the
    repetition around it starts another round, Python remembers.
    """
    return _python(parsed.root, parsed.names)


def _python(node: Node, names: Mapping[str, int]) -> str:
    match node:
        case Characters(allowed):
            return _python_class(allowed)
        case Assertion(kind):
            return {"^": r"\A", "$": r"\Z"}.get(kind, f"(?a:\\{kind})")
        case Repeat(part, low, high, lazy, _):
            return f"(?:{_python(part, names)}){_bounds(low, high)}{'?' if lazy else ''}"
        case Look(part, ahead, negated, _):
            return f"(?{'' if ahead else '<'}{'!' if negated else '='}{_python(part, names)})"
        case BackReference(target, _):
            number = names[target] if isinstance(target, str) else target
            return f"(?({number})(?:\\{number})|)"  # a group that took no part matches ""
        case Group(part, _):
            return f"({_python(part, names)})"
    return _joined(node, lambda part: _python(part, names))


def _python_class(allowed: CharacterSet) -> str:
    ranges = merged([*allowed.ranges, *(r for p in allowed.properties for r in _expanded(p))])
    members = "".join(f"\\U{low:08X}-\\U{high:08X}" for low, high in ranges)
    if not members:
        return r"[\s\S]" if allowed.negated else r"[^\s\S]"
    return f"[{'^' if allowed.negated else ''}{members}]"


def _expanded(property: Property) -> tuple[tuple[int, int], ...]:
    ranges = ranges_of(Property(property.name))
    return complement(ranges) if property.negated else ranges


def _bounds(low: int, high: int | None) -> str:
    shorthand = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((low, high))
    if shorthand:
        return shorthand
    return f"{{{low},}}" if high is None else f"{{{low},{high}}}"


def _joined(node: Sequence | Choice, written: Callable[[Node], str]) -> str:
    if isinstance(node, Sequence):
        return "".join(map(written, node.parts))
    return f"(?:{'|'.join(map(written, node.options))})"
