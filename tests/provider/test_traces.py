"""Spans of a read and of a shard: names, nesting and attributes, as readers of traces know them."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from django.test import Client
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.running import run_shard
from registry import spans
from registry.errors import NotFound
from registry.models import SchemaContent
from tests.provider.world import NODE, World, bars

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "_tracer", provider.get_tracer("seamless"))
    yield exporter
    provider.shutdown()


def tree(exporter: InMemorySpanExporter) -> list[str]:
    """`parent > name` of every span, by start."""
    found = sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)
    names = {span.context.span_id: span.name for span in found}
    return [
        f"{names.get(span.parent.span_id, 'caller') if span.parent else ''} > {span.name}"
        for span in found
    ]


def one(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    (span,) = (span for span in exporter.get_finished_spans() if span.name == name)
    return span


def facts(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_governed_read_tells_its_stages(world: World, exported: InMemorySpanExporter) -> None:
    world.write(bars())
    reader = world.reader()
    exported.clear()
    assert reader.data().status_code == 200
    assert tree(exported) == [
        " > seamless.http",
        "seamless.http > seamless.schema.resolve",
        "seamless.http > seamless.request",
        "seamless.request > seamless.storage",
        "seamless.request > seamless.storage",
        "seamless.request > seamless.conformance.schema",
        "seamless.request > seamless.conformance.temporal",
        "seamless.request > seamless.conformance.report",
    ]
    request = facts(one(exported, "seamless.request"))
    content = SchemaContent.objects.get()
    assert request["schema.fingerprint"] == content.fingerprint
    assert (request["node_id"], request["schema.validation_mode"]) == (NODE, "strict")
    assert request["release.fingerprint"].startswith("sha256:")
    storage = [span for span in exported.get_finished_spans() if span.name == "seamless.storage"]
    assert {facts(span)["sla.phase"] for span in storage} == {"storage_wait"}


def test_a_read_without_rollout_is_a_canary_of_no_release(
    world: World, exported: InMemorySpanExporter
) -> None:
    world.write(bars())
    assert world.reader("visitor", rollout="granted").data().status_code == 200
    request = facts(one(exported, "seamless.request"))
    assert request["schema.validation_mode"] == "canary"
    assert "release.fingerprint" not in request


def test_it_continues_the_trace_of_its_caller(world: World, exported: InMemorySpanExporter) -> None:
    Client().get("/livez", headers={"traceparent": CALLER})
    root = one(exported, "seamless.http")
    assert root.parent is not None
    assert f"{root.context.trace_id:032x}" in CALLER
    assert f"{root.parent.span_id:016x}" in CALLER


def test_a_refusal_is_an_outcome_and_shows_no_value(
    world: World, exported: InMemorySpanExporter
) -> None:
    world.write(bars(close=pa.array([-77.25] * 12)))
    assert world.reader().data().status_code == 409
    request = one(exported, "seamless.request")
    assert facts(request)["seamless.refusal"] == "schema_refused"
    assert request.status.status_code is StatusCode.UNSET
    shown = "".join(span.to_json() for span in exported.get_finished_spans())
    assert "-77.25" not in shown


def test_a_crash_is_an_error_that_names_its_type_alone(exported: InMemorySpanExporter) -> None:
    with pytest.raises(RuntimeError), spans.span("seamless.request"):
        raise RuntimeError("a value that no trace should hold")
    crashed = one(exported, "seamless.request")
    assert (crashed.status.status_code, crashed.status.description) == (
        StatusCode.ERROR,
        "RuntimeError",
    )
    assert not crashed.events


def test_a_backfill_waits_in_a_span_and_each_shard_has_its_own(
    committed_world: World, exported: InMemorySpanExporter
) -> None:
    assert committed_world.reader().data().status_code == 200
    names = [line.partition(" > ")[2] for line in tree(exported)]
    assert "seamless.backfill" in names
    assert facts(one(exported, "seamless.backfill"))["sla.phase"] == "backfill_wait"
    shard = facts(one(exported, "seamless.backfill.shard"))
    assert (shard["node_id"], shard["backfill.epoch"]) == (NODE, 1)
    assert len(shard["backfill.lease_id"]) == 64


def test_a_shard_joins_the_trace_of_who_asked_not_of_whose_ticket_it_was(
    committed_world: World, exported: InMemorySpanExporter
) -> None:
    with spans.span("asking"):
        committed_world.request_sessions()
    claim = claim_shard(holder="worker", now=database_now())
    assert claim is not None
    with spans.span("somebody's ticket"):
        run_shard(claim=claim)
    asking, shard = one(exported, "asking"), one(exported, "seamless.backfill.shard")
    assert shard.context.trace_id == asking.context.trace_id
    assert shard.parent is not None
    assert shard.parent.span_id == asking.context.span_id


def test_without_a_receiver_nothing_is_recorded() -> None:
    with spans.span("seamless.request", {"node_id": "n"}) as current:
        assert not current.is_recording()
    with pytest.raises(NotFound), spans.span("seamless.request"):
        raise NotFound("gone")
