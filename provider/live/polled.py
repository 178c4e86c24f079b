"""An HTTP API that is asked for its newest bars whenever a read needs them.

    {"type": "http", "url": "https://api.example/bars?from={start}&to={end}", "times": "seconds",
     "rows": "/data", "columns": {"ts": "t"}, "types": {"close": "float64"},
     "headers": {"X-API-Key": "secret:vendor"}}

Settings are those of the HTTP source, for answers in JSON; the column of times is the schema's.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Self
from urllib.parse import urlsplit

from coordinator.coverage import CoverageRange
from coordinator.ports import SourceBusy
from provider.live.entries import EntryForm
from provider.live.received import Received
from provider.sources.environment import SourceEnvironment
from provider.sources.http import HTTPSource
from provider.sources.settings import refuse_unknown
from provider.timeline import Key

LONGEST_WAIT = 3_600.0  # seconds of a Retry-After
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
        """See `provider.live.received.LiveSource`. Asks nobody who wants patience (SourceBusy)."""
        host = urlsplit(self.upstream.url).netloc
        _patience.check(host)
        try:
            return Received(self.upstream.records(span, keys, deadline))
        except SourceBusy as busy:
            _patience.until(host, busy.retry_after)
            raise


class _Patience:
    """Until when a host may not be asked by this process."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def check(self, host: str) -> None:
        with self._lock:
            left = self._until.get(host, 0.0) - monotonic()
        if left > 0:
            raise SourceBusy(left, f"{host} asked for patience: {left:.1f} s of it are left")

    def until(self, host: str, seconds: float) -> None:
        with self._lock:
            self._until[host] = monotonic() + min(seconds, LONGEST_WAIT)


_patience = _Patience()
