"""JSON values as the solver sees them: kinds, exact numbers, and how big a document looks."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

from registry.compatibility.formula import Kind

_LARGEST = 10**400  # beyond, Python refuses to print integers sooner or later

Json = Any  # what `json.loads` gives; recursive types buy nothing in the solver


def kind_of(value: Json) -> Kind:
    """The kind of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def exact(number: int | float) -> Fraction:
    """The number as written: the float 0.1 is one tenth."""
    return Fraction(number) if isinstance(number, int) else Fraction(Decimal(repr(number)))


def as_number(value: Fraction) -> int | float | None:
    """The JSON number with exactly this value, or None where no float spells it."""
    if abs(value.numerator) > _LARGEST:
        return None
    if value.denominator == 1:
        return int(value)
    try:
        made = value.numerator / value.denominator
    except OverflowError:
        return None
    return made if exact(made) == value else None


def size(value: Json) -> tuple[int, int]:
    """How big a document looks to a reader: (parts, characters); smaller is a better witness."""
    return _parts(value), len(json.dumps(value, ensure_ascii=False))


def _parts(value: Json) -> int:
    if isinstance(value, list):
        return 1 + sum(_parts(item) for item in value)
    if isinstance(value, dict):
        return 1 + sum(_parts(item) for item in value.values())
    return 1
