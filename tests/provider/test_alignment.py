"""Sources off the grid: declared, their rows become bars and the report says so; else flagged.

The sensor's five-minute readings are real (`bokeh-sampledata`); trades and quotes come from a real
HTTP server. Each goes from its source through a backfill to a strict read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.coverage import CoverageRange
from coordinator.grid import Grid
from coordinator.models import BackfillShard
from provider.alignment import align
from provider.conformance import ConformancePipelineError
from provider.models import Segment
from provider.quality_rules import set_quality_rules
from provider.requests import ReadAnswer
from provider.seamless import SeamlessDataProvider
from provider.sources import InvalidSourceSettings, open_source
from provider.sources.alignment import FLOOR_LAST, FLOOR_MEAN, alignment_of
from provider.sources.rows import WrongRows
from registry.frame import Frame
from registry.models import Consumer
from registry.services import consumers, nodes
from tests.cast import NOW, SYSTEM, Cast, approved, assemble, bundle, consumer, subject
from tests.provider.upstream import Asked, Reply, Upstream, serving
from tests.provider.world import World

FRAME = Frame(time="ts", unit="ms", key=("symbol",))
GRID = Grid(60, anchor=5)
SPAN = CoverageRange(-115, 125)
LATER = datetime(2026, 1, 1, tzinfo=UTC)


def rows_of(table: pa.Table) -> dict[tuple[int, str], Any]:
    return {(row["ts"], row["symbol"]): row["close"] for row in table.to_pylist()}


moments = st.integers(-200_000, 200_000)
readings = st.lists(st.tuples(moments, st.sampled_from("AB"), st.integers(0, 9) | st.none()))


@given(readings)
def test_alignment_is_what_a_loop_over_the_rows_would_do(
    given_rows: list[tuple[int, str, int | None]],
) -> None:
    table = pa.table(
        {
            "ts": pa.array([at for at, _, _ in given_rows], pa.int64()),
            "symbol": pa.array([symbol for _, symbol, _ in given_rows], pa.string()),
            "close": pa.array([close for _, _, close in given_rows], pa.int64()),
        }
    )
    by_bar: dict[tuple[int, str], list[tuple[int, int, int | None]]] = {}
    for place, (at, symbol, close) in enumerate(given_rows):
        seconds = at // 1000
        bar = (seconds - (seconds - GRID.anchor) % GRID.interval) * 1000
        if SPAN.start <= bar // 1000 <= SPAN.end:
            by_bar.setdefault((bar, symbol), []).append((at, place, close))
    last = {bar: max(found)[2] for bar, found in by_bar.items()}
    aligned = align(table, FRAME, GRID, FLOOR_LAST, SPAN)
    assert (rows_of(aligned), aligned.num_rows) == (last, len(by_bar))
    numbers = {
        bar: [one[2] for one in found if one[2] is not None] for bar, found in by_bar.items()
    }
    means = {bar: np.mean(found) if found else None for bar, found in numbers.items()}
    aligned = align(table, FRAME, GRID, FLOOR_MEAN, SPAN)
    assert rows_of(aligned) == pytest.approx(means)
    assert aligned.column("ts").to_pylist() == sorted(aligned.column("ts").to_pylist())
    assert rows_of(align(aligned, FRAME, GRID, FLOOR_MEAN, SPAN)) == pytest.approx(means)


def test_text_is_never_averaged_and_a_time_never_guessed() -> None:
    table = pa.table({"ts": [5_000, 6_000], "symbol": ["A", "A"], "close": ["1", "2"]})
    assert rows_of(align(table, FRAME, GRID, FLOOR_MEAN, SPAN)) == {(5_000, "A"): "2"}
    unreadable = table.set_column(0, "ts", pa.array([5_000, None], pa.int64()))
    with pytest.raises(WrongRows, match="1 rows to align"):
        align(unreadable, FRAME, GRID, FLOOR_LAST, SPAN)


def test_what_is_declared_is_checked() -> None:
    assert alignment_of({}) == ""
    settings = {"type": "sample", "dataset": "glucose", "align": "ceiling"}
    with pytest.raises(InvalidSourceSettings, match=r"'align' must be floor\+last or floor\+mean"):
        open_source(settings)


# --- from a source to a strict read --------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A node of its own subject, and a strict reader of it."""

    cast: Cast
    node_id: str
    reader: Consumer

    def fetch(self, start: int, end: int, **options: Any) -> ReadAnswer:
        return SeamlessDataProvider(**options).fetch(
            consumer=self.reader,
            node_id=self.node_id,
            start=start,
            end=end,
            actor=SYSTEM,
            now=LATER,
        )


