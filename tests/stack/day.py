"""A house for a day of live bars, compressed: upstream, feed, a worker with beat, a web server.

Every bar has one right price, so that a wrong answer shows. The day's troubles are windows of
seconds: bars that the feed leaves out (the upstream has them), an upstream that is down, bars whose
price the schema refuses.
"""

import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import redis
from django.conf import settings as configured
from django.utils import timezone

from config.stack.ports import find_free_port
from registry.services import consumers, nodes
from registry.services.evidence import record_check
from registry.services.resolution import resolve
from tests.cast import NOW, approved, assemble, bundle, consumer, made_strict, subject, token
from tests.processes import Process, is_up, kill_group, running, web_command, worker_command
from tests.provider.upstream import Asked, Reply, Upstream, bars_of, serving

NODE, STREAM, SUBJECT = "bars:day:1s", "bars:day", "day.bars"
SYMBOLS = ("A", "B")
SETTLED = 6  # seconds after which a bar that the feed has brought should be stored
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "ts": {"type": "integer"},
        "symbol": {"type": "string"},
        "close": {"type": "number", "exclusiveMinimum": 0},
    },
    "required": ["ts", "symbol", "close"],
    "x-seamless": {"time": "ts", "unit": "s", "key": ["symbol"]},
}
Seconds = tuple[int, int]


def price(at: int, symbol: str) -> float:
    return 100.0 + at % 997 + (0.5 if symbol == "B" else 0.0)


def rows_of(first: int, last: int) -> list[dict[str, Any]]:
    return [
        {"ts": at, "symbol": symbol, "close": price(at, symbol)}
        for at in range(first, last + 1)
        for symbol in SYMBOLS
    ]


@dataclass
class Troubles:
    """Closed windows of bar times."""

    left_out: list[Seconds] = field(default_factory=list)
    drifted: list[Seconds] = field(default_factory=list)
    upstream_down: bool = False


@dataclass
class Day:
    port: int
    token: str
    client: redis.Redis
    troubles: Troubles
    first: int
    sent: int
    web: Process
    worker: Process
    folder: Path
    restart_worker: Callable[[], Process]
    outcomes: dict[str, int] = field(default_factory=dict)

    def feed(self) -> None:
        """Send every bar that is over, as the troubles of the day have it."""
        while self.sent <= time.time() - 1:
            at = self.sent
            self.sent += 1
            if any(start <= at <= end for start, end in self.troubles.left_out):
                continue
            drifts = any(start <= at <= end for start, end in self.troubles.drifted)
            for row in rows_of(at, at):
                self.send(row | {"close": -1.0} if drifts else row)

    def send(self, row: dict[str, Any]) -> None:
        self.client.xadd(STREAM, {"bar": json.dumps(row)})

    def kill_worker(self) -> None:
        """With SIGKILL, and start another one."""
        kill_group(self.worker)
        self.worker = self.restart_worker()

    def correct(self, first: int, last: int) -> None:
        """The feed sends these bars again, right this time."""
        for row in rows_of(first, last):
            self.send(row)
        self.troubles.drifted = [one for one in self.troubles.drifted if one != (first, last)]

    def read(self, first: int, last: int) -> tuple[int, str, list[dict[str, Any]]]:
        """Status, problem code and rows of a read by the strict consumer."""
        query = urlencode({"start": first, "end": last})
        path = f"/api/v1/nodes/{quote(NODE)}/data?{query}"
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as wire:
            wire.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
            answer = wire.getresponse()
            body = json.loads(answer.read())
        rows = body if isinstance(body, list) else []
        return answer.status, "" if answer.status == 200 else str(body.get("code")), rows

    def checked_read(self, first: int, last: int) -> int:
        """A read whose answer is right, or refused for a trouble that its window has met."""
        status, code, rows = self.read(first, last)
        self.outcomes[code or str(status)] = self.outcomes.get(code or str(status), 0) + 1
        if status == 200:
            rows.sort(key=lambda row: (row["ts"], row["symbol"]))
            assert rows == rows_of(first, last), "a wrong answer"
        else:
            assert status in (202, 404, 409, 503, 504), (status, code)
        return status

    def wait_for(self, first: int, last: int, seconds: float = 60) -> None:
        """Until the window is answered in full; the feed goes on meanwhile."""
        deadline = time.monotonic() + seconds
        while self.checked_read(first, last) != 200:
            assert time.monotonic() < deadline, (
                f"never whole: {self.read(first, last)[:2]}\n"
                + (self.folder / "worker.log").read_text()[-4_000:]
            )
            self.feed()
            time.sleep(0.5)


