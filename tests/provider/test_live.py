"""Live rows of a Redis stream and of a polled API, on real servers: complete, or said to be not."""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone
from structlog.testing import capture_logs

from coordinator.coverage import CoverageRange
from provider.conformance import ConformancePipelineError, SchemaRefused
from provider.examining import examine_node
from provider.live import LiveRows, LiveUnavailable, live_tail
from provider.live.entries import decode
from provider.live.feed import open_live
from provider.metrics import LIVE_FAILURES, STALENESS
from provider.seamless import ReadAnswer, SeamlessDataProvider
from provider.sla import SeamlessSLAExceeded
from provider.sources import InvalidSourceSettings, SourceEnvironment
from registry.frame import Frame
from registry.models import Consumer, Node, SLAPolicyDocument
from registry.services import nodes, snapshot
from tests.cast import NOW, SYSTEM
from tests.provider.upstream import Reply, Upstream, bars_of, serving
from tests.provider.world import DAY, FIRST, NODE, SESSIONS, SYMBOLS, World, bars

LAST = SESSIONS[-1]
JUST_AFTER = datetime.fromtimestamp(LAST + DAY + 60, UTC)
STREAM = "bars:us"
FRAME = Frame(time="session", key=("symbol",))
WHOLE = CoverageRange(FIRST, LAST)


def row(session: int, symbol: str = "AAPL", **cells: Any) -> dict[str, Any]:
    given = {
        "session": f"{datetime.fromtimestamp(session, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "symbol": symbol,
        "close": 9.0,
        "volume": 5,
    }
    return given | cells


def rows(sessions: Sequence[int], **cells: Any) -> list[dict[str, Any]]:
    return [row(session, symbol, **cells) for session in sessions for symbol in SYMBOLS]


def send(client: redis.Redis, *entries: Any) -> None:
    for entry in entries:
        client.xadd(STREAM, {"bar": entry if isinstance(entry, bytes) else json.dumps(entry)})


@pytest.fixture
def stream(redis_client: redis.Redis, settings: Any) -> redis.Redis:
    settings.SEAMLESS_LIVE_SERVERS = {"default": os.environ["REDIS_URL"]}
    return redis_client


def live(world: World, **changes: Any) -> None:
    given = {"type": "redis", "stream": STREAM} | changes
    nodes.change_node(actor=world.cast.olive, node_id=NODE, live=given, now=NOW)
    world.node.refresh_from_db()


def with_policy(world: World, **document: Any) -> None:
    nodes.save_sla_policy(actor=SYSTEM, name="tested", document=document, now=NOW)
    world.node.sla = SLAPolicyDocument.objects.get(name="tested")
    world.node.save()
    snapshot.forget()


def fetch(world: World, *, now: datetime = JUST_AFTER, **options: Any) -> ReadAnswer:
    end = options.pop("end", LAST)
    return SeamlessDataProvider(**options).fetch(
        consumer=Consumer.objects.filter(name="pricing").first() or world.reader().consumer,
        node_id=NODE,
        start=FIRST,
        end=end,
        actor=SYSTEM,
        now=now,
    )


def tail(world: World, span: CoverageRange = WHOLE, deadline: float | None = None) -> LiveRows:
    found = live_tail(Node.objects.get(pk=world.node.pk), FRAME)
    assert found is not None
    return found.read(span.start, span.end, deadline=deadline)


def read_rows(found: LiveRows) -> list[dict[str, Any]]:
    """Their cells, in no order across pieces."""
    return [cells for piece in found.pieces for cells in piece.table.to_pylist()]


def marks_of(answer: ReadAnswer, flag: str) -> tuple[Any, Any]:
    found = answer.marks[flag]
    return found.seconds, found.series


def flags(answer: ReadAnswer) -> dict[str, int]:
    return {found.flag: found.count for found in answer.report.findings}


# --- a Redis stream -----------------------------------------------------------------------------


