"""A paging HTTP API that answers JSON or CSV.

    {"type": "http", "url": "https://api.example/bars?symbol={symbol}&from={start}&to={end}",
     "time": "ts", "unit": "s", "format": "json", "rows": "/data", "next": "/cursor",
     "cursor_parameter": "cursor", "columns": {"ts": "t"}, "types": {"close": "float64"},
     "headers": {"X-API-Key": "secret:vendor"}, "times": "rfc3339"}

`url` has places for `{start}` and `{end}` (`times`: rfc3339, seconds or milliseconds) and for key
columns; with these, each series is asked for by itself. `next` points to the next page: an address
on the same host, or a cursor for `cursor_parameter`. Without it there is one page. CSV has no
pointers: a `Link: <…>; rel="next"` header leads on, in both formats.
"""

import csv
import io
import json
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import quote, urljoin, urlsplit

import httpx2
import pyarrow as pa

from coordinator.coverage import CoverageRange
from coordinator.ports import SourceBusy
from provider.sources.environment import SourceEnvironment
from provider.sources.rows import WrongRows, cleaned, joined, pointed, read_types, renamed, table_of
from provider.sources.settings import (
    InvalidSourceSettings,
    one_of,
    optional_text,
    refuse_unknown,
    required_text,
    texts,
    unit_of_time,
)
from provider.timeline import Key

ATTEMPTS = 3
MAX_PAGES = 10_000
MAX_PAGE_BYTES = 64 * 1024 * 1024
QUIET_SECONDS = 10.0  # the longest that a server may say nothing
_BACKOFF_SECONDS = 0.2
_DEFAULT_PATIENCE = 60.0  # where a busy server does not say how long
_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TIMES = ("rfc3339", "seconds", "milliseconds")
_FORMATS = ("json", "csv")
_KNOWN = (
    *("url", "time", "unit", "format", "rows", "next", "cursor_parameter"),
    *("columns", "types", "headers", "times"),
)


class SourceRefused(RuntimeError):
    """The upstream answered that it will not, for instance 401 or 404."""


class Deadline:
    """A time of `time.monotonic()`, or never."""

    def __init__(self, at: float | None) -> None:
        self._at = at

    def left(self) -> float:
        """Seconds; raises TimeoutError where none are left."""
        if self._at is None:
            return QUIET_SECONDS
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed before the source had answered")
        return left


@dataclass(frozen=True, slots=True)
class _Page:
    """`rows` as they were sent: of JSON the records, of CSV a table."""

    rows: pa.Table | list[Any]
    next: str | None
    where: str


@dataclass(frozen=True, slots=True)
class HTTPSource:
    """See this module. Connects when it is asked; one connection pool a fetch."""

    url: str
    time: str
    unit: str | None = None
    format: str = "json"
    rows: str = ""
    next: str | None = None
    cursor_parameter: str = "cursor"
    times: str = "rfc3339"
    columns: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], environment: SourceEnvironment) -> Self:
        """Raises InvalidSourceSettings."""
        refuse_unknown(settings, _KNOWN)
        url = required_text(settings, "url")
        environment.check_address(_PLACE.sub("x", url))
        headers = texts(settings, "headers").items()
        return cls(
            url=url,
            time=required_text(settings, "time"),
            unit=unit_of_time(settings),
            format=one_of(settings, "format", _FORMATS, "json"),
            rows=optional_text(settings, "rows") or "",
            next=optional_text(settings, "next"),
            cursor_parameter=optional_text(settings, "cursor_parameter") or "cursor",
            times=one_of(settings, "times", _TIMES, "rfc3339"),
            columns=texts(settings, "columns"),
            types=read_types(settings.get("types")),
            headers={name: environment.revealed(text, "headers") for name, text in headers},
        )

    def fetch(self, span: CoverageRange, keys: Sequence[Key], deadline: float | None) -> pa.Table:
        """See `provider.sources.Source`. Raises SourceBusy, SourceRefused and WrongRows too."""
        tables = [self._table(page) for page in self._all_pages(span, keys, Deadline(deadline))]
        return cleaned(joined(tables, urlsplit(self.url).netloc), self.time, self.unit, span)

    def records(
        self, span: CoverageRange, keys: Sequence[Key], deadline: float | None
    ) -> list[Any]:
        """What JSON pages hold of the range, and perhaps more, as it was sent: to be judged one by
        one. Raises what `fetch` raises.
        """
        pages = self._all_pages(span, keys, Deadline(deadline))
        return [record for page in pages for record in page.rows]

    def _all_pages(
        self, span: CoverageRange, keys: Sequence[Key], until: Deadline
    ) -> Iterator[_Page]:
        with httpx2.Client(headers=dict(self.headers), follow_redirects=False) as client:
            for address in self._addresses(span, keys):
                yield from self._pages(client, address, until)

    def _addresses(self, span: CoverageRange, keys: Sequence[Key]) -> list[str]:
        named = set(_PLACE.findall(self.url)) - {"start", "end"}
        wanted = [key for key in keys if named <= set(key)] if named else [{}]
        if named and not wanted:
            raise InvalidSourceSettings("url", f"asks for {sorted(named)}, which no series names")
        return [self._filled(span, key) for key in wanted]

    def _filled(self, span: CoverageRange, key: Key) -> str:
        places = {"start": self._moment(span.start), "end": self._moment(span.end)}
        places |= {name: str(value) for name, value in key.items()}
        return _PLACE.sub(lambda found: quote(places[found[1]], safe=""), self.url)

    def _moment(self, seconds: int) -> str:
        if self.times == "seconds":
            return str(seconds)
        if self.times == "milliseconds":
            return str(seconds * 1000)
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _pages(self, client: httpx2.Client, address: str, until: Deadline) -> Iterator[_Page]:
        seen: set[str] = set()
        following: str | None = address
        while following is not None:
            if following in seen:
                raise WrongRows(f"page {len(seen)} leads back to an earlier page")
            if len(seen) >= MAX_PAGES:
                raise WrongRows(f"there are more than {MAX_PAGES} pages")
            seen.add(following)
            page = self._page(client, following, until, f"page {len(seen)}")
            yield page
            following = self._followed(address, following, page.next)

    def _followed(self, first: str, current: str, found: str | None) -> str | None:
        if found is None:
            return None
        if found.startswith(("http://", "https://", "/", "?")):
            address = urljoin(current, found)
            if urlsplit(address).netloc != urlsplit(first).netloc:
                raise WrongRows("the next page lies on another host")
            return address
        joint = "&" if urlsplit(first).query else "?"
        return f"{first}{joint}{self.cursor_parameter}={quote(found, safe='')}"

    def _page(self, client: httpx2.Client, address: str, until: Deadline, where: str) -> _Page:
        answer, body = asked(client, address, until)
        linked = answer.links.get("next", {}).get("url")
        if self.format == "csv":
            return _Page(_csv_table(body, self.types, self.columns, where), linked, where)
        document = _json(body, where)
        records = pointed(document, self.rows, where)
        if not isinstance(records, list):
            raise WrongRows(f"{where}: what {self.rows!r} leads to is no list")
        following = linked if self.next is None else _cursor(document, self.next)
        return _Page(records, following, where)

    def _table(self, page: _Page) -> pa.Table:
        if not isinstance(page.rows, list):
            return page.rows
        theirs = _theirs(self.types, self.columns)
        return renamed(table_of(page.rows, theirs, page.where), self.columns)


