"""What a backfill, a read, a refusal and a recovery emit: names of metrics, labels, log fields.

Dashboards, alerts and people's log searches hang on these names. A change of one changes the
committed snapshot: run with SEAMLESS_UPDATE_SNAPSHOTS=1, look at the difference, and say it in the
changelog.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from django.utils import timezone
from prometheus_client import REGISTRY, CollectorRegistry

from config.metric_reference import scrape_collectors
from coordinator.models import BackfillShard
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.reconciling import reconcile
from coordinator.services.running import run_shard
from provider.metrics import CACHE_BYTES, COVERAGE_RATIO, STALENESS
from provider.publishing import Order, publish_artifact
from tests.cast import OHLC, approved
from tests.provider.world import DAY, NODE, SESSIONS, World, bars

SNAPSHOTS = Path(__file__).parent / "emissions.json"
PREFIXES = (
    *("seamless_", "backfill_", "coverage_", "live_", "lease_", "partial_", "gap_"),
    *("history_", "domain_", "as_of_", "artifact_"),
)
# What moves with time and with whatever else the machine does.
UNSTEADY = {
    "backfill_oldest_pending_seconds",
    "seamless_audit_seal_lag_seconds",
    "seamless_celery_messages",
}
# Fields of the formatter, the same for every event.
COMMON = {"event", "logger", "level", "timestamp"}

Snapshot = dict[str, dict[str, list[str]]]


class Recording(logging.Handler):
    """The events that structlog hands over, as it writes them."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.msg, dict):
            self.events.append(record.msg)


@pytest.fixture
def recording() -> Iterator[Recording]:
    handler, logger = Recording(), logging.getLogger("seamless")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def samples() -> dict[tuple[str, tuple[str, ...], tuple[str, ...]], float]:
    """Value by name, label names and label values, of all that an instance would expose."""
    scraped = CollectorRegistry()
    for collector in scrape_collectors():
        scraped.register(collector)
    return {
        (sample.name, tuple(sorted(sample.labels)), tuple(sorted(sample.labels.values()))): (
            sample.value
        )
        for registry in (REGISTRY, scraped)
        for family in registry.collect()
        for sample in family.samples
        if sample.name.startswith(PREFIXES) and not sample.name.endswith("_created")
    }


def emitted(recording: Recording, act: Callable[[], object]) -> Snapshot:
    """Names of what moved, with its labels; events, with their fields."""
    for gauge in (COVERAGE_RATIO, STALENESS):  # one that is set to what it was has not moved
        gauge.clear()
    before = samples()
    recording.events.clear()
    act()
    moved = {
        name: labels
        for (name, labels, values), value in samples().items()
        if before.get((name, labels, values)) != value
    }
    events: dict[str, set[str]] = {}
    for event in recording.events:
        events.setdefault(str(event["event"]), set()).update(set(event) - COMMON)
    return {
        "metrics": {
            name: list(labels)
            for name, labels in sorted(moved.items())
            if name not in UNSTEADY
            and not name.endswith(("_bucket", "_sum"))
            and "le" not in labels
        },
        "events": {name: sorted(fields) for name, fields in sorted(events.items())},
    }


def compared(name: str, seen: Snapshot) -> None:
    stored = json.loads(SNAPSHOTS.read_text()) if SNAPSHOTS.exists() else {}
    if os.environ.get("SEAMLESS_UPDATE_SNAPSHOTS") == "1":
        stored[name] = seen
        SNAPSHOTS.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")
    assert seen == stored[name], "see this module's docstring"


def test_a_governed_read(world: World, recording: Recording) -> None:
    world.write(bars())
    reader = world.reader()
    compared("governed read", emitted(recording, reader.data))


