"""Where storage ends and the live feed begins: every bar once, the stored one first, no hole."""

import json
import os
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from provider.conformance import MISSING_FLAGS
from provider.requests import NoData
from provider.seamless import ReadAnswer, SeamlessDataProvider
from registry.models import Consumer
from registry.services import nodes
from tests.cast import NOW, SYSTEM
from tests.provider.world import DAY, NODE, SESSIONS, SYMBOLS, World

LAST = SESSIONS[-1]
JUST_AFTER = datetime.fromtimestamp(LAST + DAY + 60, UTC)
CELLS = [(session, symbol) for session in SESSIONS for symbol in SYMBOLS]
STORED, LIVE = 1.0, 2.0

some_cells = st.lists(st.sampled_from(CELLS), unique=True)
arrivals = st.lists(st.sampled_from(CELLS), max_size=30)  # in any order, some more than once


def stored_rows(cells: list[tuple[int, str]]) -> pa.Table:
    return pa.table(
        {
            "session": pa.array([at for at, _ in cells], pa.int64()).cast(pa.timestamp("s", "UTC")),
            "symbol": pa.array([symbol for _, symbol in cells], pa.string()),
            "close": pa.array([STORED] * len(cells), pa.float64()),
            "volume": pa.array([1] * len(cells), pa.int64()),
        }
    )


def arrive(client: redis.Redis, cells: list[tuple[int, str]]) -> None:
    client.flushdb()
    for number, (at, symbol) in enumerate(cells):
        session = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
        bar = {"session": session, "symbol": symbol, "close": LIVE + number, "volume": 2}
        client.xadd("bars", {"bar": json.dumps(bar)})


def answered(consumer: Consumer, start: int) -> ReadAnswer | None:
    try:
        return SeamlessDataProvider(partial_ok=True).fetch(
            consumer=consumer,
            node_id=NODE,
            start=start,
            end=LAST,
            actor=SYSTEM,
            now=JUST_AFTER,
        )
    except NoData:
        return None


@given(
    stored=some_cells,
    arrived=arrivals,
    first=st.integers(0, len(SESSIONS) - 1),
    lookback=st.integers(1, 9),
)
@profile(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_bar_is_lost_or_doubled_at_the_seam(
    world: World,
    redis_client: redis.Redis,
    settings: Any,
    stored: list[tuple[int, str]],
    arrived: list[tuple[int, str]],
    first: int,
    lookback: int,
) -> None:
    settings.SEAMLESS_LIVE_SERVERS = {"default": os.environ["REDIS_URL"]}
    live = {"type": "redis", "stream": "bars", "lookback_bars": lookback}
    nodes.change_node(actor=world.cast.olive, node_id=NODE, live=live, now=NOW)
    consumer = Consumer.objects.filter(name="pricing").first() or world.reader().consumer
    world.write(stored_rows(sorted(stored)))
    arrive(redis_client, arrived)

    answer = answered(consumer, SESSIONS[first])

    within = [(at, symbol) for at, symbol in stored if at >= SESSIONS[first]]
    wanted = dict.fromkeys(within, STORED)
    for number, (at, symbol) in enumerate(arrived):
        reached = at >= max(SESSIONS[first], LAST - (lookback - 1) * DAY)
        if reached and (at, symbol) not in stored:
            wanted[at, symbol] = LIVE + number  # the latest of several
    if answer is None:
        assert not wanted
        return
    got = [
        ((int(row["session"].timestamp()), row["symbol"]), row["close"])
        for row in answer.table.to_pylist()
    ]
    assert len(got) == len(dict(got))
    assert dict(got) == wanted
    bars = [at for at in SESSIONS[first:] if all((at, symbol) in wanted for symbol in SYMBOLS)]
    assert answer.coverage == len(bars) / len(SESSIONS[first:])
    raised = {found.flag for found in answer.report.findings if found.finding_class != "note"}
    assert raised <= MISSING_FLAGS