def asked(
    client: httpx2.Client, address: str, until: Deadline, *, expected: Collection[int] = (200,)
) -> tuple[httpx2.Response, bytes]:
    """A whole answer of an expected status; what may pass by itself is asked again, in time.

    Raises SourceBusy, SourceRefused, TimeoutError at the deadline, and ConnectionError.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer, body = _once(client, address, until)
        except httpx2.TransportError as error:
            until.left()
            if attempt == ATTEMPTS:
                raise ConnectionError(f"{type(error).__name__} from the source") from error
        else:
            if answer.status_code in expected:
                return answer, body
            _refuse(answer, last=attempt == ATTEMPTS)
        time.sleep(min(_BACKOFF_SECONDS * 2 ** (attempt - 1), until.left()))
    raise AssertionError("the last attempt raises")


def _once(client: httpx2.Client, address: str, until: Deadline) -> tuple[httpx2.Response, bytes]:
    """Read in chunks: a server that drips costs the deadline, not the drip."""
    quiet = httpx2.Timeout(min(QUIET_SECONDS, until.left()))
    body = bytearray()
    with client.stream("GET", address, timeout=quiet) as answer:
        for chunk in answer.iter_bytes():
            body += chunk
            until.left()
            if len(body) > MAX_PAGE_BYTES:
                raise WrongRows(f"a page is longer than {MAX_PAGE_BYTES} bytes")
    return answer, bytes(body)


def _refuse(answer: httpx2.Response, *, last: bool) -> None:
    """Raise what the status means, unless it is worth another try."""
    status, patience = answer.status_code, answer.headers.get("Retry-After")
    if status == 429 or (status == 503 and patience is not None):
        raise SourceBusy(_seconds(patience), f"{status} from the source")
    if status < 500 or last:
        raise SourceRefused(f"the source answered {status}")


def _seconds(patience: str | None) -> float:
    """Of a Retry-After header (RFC 9110): seconds, or a date."""
    if patience is None:
        return _DEFAULT_PATIENCE
    if patience.strip().isdecimal():
        return float(patience)
    try:
        at = parsedate_to_datetime(patience)
    except ValueError:
        return _DEFAULT_PATIENCE
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def _json(body: bytes, where: str) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise WrongRows(f"{where} is no JSON: {error}") from None


def _cursor(document: Any, pointer: str) -> str | None:
    try:
        found = pointed(document, pointer, "")
    except WrongRows:
        return None
    return None if found in (None, "", False) else str(found)


def _theirs(types: Mapping[str, pa.DataType], columns: Mapping[str, str]) -> dict[str, pa.DataType]:
    return {columns.get(name, name): kind for name, kind in types.items()}


def _csv_table(
    body: bytes, types: Mapping[str, pa.DataType], columns: Mapping[str, str], where: str
) -> pa.Table:
    """A header line and rows of as many fields. An empty field is null; text unless declared."""
    try:
        lines = list(csv.reader(io.StringIO(body.decode()), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise WrongRows(f"{where} is no CSV: {error}") from None
    header, rows = (lines[0], lines[1:]) if lines else ([], [])
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise WrongRows(f"{where}, line {number}: {len(row)} fields, not {len(header)}")
    theirs = _theirs(types, columns)
    cells = zip(*rows, strict=True) if rows else [() for _ in header]
    parsed = {
        name: _parsed(list(values), theirs.get(name), name, where)
        for name, values in zip(header, cells, strict=True)
    }
    return renamed(pa.table(parsed), columns)


def _parsed(texts: list[str], kind: pa.DataType | None, name: str, where: str) -> pa.Array:
    values = pa.array([text or None for text in texts], pa.string())
    try:
        return values if kind is None else values.cast(kind)
    except pa.ArrowException as error:
        first = str(error).splitlines()[0]
        raise WrongRows(f"{where}: the column {name!r} cannot be read: {first}") from error