def test_a_read_that_repairs(upstream: World, recording: Recording) -> None:
    """Two of the sessions are there, the source has the others."""
    upstream.write(bars(SESSIONS[:2]))
    reader = upstream.reader()
    labels = {"strategy": "seamless", "node_id": NODE, "interval": str(DAY)}
    brought = REGISTRY.get_sample_value("history_auto_backfill_rows_total", labels) or 0
    compared("repairing read", emitted(recording, reader.data))
    rows = REGISTRY.get_sample_value("history_auto_backfill_rows_total", labels)
    assert rows == brought + 2 * (len(SESSIONS) - 2)  # of two symbols


def test_a_refusal(world: World, recording: Recording) -> None:
    world.write(bars(close=pa.array([-1.0] * 12)))
    reader = world.reader()
    compared("refusal", emitted(recording, reader.data))


def test_a_read_that_quality_blocks(world: World, recording: Recording) -> None:
    world.write(bars(SESSIONS[:4]))
    reader = world.reader()
    compared("blocked read", emitted(recording, reader.data))


def test_a_backfill(committed_world: World, recording: Recording) -> None:
    def backfill() -> None:
        committed_world.request_sessions()
        claim = claim_shard(holder="worker", now=database_now())
        assert claim is not None
        run_shard(claim=claim)

    seen = emitted(recording, backfill)
    compared("backfill", seen)
    for event, fields in seen["events"].items():
        assert {"node_id", "interval", "request_id"} <= set(fields), event


def test_a_recovery(committed_world: World, recording: Recording, settings: Any) -> None:
    """A holder goes silent; its lease expires, is reaped, taken over and finished."""
    settings.SEAMLESS_RETRY_BASE_SECONDS = 0.0
    committed_world.request_sessions()
    assert claim_shard(holder="silent", now=database_now()) is not None

    def recover() -> None:
        past = database_now() - timedelta(hours=1)
        BackfillShard.objects.update(leased_at=past - timedelta(minutes=1), expires_at=past)
        reconcile(now=database_now())
        claim = claim_shard(holder="other", now=database_now() + timedelta(seconds=5))
        assert claim is not None
        run_shard(claim=claim)

    compared("recovery", emitted(recording, recover))
    assert BackfillShard.objects.get().state == "done"


@pytest.mark.usefixtures("redis_client")
def test_a_publication_and_reads_in_their_domains(
    world: World, recording: Recording, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backtest refused and one served; live reads that advance, and one that goes back."""
    settings.SEAMLESS_CACHE_BYTES = 0
    monkeypatch.setattr("provider.stores.parquet.CLOCK_TICK", 3_600.0)
    world.write(bars())
    reader = world.reader()
    reader.data()
    CACHE_BYTES.set(0)
    order = Order(node_id=world.node.node_id, start=SESSIONS[0], end=SESSIONS[-1])

    def publish() -> None:
        publish_artifact(actor=world.cast.olive, order=order, now=timezone.now())

    compared("publication", emitted(recording, publish))
    today = timezone.now().isoformat()
    compared("backtest", emitted(recording, lambda: reader.data(domain="backtest", as_of=today)))

    def refused() -> None:
        reader.data(domain="backtest")
        reader.data(domain="dryrun", as_of="2012-07-01T00:00:00Z")

    compared("refused domain", emitted(recording, refused))

    def back_and_forth() -> None:
        reader.data(as_of="2025-01-01T00:00:00Z")
        reader.data(as_of="2024-12-31T23:59:00Z")

    compared("as_of that goes back", emitted(recording, back_and_forth))


def test_no_log_line_holds_a_value_of_a_sensitive_column(
    world: World, recording: Recording
) -> None:
    hidden = OHLC | {"x-seamless": OHLC["x-seamless"] | {"sensitive": ["close"]}}
    approved(world.cast, hidden)
    world.write(bars(close=pa.array([-77.25] * 12)))
    answer = world.reader().data()
    assert (answer.status_code, json.loads(answer.content)["code"]) == (409, "schema_refused")
    assert "seamless.schema.violated" in [event["event"] for event in recording.events]
    assert "77.25" not in repr(recording.events) + answer.content.decode()
