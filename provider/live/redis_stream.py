"""A Redis or Valkey stream of bars, one entry a row, appended with XADD.

    {"type": "redis", "stream": "bars:us", "server": "feeds", "field": "bar",
     "columns": {"ts": "t"}, "types": {"close": "float64"}, "entries": 10000}

`server` is a name in SEAMLESS_LIVE_SERVERS. An entry holds a row as JSON in the field `field`; with
`"field": null` its fields are the columns, as texts that `types` parses. Of two entries for one bar
the later one counts. Entry ids are the server's (`XADD … *`), or at least milliseconds of a clock.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from coordinator.coverage import CoverageRange
from provider.live import LiveUnavailable
from provider.live.entries import EntryForm, parsed_json
from provider.live.received import Received
from provider.sources.environment import SourceEnvironment
from provider.sources.http import Deadline
from provider.sources.rows import read_types
from provider.sources.settings import (
    optional_text,
    refuse_unknown,
    required_text,
    texts,
    whole_number,
)
from provider.timeline import Key

CLOCKS_APART = 60  # seconds by which a bar may seem to arrive before its own time
_PAGE = 1_000
_KNOWN = ("stream", "server", "field", "columns", "types", "entries")


@dataclass(frozen=True, slots=True)
class RedisStream:
    """See this module. Connects when it is asked, for that one read."""

    url: str = dataclasses.field(repr=False)
    stream: str
    field: str | None = "bar"
    entries: int = 10_000
    form: EntryForm = dataclasses.field(default_factory=EntryForm)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], environment: SourceEnvironment) -> Self:
        """Raises InvalidSourceSettings."""
        refuse_unknown(settings, _KNOWN)
        name = optional_text(settings, "field") if "field" in settings else "bar"
        return cls(
            url=environment.server(optional_text(settings, "server") or "default"),
            stream=required_text(settings, "stream"),
            field=name,
            entries=whole_number(settings, "entries", 10_000, least=1, most=100_000),
            form=EntryForm(
                columns=texts(settings, "columns"),
                types=read_types(settings.get("types")),
                texts=name is None,
            ),
        )

    def receive(self, span: CoverageRange, keys: Sequence[Key], deadline: float | None) -> Received:
        """The newest entries, back to those that cannot be of the range any more."""
        until = Deadline(deadline)
        seconds = until.left()
        client = redis.Redis.from_url(
            self.url,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            with client:
                newest_first = list(self._entries(client, span.start, until))
        except redis.TimeoutError:
            raise TimeoutError("the live server did not answer in time") from None
        except redis.RedisError as error:
            raise LiveUnavailable(f"{type(error).__name__}: {error}") from None
        cut = len(newest_first) >= self.entries
        return Received([self._row(fields) for fields in reversed(newest_first)], cut=cut)

    def _entries(
        self, client: redis.Redis, start: int, until: Deadline
    ) -> Iterator[Mapping[bytes, bytes]]:
        """Newest first."""
        oldest, newest, left = f"{max(0, start - CLOCKS_APART) * 1000}-0", "+", self.entries
        while left > 0:
            page: Any = client.xrevrange(self.stream, newest, oldest, count=min(_PAGE, left))
            for _, fields in page:
                yield fields
            if len(page) < min(_PAGE, left):
                return
            left -= len(page)
            newest = f"({page[-1][0].decode()}"
            until.left()

    def _row(self, fields: Mapping[bytes, bytes]) -> object:
        if self.field is not None:
            return parsed_json(fields.get(self.field.encode(), b""))
        try:
            return {name.decode(): cell.decode() for name, cell in fields.items()}
        except UnicodeDecodeError:
            return None