@contextmanager
def a_day(folder: Path, database_url: str, client: redis.Redis, settings: Any) -> Iterator[Day]:
    settings.SEAMLESS_BARS_DIR = folder / "bars"
    settings.SEAMLESS_LIVE_SERVERS = {"default": os.environ["REDIS_URL"]}
    settings.SEAMLESS_SOURCE_HOSTS = ["127.0.0.1"]
    troubles = Troubles()

    def answer(asked: Asked) -> Reply:
        if troubles.upstream_down:
            return Reply({"error": "down for the day"}, status=500)
        first, last = int(asked.query["from"]), int(asked.query["to"])
        return Reply({"data": rows_of(first, min(last, int(time.time()) - 1))})

    with ExitStack() as cleanup:
        upstream = cleanup.enter_context(serving(answer))
        secret = _governed(upstream)
        port = find_free_port()
        environment = os.environ | {
            "DATABASE_URL": database_url,
            "SEAMLESS_BARS_DIR": str(configured.SEAMLESS_BARS_DIR),
            "SEAMLESS_LIVE_SERVERS": json.dumps(configured.SEAMLESS_LIVE_SERVERS),
            "SEAMLESS_SOURCE_HOSTS": "127.0.0.1",
            "SEAMLESS_LIVE_FEED_SECONDS": "1",
            "SEAMLESS_ASK_AGAIN_SECONDS": "2",
            "SEAMLESS_RETRY_BASE_SECONDS": "0.2",
            "SEAMLESS_MAX_ATTEMPTS": "2",
            "SEAMLESS_SHARD_BARS": "30",
        }

        def start(name: str, command: list[str]) -> Process:
            log = folder / f"{name}.log"
            return cleanup.enter_context(running(command, log=log, environment=environment))

        def start_worker() -> Process:
            return start("worker", worker_command(folder, "day"))

        web = start("web", web_command(port, workers=1, threads=4))
        first = int(time.time())
        worker = start_worker()
        day = Day(port, secret, client, troubles, first, first, web, worker, folder, start_worker)
        _wait_until_up(day)
        yield day


def _governed(upstream: Upstream) -> str:
    """A strict consumer of the node; its token."""
    cast = assemble()
    subject(cast, SUBJECT)
    bundle(cast, name="day", members=[SUBJECT])
    approved(cast, SCHEMA, SUBJECT)
    node = nodes.register_node(
        actor=cast.olive,
        node_id=NODE,
        subject=SUBJECT,
        interval=1,
        series=[{"key": {"symbol": symbol}, "since": None} for symbol in SYMBOLS],
        store={"type": "parquet"},
        source=bars_of(upstream) | {"time": "ts", "unit": "s"},
        live={"type": "redis", "stream": STREAM},
        now=NOW,
    )
    reader = consumer(cast, "desk")
    canary = consumers.subscribe(actor=cast.carl, consumer="desk", bundle="day", now=NOW)
    assert canary is not None
    seen = resolve(reader, node).canary
    assert seen is not None
    record_check(
        consumer=reader, node=node, version=seen, mode="canary", rows=1, findings=(), now=NOW
    )
    made_strict(cast, canary)
    return token(cast, reader, now=timezone.now() - timedelta(minutes=1))


def _wait_until_up(day: Day) -> None:
    deadline = time.monotonic() + 60
    while not is_up(day.port):
        assert time.monotonic() < deadline, (day.folder / "web.log").read_text()[-4_000:]
        time.sleep(0.2)
