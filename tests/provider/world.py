"""One governed node with bars on disk, and programs that read it over the API."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from coordinator.services.database_clock import database_now
from coordinator.services.requesting import request_backfill
from provider.stores.parquet import directory_name
from registry.actors import Actor
from registry.models import Consumer, Node, Rollout, SchemaVersion
from registry.services import consumers, nodes
from registry.services.evidence import record_check
from registry.services.resolution import resolve
from tests.cast import NOW, OHLC, Cast, approved, assemble, bundle, consumer, made_strict, subject
from tests.cast import token as new_token

NODE = "ohlc:us:1d"
DAY = 86_400
FIRST = 1_338_508_800  # 2012-06-01, a Friday
# Sessions of the New York Stock Exchange: Friday, then Monday to Friday.
SESSIONS = [FIRST + DAY * n for n in (0, 3, 4, 5, 6, 7)]
SYMBOLS = ("AAPL", "IBM")


@dataclass(frozen=True)
class World:
    cast: Cast
    node: Node

    @property
    def folder(self) -> Path:
        return Path(settings.SEAMLESS_BARS_DIR) / directory_name(NODE)

    def write(self, table: pa.Table, name: str = "bars.parquet") -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, self.folder / name)

    def reader(self, name: str = "pricing", *, rollout: str = "strict") -> "Reader":
        """A new program: `strict` or `canary` on the bundle, or `granted` the node by
        name, or `none` of these."""
        made = consumer(self.cast, name)
        if rollout == "granted":
            consumers.grant_node(actor=self.cast.olive, consumer=name, node_id=NODE, now=NOW)
        elif rollout != "none":
            canary = consumers.subscribe(
                actor=self.cast.carl, consumer=name, bundle="market", now=NOW
            )
            assert canary is not None
            if rollout == "strict":
                self.promote(canary)
        # Requests are made now, so the token has to be alive now.
        return Reader(made, new_token(self.cast, made, now=timezone.now() - timedelta(minutes=1)))

    def request_sessions(self) -> None:
        """A backfill of every session, as a consumer asks for it."""
        request_backfill(
            actor=Actor(kind="consumer", id="7", name="pricing", request_id="r-1"),
            node=self.node,
            missing=[(SESSIONS[0], SESSIONS[-1])],
            bound_version=SchemaVersion.objects.get(),
            now=database_now(),
            requested_by="test",
        )

    def promote(self, canary: Rollout) -> Rollout:
        seen = resolve(canary.consumer, self.node)
        assert seen.canary is not None
        record_check(
            consumer=canary.consumer,
            node=self.node,
            version=seen.canary,
            mode="canary",
            rows=1,
            findings=(),
            now=NOW,
        )
        return made_strict(self.cast, canary)


@dataclass(frozen=True)
class Reader:
    consumer: Consumer
    token: str

    def get(self, path: str, *, accept: str = "application/json", **query: Any) -> HttpResponse:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": accept}
        return Client(raise_request_exception=False).get(path, query, headers=headers)

    def data(self, start: int = SESSIONS[0], end: int = SESSIONS[-1], **query: Any) -> HttpResponse:
        return self.get(f"/api/v1/nodes/{NODE}/data", start=start, end=end, **query)


def bars(
    sessions: Sequence[int] = SESSIONS, symbols: Sequence[str] = SYMBOLS, **columns: Any
) -> pa.Table:
    """One row a symbol and session, in time order; `columns` replace whole columns."""
    rows = [(time, symbol) for time in sessions for symbol in symbols]
    table = {
        "session": pa.array([time for time, _ in rows], pa.int64()).cast(pa.timestamp("s", "UTC")),
        "symbol": pa.array([symbol for _, symbol in rows]),
        "close": pa.array([100.0 + n for n in range(len(rows))]),
        "volume": pa.array(range(1_000, 1_000 + len(rows)), pa.int64()),
    }
    return pa.table({**table, **columns})


# The sample upstream has more columns than the tests write.
UPSTREAM_OHLC = OHLC | {
    "properties": OHLC["properties"]
    | {name: {"type": "number"} for name in ("open", "high", "low")}
}


def build_world(
    source: dict[str, Any] | None = None,
    store: dict[str, Any] | None = None,
    **node_fields: Any,
) -> World:
    cast = assemble()
    subject(cast)
    bundle(cast)
    approved(cast, UPSTREAM_OHLC if source else OHLC)
    node = nodes.register_node(
        actor=cast.olive,
        node_id=NODE,
        subject="market.ohlc",
        interval=DAY,
        calendar="XNYS",
        series=[{"key": {"symbol": symbol}, "since": None} for symbol in SYMBOLS],
        store=store or {"type": "parquet"},
        source=source or {},
        now=NOW,
        **node_fields,
    )
    return World(cast=cast, node=node)
