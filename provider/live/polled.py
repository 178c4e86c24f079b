"""An HTTP API that is asked for its newest bars whenever a read needs them.

    {"type": "http", "url": "https://api.example/bars?from={start}&to={end}", "times": "seconds",
     "rows": "/data", "columns": {"ts": "t"}, "types": {"close": "float64"},
     "headers": {"X-API-Key": "secret:vendor"}}

Settings are those of the HTTP source, for answers in JSON; the column of times is the schema's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from coordinator.coverage import CoverageRange
from provider.live.entries import EntryForm
from provider.live.received import Received
from provider.sources.environment import SourceEnvironment
from provider.sources.http import HTTPSource
from provider.sources.settings import refuse_unknown
from provider.timeline import Key

_KNOWN = ("url", "rows", "next", "cursor_parameter", "times", "columns", "types", "headers")


@dataclass(frozen=True, slots=True)
class PolledHTTP:
    """See this module."""

    upstream: HTTPSource
    form: EntryForm

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], environment: SourceEnvironment) -> Self:
        """Raises InvalidSourceSettings."""
        refuse_unknown(settings, _KNOWN)
        upstream = HTTPSource.from_settings({**settings, "time": "-"}, environment)
        form = EntryForm(columns=upstream.columns, types=upstream.types, later_wins=False)
        return cls(upstream, form)

    def receive(self, span: CoverageRange, keys: Sequence[Key], deadline: float | None) -> Received:
        """See `provider.live.received.LiveSource`."""
        return Received(self.upstream.records(span, keys, deadline))