def test_a_stream_adds_what_no_store_has(world: World, stream: redis.Redis) -> None:
    world.write(bars(SESSIONS[:5]))
    live(world)
    send(stream, *rows(SESSIONS[4:]))
    answer = fetch(world)
    assert (answer.rows.rows, answer.coverage) == (12, 1.0)
    assert answer.table.column("close").to_pylist()[8:] == [108.0, 109.0, 9.0, 9.0]


def test_live_rows_of_bars_that_may_still_change_are_marked(
    world: World, stream: redis.Redis
) -> None:
    """By default the newest two: a reader that asks for flags sees them, and nothing else moves."""
    world.write(bars(SESSIONS[:4]))
    live(world)
    send(stream, *rows(SESSIONS[4:]))
    answer = fetch(world)
    marked = {(int(at), int(n)) for at, n in zip(*marks_of(answer, "provisional"), strict=True)}
    assert {at for at, _ in marked} == {LAST}
    assert len(marked) == 2
    live(world, stabilization_bars=1)
    assert "provisional" not in fetch(world).marks
    live(world, stabilization_bars=9)
    assert len(marks_of(fetch(world), "provisional")[0]) == 4  # never a stored row
    trimmed = fetch(world, stabilization_bars=2)
    assert (trimmed.rows.rows, trimmed.request.window.end) == (10, LAST - DAY)


def test_a_window_is_kept_once_storage_has_all_of_it(world: World, stream: redis.Redis) -> None:
    """One of the past, as far back as the feed is asked."""
    world.write(bars(SESSIONS[:5]))
    live(world, lookback_bars=10_000)
    later = timezone.now() + timedelta(minutes=1)
    for close in (1.0, 2.0):
        send(stream, *rows([LAST], close=close))
        answer = fetch(world, now=later)
        assert (answer.table.column("close").to_pylist()[-1], answer.state) == (close, None)
    world.write(bars())
    first, second = fetch(world, now=later), fetch(world, now=later)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert first.state is not None


def test_the_age_of_the_newest_bar_is_that_of_the_live_one(
    world: World, stream: redis.Redis
) -> None:
    world.write(bars(SESSIONS[:5]))
    live(world)
    with_policy(world, on_violation="hold", max_lag_seconds=DAY + 120)
    staleness = STALENESS.labels(NODE, str(DAY))._value
    assert fetch(world).verdict.to_dict()["downgrade_reason"] == "freshness_breach"
    assert staleness.get() == 2 * DAY + 60
    send(stream, *rows([LAST]))
    assert not fetch(world).verdict.downgraded
    assert staleness.get() == DAY + 60


def test_of_two_entries_for_one_bar_the_later_counts(world: World, stream: redis.Redis) -> None:
    live(world)
    send(stream, row(LAST, close=1.0), row(LAST, close=2.5), row(FIRST, close=3.5))
    found = tail(world)
    assert [cells["close"] for cells in read_rows(found)] == [3.5, 2.5]  # in the order of time
    assert found.findings == ()


def test_fields_may_be_columns_of_texts(world: World, stream: redis.Redis) -> None:
    kinds = {"close": "float64", "volume": "int64"}
    live(world, field=None, types=kinds, columns={"session": "t"})
    for close in ("1.5", "oh", ""):
        fields = {"t": row(LAST)["session"], "symbol": f"X{close}", "close": close, "volume": "7"}
        stream.xadd(STREAM, fields)
    cells = {one["symbol"]: (one["close"], one["volume"]) for one in read_rows(tail(world))}
    assert cells == {"X1.5": (1.5, 7), "Xoh": ("oh", 7), "X": (None, 7)}


def test_integers_that_came_as_text_are_times_where_the_schema_says_so(
    stream: redis.Redis,
) -> None:
    environment = SourceEnvironment(servers={"default": os.environ["REDIS_URL"]})
    settings = {"type": "redis", "stream": STREAM, "field": None}
    feed = open_live(settings, environment)
    stream.xadd(STREAM, {"ts": "60", "symbol": "A"})
    received = feed.source.receive(CoverageRange(0, 600), (), None)
    frame = Frame(time="ts", unit="s", key=("symbol",))
    found = decode(received.entries, feed.source.form, frame, CoverageRange(0, 600))
    assert [table.to_pylist() for table in found.tables] == [[{"ts": 60, "symbol": "A"}]]


