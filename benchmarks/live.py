"""The seam between storage and a live feed: from a bar's arrival to the answer that holds it.

    python -m benchmarks.live [--bars 500] [--window 1000]

Ten symbols, one-minute bars, a strict reader, in process. Each round appends the bars of a minute
to a stream of a Valkey of its own and reads a window up to them; storage lacks the newest hundred
minutes, so every answer is blended. Beside it: the same window when storage has all of it, and what
the stream's own client takes to read and decode the same entries.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import redis

from benchmarks.reading import MINUTE, NODE, START, SYMBOLS, House, house, table_of
from config.collector import spare_what_is_loaded
from config.stack.processes import Guardian
from tests.servers import ValkeyServer

STREAM = "bars"
LIVE = 100  # minutes that only the feed has


class Feed:
    """A sender: the bars of each minute, under the ids of the minute in which they are over."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url)

    def send(self, minute: int) -> None:
        pipe = self.client.pipeline(transaction=False)
        over = START + (minute + 1) * MINUTE
        for number, row in enumerate(table_of(minute, 1).to_pylist()):
            row["ts"] = row["ts"].isoformat().replace("+00:00", "Z")
            pipe.xadd(STREAM, {"bar": json.dumps(row)}, id=f"{over * 1000}-{number + 1}")
        pipe.execute()

    def newest(self, minutes: int) -> int:
        """Read and decoded, as a consumer without us would."""
        found: Any = self.client.xrevrange(STREAM, count=minutes * len(SYMBOLS))
        return len([json.loads(fields[b"bar"]) for _, fields in found])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=500, help="minutes that arrive")
    parser.add_argument("--window", type=int, default=1_000, help="minutes of each read")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="seamless-bench-"))
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        guardian = Guardian(grace=5, lock_descriptor=None)
        cleanup.callback(guardian.close)
        server = ValkeyServer(folder, guardian)
        cleanup.callback(server.process.stop)
        server.start()
        os.environ["SEAMLESS_LIVE_SERVERS"] = json.dumps({"default": server.url})
        made = cleanup.enter_context(house())
        measure(made, Feed(server.url), arguments.bars, arguments.window)


def measure(made: House, feed: Feed, bars: int, window: int) -> None:
    from registry.services import nodes

    made.write(0, window)
    spare_what_is_loaded()  # as the web server does
    stored = [milliseconds(lambda: read(made, 0, window)) for _ in range(bars)]
    nodes.change_node(
        actor=made.actor, node_id=NODE, live={"type": "redis", "stream": STREAM}, now=made.now
    )
    made.node.refresh_from_db()
    for minute in range(window, window + LIVE):
        feed.send(minute)

    def arrive(minute: int) -> None:
        feed.send(minute)
        read(made, minute + 1 - window, window)

    in_storage, seam, own = window, list[float](), list[float]()
    for minute in range(window + LIVE, window + LIVE + bars):
        seam.append(milliseconds(lambda: arrive(minute)))  # noqa: B023 - called at once
        own.append(milliseconds(lambda: feed.newest(LIVE)))
        if minute - in_storage == 2 * LIVE:
            made.write(in_storage, LIVE)
            in_storage += LIVE
    print(
        f"{window * len(SYMBOLS):,} bars, the newest {LIVE * len(SYMBOLS):,} or more of them live"
    )
    print("\n| | p50 ms | p99 ms |\n|---|---|---|")
    for name, taken in (
        ("from arrival to the answer", seam),
        ("the same window from storage alone", stored),
        (f"{LIVE * len(SYMBOLS):,} live entries by the stream's own client", own),
    ):
        cuts = statistics.quantiles(taken, n=100)
        print(f"| {name} | {cuts[49]:.1f} | {cuts[98]:.1f} |")


def read(made: House, first: int, minutes: int) -> None:
    """The window at the moment when its last bar is over; all of it must be in the answer."""
    from coordinator.coverage import Window
    from provider.requests import ReadRequest
    from provider.seamless import SeamlessDataProvider
    from registry.services.resolution import resolve

    start, end = START + first * MINUTE, START + (first + minutes - 1) * MINUTE
    answer = SeamlessDataProvider().read(
        ReadRequest(
            resolution=resolve(made.consumer, made.node),
            window=Window(start, end, MINUTE),
            actor=made.actor,
            now=datetime.fromtimestamp(end + MINUTE, UTC),
        )
    )
    assert answer.rows.rows == minutes * len(SYMBOLS), answer.rows.rows


def milliseconds(run: Callable[[], object]) -> float:
    began = perf_counter()
    run()
    return (perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