def place(schema: dict[str, Any], node_id: str, **node: Any) -> Place:
    cast = assemble()
    subject(cast, "irregular.rows")
    bundle(cast, members=["irregular.rows"])
    approved(cast, schema, "irregular.rows")
    made = nodes.register_node(
        actor=cast.olive,
        node_id=node_id,
        subject="irregular.rows",
        store={"type": "parquet"},
        now=NOW,
        **node,
    )
    reader = consumer(cast)
    canary = consumers.subscribe(actor=cast.carl, consumer="pricing", bundle="market", now=NOW)
    assert canary is not None
    World(cast, made).promote(canary)
    return Place(cast, node_id, reader)


@pytest.fixture(autouse=True)
def _shards_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coordinator.services.local_runs.PICKUP_SECONDS", 0.05)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


GLUCOSE = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "time": {"type": "string", "format": "date-time"},
        "glucose": {"type": "number", "minimum": 40, "maximum": 400},
        "isig": {"type": ["number", "null"]},
    },
    "required": ["time", "glucose"],
    "x-seamless": {"time": "time"},
}
SENSOR = {"interval": 300, "series": [{"key": {}, "since": None}]}
MORNING = at("2010-05-20T02:00:00"), at("2010-05-20T03:25:00")  # 03:21 was sent twice


def sensor(**source: Any) -> Place:
    given_source = {"type": "sample", "dataset": "glucose"} | source
    return place(GLUCOSE, "sensor:glucose:5m", source=given_source, **SENSOR)


@pytest.mark.usefixtures("committed_db", "own_storage")
def test_a_sensor_off_the_grid_is_refused_where_nobody_declared_it() -> None:
    undeclared = sensor()
    with pytest.raises(ConformancePipelineError) as refused:
        undeclared.fetch(*MORNING)
    assert refused.value.report.flags["off_grid"] == 18


@pytest.mark.usefixtures("committed_db", "own_storage")
@pytest.mark.parametrize(("how", "doubled"), [(FLOOR_LAST, 124.0), (FLOOR_MEAN, 123.0)])
def test_a_declared_sensor_becomes_bars_that_a_strict_read_takes(how: str, doubled: float) -> None:
    declared = sensor(align=how)
    answer = declared.fetch(*MORNING)
    assert (answer.rows.rows, answer.coverage) == (18, 1.0)
    by_time = {row["time"]: row["glucose"] for row in answer.table.to_pylist()}
    assert by_time[datetime(2010, 5, 20, 3, 20, tzinfo=UTC)] == doubled
    (note,) = [one for one in answer.report.findings if one.flag == "aligned"]
    assert (note.finding_class, note.count, how in note.warnings[0]) == ("note", 18, True)
    assert set(Segment.objects.values_list("alignment", flat=True)) == {how}
    nodes.change_node(
        actor=declared.cast.olive,
        node_id=declared.node_id,
        source={"type": "sample", "dataset": "glucose"},
        now=NOW,
    )
    again = declared.fetch(*MORNING)  # the report says how these rows came, whatever holds now
    assert [one.flag for one in again.report.findings] == ["aligned"]
    assert again.fingerprint == answer.fingerprint


