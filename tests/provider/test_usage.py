"""Usage and samples: counted and kept behind the read, never in its way."""

import json
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from django.db import OperationalError
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from registry.models import RetainedSample, Usage
from registry.services import samples, usage
from registry.services.behind_reads import flush_all
from tests.cast import approved, with_property
from tests.provider.world import NODE, World, bars

pytestmark = pytest.mark.django_db
YESTERDAY = timezone.now() - timedelta(days=1)


def kinds() -> set[tuple[str, str, str, int]]:
    found = Usage.objects.select_related("consumer")
    return {(row.consumer.name, row.release, row.columns, row.reads) for row in found}


def test_reads_are_counted_per_consumer_release_and_set_of_columns(world: World) -> None:
    world.write(bars())
    strict, granted = world.reader(), world.reader("research", rollout="granted")
    for _ in range(3):
        assert strict.data().status_code == 200
    assert strict.data(columns="volume,close").status_code == 200
    assert strict.data(columns="close,volume").status_code == 200
    assert granted.data(columns="close").status_code == 200
    flush_all()
    assert kinds() == {
        ("pricing", "market/1", "*", 3),
        ("pricing", "market/1", '["close","volume"]', 2),
        ("research", "", '["close"]', 1),
    }
    strict.data()
    flush_all()
    assert ("pricing", "market/1", "*", 4) in kinds()


def test_a_read_that_is_refused_is_not_counted(world: World) -> None:
    world.write(bars(close=pa.array([-1.0] * 12)))
    reader = world.reader()
    assert reader.data().status_code == 409
    assert reader.data(columns="nonsense").status_code in {400, 409}
    flush_all()
    assert not Usage.objects.exists()
    assert not RetainedSample.objects.exists()


def test_a_read_writes_no_evidence_itself(world: World) -> None:
    world.write(bars())
    assert world.reader().data().status_code == 200
    assert not Usage.objects.exists()
    assert not RetainedSample.objects.exists()


def test_evidence_that_cannot_be_kept_fails_no_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(bars())
    reader = world.reader()
    before = reader.data()

    def away(*_: Any) -> None:
        raise OperationalError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr("registry.services.usage._write", away)
        patch.setattr("registry.services.samples._place", away)
        after = reader.data()
        flush_all()
    assert (before.content, before["ETag"]) == (after.content, after["ETag"])
    flush_all()
    assert kinds() == {("pricing", "market/1", "*", 2)}, "the counts waited for the database"


def test_the_share_of_reads_that_touch_a_column(world: World) -> None:
    world.write(bars())
    reader, other = world.reader(), world.reader("research", rollout="granted")
    reader.data()
    reader.data(columns="close")
    reader.data(columns="close,volume")
    other.data(columns="symbol")
    flush_all()
    line = world.node.subject
    touched = usage.reads_touching(subject=line, columns=["volume", "symbol"], since=YESTERDAY)
    assert (touched.total_reads, touched.touching_reads, touched.share) == (4, 3, 0.75)
    assert (touched.consumers, touched.nodes) == (("pricing", "research"), (NODE,))
    same = usage.reads_touching(nodes=[world.node], columns=["close"], since=YESTERDAY)
    assert (same.touching_reads, same.consumers) == (3, ("pricing",))
    none = usage.reads_touching(nodes=[world.node], columns=[], since=YESTERDAY)
    assert (none.total_reads, none.touching_reads) == (4, 0)
    every = usage.reads_touching(subject=line, columns=None, since=YESTERDAY)
    assert (every.touching_reads, every.consumers) == (4, ("pricing", "research"))
    later = timezone.now() + timedelta(days=1)
    assert usage.reads_touching(subject=line, columns=["close"], since=later).share == 0.0


def test_usual_nodes_and_the_last_reader_of_a_version(world: World) -> None:
    world.write(bars())
    reader = world.reader()
    reader.data()
    approved(world.cast, with_property("vwap", {"type": "number"}))
    reader.data(columns="close")
    flush_all()
    assert usage.usual_nodes(reader.consumer, since=YESTERDAY) == [world.node]
    assert usage.usual_nodes(reader.consumer, since=timezone.now()) == []
    (last,) = usage.last_readers(world.node.subject)
    assert (last.version, last.consumer, last.reads) == (1, "pricing", 2)
    assert usage.usage_per_column(Usage.objects.all()) == {"*": 1, "close": 1}


def test_a_sample_holds_rows_as_they_were_sent(world: World) -> None:
    world.write(bars())
    reader = world.reader()
    sent = json.loads(reader.data().content)
    reader.data()
    flush_all()
    (kept,) = samples.sampled_rows(world.node.subject, since=YESTERDAY)
    assert list(kept.rows) == sent
    assert (kept.node, kept.withheld) == (NODE, frozenset())


def test_sensitive_and_long_columns_are_withheld(world: World) -> None:
    properties = {"client": {"type": "string"}, "note": {"type": "string"}}
    version = with_property("client", properties["client"])
    version |= {"properties": version["properties"] | properties}
    version |= {"x-seamless": version["x-seamless"] | {"sensitive": ["client"]}}
    approved(world.cast, version)
    world.write(bars(client=pa.array(["Jane Doe"] * 12), note=pa.array(["n" * 101] * 12)))
    assert world.reader(rollout="canary").data().status_code == 200
    flush_all()
    (kept,) = samples.sampled_rows(world.node.subject, since=YESTERDAY)
    assert kept.withheld == {"client", "note"}
    assert set(kept.rows[0]) == {"session", "symbol", "close", "volume"}
    assert "Jane" not in RetainedSample.objects.get().rows


def test_samples_have_a_fixed_number_of_places(
    world: World, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SEAMLESS_SAMPLE_SECONDS = 0
    monkeypatch.setattr("registry.services.samples.PLACES", 3)
    world.write(bars())
    reader = world.reader()
    for _ in range(8):
        reader.data()
        flush_all()
    assert sorted(RetainedSample.objects.values_list("place", flat=True)) == [0, 1, 2]


def test_what_is_past_its_time_is_forgotten(world: World) -> None:
    world.write(bars())
    world.reader().data()
    flush_all()
    for prune, model, kept_for in (
        (usage.prune_usage, Usage, usage.KEPT_FOR),
        (samples.prune_samples, RetainedSample, samples.KEPT_FOR),
    ):
        assert prune(now=timezone.now() + kept_for - timedelta(days=1)) == 0
        assert prune(now=timezone.now() + kept_for + timedelta(days=2)) == 1
        assert not model.objects.exists()


def test_a_flush_takes_few_statements(
    world: World, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    world.write(bars())
    reader = world.reader()
    for columns in ("close", "volume", "symbol", "session", "close,volume"):
        reader.data(columns=columns)
    with django_assert_max_num_queries(3):  # a savepoint around one statement
        usage.flush_usage()
    assert Usage.objects.count() == 5
