"""The JSON text of a written cell."""

import json
from decimal import Decimal
from math import isfinite
from typing import Final

from registry.cells.writing import Cell

_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def json_text(value: Cell) -> str:
    """The JSON text of one cell or row, decimals with exactly their digits.

    NaN and infinity have no JSON form: the check calls such a row invalid, and where it is sent
    all the same (a reader who asked for partial answers) the cell is `null`.
    """
    if isinstance(value, dict):
        members = (f"{_ENCODE(name)}:{json_text(item)}" for name, item in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float) and not isfinite(value):
        return "null"
    return _ENCODE(value)
