"""Documents worth trying where the prover is at a loss: values the schemas themselves mention."""

from __future__ import annotations

from collections.abc import Iterator

from registry.compatibility.lore import samples
from registry.compatibility.values import Json
from registry.dialects import subschemas
from registry.validity import dialect_of

_MOST = 200
_PLAIN: tuple[Json, ...] = (None, True, False, 0, 1, -1, 0.5, "", "a", "0", [], {}, [0], {"a": 0})


def guesses(old: Json, new: Json) -> Iterator[Json]:
    """Up to two hundred documents, plain ones first."""
    for at, value in enumerate([*_PLAIN, *_mentioned(old), *_mentioned(new)]):
        if at >= _MOST:
            return
        yield value


def _mentioned(schema: Json) -> Iterator[Json]:
    for _, one, _ in subschemas(schema, dialect_of(schema)):
        if not isinstance(one, dict):
            continue
        for keyword in ("enum", "examples"):
            listed = one.get(keyword)
            if isinstance(listed, list):
                yield from listed
        for keyword in ("const", "default"):
            if keyword in one:
                yield one[keyword]
        if isinstance(one.get("format"), str):
            yield from samples(str(one["format"]))
