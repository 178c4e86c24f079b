r"""Patterns that ask for nothing but characters out of one ASCII class, so many of them.

`^[A-Z0-9]{2,12}$` holds for a whole column where the bytes of all strings are in the class and all
lengths are in range: two passes over the buffers, without looking at a single string.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from registry.columnar.buffers import string_buffers
from registry.columnar.column import Column
from registry.patterns import compile_pattern

_ONE_CLASS: Final = re.compile(
    r"\^(?P<one>\[(?:[^\]\\]|\\.)+\]|\\[dw])(?P<times>[*+?]|\{\d{1,4}(?:,\d{0,4})?\})?\$"
)
_TIMES: Final[dict[str, tuple[int, int | None]]] = {
    "": (1, 1),
    "*": (0, None),
    "+": (1, None),
    "?": (0, 1),
}


@dataclass(frozen=True)
class ByteClass:
    """ASCII strings of `least` to `most` characters out of `allowed`."""

    allowed: bytes
    least: int
    most: int | None

    def holds_for(self, texts: Column) -> bool:
        """Whether all strings are such; False asks for a closer look."""
        offsets, data = string_buffers(texts.array)
        if texts.size == 0 or texts.has_nulls:
            return texts.size == 0
        lengths = np.diff(offsets)
        if lengths.min() < self.least or (self.most is not None and lengths.max() > self.most):
            return False
        return not data.tobytes().translate(None, self.allowed)


@lru_cache(maxsize=1024)
def byte_class(pattern: str) -> ByteClass | None:
    """The class that a pattern comes down to, None where it is more than that."""
    found = _ONE_CLASS.fullmatch(pattern)
    if found is None:
        return None
    in_class = compile_pattern(f"^{found['one']}$").search
    allowed = bytes(code for code in range(128) if in_class(chr(code)))
    least, most = _times(found["times"] or "")
    return ByteClass(allowed, least, most)


def _times(quantifier: str) -> tuple[int, int | None]:
    if quantifier in _TIMES:
        return _TIMES[quantifier]
    low, comma, high = quantifier.strip("{}").partition(",")
    return int(low), int(high) if high else None if comma else int(low)
