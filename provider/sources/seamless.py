"""A node of another Seamless: its read API, as Arrow, judged there and here.

{"type": "seamless", "url": "https://other.example", "node": "ohlcv:us:1d", "time": "session",
 "token": "secret:other"}
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote

import httpx2
import pyarrow as pa

from coordinator.coverage import CoverageRange
from provider.sources.environment import SECRET_PREFIX, SourceEnvironment
from provider.sources.http import Deadline, SourceRefused, asked
from provider.sources.rows import WrongRows, cleaned, joined
from provider.sources.settings import (
    InvalidSourceSettings,
    refuse_unknown,
    required_text,
    unit_of_time,
)
from provider.timeline import Key

_KNOWN = ("url", "node", "time", "unit", "token")
_ARROW = "application/vnd.apache.arrow.stream"


@dataclass(frozen=True, slots=True)
class SeamlessSource:
    """See this module. A window that is too large there is asked for in parts."""

    url: str
    node: str
    time: str
    unit: str | None = None
    token: str = field(default="", repr=False)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], environment: SourceEnvironment) -> Self:
        """Raises InvalidSourceSettings."""
        refuse_unknown(settings, _KNOWN)
        url, token = required_text(settings, "url"), required_text(settings, "token")
        if not token.startswith(SECRET_PREFIX):
            raise InvalidSourceSettings("token", "must name a secret: secret:NAME")
        environment.check_address(url)
        return cls(
            url=url.rstrip("/"),
            node=required_text(settings, "node"),
            time=required_text(settings, "time"),
            unit=unit_of_time(settings),
            token=environment.revealed(token, "token"),
        )

    def fetch(self, span: CoverageRange, keys: Sequence[Key], deadline: float | None) -> pa.Table:
        """See `provider.sources.Source`. Raises SourceBusy, SourceRefused and WrongRows too."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept": _ARROW}
        with httpx2.Client(headers=headers, follow_redirects=False) as client:
            tables = self._read(client, span, Deadline(deadline))
        return cleaned(joined(tables, self.node), self.time, self.unit, span)

    def _read(self, client: httpx2.Client, span: CoverageRange, until: Deadline) -> list[pa.Table]:
        address = (
            f"{self.url}/api/v1/nodes/{quote(self.node, safe='')}/data"
            f"?start={span.start}&end={span.end}&partial_ok=true"
        )
        answer, body = asked(client, address, until, expected=(200, 202, 404, 413))
        if answer.status_code == 200:
            return [_arrow(body)]
        if answer.status_code == 413 and span.end > span.start:
            middle = (span.start + span.end) // 2
            halves = CoverageRange(span.start, middle), CoverageRange(middle + 1, span.end)
            return [table for half in halves for table in self._read(client, half, until)]
        if answer.status_code == 404 and _code(body) == "no_data":
            return [pa.table({})]
        raise SourceRefused(f"{self.node} answered {answer.status_code} {_code(body)}")


def _arrow(body: bytes) -> pa.Table:
    try:
        with pa.ipc.open_stream(body) as stream:
            table = stream.read_all()
        table.validate(full=True)  # a wrong offset would be followed, and end the process
        return table
    except (pa.ArrowException, OSError) as error:
        raise WrongRows(f"the answer is no Arrow stream: {error}") from None


def _code(body: bytes) -> str:
    """Of a problem document (RFC 9457); empty where it is none."""
    try:
        return str(json.loads(body).get("code", ""))
    except (ValueError, AttributeError):
        return ""