@pytest.mark.usefixtures("committed_db", "own_storage")
def test_the_sensor_s_holes_stay_holes() -> None:
    nodes_policy = {"on_violation": "partial_fill"}
    declared = sensor(align=FLOOR_MEAN)
    nodes.save_sla_policy(actor=SYSTEM, name="patient", document=nodes_policy, now=NOW)
    nodes.change_node(actor=declared.cast.olive, node_id=declared.node_id, sla="patient", now=NOW)
    span = at("2010-03-24T00:00:00"), at("2010-10-11T00:00:00")
    answer = declared.fetch(*span)
    assert answer.rows.rows == 52_083  # of 52,281 readings, 198 share a bar with another
    assert answer.coverage == pytest.approx(52_083 / ((span[1] - span[0]) // 300 + 1))
    assert not answer.report.flags.get("off_grid")


@pytest.mark.usefixtures("committed_db", "own_storage")
def test_a_reading_that_may_not_be_is_not_averaged_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = pa.array([MORNING[0] + 10, MORNING[0] + 20], pa.int64()).cast(pa.timestamp("s", "UTC"))
    sent = pa.table({"time": times, "glucose": [-999.0, 1_300.0], "isig": [1.0, 1.0]})
    monkeypatch.setattr("provider.sources.sample.SampleSource.fetch", lambda *_: sent)
    declared = sensor(align=FLOOR_MEAN)
    with pytest.raises(ConformancePipelineError):
        declared.fetch(MORNING[0], MORNING[0])
    shard = BackfillShard.objects.get()
    assert (shard.violation, shard.quarantine.count()) == ("schema_refused", 2)


# --- trades and quotes --------------------------------------------------------------------------


def irregular(columns: Sequence[str]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "ts": {"type": "integer"},
            "symbol": {"type": "string"},
            **{name: {"type": "number"} for name in columns},
        },
        "required": ["ts", "symbol", *columns],
        "x-seamless": {"time": "ts", "unit": "ms", "key": ["symbol"]},
    }


TICKS, QUOTES = ("price", "size"), ("bid", "ask", "bid_size", "ask_size")
START = 1_700_000_000


@pytest.fixture
def api(settings: Any) -> Iterator[Upstream]:
    settings.SEAMLESS_SOURCE_HOSTS = ["127.0.0.1"]
    with serving(lambda asked: Reply([])) as running:
        yield running


def market(api: Upstream, rule: str, columns: Sequence[str]) -> Place:
    source = {
        "type": "http",
        "url": f"{api.url}/rows?symbol={{symbol}}&from={{start}}&to={{end}}",
        "times": "seconds",
        "time": "ts",
        "unit": "ms",
        "types": dict.fromkeys(columns, "float64"),
        "align": FLOOR_LAST,
    }
    series = [{"key": {"symbol": symbol}, "since": None} for symbol in ("A", "B")]
    made = place(irregular(columns), f"{rule}s:x:1s", interval=1, series=series, source=source)
    set_quality_rules(actor=made.cast.olive, node_id=made.node_id, rules=[{"rule": rule}], now=NOW)
    return made


def answering(rows: Sequence[dict[str, Any]]) -> Any:
    """By symbol and by the closed range of seconds; all of the last second belongs to it."""

    def answer(asked: Asked) -> Reply:
        start, end = int(asked.query["from"]), int(asked.query["to"])
        return Reply(
            [
                row
                for row in rows
                if row["symbol"] == asked.query["symbol"] and start <= row["ts"] // 1000 <= end
            ]
        )

    return answer


def irregularly(symbol: str, seconds: int, **cells: float) -> list[dict[str, Any]]:
    """Three rows a second, the last one half a millisecond before the next second begins."""
    return [
        {"ts": (START + second) * 1000 + late, "symbol": symbol, **cells}
        for second in range(seconds)
        for late in (1, 340, 999)
    ]


@pytest.mark.usefixtures("committed_db", "own_storage")
def test_trades_go_from_their_source_to_a_strict_read(api: Upstream) -> None:
    trades = market(api, "tick", TICKS)
    rows = [row for one in "AB" for row in irregularly(one, 10, price=2.5, size=1)]
    api.answer = answering(rows)
    answer = trades.fetch(START, START + 9)
    assert (answer.rows.rows, answer.coverage) == (20, 1.0)
    assert {row["ts"] % 1000 for row in answer.table.to_pylist()} == {0}
    assert answer.report.is_clean
    for cells, flag in ({"price": 0.0}, "invalid_price"), ({"size": -1.0}, "invalid_size"):
        later = START + 20 if flag == "invalid_price" else START + 30
        bad = {"ts": later * 1000, "symbol": "A", "price": 1.0, "size": 1.0} | cells
        good = {"ts": later * 1000, "symbol": "B", "price": 1.0, "size": 1.0}
        api.answer = answering([bad, good])
        with pytest.raises(ConformancePipelineError) as refused:
            trades.fetch(later, later)
        assert refused.value.report.flags[flag] == 1
        assert trades.fetch(later, later, partial_ok=True).rows.rows == 2


@pytest.mark.usefixtures("committed_db", "own_storage")
def test_quotes_go_from_their_source_to_a_strict_read(api: Upstream) -> None:
    quotes = market(api, "quote", QUOTES)
    fair = {"bid": 10.0, "ask": 10.1, "bid_size": 3.0, "ask_size": 2.0}
    rows = [row for one in "AB" for row in irregularly(one, 10, **fair)]
    api.answer = answering(rows)
    answer = quotes.fetch(START, START + 9)
    assert (answer.rows.rows, answer.coverage, answer.report.is_clean) == (20, 1.0, True)
    for number, (cells, flag) in enumerate(
        [
            ({"bid": 10.2}, "crossed_quotes"),
            ({"ask": 12.0}, "wide_spread"),
            ({"ask_size": 0.0}, "invalid_ask_size"),
        ]
    ):
        later = START + 20 + number
        bad = {"ts": later * 1000, "symbol": "A", **fair, **cells}
        api.answer = answering([bad, {"ts": later * 1000, "symbol": "B", **fair}])
        with pytest.raises(ConformancePipelineError) as refused:
            quotes.fetch(later, later)
        assert refused.value.report.flags[flag] == 1
