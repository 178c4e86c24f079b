"""Bars from a paging HTTP API that is slow, hung, half, doubled, wrong, or wants patience."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.coverage import CoverageRange
from coordinator.ports import SourceBusy
from provider.sources import InvalidSourceSettings, Source, SourceEnvironment, open_source
from provider.sources import http as http_source
from provider.sources.http import SourceRefused
from provider.sources.rows import WrongRows
from tests.provider.upstream import Asked, Reply, Upstream, bars_of, serving

SPAN = CoverageRange(0, 300)
HERE = SourceEnvironment(hosts={"127.0.0.1"}, secrets={"vendor": "hidden-word"})


def row(ts: int, close: Any = 1.5, **more: Any) -> dict[str, Any]:
    return {"ts": ts, "symbol": "A", "close": close, **more}


def answered(reply: Reply) -> Callable[[Asked], Reply]:
    return lambda _: reply


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_source, "_BACKOFF_SECONDS", 0.01)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving(answered(Reply({"data": [row(0), row(60)]}))) as running:
        yield running


def source(upstream: Upstream, **settings: Any) -> Source:
    given = bars_of(upstream) | {"time": "ts", "unit": "s"}
    return open_source(given | settings, HERE)


def fetched(upstream: Upstream, *, within: float | None = 20.0, **settings: Any) -> pa.Table:
    deadline = None if within is None else time.monotonic() + within
    keys: Sequence[dict[str, str]] = settings.pop("keys", [])
    return source(upstream, **settings).fetch(SPAN, keys, deadline)


def times(table: pa.Table) -> list[int]:
    return table.column("ts").to_pylist()


def test_rows_of_one_page(upstream: Upstream) -> None:
    table = fetched(upstream)
    assert table.to_pylist() == [row(0), row(60)]
    assert upstream.asked[0].query == {"from": "0", "to": "300"}


@pytest.mark.parametrize(
    ("form", "start"),
    [("rfc3339", "1970-01-01T00:00:00Z"), ("seconds", "0"), ("milliseconds", "0")],
)
def test_bounds_are_written_as_the_api_wants_them(
    upstream: Upstream, form: str, start: str
) -> None:
    fetched(upstream, times=form)
    assert upstream.asked[0].query["from"] == start


def test_each_series_is_asked_for_by_itself_where_the_address_names_it(upstream: Upstream) -> None:
    upstream.answer = lambda asked: Reply([row(0, symbol=asked.query["s"])])
    url = f"{upstream.url}/bars?s={{symbol}}"
    table = fetched(upstream, url=url, rows="", keys=[{"symbol": "A&B"}, {"symbol": "C/D"}])
    assert table.column("symbol").to_pylist() == ["A&B", "C/D"]


@pytest.mark.parametrize("way", ["cursor", "path", "address", "link"])
def test_pages_are_followed_to_the_last(upstream: Upstream, way: str) -> None:
    def answer(asked: Asked) -> Reply:
        page = int(asked.query.get("cursor", "0"))
        following = {
            "cursor": str(page + 1),
            "path": f"/bars?cursor={page + 1}",
            "address": f"{upstream.url}/bars?cursor={page + 1}",
        }.get(way)
        more = page < 4
        link = {"Link": f'</bars?cursor={page + 1}>; rel="next"'} if way == "link" and more else {}
        body = {"data": [row(page * 60)], "next": following if more else None}
        return Reply(body, headers=link)

    upstream.answer = answer
    table = fetched(upstream, **({} if way == "link" else {"next": "/next"}))
    assert times(table) == [0, 60, 120, 180, 240]


@given(
    pages=st.lists(st.lists(st.integers(-5, 10), max_size=4), min_size=1, max_size=5),
    doubled=st.sets(st.integers(0, 4)),
)
def test_no_row_of_the_range_is_lost_and_none_doubled_however_pages_are_cut(
    pages: list[list[int]], doubled: set[int]
) -> None:
    sent = [page for n, page in enumerate(pages) for _ in range(2 if n in doubled else 1)]

    def answer(asked: Asked) -> Reply:
        number = int(asked.query.get("cursor", "0"))
        more = str(number + 1) if number + 1 < len(sent) else None
        return Reply({"data": [row(60 * bar) for bar in sent[number]], "next": more})

    with serving(answer) as upstream:
        table = fetched(upstream, next="/next")
    wanted = {60 * bar for page in pages for bar in page if 0 <= 60 * bar <= 300}
    found = times(table) if table.num_columns else []
    assert sorted(found) == sorted(wanted)


def test_rows_of_one_time_that_differ_stay_for_a_person_to_see(upstream: Upstream) -> None:
    upstream.answer = answered(Reply({"data": [row(0, 1.5), row(0, 1.5), row(0, 2.5)]}))
    assert fetched(upstream).column("close").to_pylist() == [1.5, 2.5]


def test_a_clock_that_is_wrong_brings_no_bar_of_another_range(upstream: Upstream) -> None:
    upstream.answer = answered(Reply({"data": [row(-60), row(300), row(360)]}))
    assert times(fetched(upstream)) == [300]


def test_csv_with_names_and_types(upstream: Upstream) -> None:
    body = b"t,symbol,close,note\n0,A,1.50,\n60,A,2.25,x\n"
    upstream.answer = answered(Reply(body))
    table = fetched(
        upstream,
        format="csv",
        columns={"ts": "t"},
        types={"ts": "int64", "close": "decimal(10,2)"},
    )
    assert [str(kind) for kind in table.schema.types] == [
        "int64",
        "string",
        "decimal128(10, 2)",
        "string",
    ]
    assert table.column("note").to_pylist() == [None, "x"]


def test_times_as_text_become_timestamps_where_that_is_declared(upstream: Upstream) -> None:
    upstream.answer = answered(Reply([{"ts": "1970-01-01T00:01:00Z", "close": 1}]))
    table = fetched(upstream, rows="", unit=None, types={"ts": "timestamp[s]", "close": "float64"})
    assert [str(kind) for kind in table.schema.types] == ["timestamp[s, tz=UTC]", "double"]
    assert table.num_rows == 1


def test_no_rows_are_an_answer(upstream: Upstream) -> None:
    upstream.answer = answered(Reply({"data": []}))
    assert fetched(upstream).num_rows == 0


# --- faults -------------------------------------------------------------------------------------


def test_what_passes_by_itself_is_asked_again(upstream: Upstream) -> None:
    replies = iter([Reply(status=502), Reply({"data": [row(0)]}, cut_at=9), Reply([row(0)])])
    upstream.answer = lambda _: next(replies)
    assert times(fetched(upstream, rows="")) == [0]
    assert len(upstream.asked) == 3


def test_but_not_for_ever(upstream: Upstream) -> None:
    upstream.answer = answered(Reply(status=500))
    with pytest.raises(SourceRefused, match="500"):
        fetched(upstream)
    assert len(upstream.asked) == http_source.ATTEMPTS


def test_an_answer_that_is_cut_short_is_never_half_taken(upstream: Upstream) -> None:
    upstream.answer = answered(Reply({"data": [row(0), row(60)]}, cut_at=20))
    with pytest.raises(ConnectionError):
        fetched(upstream)


@pytest.mark.parametrize(
    ("status", "patience", "seconds"),
    [(429, "7", 7.0), (503, "30", 30.0), (429, None, 60.0), (429, "rubbish", 60.0)],
)
def test_a_busy_source_says_how_long(
    upstream: Upstream, status: int, patience: str | None, seconds: float
) -> None:
    headers = {} if patience is None else {"Retry-After": patience}
    upstream.answer = answered(Reply(status=status, headers=headers))
    with pytest.raises(SourceBusy) as busy:
        fetched(upstream)
    assert (busy.value.retry_after, len(upstream.asked)) == (seconds, 1)


def test_a_busy_source_may_name_a_date(upstream: Upstream) -> None:
    headers = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    upstream.answer = answered(Reply(status=429, headers=headers))
    with pytest.raises(SourceBusy) as busy:
        fetched(upstream)
    assert busy.value.retry_after == 0.0


@pytest.mark.parametrize("status", [301, 401, 404])
def test_a_refusal_is_not_asked_again_and_a_redirect_not_followed(
    upstream: Upstream, status: int
) -> None:
    upstream.answer = answered(Reply(status=status, headers={"Location": "http://elsewhere/"}))
    with pytest.raises(SourceRefused, match=str(status)):
        fetched(upstream)
    assert len(upstream.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [Reply({"data": [row(0)]}, hang=30.0), Reply({"data": [row(0)]}, drip=0.5)],
    ids=["hung", "drips"],
)
def test_a_source_costs_the_deadline_and_not_its_hang(upstream: Upstream, reply: Reply) -> None:
    upstream.answer = answered(reply)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        fetched(upstream, within=0.3)
    assert time.monotonic() - began < 5  # of the 15 and 30 s that it would take


def test_a_server_that_is_away(upstream: Upstream) -> None:
    with pytest.raises(ConnectionError):
        fetched(upstream, url="http://127.0.0.1:1/bars")


@pytest.mark.parametrize(
    ("body", "settings", "complaint"),
    [
        (b"{", {}, "page 1 is no JSON"),
        ({"rows": []}, {}, "nothing at '/data'"),
        ({"data": {"a": 1}}, {}, "is no list"),
        ({"data": [row(0), 7]}, {}, "row 1 is int, not an object"),
        ({"data": [row(0, "1.5")]}, {"types": {"close": "float64"}}, "column 'close'"),
        ({"data": [row(0, True)]}, {"types": {"close": "float64"}}, "'True' is no number"),
        ({"data": [row(0, 1), row(60, "x")]}, {}, "column 'close'"),
        (b"a,b\n1\n", {"format": "csv"}, "line 2: 1 fields, not 2"),
        (b"\xff\xfe", {"format": "csv"}, "is no CSV"),
        (b"ts\nx\n", {"format": "csv", "types": {"ts": "int64"}}, "column 'ts'"),
    ],
)
def test_what_cannot_be_the_agreed_rows_is_named(
    upstream: Upstream, body: Any, settings: dict[str, Any], complaint: str
) -> None:
    upstream.answer = answered(Reply(body))
    with pytest.raises(WrongRows, match=complaint):
        fetched(upstream, **settings)


def test_pages_that_disagree_about_a_type(upstream: Upstream) -> None:
    def answer(asked: Asked) -> Reply:
        later = "cursor" in asked.query
        close = "text" if later else 1.5
        return Reply({"data": [row(0, close)], "next": None if later else "1"})

    upstream.answer = answer
    with pytest.raises(WrongRows, match="two pages have different types"):
        fetched(upstream, next="/next")


@pytest.mark.parametrize(
    ("following", "complaint"),
    [("/bars?from=0&to=300", "leads back"), ("http://127.0.0.2/bars", "another host")],
)
def test_pages_that_lead_astray(upstream: Upstream, following: str, complaint: str) -> None:
    upstream.answer = answered(Reply({"data": [row(0)], "next": following}))
    with pytest.raises(WrongRows, match=complaint):
        fetched(upstream, next="/next")


def test_a_page_that_never_ends(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_source, "MAX_PAGE_BYTES", 1_000)
    upstream.answer = answered(Reply(b"[" * 5_000))
    with pytest.raises(WrongRows, match="longer than 1000 bytes"):
        fetched(upstream)


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"url": "ftp://127.0.0.1/x"}, "url"),
        ({"url": "http://other.example/x"}, "url"),
        ({"url": "http://user:word@127.0.0.1/x"}, "url"),
        ({"url": "http://127.0.0.1:x/y"}, "url"),
        ({"url": ""}, "url"),
        ({"time": None}, "time"),
        ({"format": "xml"}, "format"),
        ({"times": "days"}, "times"),
        ({"types": {"close": "money"}}, "types"),
        ({"types": ["close"]}, "types"),
        ({"headers": {"X-Key": "secret:unknown"}}, "headers"),
        ({"headers": ["X-Key"]}, "headers"),
        ({"method": "POST"}, "method"),
    ],
)
def test_settings_nobody_understands_are_refused_with_the_key(
    upstream: Upstream, settings: dict[str, Any], key: str
) -> None:
    with pytest.raises(InvalidSourceSettings) as refused:
        source(upstream, **settings)
    assert refused.value.key == key
    assert "word" not in str(refused.value)


def test_nothing_may_be_asked_unless_the_operator_says_so(upstream: Upstream) -> None:
    settings = {"type": "http", "url": upstream.url, "time": "ts"}
    with pytest.raises(InvalidSourceSettings, match="SEAMLESS_SOURCE_HOSTS"):
        open_source(settings)


def test_a_secret_is_sent_and_never_shown(upstream: Upstream) -> None:
    made = source(upstream, headers={"X-API-Key": "secret:vendor"})
    made.fetch(SPAN, [], None)
    sent = {name.lower(): value for name, value in upstream.asked[0].headers.items()}
    assert sent["x-api-key"] == "hidden-word"
    assert "hidden-word" not in repr(made)


def test_a_series_that_the_address_needs_and_no_key_names(upstream: Upstream) -> None:
    with pytest.raises(InvalidSourceSettings, match="asks for"):
        fetched(upstream, url=f"{upstream.url}/{{symbol}}", keys=[{"venue": "X"}])
