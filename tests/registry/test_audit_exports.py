"""Exports as files: what each format holds, and jobs that survive their workers."""

import csv
import hashlib
import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.utils import timezone
from pytest_django import Settings

from registry.actors import Actor
from registry.audit.selection import Selection
from registry.audit.verify import OK
from registry.audit.verify.command import check_file
from registry.audit.views.delimited import guarded
from registry.audit.views.flat import COLUMNS
from registry.errors import NotAllowed
from registry.models import AuditEvent, AuditExport, AuditPayload, AuditPersonal, ExportState
from registry.services.audit import export_jobs, exporting, latest_checkpoint, seal
from registry.services.audit.export_jobs import file_of, run_next_export
from registry.services.audit.export_requests import request_export
from registry.services.audit.exporting import Extent, open_source, written
from tests.cast import Cast
from tests.registry.audit_world import NOW, OWNER, record_many, recorded

FORMULA = "=cmd|' /C calc'!A0"


@pytest.fixture(autouse=True)
def exports(settings: Settings, tmp_path: Path) -> Path:
    settings.SEAMLESS_EXPORT_DIR = tmp_path / "exports"
    return tmp_path / "exports"


def written_as(format: str, **extent: Any) -> bytes:
    out = io.BytesIO()
    for _ in written(out, open_source(Extent(**extent)), format, now=NOW):
        pass
    return out.getvalue()


def requested(cast: Cast, format: str = "jsonl", **extent: Any) -> AuditExport:
    return request_export(actor=cast.ada, extent=Extent(**extent), format=format, now=NOW)


def a_few() -> None:
    recorded(1, reason=FORMULA, before={"a": 1}, after=["é"])
    recorded(object_type="user", object_id="eve", outcome="denied", action="token.revoke")
    recorded(3, actor=Actor("consumer", "9", "pricing"))
    seal(now=NOW)


