"""Where a backfill fetches bars from: source types by name, made from a node's settings."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol

import pyarrow as pa

from coordinator.coverage import CoverageRange
from provider.sources.alignment import alignment_of
from provider.sources.environment import SourceEnvironment
from provider.sources.files import FileSource
from provider.sources.http import HTTPSource
from provider.sources.sample import SampleSource
from provider.sources.seamless import SeamlessSource
from provider.sources.settings import InvalidSourceSettings
from provider.timeline import Key

__all__ = [
    "InvalidSourceSettings",
    "Source",
    "SourceEnvironment",
    "can_fetch",
    "open_source",
    "source_types",
]

ENTRY_POINTS = "seamless.sources"
NOTHING_ALLOWED = SourceEnvironment()


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


SourceFactory = Callable[[Mapping[str, Any], SourceEnvironment], Source]


@cache
def source_types() -> Mapping[str, SourceFactory]:
    """Ours, and those that installed packages register under `seamless.sources`."""
    others = {point.name: point.load() for point in entry_points(group=ENTRY_POINTS)}
    return others | {
        "files": FileSource.from_settings,
        "http": HTTPSource.from_settings,
        "sample": SampleSource.from_settings,
        "seamless": SeamlessSource.from_settings,
    }


def open_source(
    settings: Mapping[str, Any], environment: SourceEnvironment = NOTHING_ALLOWED
) -> Source:
    """The source that a node's settings describe: `{"type": …}` and what that type asks for.

    `align` (see `provider.sources.alignment`) is whoever's who stores the rows.

    Raises InvalidSourceSettings, which names the key. Nothing is connected or read yet.
    """
    name = settings.get("type")
    if not isinstance(name, str) or name not in source_types():
        known = ", ".join(sorted(source_types()))
        raise InvalidSourceSettings("type", f"is {name!r}; there are {known}")
    alignment_of(settings)
    rest = {key: value for key, value in settings.items() if key not in ("type", "align")}
    return source_types()[name](rest, environment)
