"""An HTTP API that is asked for its newest bars whenever a read needs them.

    {"type": "http", "url": "https://api.example/bars?from={start}&to={end}", "times": "seconds",
     "rows": "/data", "columns": {"ts": "t"}, "types": {"close": "float64"},
     "headers": {"X-API-Key": "secret:vendor"}}

Settings are those of the HTTP source, for answers in JSON; the column of times is the schema's.
`poll_seconds`: for so long an answer also serves the other reads of this process.
"""

import json
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
from provider.sources.settings import refuse_unknown, whole_number
from provider.timeline import Key

LONGEST_WAIT = 3_600.0  # seconds of a Retry-After
_OF_THE_SOURCE = ("url", "rows", "next", "cursor_parameter", "times", "columns", "types", "headers")


@dataclass(frozen=True, slots=True)
class PolledHTTP:
    """See this module. `asked` names what is asked, so that equal settings share an answer."""

    upstream: HTTPSource
    form: EntryForm
    asked: str = ""
    poll_seconds: int = 0

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], environment: SourceEnvironment) -> Self:
        """Raises InvalidSourceSettings."""
        refuse_unknown(settings, (*_OF_THE_SOURCE, "poll_seconds"))
        poll_seconds = whole_number(settings, "poll_seconds", 0, least=0, most=3_600)
        rest = {key: value for key, value in settings.items() if key != "poll_seconds"}
        upstream = HTTPSource.from_settings({**rest, "time": "-"}, environment)
        form = EntryForm(columns=upstream.columns, types=upstream.types, later_wins=False)
        return cls(upstream, form, json.dumps(rest, sort_keys=True), poll_seconds)

    def receive(self, span: CoverageRange, keys: Sequence[Key], deadline: float | None) -> Received:
        """See `provider.live.received.LiveSource`. Asks nobody who wants patience (SourceBusy)."""
        if not self.poll_seconds:
            return self._ask(span, keys, deadline)
        question = f"{self.asked} {json.dumps(keys, sort_keys=True)}"
        received = _recent.answer(question, span, self.poll_seconds)
        if received is None:
            began = monotonic()
            received = self._ask(span, keys, deadline)
            _recent.keep(question, span, received, began)
        return received

    def _ask(self, span: CoverageRange, keys: Sequence[Key], deadline: float | None) -> Received:
        host = urlsplit(self.upstream.url).netloc
        _patience.check(host)
        try:
            return Received(self.upstream.records(span, keys, deadline))
        except SourceBusy as busy:
            _patience.until(host, busy.retry_after)
            raise


class _Recent:
    """The last answer to each question, and the range it is of."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[CoverageRange, float, Received]] = {}
        self._lock = threading.Lock()

    def answer(self, question: str, span: CoverageRange, seconds: float) -> Received | None:
        """None where there is none of this range that was asked for so few seconds ago."""
        with self._lock:
            last = self._last.get(question)
        if last is None or monotonic() - last[1] >= seconds:
            return None
        covers = last[0].start <= span.start and span.end <= last[0].end
        return last[2] if covers else None

    def keep(self, question: str, span: CoverageRange, received: Received, began: float) -> None:
        with self._lock:
            self._last[question] = (span, began, received)


_recent = _Recent()


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