def test_what_is_no_row_is_counted_and_costs_nobody_else(world: World, stream: redis.Redis) -> None:
    world.write(bars(SESSIONS[:5]))
    live(world)
    stream.xadd(STREAM, {"other": "x"})
    send(stream, b"{", b"[1]", b"\xff", b"[" * 100_000, {"symbol": "AAPL"})
    send(stream, row(LAST) | {"session": "soon"})
    send(stream, *rows([LAST]))
    answer = fetch(world)
    assert (answer.rows.rows, answer.coverage) == (12, 1.0)
    found = next(one for one in answer.report.findings if one.flag == "live_malformed")
    assert found.count == 7
    assert found.warnings == (
        "7 of 9 live entries are no rows: 2 with a time that cannot be read, 5 with no JSON object",
    )


def test_a_row_of_another_type_is_shown_to_the_schema(world: World, stream: redis.Redis) -> None:
    world.write(bars(SESSIONS[:5]))
    live(world, types={"volume": "int64"})
    send(stream, row(LAST, volume="many"), row(LAST, "IBM"))
    with pytest.raises(SchemaRefused) as refused:
        fetch(world)
    found = [one for one in refused.value.report.findings if one.keyword]
    assert [(one.column, one.keyword, one.count) for one in found] == [("volume", "type", 1)]


def test_entries_of_ever_other_shapes_are_bounded(world: World, stream: redis.Redis) -> None:
    live(world)
    for number in range(40):
        wrong: Any = {f"c{number}": "x"} if number % 2 else [number]
        send(stream, row(SESSIONS[number % 6]) | {"symbol": f"S{number}", f"c{number}": wrong})
    send(stream, row(LAST, close="text"), row(LAST))
    found = tail(world)
    assert len(found.pieces) <= 16
    assert found.findings[0].flag == "live_malformed"


def test_only_what_can_be_of_the_range_is_read(world: World, stream: redis.Redis) -> None:
    """By the entries' ids, which are times; and never more than `entries`."""
    live(world, entries=3)
    for session in SESSIONS:
        cells = json.dumps(row(session))
        stream.xadd(STREAM, {"bar": cells}, id=f"{session * 1000}-1")
    found = tail(world, CoverageRange(LAST, LAST))
    assert len(read_rows(found)) == 1
    assert found.findings == ()
    found = tail(world)
    assert len(read_rows(found)) == 3
    assert [one.flag for one in found.findings] == ["live_cut"]


def test_a_long_stream_is_read_in_pages(world: World, stream: redis.Redis) -> None:
    live(world)
    pipeline = stream.pipeline()
    for number in range(2_500):
        pipeline.xadd(STREAM, {"bar": json.dumps(row(LAST, f"S{number}"))})
    pipeline.execute()
    assert len({cells["symbol"] for cells in read_rows(tail(world))}) == 2_500


def test_what_is_no_stream_is_unavailable(world: World, stream: redis.Redis) -> None:
    live(world)
    assert read_rows(tail(world)) == []  # nobody has appended yet
    stream.set(STREAM, "x")
    with pytest.raises(LiveUnavailable, match="WRONGTYPE"):
        tail(world)


def test_rows_off_the_grid_are_aligned_as_the_feed_declares(
    world: World, stream: redis.Redis
) -> None:
    world.write(bars(SESSIONS[:5]))
    late = [row(LAST + 3_600, "AAPL", close=1.0), row(LAST + 7_200, "AAPL", close=4.0)]
    send(stream, *late, row(LAST + DAY - 1, "IBM", close=2.0), row(LAST + DAY, "IBM", close=3.0))
    live(world)
    assert fetch(world, partial_ok=True).coverage == pytest.approx(5 / 6)
    live(world, align="floor+last")
    answer = fetch(world)
    assert (answer.rows.rows, answer.coverage) == (12, 1.0)
    assert answer.table.column("close").to_pylist()[10:] == [4.0, 2.0]
    assert flags(answer) == {"aligned": 2}


