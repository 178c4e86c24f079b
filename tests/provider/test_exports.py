"""Large answers: checked in batches into a bounded spool, the same as if checked at once."""

import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.conf import settings as django_settings
from django.test import Client, override_settings
from hypothesis import given
from hypothesis import strategies as st

from coordinator.coverage import Window
from coordinator.grid import Grid
from provider.api.large import Spool, SpoolFull
from provider.blend import Piece, read_pieces
from provider.conformance import ConformancePipeline, ExpectedSeries
from provider.conformance.rolling import RollingReport
from provider.exporting import batches
from provider.models import StoredReport
from provider.requests import ReadRequest
from provider.stores.parquet import directory_name
from registry.frame import Frame
from registry.models import AuditEvent, CanaryTally, Node
from registry.services import nodes
from tests.cast import NOW, SYSTEM
from tests.provider.world import Reader, World

NODE = "ohlc:us:1m"
MINUTE = 60
START = 1_600_000_020
BARS = 2_000


@pytest.fixture
def minutes(world: World, settings: Any) -> World:
    """A node of one-minute bars, far more than are checked at once."""
    settings.SEAMLESS_BATCH_ROWS = 512
    nodes.register_node(
        actor=world.cast.olive,
        node_id=NODE,
        subject="market.ohlc",
        interval=MINUTE,
        series=[{"key": {"symbol": name}, "since": None} for name in ("AAPL", "IBM")],
        store={"type": "parquet"},
        source={},
        anchor=START,
        now=NOW,
    )
    return world


