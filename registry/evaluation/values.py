"""JSON values as JSON Schema sees them: what a number is, and when two values are equal."""

import math
from collections.abc import Hashable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from registry.canonical import MAX_DEPTH, Path, iter_values

Number = int | float | Decimal


class TooDeep(ValueError):
    """A document nests too deeply to be judged, or a schema never stops referring to itself."""


def is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def is_integer(value: object) -> bool:
    """Whole numbers, however written: 1, 1.0 and 1e300; not true."""
    if isinstance(value, float):
        return value.is_integer()
    if isinstance(value, Decimal):
        return value == value.to_integral_value()
    return isinstance(value, int) and not isinstance(value, bool)


def exact(number: Number) -> int | Decimal:
    """The number that the shortest JSON text of a number denotes: 0.1 is one tenth."""
    # float's own repr: a subclass (numpy) may write itself differently.
    return Decimal(float.__repr__(number)) if isinstance(number, float) else number


def is_less(left: Number, right: Number) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return left < right  # shortest texts keep the order
    return exact(left) < exact(right)


def is_multiple(number: Number, factor: Number) -> bool:
    return (Fraction(exact(number)) / Fraction(exact(factor))).denominator == 1


def identity(value: Any) -> Hashable:
    """A key that two values share exactly where JSON Schema calls them equal.

    1 and 1.0 are equal, 1 and true are not; the order of properties does not matter.
    """
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, int | float | Decimal):
        return ("number", exact(value))
    if isinstance(value, list):
        return ("array", tuple(map(identity, value)))
    if isinstance(value, dict):
        return ("object", frozenset((key, identity(item)) for key, item in value.items()))
    return value if isinstance(value, Hashable) else repr(value)


def iter_not_json(document: Any) -> Iterator[tuple[Path, str]]:
    """Every place where a document of JSON's Python types holds what JSON text cannot say.

    Raises `TypeError` for another Python type, `TooDeep` beyond `MAX_DEPTH` levels.
    """
    for path, value in iter_values(document):
        if isinstance(value, dict):
            _refuse_deeper(path)
            yield from (
                (path, "a property name holds a lone surrogate") for key in value if _is_torn(key)
            )
        elif isinstance(value, list):
            _refuse_deeper(path)
        elif isinstance(value, float | Decimal):
            if not math.isfinite(value):
                yield path, "is not a finite number, so not JSON"
        elif isinstance(value, str):
            if _is_torn(value):
                yield path, "holds a lone surrogate, so is not Unicode text"
        elif value is not None and not isinstance(value, int):
            raise TypeError(
                f"a document holds JSON values only, not a Python {type(value).__name__} "
                f"(at {list(path)})"
            )


def _refuse_deeper(path: Path) -> None:
    if len(path) >= MAX_DEPTH:
        raise TooDeep(f"the document nests deeper than {MAX_DEPTH} levels: flatten it")


def _is_torn(text: object) -> bool:
    if not isinstance(text, str):
        raise TypeError(f"a property name is a string, not a Python {type(text).__name__}")
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)