# --- a source that fails ------------------------------------------------------------------------


@pytest.fixture
def hung() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_a_live_source_that_is_away_costs_no_stored_row(
    world: World, settings: Any, nobody: str
) -> None:
    settings.SEAMLESS_LIVE_SERVERS = {"default": f"redis://:hidden-word@{nobody}/0"}
    live(world)
    world.write(bars())
    failures = LIVE_FAILURES.labels(NODE, str(DAY))._value
    before = failures.get()
    with capture_logs() as logs:
        answer = fetch(world, end=LAST + DAY)  # the bar that is not over is asked for
    assert (answer.rows.rows, answer.coverage, answer.report.is_clean) == (12, 1.0, True)
    assert flags(answer) == {"live_unavailable": 1}
    assert failures.get() == before + 1
    told = [entry for entry in logs if entry["event"] == "seamless.sla.live_unavailable"]
    assert (told[0]["node_id"], "hidden-word" in str(logs)) == (NODE, False)


def test_bars_that_only_a_failed_source_has_are_missing_and_late(
    world: World, settings: Any, nobody: str
) -> None:
    settings.SEAMLESS_LIVE_SERVERS = {"default": f"redis://{nobody}/0"}
    live(world)
    world.write(bars(SESSIONS[:5]))
    with pytest.raises(ConformancePipelineError):
        fetch(world)
    with_policy(world, on_violation="hold", max_lag_seconds=DAY + 120)
    answer = fetch(world)
    assert (answer.rows.rows, answer.coverage) == (10, pytest.approx(5 / 6))
    assert answer.verdict.to_dict()["downgrade_reason"] == "freshness_breach"
    assert {"live_unavailable", "stale"} <= set(flags(answer))


def test_x15_a_hung_stream_costs_its_budget(world: World, settings: Any, hung: str) -> None:
    settings.SEAMLESS_LIVE_SERVERS = {"default": f"redis://{hung}/0"}
    live(world)
    world.write(bars(SESSIONS[:5]))
    with_policy(world, max_wait_live_ms=50)
    with pytest.raises(SeamlessSLAExceeded, match="live_wait"):
        fetch(world)
    world.write(bars())
    answer = fetch(world, end=LAST + DAY)
    assert (answer.rows.rows, answer.coverage) == (12, 1.0)
    facts = answer.verdict.to_dict()
    assert (facts["downgrade_reason"], facts["sla_violation"]["phase"]) == (
        "sla_violation",
        "live_wait",
    )
    assert flags(answer) == {"live_unavailable": 1}


def test_a_hung_stream_lets_go_of_its_thread(world: World, settings: Any, hung: str) -> None:
    settings.SEAMLESS_LIVE_SERVERS = {"default": f"redis://{hung}/0"}
    live(world)
    with_policy(world, max_wait_live_ms=30, on_violation="partial_fill")
    world.write(bars(SESSIONS[:5]))
    for _ in range(3):
        assert fetch(world).rows.rows == 10
    for thread in threading.enumerate():
        if thread.name == "source-live":
            thread.join(10)
            assert not thread.is_alive()


def test_settings_that_hold_no_longer_are_an_unavailable_feed(
    world: World, stream: redis.Redis, settings: Any
) -> None:
    live(world)
    world.write(bars())
    settings.SEAMLESS_LIVE_SERVERS = {}
    assert flags(fetch(world, end=LAST + DAY)) == {"live_unavailable": 1}


# --- a polled API -------------------------------------------------------------------------------


@pytest.fixture
def api(settings: Any) -> Iterator[Upstream]:
    settings.SEAMLESS_SOURCE_HOSTS = ["127.0.0.1"]
    with serving(lambda asked: Reply({"data": rows(SESSIONS[4:])})) as running:
        yield running


def live_http(world: World, given: dict[str, Any]) -> None:
    nodes.change_node(actor=world.cast.olive, node_id=NODE, live=given, now=NOW)
    world.node.refresh_from_db()


def http_settings(api: Upstream, **changes: Any) -> dict[str, Any]:
    return bars_of(api) | changes


