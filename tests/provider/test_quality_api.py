"""What the API says of a node's quality: reports, digests, rules, previews; none of it fetches."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from django.conf import settings
from django.db import IntegrityError
from django.utils import timezone

from coordinator.models import BackfillJob
from provider.holes import hand_over, holes_in
from provider.models import PublishedReport, RepairRequest, StoredReport
from provider.publications import resolve_address
from provider.quality_rules import set_quality_rules
from provider.reports import prune_reports
from provider.requests import Strategy
from provider.seamless import SeamlessDataProvider
from provider.tasks import prune_conformance_reports
from registry.errors import InvalidInput, NotAllowed, NotFound
from registry.models import AuditEvent
from tests.cast import NOW, OHLC, SYSTEM, approved
from tests.provider.world import FIRST, NODE, SESSIONS, Reader, World, bars

LAST = SESSIONS[-1]
ADDRESS = f"qmtl://observability/seamless/{NODE}"


def body(answer: Any) -> Any:
    assert answer.status_code == 200, answer.content
    return json.loads(answer.content)


def of_node(reader: Reader, what: str, **query: Any) -> Any:
    return reader.get(f"/api/v1/nodes/{NODE}/{what}", **query)


WINDOW = {"start": FIRST, "end": LAST}


# --- published and archived ---------------------------------------------------------------------


def test_the_digest_is_published_at_its_address_over_rest_and_python(world: World) -> None:
    reader = world.reader()
    world.write(bars(SESSIONS[:3]))
    reader.data(partial_ok="true")
    world.write(bars(SESSIONS[:5]))
    reader.data(partial_ok="true")
    world.write(bars())
    reader.data(partial_ok="true")
    seen = body(reader.get(f"/api/v1/observability/seamless/{NODE}"))
    assert (seen["address"], seen["flags"], seen["coverage"]) == (ADDRESS, {}, 1.0)
    assert seen["regression"]["verdict"] == "better"
    assert seen["regression"]["flags"]["trailing_gap"]["change"] == "gone"
    verdicts = [archived["regression"]["verdict"] for archived in seen["archive"]]
    assert verdicts == ["better", "better", "first"]
    assert resolve_address(reader.consumer, ADDRESS).to_dict()["report"] == seen["report"]


def test_a_flag_that_comes_back_is_worse_again(world: World) -> None:
    reader = world.reader()
    for sessions, verdict in (
        (SESSIONS[:3], "first"),
        (SESSIONS, "better"),
        (SESSIONS[:3], "worse"),
    ):
        world.write(bars(sessions))
        reader.data(partial_ok="true")
        assert PublishedReport.objects.get().regression["verdict"] == verdict
    assert StoredReport.objects.count() == 2  # the same findings have the same name


def test_clean_answers_after_a_clean_one_store_nothing(world: World) -> None:
    world.write(bars())
    reader = world.reader()
    for end in SESSIONS:
        reader.data(FIRST, end)
    assert StoredReport.objects.count() == 1


def test_addresses_of_others_are_refused(world: World) -> None:
    reader = world.reader()
    with pytest.raises(InvalidInput, match="no address of ours"):
        resolve_address(reader.consumer, f"https://example.org/{NODE}")
    for address in (ADDRESS, "qmtl://observability/seamless/other"):
        with pytest.raises(NotFound):
            resolve_address(reader.consumer, address)
    assert reader.get(f"/api/v1/observability/seamless/{NODE}").status_code == 404
    assert reader.get("/api/v1/observability/seamless/other").status_code == 404


def test_reports_are_listed_newest_first_in_pages(world: World) -> None:
    reader = world.reader()
    for count in (1, 2, 3):
        world.write(bars(SESSIONS[:count]))
        reader.data(partial_ok="true")
    first = body(of_node(reader, "reports", limit=2))
    assert [one["flags"] for one in first["reports"]] == [
        {"trailing_gap": 6},
        {"trailing_gap": 8},
    ]
    rest = body(of_node(reader, "reports", limit=2, before=first["next_before"]))
    assert [one["flags"] for one in rest["reports"]] == [{"trailing_gap": 10}]
    assert body(reader.get(rest["reports"][0]["href"]))["flags"] == {"trailing_gap": 10}
    assert of_node(reader, "reports", limit=0).status_code == 400
    assert of_node(reader, "reports", before="x").status_code == 400


def test_reports_never_change_and_are_removed_past_their_retention(world: World) -> None:
    reader = world.reader()
    for count in (1, 2):
        world.write(bars(SESSIONS[:count]))
        reader.data(partial_ok="true")
    later = timezone.now() + timedelta(days=91)
    assert prune_reports(now=timezone.now()) == 0
    assert prune_reports(now=later) == 1  # the published one stays
    kept = StoredReport.objects.get()
    kept.request_id = "forged"
    with pytest.raises(IntegrityError, match="never changes"):
        kept.save()


# --- the quality of a window --------------------------------------------------------------------


def test_quality_reports_a_window_and_keeps_nothing(world: World) -> None:
    world.write(bars(SESSIONS[:3]))
    seen = body(of_node(world.reader(), "quality", **WINDOW))
    assert seen["report"]["flags"] == {"trailing_gap": 6}
    assert (seen["refused"], seen["verdict"]["coverage_ratio"]) == (None, 0.5)
    assert seen["regression"]["verdict"] == "first"
    assert not StoredReport.objects.exists()


def test_quality_says_why_a_strict_read_is_refused(world: World) -> None:
    world.write(bars(volume=pa.array([-1] * 12)))
    seen = body(of_node(world.reader(), "quality", **WINDOW))
    assert (seen["refused"], seen["verdict"]) == ("schema_refused", None)
    assert seen["report"]["findings"][0]["keyword"] == "minimum"


# --- previews -----------------------------------------------------------------------------------


def test_a_preview_shows_a_few_rows_with_their_flags(world: World) -> None:
    world.write(pa.concat_tables([bars(), bars(SESSIONS[:1])]))
    seen = body(of_node(world.reader(), "preview", **WINDOW, limit=3))
    assert [row["seamless_flags"] for row in seen["rows"]] == [
        ["duplicate_ts", "unsorted"],
        ["duplicate_ts", "unsorted"],
        [],
    ]
    assert (seen["rows_in_window"], seen["flags"]["duplicate_ts"]) == (12, 2)
    assert {"name": "volume", "type": "int64"} in seen["columns"]
    for wrong in (0, 101, "many"):
        assert (
            of_node(world.reader(f"r{wrong}"), "preview", **WINDOW, limit=wrong).status_code == 400
        )


def test_a_preview_of_what_strict_refuses_is_refused(world: World) -> None:
    world.write(bars(volume=pa.array([-1] * 12)))
    answer = of_node(world.reader(), "preview", **WINDOW)
    assert answer.status_code == 409
    assert json.loads(answer.content)["code"] == "schema_refused"


def test_a_preview_shows_no_value_of_a_sensitive_column(world: World) -> None:
    hidden = OHLC | {"x-seamless": OHLC["x-seamless"] | {"sensitive": ["volume"]}}
    approved(world.cast, hidden)
    world.write(bars())
    reader = world.reader(rollout="granted")
    seen = body(of_node(reader, "preview", **WINDOW))
    assert {row["volume"] for row in seen["rows"]} == {None}
    assert {row["volume"] for row in body(reader.data())} != {None}


# --- none of it starts a backfill ---------------------------------------------------------------


@pytest.mark.parametrize("what", ["coverage", "quality", "preview", "reports"])
def test_looking_fetches_nothing(committed_world: World, what: str) -> None:
    committed_world.write(bars(SESSIONS[:3]))
    reader = committed_world.reader()
    query = {} if what == "reports" else WINDOW
    assert of_node(reader, what, **query).status_code == 200
    assert not BackfillJob.objects.exists()
    assert not RepairRequest.objects.exists()


# --- holes --------------------------------------------------------------------------------------


def test_a_hole_is_handed_over_once_and_the_report_names_its_job(upstream: World) -> None:
    """As a read finds it that did not wait: the job of the first report repairs the later ones."""
    upstream.write(bars(SESSIONS[:3], symbols=["AAPL"]))
    reader = upstream.reader()
    provider = SeamlessDataProvider(strategy=Strategy.PARTIAL_FILL)
    question = {"node_id": NODE, "start": FIRST, "end": LAST, "actor": SYSTEM}
    answer = provider.fetch(
        consumer=reader.consumer, now=datetime(2020, 1, 1, tzinfo=UTC), **question
    )
    holes = holes_in(answer.report)
    assert [(dict(hole.series), tuple(hole.range), hole.cause) for hole in holes] == [
        ({"symbol": "AAPL"}, (SESSIONS[3], LAST), "gap"),
        ({"symbol": "IBM"}, (FIRST, LAST), "missing_series"),
    ]
    for _ in range(2):
        repairs = hand_over(answer.request, answer.report, answer.job_ids)
        assert [repair.job_id for repair in repairs] == [BackfillJob.objects.get().pk] * 2
    assert RepairRequest.objects.count() == 2


def test_a_hole_that_nobody_asked_for_becomes_a_job_in_the_background(upstream: World) -> None:
    upstream.write(bars(SESSIONS[:3]))
    reader = upstream.reader()
    looked = SeamlessDataProvider(strategy=Strategy.FAIL_FAST, partial_ok=True).fetch(
        consumer=reader.consumer,
        node_id=NODE,
        start=FIRST,
        end=LAST,
        actor=SYSTEM,
        now=datetime(2020, 1, 1, tzinfo=UTC),
    )
    assert hand_over(looked.request, looked.report, ()) == []  # it fetches nothing
    asked = replace(looked.request, strategy=Strategy.SEAMLESS)
    (first, second) = hand_over(asked, looked.report, ())
    job = BackfillJob.objects.get()
    assert {first.job_id, second.job_id} == {job.pk}
    assert (job.range_start, job.range_end) == (SESSIONS[3], LAST)


def test_the_report_over_http_names_the_job(
    upstream: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "provider.sources.sample.SampleSource.fetch", lambda *_, **__: bars([]).slice(0, 0)
    )
    upstream.write(bars(SESSIONS[:3]))
    reader = upstream.reader()
    answer = reader.data(partial_ok="true")
    job = BackfillJob.objects.get()
    assert answer["Seamless-Backfill"] == f"{job.pk};state=done"
    report = body(reader.get(answer["Seamless-Report"]))
    assert {repair["job"] for repair in report["repairs"]} == {job.pk}
    assert {repair["cause"] for repair in report["repairs"]} == {"gap"}


# --- rules of a node ----------------------------------------------------------------------------

BOUND = {"rule": "max_return", "column": "close", "most": 0.001}


def test_a_node_s_rules_flag_its_answers(world: World) -> None:
    world.write(bars())
    reader = world.reader()
    assert reader.data().status_code == 200
    set_quality_rules(actor=world.cast.olive, node_id=NODE, rules=[BOUND], now=NOW)
    blocked = reader.data()
    assert blocked.status_code == 409
    assert json.loads(blocked.content)["flags"] == {"max_return": 10}
    event = AuditEvent.objects.filter(action="node.quality_rules").get()
    assert event.outcome == "ok"
    set_quality_rules(actor=world.cast.olive, node_id=NODE, rules=[], now=NOW)
    assert reader.data().status_code == 200


def test_rules_are_checked_and_set_by_owners_only(world: World) -> None:
    with pytest.raises(NotAllowed):
        set_quality_rules(actor=world.cast.carl, node_id=NODE, rules=[BOUND], now=NOW)
    with pytest.raises(InvalidInput, match="most"):
        set_quality_rules(
            actor=world.cast.olive, node_id=NODE, rules=[BOUND | {"most": -1}], now=NOW
        )
    with pytest.raises(InvalidInput, match="at most 20"):
        set_quality_rules(actor=world.cast.olive, node_id=NODE, rules=[BOUND] * 21, now=NOW)
    with pytest.raises(NotFound):
        set_quality_rules(actor=world.cast.olive, node_id="nope", rules=[], now=NOW)


def test_the_prune_task_is_scheduled_and_runs(db: None) -> None:
    tasks = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert prune_conformance_reports.name in tasks
    prune_conformance_reports()
