"""Making a witness small: keep taking things away while it still is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from registry.compatibility.values import Json, size

Still = Callable[[Json], bool]


def shrink(document: Json, still: Still, attempts: int = 250) -> Json:
    """A smaller document for which `still` holds; at most `attempts` are tried."""
    left = attempts // (1 + size(document)[1] // 200)
    improved = True
    while improved:
        improved = False
        for smaller in _smaller(document):
            if left <= 0:
                return document
            if size(smaller) >= size(document):
                continue
            left -= 1
            if still(smaller):
                document, improved = smaller, True
                break
    return document


def _smaller(value: Json) -> Iterator[Json]:
    """Documents a little simpler than this one, the boldest first."""
    if isinstance(value, dict):
        yield from _smaller_object(value)
    elif isinstance(value, list):
        yield from _smaller_array(value)
    elif isinstance(value, str):
        yield from _smaller_string(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _smaller_number(value)


def _smaller_object(value: dict[str, Json]) -> Iterator[Json]:
    if len(value) > 1:
        yield {}
        yield from ({name: item} for name, item in value.items())
    for name in value:
        yield {other: item for other, item in value.items() if other != name}
    for name, item in value.items():
        for smaller in _smaller(item):
            yield {**value, name: smaller}


def _smaller_array(value: list[Json]) -> Iterator[Json]:
    if len(value) > 2:
        yield value[: len(value) // 2]
        yield value[len(value) // 2 :]
    for at in reversed(range(len(value))):
        yield value[:at] + value[at + 1 :]
    for at, item in enumerate(value):
        for smaller in _smaller(item):
            yield [*value[:at], smaller, *value[at + 1 :]]


def _smaller_string(value: str) -> Iterator[Json]:
    if value:
        yield ""
        yield value[: len(value) // 2]
        yield value[:-1]


def _smaller_number(value: int | float) -> Iterator[Json]:
    for simple in (0, 1, -1, 0.5, int(value)):
        if simple != value:
            yield simple