def test_an_api_is_asked_for_what_storage_lacks(world: World, api: Upstream) -> None:
    live_http(world, http_settings(api))
    world.write(bars(SESSIONS[:5]))
    answer = fetch(world)
    assert (answer.rows.rows, answer.coverage) == (12, 1.0)
    assert answer.table.column("close").to_pylist()[8:] == [108.0, 109.0, 9.0, 9.0]
    assert [asked.query for asked in api.asked] == [{"from": str(LAST), "to": str(LAST)}]


def test_an_api_that_sends_a_wrong_row_spoils_no_other(world: World, api: Upstream) -> None:
    sent = [*rows([LAST]), row(LAST) | {"session": 5}, "?", row(FIRST, close="dear")]
    api.answer = lambda asked: Reply({"data": sent})
    live_http(world, http_settings(api, types={"close": "float64"}))
    found = tail(world)
    assert [(cells["symbol"], cells["close"]) for cells in read_rows(found)] == [
        ("AAPL", 9.0),
        ("IBM", 9.0),
        ("AAPL", "dear"),
    ]
    assert [(one.flag, one.count) for one in found.findings] == [("live_malformed", 2)]


def test_an_api_with_two_truths_about_a_bar_is_flagged(world: World, api: Upstream) -> None:
    sent = [*rows([LAST]), *rows([LAST]), row(LAST, close=1.0)]
    api.answer = lambda asked: Reply({"data": sent})
    live_http(world, http_settings(api))
    world.write(bars(SESSIONS[:5]))
    with pytest.raises(ConformancePipelineError) as refused:
        fetch(world)
    assert refused.value.report.flags["duplicate_ts"] == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"no JSON"),
        Reply({"data": {}}),
        Reply(b"", status=401),
        Reply(b"", status=429, headers={"Retry-After": "5"}),
        Reply({"data": []}, cut_at=3),
    ],
)
def test_an_api_that_fails_costs_no_stored_row(world: World, api: Upstream, reply: Reply) -> None:
    api.answer = lambda asked: reply
    live_http(world, http_settings(api))
    world.write(bars())
    answer = fetch(world, end=LAST + DAY)
    assert (answer.rows.rows, flags(answer)) == (12, {"live_unavailable": 1})


def test_an_api_that_wants_patience_is_not_asked_before(world: World, api: Upstream) -> None:
    api.answer = lambda asked: Reply(b"", status=429, headers={"Retry-After": "2"})
    live_http(world, http_settings(api))
    for _ in range(3):
        with pytest.raises(LiveUnavailable, match="SourceBusy"):
            tail(world)
    assert len(api.asked) == 1
    api.answer = lambda asked: Reply({"data": rows([LAST])})
    until = time.monotonic() + 30
    while time.monotonic() < until and len(api.asked) == 1:
        with contextlib.suppress(LiveUnavailable):
            assert len(read_rows(tail(world))) == 2