def bars(times: Any = range(START, START + BARS * MINUTE, MINUTE), **columns: Any) -> pa.Table:
    times = np.repeat(np.array(times, np.int64), 2)
    table = {
        "session": pa.array(times, pa.int64()).cast(pa.timestamp("s", "UTC")),
        "symbol": pa.array(np.tile(np.array(["AAPL", "IBM"], object), len(times) // 2)),
        "close": pa.array(np.arange(len(times)) + 1.0),
        "volume": pa.array(np.arange(len(times))),
    }
    return pa.table({**table, **columns})


def write(table: pa.Table, name: str = "bars.parquet") -> None:
    folder = Path(django_settings.SEAMLESS_BARS_DIR) / directory_name(NODE)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / name)


def ask(reader: Reader, *, bars: int = BARS, start: int = START, **query: Any) -> Any:
    window = {"start": start, "end": start + (bars - 1) * MINUTE}
    return reader.get(f"/api/v1/nodes/{NODE}/data", **window, **query)


def body(answer: Any) -> bytes:
    return b"".join(answer) if answer.streaming else answer.content


def both_ways(reader: Reader, settings: Any, **query: Any) -> tuple[Any, Any]:
    """The answer in batches, and at once."""
    large = ask(reader, **query)
    settings.SEAMLESS_BATCH_ROWS = 1_000_000
    return large, ask(reader, **query)


OWN = {"ETag", "Server-Timing", "X-Request-ID", "Content-Length"}


@pytest.mark.parametrize("form", ["json", "ndjson", "csv", "arrow", "parquet"])
def test_an_export_is_what_one_answer_would_be(minutes: World, settings: Any, form: str) -> None:
    write(bars())
    large, once = both_ways(minutes.reader(), settings, format=form)
    assert (large.streaming, once.streaming) == (True, False)
    content = body(large)
    assert large["Content-Length"] == str(len(content))
    if form == "arrow":
        tables = [pa.ipc.open_stream(raw).read_all() for raw in (content, once.content)]
        assert tables[0].equals(tables[1])
        assert tables[0].schema.metadata[b"seamless-release"] == b"market/1"
    elif form == "parquet":
        tables = [pq.read_table(io.BytesIO(raw)) for raw in (content, once.content)]
        assert tables[0].equals(tables[1])
    else:
        assert content == once.content
    headers = [{k: v for k, v in answer.items() if k not in OWN} for answer in (large, once)]
    assert headers[0] == headers[1]


def test_selections_and_flags_apply_to_every_batch(minutes: World, settings: Any) -> None:
    write(bars())
    query = {"columns": "close", "symbols": "IBM", "flags": "true"}
    large, once = both_ways(minutes.reader(), settings, **query)
    assert body(large) == once.content


def test_one_bad_row_in_the_last_batch_refuses_the_whole(minutes: World) -> None:
    volume = np.arange(BARS * 2)
    volume[-1] = -7
    write(bars(volume=pa.array(volume)))
    answer = ask(minutes.reader(), partial_ok="true")
    assert answer.status_code == 409
    assert json.loads(answer.content)["code"] == "schema_refused"
    assert AuditEvent.objects.filter(action="data.read", outcome="refused").count() == 1


def test_gaps_over_seams_count_once_and_coverage_is_of_the_whole(
    minutes: World, settings: Any
) -> None:
    kept = [n for n in range(BARS) if not (n < 5 or 200 <= n < 700 or n >= 1_990)]
    write(bars([START + n * MINUTE for n in kept]))
    reader = minutes.reader()
    large, once = both_ways(reader, settings, partial_ok="true")
    assert large["Seamless-Coverage"] == once["Seamless-Coverage"] == f"{len(kept) / BARS:.6g}"
    assert body(large) == once.content
    blocked = ask(reader)
    assert json.loads(blocked.content)["flags"] == {
        "leading_gap": 10,
        "gap": 1_000,
        "trailing_gap": 20,
    }
    settings.SEAMLESS_BATCH_ROWS = 512
    again = ask(reader)
    assert again.status_code == 409
    assert json.loads(again.content)["flags"] == json.loads(blocked.content)["flags"]


def test_rows_between_batches_and_without_a_time_come_once(minutes: World, settings: Any) -> None:
    """Off the grid, to the millisecond, and where no time can be read."""
    edge = START + 256 * MINUTE  # where the second batch begins
    odd = pa.array([None, (edge - 1) * 1000 + 500, edge * 1000 - 1, edge * 1000 + 1])
    table = pa.table(
        {
            "session": odd.cast(pa.timestamp("ms", "UTC")),
            "symbol": ["AAPL"] * 4,
            "close": [1.0] * 4,
            "volume": [1] * 4,
        }
    )
    write(bars())
    write(table, "odd.parquet")
    large, once = both_ways(
        minutes.reader(rollout="canary"), settings, partial_ok="true", format="ndjson"
    )
    assert body(large) == once.content
    assert len(once.content.splitlines()) == BARS * 2 + 3
    flags = [stored.report["flags"] for stored in StoredReport.objects.order_by("pk")]
    assert all(each == flags[0] for each in flags)
    assert (flags[0]["off_grid"], flags[0]["invalid_timestamp"]) == (3, 1)


def test_nothing_at_all_is_no_data(minutes: World) -> None:
    answer = ask(minutes.reader())
    assert (answer.status_code, json.loads(answer.content)["code"]) == (404, "no_data")


def test_a_full_spool_is_413_with_the_window_that_fits(minutes: World, settings: Any) -> None:
    write(bars())
    settings.SEAMLESS_SPOOL_BYTES = 60_000
    reader = minutes.reader()
    answer = ask(reader)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (413, "window_too_large")
    fits = json.loads(answer.content)["largest_window"]
    smaller = ask(reader, bars=(fits["end"] - fits["start"]) // MINUTE + 1)
    assert smaller.status_code == 200
    body(smaller)


@pytest.mark.parametrize("query", [{"limit": 5}, {"format": "columns"}])
def test_pages_and_objects_of_arrays_are_made_at_once_only(
    minutes: World, query: dict[str, Any]
) -> None:
    write(bars())
    reader = minutes.reader()
    answer = ask(reader, **query)
    assert answer.status_code == 413
    fits = json.loads(answer.content)["largest_window"]
    count = (fits["end"] - fits["start"]) // MINUTE + 1
    assert ask(reader, bars=count, **query).status_code == 200


@pytest.mark.parametrize("form", ["arrow", "parquet", "csv"])
def test_a_table_of_batches_that_differ_is_refused_as_mixed(minutes: World, form: str) -> None:
    half = START + 1_000 * MINUTE
    write(bars(range(START, half, MINUTE)), "a.parquet")
    later = bars(range(half, START + BARS * MINUTE, MINUTE))
    write(later.append_column("extra", pa.array(["x"] * later.num_rows)), "b.parquet")
    answer = ask(minutes.reader(rollout="canary"), format=form)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (409, "mixed_types")


def test_the_canary_sees_every_batch(minutes: World) -> None:
    write(bars())
    reader = minutes.reader(rollout="canary")
    answer = ask(reader)
    assert (answer.status_code, answer["Seamless-Canary"]) == (200, "market/1")
    assert CanaryTally.objects.get().rows == BARS * 2
    body(answer)


def test_exports_are_made_a_few_at_a_time(
    minutes: World, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(bars())
    settings.SEAMLESS_EXPORTS = 1
    monkeypatch.setattr("provider.exporting._places", None)
    reader = minutes.reader()
    seen: list[int] = []
    made = ConformancePipeline.examine

    def while_one_runs(self: ConformancePipeline, pieces: Any) -> Any:
        if not seen:
            seen.append(0)
            seen[0] = ask(reader).status_code
        return made(self, pieces)

    monkeypatch.setattr(ConformancePipeline, "examine", while_one_runs)
    assert body(ask(reader))
    assert seen == [503]
    assert body(ask(reader))


def test_an_unchanged_export_is_304_after_the_check(minutes: World) -> None:
    write(bars())
    reader = minutes.reader()
    first = ask(reader)
    body(first)
    headers = {"Authorization": f"Bearer {reader.token}", "If-None-Match": first["ETag"]}
    window = {"start": START, "end": START + (BARS - 1) * MINUTE}
    again = Client().get(f"/api/v1/nodes/{NODE}/data", window, headers=headers)
    assert (again.status_code, again.content) == (304, b"")


def test_a_spool_that_is_full_keeps_no_more() -> None:
    spool = Spool(10)
    assert spool.write(b"12345") == 5
    with pytest.raises(SpoolFull):
        spool.write(b"123456")
    assert spool.rewound().read() == b"12345"
    spool.close()


# --- the parts ----------------------------------------------------------------------------------


@given(st.integers(-5_000, 5_000), st.integers(1, 5_000), st.integers(1, 3_000))
def test_batches_cover_the_window_once_and_cut_no_block(
    offset: int, length: int, rows: int
) -> None:
    node = Node(node_id="n", interval=MINUTE, anchor=START, series=[{"key": {}}])
    window = Window(START + offset * MINUTE, START + (offset + length - 1) * MINUTE, MINUTE)
    request = ReadRequest(
        resolution=type("R", (), {"node": node})(),  # type: ignore[arg-type]
        window=window,
        actor=SYSTEM,
        now=NOW,
    )
    with override_settings(SEAMLESS_BATCH_ROWS=rows):
        made = list(batches(request))
    assert made[0].start == window.start
    assert made[-1].end == window.end
    for left, right in pairwise(made):
        assert right.start == left.end + MINUTE
        assert (right.start - START) // MINUTE % 256 == 0


FRAME = Frame(time="ts", unit="s", key=("symbol",))
GRID = Grid(10)


@given(
    present=st.lists(st.tuples(st.integers(0, 19), st.sampled_from("AB")), unique=True),
    cuts=st.sets(st.integers(1, 19)),
)
def test_a_rolling_report_says_of_gaps_what_one_report_says(
    present: list[tuple[int, str]], cuts: set[int]
) -> None:
    """For any bars and any seams: kinds of gap, completeness, gaps and coverage agree."""
    ordered = sorted(present)
    table = pa.table(
        {
            "ts": pa.array([time * 10 for time, _ in ordered], pa.int64()),
            "symbol": pa.array([symbol for _, symbol in ordered], pa.string()),
        }
    )

    def examined(first: int, past: int) -> Any:
        expected = [
            ExpectedSeries({"symbol": s}, np.arange(first * 10, past * 10, 10)) for s in "AB"
        ]
        keys = [one.key for one in expected]
        pieces = read_pieces([Piece("p", table)], FRAME, keys).between(first * 10, past * 10)
        pipeline = ConformancePipeline(frame=FRAME, grid=GRID, expected=expected, partial_ok=True)
        return pipeline.examine(pieces)

    rolling = RollingReport(10)
    edges = [0, *sorted(cuts), 20]
    for first, past in pairwise(edges):
        part = examined(first, past)
        rolling.add(part.report, part.blended)
    whole, joined = examined(0, 20).report, rolling.report()
    assert joined.flags == whole.flags
    assert joined.coverage == pytest.approx(whole.coverage)
    assert [one.to_dict() for one in joined.series] == [one.to_dict() for one in whole.series]
    assert sorted(joined.warnings) == sorted(whole.warnings)
