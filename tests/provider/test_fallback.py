"""W33: storage that cannot be read costs no answer where the source has the rows; it is said."""

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from coordinator.models import BackfillJob, SourceLimit
from coordinator.source_names import source_name
from provider.conformance import SchemaRefused
from provider.seamless import Strategy
from provider.sources.sample import SampleSource
from provider.stores.protocol import StoreUnreadable
from tests.provider.test_strategies import fetch
from tests.provider.world import SESSIONS, SYMBOLS, World, bars


@pytest.fixture
def damaged(upstream: World) -> World:
    """A house whose only data file is half a file, and whose source has every bar."""
    upstream.write(bars())
    (upstream.folder / "zz.parquet").write_bytes(b"PAR1 half a file")
    return upstream


def test_the_source_answers_and_the_answer_says_so(damaged: World) -> None:
    reader = damaged.reader()
    with capture_logs() as logs:
        answer = fetch(reader)
    assert answer.rows.rows == len(SESSIONS) * len(SYMBOLS)
    assert answer.report.flags["storage_unavailable"] == 1
    assert "zz.parquet" in " ".join(answer.report.warnings)
    (told,) = [log for log in logs if log["event"] == "seamless.backfill.storage_fallback"]
    assert (told["source"], told["start"]) == ("fetcher", SESSIONS[0])
    assert not BackfillJob.objects.exists()
    assert not answer.from_cache


def test_over_http_it_is_in_the_report_and_nothing_is_kept(damaged: World) -> None:
    reader = damaged.reader()
    first = reader.data()
    assert (first.status_code, first["Seamless-Coverage"]) == (200, "1")
    report = json.loads(reader.get(first["Seamless-Report"]).content)
    assert report["flags"]["storage_unavailable"] == 1
    (damaged.folder / "zz.parquet").unlink()
    again = reader.data()
    assert again.status_code == 200
    assert again["Seamless-Report"] == "clean"


def test_rows_of_the_source_are_held_to_the_schema(
    damaged: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = SampleSource.fetch

    def drifted(self: SampleSource, *question: Any) -> pa.Table:
        table = good(self, *question)
        return table.set_column(
            table.column_names.index("close"), "close", pa.array([-1.0] * table.num_rows)
        )

    reader = damaged.reader()
    monkeypatch.setattr(SampleSource, "fetch", drifted)
    with pytest.raises(SchemaRefused):
        fetch(reader)


@pytest.mark.parametrize("strategy", [Strategy.FAIL_FAST, Strategy.PARTIAL_FILL])
def test_who_asks_for_what_is_there_is_told_why_not(damaged: World, strategy: Strategy) -> None:
    reader = damaged.reader()
    with pytest.raises(StoreUnreadable, match="zz"):
        fetch(reader, strategy=strategy)


def test_a_source_at_its_limit_is_not_asked(damaged: World) -> None:
    reader = damaged.reader()
    SourceLimit.objects.create(
        name=source_name(damaged.node.source),
        refilled_at=datetime(2020, 1, 1, tzinfo=UTC),
        blocked_until=datetime(2100, 1, 1, tzinfo=UTC),
    )
    with pytest.raises(StoreUnreadable, match="zz"):
        fetch(reader)


def test_without_a_source_the_store_s_own_words_are_the_answer(world: World) -> None:
    world.write(bars())
    (world.folder / "zz.parquet").write_bytes(b"PAR1 half a file")
    reader = world.reader()
    with pytest.raises(StoreUnreadable, match="zz"):
        fetch(reader)
