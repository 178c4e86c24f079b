"""Where a backfill fetches bars from: source types by name, made from a node's settings."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa

from coordinator.coverage import CoverageRange
from provider.sources.sample import SampleSource
from provider.sources.settings import InvalidSourceSettings
from provider.timeline import Key

__all__ = ["SOURCE_TYPES", "InvalidSourceSettings", "Source", "can_fetch", "open_source"]


class Source(Protocol):
    """An upstream of bars."""

    def fetch(self, span: CoverageRange, keys: Sequence[Key], deadline: float | None) -> pa.Table:
        """The rows of the closed range, of the series `keys` (none: all), in upstream's order.

        `deadline` is a time of `time.monotonic()`; past it TimeoutError is raised. Bars that the
        source does not have are simply not there.
        """
        ...


def can_fetch(source: Source, span: CoverageRange) -> bool:
    """Whether the source may have bars in the range, asked without fetching any.

    A source that knows its bounds says so in a method `can_fetch`; every other may.
    """
    knows = getattr(source, "can_fetch", None)
    return True if knows is None else bool(knows(span))


SOURCE_TYPES: Mapping[str, Callable[[Mapping[str, Any]], Source]] = {
    "sample": SampleSource.from_settings,
}


def open_source(settings: Mapping[str, Any]) -> Source:
    """The source that a node's settings describe: `{"type": …}` and what that type asks for.

    Raises InvalidSourceSettings, which names the key.
    """
    name = settings.get("type")
    if not isinstance(name, str) or name not in SOURCE_TYPES:
        raise InvalidSourceSettings("type", f"is {name!r}; use {' or '.join(SOURCE_TYPES)}")
    rest = {key: value for key, value in settings.items() if key != "type"}
    return SOURCE_TYPES[name](rest)