def test_reads_share_an_answer_for_the_seconds_that_are_declared(
    world: World, api: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [time.monotonic()]
    monkeypatch.setattr("provider.live.polled.monotonic", lambda: now[0])
    live_http(world, http_settings(api, poll_seconds=30))
    assert len(read_rows(tail(world))) == 4
    within = read_rows(tail(world, CoverageRange(LAST, LAST)))
    assert [cells["symbol"] for cells in within] == ["AAPL", "IBM"]
    assert len(api.asked) == 1
    tail(world, CoverageRange(FIRST - DAY, LAST))  # a wider range
    assert len(api.asked) == 2
    now[0] += 29.9
    tail(world)
    assert len(api.asked) == 2
    now[0] += 0.1
    tail(world)
    assert len(api.asked) == 3
    live_http(world, http_settings(api, poll_seconds=30, headers={"X-Tenant": "other"}))
    tail(world)
    assert len(api.asked) == 4


def test_a_refusal_is_not_shared(world: World, api: Upstream) -> None:
    api.answer = lambda asked: Reply(b"", status=500)
    live_http(world, http_settings(api, poll_seconds=30))
    with pytest.raises(LiveUnavailable):
        tail(world)
    api.answer = lambda asked: Reply({"data": rows([LAST])})
    assert len(read_rows(tail(world))) == 2


def test_without_that_each_read_asks(world: World, api: Upstream) -> None:
    live_http(world, http_settings(api))
    tail(world)
    tail(world)
    assert len(api.asked) == 2


@pytest.mark.parametrize("fault", [{"hang": 3.0}, {"drip": 0.5}])
def test_x15_an_api_that_hangs_or_drips_costs_its_budget(
    world: World, api: Upstream, fault: dict[str, float]
) -> None:
    api.answer = lambda asked: Reply({"data": rows([LAST])}, **fault)  # type: ignore[arg-type]
    live_http(world, http_settings(api))
    world.write(bars(SESSIONS[:5]))
    with_policy(world, max_wait_live_ms=50, on_violation="partial_fill")
    answer = fetch(world)
    assert answer.rows.rows == 10
    assert answer.verdict.to_dict()["sla_violation"]["phase"] == "live_wait"


# --- the doctor ---------------------------------------------------------------------------------


def examined(world: World, now: datetime = JUST_AFTER) -> tuple[int | None, list[str]]:
    seen = examine_node(actor=world.cast.olive, node_id=NODE, now=now)
    return seen.live_newest, [one.code for one in seen.advice]


def test_the_doctor_looks_at_the_feed(world: World, stream: redis.Redis, settings: Any) -> None:
    world.write(bars())
    assert examined(world) == (None, [])
    live(world)
    assert examined(world) == (None, ["live_late"])
    send(stream, *rows([SESSIONS[1]]))
    assert examined(world) == (SESSIONS[1], ["live_late"])
    send(stream, b"?", *rows([LAST]))
    assert examined(world) == (LAST, ["live_malformed"])
    weekend = datetime.fromtimestamp(LAST + 3 * DAY, UTC)
    live(world, entries=1)
    assert examined(world, weekend) == (LAST, ["live_cut"])
    settings.SEAMLESS_LIVE_SERVERS = {"default": "redis://127.0.0.1:1/0"}
    assert examined(world) == (None, ["live_unavailable"])


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({}, "type"),
        ({"type": "kafka"}, "type"),
        ({"type": "redis"}, "stream"),
        ({"type": "redis", "stream": "s", "server": "other"}, "server"),
        ({"type": "redis", "stream": "s", "url": "redis://"}, "url"),
        ({"type": "redis", "stream": "s", "types": {"close": "real"}}, "types"),
        ({"type": "redis", "stream": "s", "align": "ceiling"}, "align"),
        ({"type": "redis", "stream": "s", "entries": 0}, "entries"),
        ({"type": "redis", "stream": "s", "stabilization_bars": 0}, "stabilization_bars"),
        ({"type": "redis", "stream": "s", "lookback_bars": True}, "lookback_bars"),
        ({"type": "http", "url": "http://elsewhere.example/"}, "url"),
        ({"type": "http", "url": "http://127.0.0.1/", "format": "csv"}, "format"),
        ({"type": "http", "url": "http://127.0.0.1/", "time": "ts"}, "time"),
        ({"type": "http", "url": "http://127.0.0.1/", "poll_seconds": -1}, "poll_seconds"),
    ],
)
def test_settings_are_checked_and_the_key_is_named(settings: dict[str, Any], key: str) -> None:
    environment = SourceEnvironment(
        hosts={"127.0.0.1"}, servers={"default": "redis://:hidden-word@127.0.0.1/"}
    )
    with pytest.raises(InvalidSourceSettings) as wrong:
        open_live(settings, environment)
    assert wrong.value.key == key
    assert "hidden-word" not in str(wrong.value)


def test_the_address_of_a_server_is_shown_nowhere() -> None:
    environment = SourceEnvironment(servers={"default": "redis://:hidden-word@127.0.0.1/"})
    feed = open_live({"type": "redis", "stream": "s"}, environment)
    assert "hidden-word" not in repr(feed) + repr(environment)
