"""A node of another Seamless as the source of one here, over a real HTTP server."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from coordinator.coverage import CoverageRange
from coordinator.ports import SourceBusy
from provider.sources import InvalidSourceSettings, Source, SourceEnvironment, open_source
from provider.sources.http import SourceRefused
from provider.sources.rows import WrongRows
from tests.provider.upstream import Asked, Reply, Upstream, serving
from tests.provider.world import NODE, SESSIONS, Reader, World, bars

SPAN = CoverageRange(SESSIONS[0], SESSIONS[-1])
HERE = SourceEnvironment(hosts={"127.0.0.1"}, secrets={"other": "smls_token"})


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving(lambda _: Reply(b"")) as running:
        yield running


def source(upstream: Upstream, **settings: Any) -> Source:
    given = {"type": "seamless", "url": upstream.url, "node": NODE, "token": "secret:other"}
    return open_source({**given, "time": "session", **settings}, HERE)


def arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def test_what_the_read_api_serves_comes_back_as_the_rows_it_holds(
    world: World, upstream: Upstream
) -> None:
    """Recorded from our own API, then replayed by a real server: both sides of one contract."""
    world.write(bars())
    reader: Reader = world.reader()
    recorded = reader.get(
        f"/api/v1/nodes/{NODE}/data",
        accept="application/vnd.apache.arrow.stream",
        start=SPAN.start,
        end=SPAN.end,
        partial_ok="true",
    )
    assert recorded.status_code == 200, recorded.content
    upstream.answer = lambda _: Reply(recorded.content)
    table = source(upstream).fetch(SPAN, [], None)
    assert table.column("close").to_pylist() == bars().column("close").to_pylist()
    asked = upstream.asked[0]
    assert asked.path.startswith("/api/v1/nodes/ohlc%3Aus%3A1d/data")
    assert asked.query == {"start": str(SPAN.start), "end": str(SPAN.end), "partial_ok": "true"}
    assert asked.headers["Authorization"] == "Bearer smls_token"


def test_a_window_that_is_too_large_there_is_asked_for_in_parts(upstream: Upstream) -> None:
    largest = (SPAN.end - SPAN.start) // 3

    def answer(asked: Asked) -> Reply:
        start, end = int(asked.query["start"]), int(asked.query["end"])
        if end - start > largest:
            return Reply({"code": "window_too_large"}, status=413)
        inside = [time for time in SESSIONS if start <= time <= end]
        return Reply(arrow(bars(inside)))

    upstream.answer = answer
    table = source(upstream).fetch(SPAN, [], None)
    times = table.column("session").cast(pa.int64()).to_pylist()
    assert sorted(set(times)) == SESSIONS
    assert len(times) == 2 * len(SESSIONS)


def test_no_data_there_is_no_error_here(upstream: Upstream) -> None:
    upstream.answer = lambda _: Reply({"code": "no_data"}, status=404)
    assert source(upstream).fetch(SPAN, [], None).num_rows == 0


@pytest.mark.parametrize("text_only", [True, False], ids=["offsets", "lengths"])
def test_an_answer_that_leads_out_of_itself_is_refused(upstream: Upstream, text_only: bool) -> None:
    body = arrow(pa.table({"session": ["2012-06-01"]}))
    text = b"2012-06-01" if text_only else b""
    zero_and_ten = bytes(4) + (10).to_bytes(4, "little")
    broken = body.replace(zero_and_ten + text, bytes(4) + (10**9).to_bytes(4, "little") + text)
    assert broken != body
    upstream.answer = lambda _: Reply(broken)
    with pytest.raises(WrongRows, match="no Arrow stream"):
        source(upstream).fetch(SPAN, [], None)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply({"code": "not_found"}, status=404), SourceRefused),
        (Reply({"code": "schema_refused"}, status=409), SourceRefused),
        (Reply({"code": "x"}, status=429, headers={"Retry-After": "9"}), SourceBusy),
        (Reply(b"no arrow"), WrongRows),
    ],
)
def test_other_answers_are_errors(upstream: Upstream, reply: Reply, error: type[Exception]) -> None:
    upstream.answer = lambda _: reply
    with pytest.raises(error):
        source(upstream).fetch(SPAN, [], None)


@pytest.mark.parametrize(
    ("settings", "key"),
    [({"token": "smls_plain"}, "token"), ({"node": ""}, "node"), ({"url": "http://x/"}, "url")],
)
def test_wrong_settings_are_named_and_no_token_is_shown(
    upstream: Upstream, settings: dict[str, str], key: str
) -> None:
    with pytest.raises(InvalidSourceSettings) as refused:
        source(upstream, **settings)
    assert refused.value.key == key
    assert "smls" not in str(refused.value) + repr(source(upstream)) + json.dumps(key)