# --- formats -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_csv_repeats_the_records_and_runs_no_formula() -> None:
    a_few()
    first, second, third = csv.DictReader(io.StringIO(written_as("csv").decode()))
    assert tuple(first) == COLUMNS
    assert first["reason"] == f"'{FORMULA}"
    assert (first["seq"], first["before"], first["after"]) == ("0", '{"a": 1}', '["é"]')
    assert (second["object_id"], second["outcome"], third["actor_name"]) == (
        *("eve", "denied", "pricing"),
    )


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "  =1"])
def test_a_text_that_would_be_a_formula_is_made_plain(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("value", [7, -7, None, "", "a=1", "1-1"])
def test_other_cells_stay_as_they_are(value: Any) -> None:
    assert guarded(value) == value


@pytest.mark.django_db
def test_parquet_has_types_and_one_row_per_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.audit.views.parquet.GROUP_ROWS", 2)
    monkeypatch.setattr(exporting, "EXPORT_PAGE", 1)
    a_few()
    file = pq.ParquetFile(io.BytesIO(written_as("parquet")))
    assert file.num_row_groups == 2
    table = file.read()
    assert table.column_names == list(COLUMNS)
    assert table["at"].to_pylist() == [NOW] * 3
    assert table["reason"].to_pylist()[0] == FORMULA
    leaves = [bytes(event.leaf).hex() for event in AuditEvent.objects.order_by("pk")]
    assert table["leaf"].to_pylist() == leaves


@pytest.mark.django_db
def test_ocsf_events_are_api_activity() -> None:
    a_few()
    first, second, third = map(json.loads, written_as("ocsf").splitlines())
    assert (first["category_uid"], first["class_uid"]) == (6, 6003)
    assert first["type_uid"] == 6003 * 100 + first["activity_id"]
    assert first["time"] == int(NOW.timestamp() * 1000)
    assert first["actor"]["user"]["name"] == OWNER.name
    assert first["src_endpoint"] == {"ip": OWNER.source}
    assert first["metadata"]["sequence"] == 0
    assert (second["activity_name"], second["status_id"], second["status_code"]) == (
        *("Delete", 2, "denied"),
    )
    assert second["resources"] == [{"type": "user", "name": "eve"}]
    assert third["actor"]["user"]["type"] == "Consumer"
    required = {"activity_id", "actor", "api", "category_uid", "class_uid", "metadata", "osint"}
    required |= {"severity_id", "src_endpoint", "time", "type_uid"}
    assert required - set(first) == {"osint"}  # only of a profile we do not claim


@pytest.mark.django_db
@pytest.mark.parametrize("format", ["csv", "parquet", "ocsf", "jsonl", "bundle"])
def test_every_format_writes_erased_dropped_and_no_records(format: str) -> None:
    assert isinstance(written_as(format), bytes)
    a_few()
    AuditPersonal.objects.filter(event__sealed__seq__in=[0, 1]).delete()
    AuditPayload.objects.filter(event__sealed__seq=1).delete()
    data = written_as(format)
    assert b"Ada" not in data or format in ("parquet", "bundle")
    if format == "csv":
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        assert [row["actor_name"] for row in rows] == ["", "", "pricing"]
        assert (rows[0]["reason"], rows[1]["reason"]) == (f"'{FORMULA}", "")


# --- jobs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", list(exporting.FORMATS))
def test_a_worker_writes_the_file_under_the_checkpoint_of_the_request(
    cast: Cast, exports: Path, format: str
) -> None:
    record_many(5)
    seal(now=NOW)
    export = requested(cast, format, selection=Selection(action="proposal.approve"), earlier=(2,))
    record_many(3)
    seal(now=NOW)
    done = run_next_export(clock=timezone.now)
    assert done is not None
    assert (done.pk, done.state, done.done, done.percent) == (export.pk, "done", 5, 100)
    file = file_of(done)
    assert list(exports.iterdir()) == [file]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == done.sha256
    assert file.stat().st_size == done.bytes
    if exporting.FORMATS[format].proven:
        assert check_file(file)[0] == OK
    finished = AuditEvent.objects.get(action="audit.export.finish")
    assert finished.after == {"records": 5, "bytes": done.bytes, "sha256": done.sha256}
    assert run_next_export(clock=timezone.now) is None


def test_exports_are_written_one_at_a_time_in_their_order(cast: Cast) -> None:
    recorded()
    seal(now=NOW)
    first, second = requested(cast), requested(cast)
    AuditExport.objects.filter(pk=first.pk).update(
        state=ExportState.RUNNING, attempt=1, heartbeat_at=timezone.now()
    )
    assert run_next_export(clock=timezone.now) is None
    later = timezone.now() + export_jobs.GIVEN_UP_AFTER
    done = [run_next_export(clock=lambda: later) for _ in range(2)]
    assert [export and (export.pk, export.attempt) for export in done] == [
        (first.pk, 2),
        (second.pk, 1),
    ]


def test_a_worker_that_was_given_up_for_dead_writes_nothing_over(
    cast: Cast, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_jobs, "BEAT_EVERY", timedelta(0))
    monkeypatch.setattr(exporting, "EXPORT_PAGE", 1)
    record_many(5)
    seal(now=NOW)
    export = requested(cast)
    calls = []

    def clock() -> datetime:
        calls.append(1)
        if len(calls) == 4:  # in the middle of its pages, another one takes over
            AuditExport.objects.update(attempt=7)
        return timezone.now()

    run_next_export(clock=clock)
    export.refresh_from_db()
    assert (export.state, export.attempt, export.sha256) == ("running", 7, "")
    assert list(exports.iterdir()) == []


def test_an_export_that_breaks_says_why_and_leaves_no_file(
    cast: Cast, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_many(5)
    seal(now=NOW)
    requested(cast)

    def broken(*_: Any) -> Any:
        raise OSError("disk full")

    monkeypatch.setattr(export_jobs.os, "fsync", broken)
    done = run_next_export(clock=timezone.now)
    assert done is not None
    assert (done.state, done.error) == ("failed", "OSError")
    assert list(exports.iterdir()) == []


def test_an_export_whose_workers_die_is_given_up(cast: Cast) -> None:
    recorded()
    seal(now=NOW)
    export = requested(cast)
    AuditExport.objects.update(
        state=ExportState.RUNNING, attempt=export_jobs.ATTEMPTS, heartbeat_at=NOW
    )
    assert run_next_export(clock=timezone.now) is None
    export.refresh_from_db()
    assert (export.state, "workers died" in export.error) == ("failed", True)


def test_progress_is_told_while_it_is_written(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_jobs, "BEAT_EVERY", timedelta(0))
    monkeypatch.setattr(exporting, "EXPORT_PAGE", 2)
    record_many(6)
    seal(now=NOW)
    requested(cast, selection=Selection(action="proposal.approve"))
    seen = []

    def clock() -> datetime:
        seen.append(AuditExport.objects.get().percent)
        return timezone.now()

    run_next_export(clock=clock)
    assert set(seen) >= {0, 33, 66}
    assert sorted(seen) == seen


@pytest.mark.parametrize("name", ["olive", "oscar", "stan"])
def test_only_auditors_ask_for_exports(cast: Cast, name: str) -> None:
    with pytest.raises(NotAllowed, match="auditor"):
        request_export(actor=getattr(cast, name), extent=Extent(), format="jsonl", now=NOW)
    assert not AuditExport.objects.exists()


def test_an_empty_log_is_exported_too(cast: Cast) -> None:
    requested(cast)
    done = run_next_export(clock=timezone.now)
    assert done is not None
    assert (done.state, done.done, latest_checkpoint().size) == ("done", 0, 0)
