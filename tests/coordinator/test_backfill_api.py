"""Backfills over HTTP: who may, what is answered, and that a request sent twice is done once."""

import json
import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from coordinator.models import BackfillJob, BackfillShard, IdempotentRequest, Quarantine
from coordinator.ports import QuarantinedRow, ShardRefused
from coordinator.services import idempotency
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.idempotency import GIVEN_UP_AFTER, KEPT_FOR, begin
from coordinator.services.running import run_shard
from registry.models import AuditEvent
from tests.coordinator.backfills import make_operator

BACKFILLS = "/api/v1/backfills"


class Person:
    """Somebody at the API, with a fresh Idempotency-Key for every request."""

    def __init__(self, name):
        self.client = Client(raise_request_exception=False)
        self.client.force_login(User.objects.get(username=name))
        self.sent = 0

    def get(self, path, **query):
        return self.client.get(path, query)

    def post(self, path, body=None, *, key=None, **query):
        self.sent += 1
        return self.client.post(
            path,
            json.dumps(body or {}),
            content_type="application/json",
            query_params=query,
            headers={"Idempotency-Key": f"k{self.sent}" if key is None else key},
        )


@pytest.fixture
def oscars(sourced, oscar):
    return Person("oscar")


@pytest.fixture
def order(sourced):
    return {"node": sourced.node.node_id, "start": 0, "end": "1970-01-01T00:02:20Z"}


@pytest.fixture
def job_id(oscars, order):
    (job,) = oscars.post(BACKFILLS, order).json()["created"]
    return job["id"]


def drain():
    while (claim := claim_shard(holder="w", now=database_now())) is not None:
        run_shard(claim=claim)


def problem(answer):
    assert answer["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


# --- plan and run --------------------------------------------------------------------------------


def test_a_dry_run_answers_the_plan_and_needs_no_key(oscars, order):
    answer = oscars.post(BACKFILLS, order, key="", dry_run="true")
    assert answer.status_code == 200
    plan = answer.json()
    assert plan["window"] == {"start": 0, "end": 140}
    assert plan["new_jobs"] == [
        {"start": 0, "end": 140, "shards": 3, "expected_bars": 15, "failure_budget": None}
    ]
    assert plan["estimate"]["calls"] == 3
    assert plan["schema"]["version"] == 1
    assert not BackfillJob.objects.exists()


def test_a_run_is_pinned_to_its_plan_and_says_what_it_made_and_joined(oscars, order, sourced):
    plan_hash = oscars.post(BACKFILLS, order, key="", dry_run="true").json()["plan_hash"]
    answer = oscars.post(BACKFILLS, order | {"plan_hash": plan_hash})
    assert answer.status_code == 202
    (job,) = answer.json()["created"]
    assert (job["start"], job["end"], job["state"]) == (0, 140, "pending")
    again = oscars.post(BACKFILLS, order | {"plan_hash": plan_hash})
    assert problem(again) == (409, "plan_outdated")
    joined = oscars.post(BACKFILLS, order).json()
    assert ([one["id"] for one in joined["joined"]], joined["created"]) == ([job["id"]], [])


def test_where_nothing_is_to_be_done_nothing_is_made(oscars, order):
    answer = oscars.post(BACKFILLS, order | {"what": "failed"})
    assert (answer.status_code, answer.json()["created"]) == (200, [])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"node": "nobody's"}, (404, "not_found")),
        ({"start": "yesterday"}, (400, "invalid_input")),
        ({"end": "2026-01-01T00:00:00"}, (400, "invalid_input")),
        ({"start": 200}, (400, "invalid_input")),
        ({"what": "everything"}, (400, "invalid_input")),
        ({"order": "random"}, (400, "invalid_input")),
        ({"priority": 500}, (400, "invalid_input")),
        ({"failure_budget": "lots"}, (400, "invalid_input")),
        ({"end": 10**11}, (400, "backfill_too_large")),
    ],
)
def test_a_wrong_order_is_refused_with_what_is_wrong(oscars, order, change, code):
    assert problem(oscars.post(BACKFILLS, order | change)) == code
    assert problem(oscars.post(BACKFILLS, order | change, dry_run="true")) == code


def test_what_is_missing_or_no_object_is_refused(oscars):
    assert problem(oscars.post(BACKFILLS, {})) == (400, "invalid_input")
    assert problem(oscars.post(BACKFILLS, [])) == (400, "invalid_input")
    assert problem(oscars.post(BACKFILLS, {}, dry_run="perhaps")) == (400, "invalid_input")


# --- watching ------------------------------------------------------------------------------------


def test_a_job_is_watched_with_ratio_rate_leases_and_map(oscars, job_id, handler):
    run_shard(claim=claim_shard(holder="w1", now=database_now()))
    claim_shard(holder="w2", now=database_now())
    job = oscars.get(f"{BACKFILLS}/{job_id}").json()
    assert (job["ratio"], job["committed_bars"], job["expected_bars"]) == (0.333333, 5, 15)
    assert job["bars_per_second"] > 0
    assert job["eta_seconds"] is not None  # how soon depends on the machine
    (lease,) = job["leases"]
    assert (lease["holder"], lease["epoch"], lease["attempts"]) == ("w2", 1, 1)
    assert 0 < lease["expires_in"] <= 30
    cells = oscars.get(f"{BACKFILLS}/{job_id}/map").json()["cells"]
    assert [(cell["state"], cell["ratio"]) for cell in cells] == [
        ("done", 1.0),
        ("leased", 0.0),
        ("pending", 0.0),
    ]


def test_a_heat_map_of_many_shards_shows_the_loudest_state_of_each_cell(
    oscars, sourced, settings, monkeypatch
):
    from coordinator.services import watching

    settings.SEAMLESS_SHARD_BARS = 1
    (made,) = sourced.request((0, 90)).created
    BackfillShard.objects.filter(range_start=30).update(state="failed")
    cells = watching.heat_map(made, most_cells=4)
    assert [(cell.start, cell.end, str(cell.state), cell.shards) for cell in cells] == [
        (0, 20, "pending", 3),
        (30, 50, "failed", 3),
        (60, 80, "pending", 3),
        (90, 90, "pending", 1),
    ]


def test_shards_come_in_pages_that_miss_and_repeat_none(oscars, sourced, settings):
    settings.SEAMLESS_SHARD_BARS = 1
    (made,) = sourced.request((0, 90)).created
    address, starts = f"{BACKFILLS}/{made}/shards?limit=4", []
    while address:
        page = oscars.get(address).json()
        starts += [shard["start"] for shard in page["shards"]]
        address = page["next"]
    assert starts == list(range(0, 100, 10))


def test_jobs_come_newest_first_in_pages_and_by_node_and_state(oscars, sourced, oscar):
    for n in range(5):
        sourced.request((n * 1000, n * 1000))
    BackfillJob.objects.filter(range_start=0).update(state="paused")
    first = oscars.get(BACKFILLS, limit=2, node=sourced.node.node_id).json()
    assert [job["start"] for job in first["jobs"]] == [4000, 3000]
    sourced.request((9000, 9000))  # what comes meanwhile shifts nothing
    second = oscars.get(first["next"]).json()
    assert [job["start"] for job in second["jobs"]] == [2000, 1000]
    assert [job["start"] for job in oscars.get(BACKFILLS, state="paused").json()["jobs"]] == [0]
    assert oscars.get(BACKFILLS, node="other").json() == {"jobs": [], "next": None}


def test_a_cursor_of_another_listing_or_a_forged_one_is_refused(oscars, sourced):
    for n in range(3):
        sourced.request((n * 1000, n * 1000))
    cursor = oscars.get(BACKFILLS, limit=1).json()["next"].partition("cursor=")[2]
    for query in ({"node": "x", "cursor": cursor}, {"cursor": "x"}, {"cursor": ""}):
        assert problem(oscars.get(BACKFILLS, **query)) == (400, "invalid_input")
    for limit in ("0", "501", "many", "-1"):
        assert problem(oscars.get(BACKFILLS, limit=limit)) == (400, "invalid_input")


def test_a_list_costs_no_more_queries_for_more_jobs(oscars, sourced):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert oscars.get(BACKFILLS).status_code == 200
        return len(captured)

    sourced.request((0, 0))
    before = queries()
    for n in range(1, 9):
        sourced.request((n * 1000, n * 1000))
    assert queries() == before


def test_the_report_of_a_job_is_its_certificate_once_it_has_ended(oscars, job_id, handler):
    assert problem(oscars.get(f"{BACKFILLS}/{job_id}/report")) == (409, "backfill_still_runs")
    drain()
    report = oscars.get(f"{BACKFILLS}/{job_id}/report").json()
    assert (report["state"], report["expected_bars"], report["written_bars"]) == ("done", 15, 15)
    assert report["sources"][0]["name"] == "sample"
    assert [entry["range"] for entry in report["done"]] == [[0, 40], [50, 90], [100, 140]]
    assert (report["missing"], report["short"], report["releases"]) == ([], [], [])
    recorded = AuditEvent.objects.get(action="backfill.certificate").after
    assert recorded["checksum"] == report["checksum"]


def test_what_a_source_did_not_have_is_short_in_the_certificate(oscars, job_id, handler):
    handler.rows_missing = 2
    drain()
    report = oscars.get(f"{BACKFILLS}/{job_id}/report").json()
    assert report["written_bars"] == 9
    assert report["short"][0] == {"range": [0, 40], "expected": 5, "rows": 3}


@pytest.mark.parametrize("part", ["", "/shards", "/map", "/report"])
def test_a_job_that_never_was(oscars, part):
    assert problem(oscars.get(f"{BACKFILLS}/404{part}")) == (404, "no_such_backfill")


# --- steering ------------------------------------------------------------------------------------


def test_a_job_is_paused_resumed_moved_and_cancelled(oscars, job_id):
    def decide(verb, **body):
        return oscars.post(f"{BACKFILLS}/{job_id}/{verb}", body).json()

    assert decide("pause", reason="source down")["state"] == "paused"
    assert decide("resume")["state"] == "running"
    assert decide("priority", priority=9)["priority"] == 9
    assert decide("cancel", reason="wrong node")["state"] == "cancelled"
    actions = AuditEvent.objects.filter(object_type="backfill_job").order_by("pk")
    assert [(event.action, event.reason) for event in actions] == [
        ("backfill.job.pause", "source down"),
        ("backfill.job.resume", ""),
        ("backfill.job.priority", ""),
        ("backfill.job.cancel", "wrong node"),
    ]


def test_what_has_failed_is_retried_and_everything_reprocessed(oscars, job_id, handler, settings):
    settings.SEAMLESS_MAX_ATTEMPTS = 1

    def fail(*_):
        raise OSError("away")

    handler.on_fetch = fail
    drain()
    assert oscars.get(f"{BACKFILLS}/{job_id}").json()["state"] == "violation"
    handler.on_fetch = lambda *_: None
    answer = oscars.post(f"{BACKFILLS}/{job_id}/retry")
    assert (answer.status_code, answer.json()["joined"][0]["id"]) == (202, job_id)
    drain()
    body = {"what": "all", "order": "newest"}
    assert oscars.post(f"{BACKFILLS}/{job_id}/reprocess", body).status_code == 202
    nothing = oscars.post(f"{BACKFILLS}/{job_id}/reprocess", {"what": "stale"})
    assert problem(nothing) == (409, "nothing_to_reprocess")


@pytest.mark.parametrize(
    ("verb", "body", "code"),
    [
        ("cancel", {}, (400, "invalid_input")),
        ("priority", {}, (400, "invalid_input")),
        ("priority", {"priority": 51}, (400, "invalid_input")),
        ("reprocess", {"what": "some"}, (400, "invalid_input")),
        ("resume", {}, (409, "backfill_not_in_state")),
    ],
)
def test_a_wrong_decision_is_refused(oscars, job_id, verb, body, code):
    assert problem(oscars.post(f"{BACKFILLS}/{job_id}/{verb}", body)) == code


def test_limits_are_set_and_seen(oscars):
    answer = oscars.post("/api/v1/source-limits", {"source": "sample", "per_minute": 30})
    assert answer.json()["per_minute"] == 30
    (limit,) = oscars.get("/api/v1/source-limits").json()["limits"]
    assert (limit["source"], limit["max_running"], limit["tokens"]) == ("sample", None, 1.0)
    wrong = oscars.post("/api/v1/source-limits", {"source": "sample", "max_running": 0})
    assert problem(wrong) == (400, "invalid_input")


def test_quarantine_is_listed_looked_at_and_released(oscars, job_id, handler):
    finding = {"keyword": "type", "column": "v", "count": 1}

    def refuse(*_):
        raise ShardRefused("schema_refused", [finding], [QuarantinedRow({"v": "x"}, [finding])])

    handler.on_stage = refuse
    run_shard(claim=claim_shard(holder="w", now=database_now()))
    (row,) = oscars.get("/api/v1/quarantine", job=job_id, released="false").json()["rows"]
    assert (row["diagnostics"], "row" in row) == ([finding], False)
    address = f"/api/v1/quarantine/{row['id']}"
    assert oscars.get(address).json()["row"] == {"v": "x"}
    assert problem(oscars.post(f"{address}/release")) == (400, "invalid_input")
    assert oscars.post(f"{address}/release", {"reason": "fixed"}).status_code == 202
    assert problem(oscars.post(f"{address}/release", {"reason": "fixed"})) == (
        409,
        "already_released",
    )
    assert oscars.get("/api/v1/quarantine", released="false").json()["rows"] == []
    assert problem(oscars.get("/api/v1/quarantine/404")) == (404, "no_such_quarantined_row")
    assert problem(oscars.get("/api/v1/quarantine", job="x")) == (400, "invalid_input")
    assert problem(oscars.get("/api/v1/quarantine", released="x")) == (400, "invalid_input")


# --- who may -------------------------------------------------------------------------------------

READS = ["", "/1", "/1/shards", "/1/map", "/1/report"]
WRITES = ["", "/1/pause", "/1/resume", "/1/cancel", "/1/priority", "/1/retry", "/1/reprocess"]


@pytest.mark.parametrize("part", READS)
def test_nobody_reads_without_signing_in(client, sourced, part):
    assert client.get(BACKFILLS + part).status_code in (401, 403)


@pytest.mark.parametrize("part", WRITES)
def test_nobody_writes_without_signing_in(client, sourced, part):
    assert client.post(BACKFILLS + part).status_code in (401, 403)


def test_people_of_other_teams_neither_look_nor_decide(oscars, order, job_id):
    make_operator("olaf", team="another team")
    olaf = Person("olaf")
    assert problem(olaf.get(f"{BACKFILLS}/{job_id}")) == (404, "no_such_backfill")
    assert problem(olaf.post(BACKFILLS, order)) == (403, "not_allowed")
    assert problem(olaf.post(BACKFILLS, order, dry_run="true")) == (403, "not_allowed")
    assert problem(olaf.post(f"{BACKFILLS}/{job_id}/pause")) == (404, "no_such_backfill")
    assert AuditEvent.objects.filter(outcome="denied").count() == 3


# --- sent twice ----------------------------------------------------------------------------------


def test_without_a_key_nothing_is_done(oscars, order):
    for key in ("", " ", "ä", "x" * 201):
        assert problem(oscars.post(BACKFILLS, order, key=key)) == (400, "idempotency_key_missing")
    assert not BackfillJob.objects.exists()


def test_a_request_sent_twice_is_answered_twice_and_done_once(oscars, job_id):
    path = f"{BACKFILLS}/{job_id}/pause"
    first = oscars.post(path, {"reason": "a"}, key="same")
    second = oscars.post(path, {"reason": "a"}, key="same")
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content == second.content
    assert second["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert AuditEvent.objects.filter(action="backfill.job.pause").count() == 1


def test_a_key_belongs_to_one_body_one_address_and_one_caller(oscars, order, job_id):
    make_operator("olga")
    path = f"{BACKFILLS}/{job_id}/pause"
    oscars.post(path, {"reason": "a"}, key="same")
    other = oscars.post(path, {"reason": "b"}, key="same")
    assert problem(other) == (422, "idempotency_key_reused")
    assert oscars.post(f"{BACKFILLS}/{job_id}/resume", key="same").status_code == 200
    assert Person("olga").post(path, {"reason": "b"}, key="same").status_code == 200


def test_refusals_are_kept_and_what_should_be_tried_again_is_not(oscars, job_id, order):
    path = f"{BACKFILLS}/{job_id}/resume"
    assert oscars.post(path, key="k").status_code == 409
    oscars.post(f"{BACKFILLS}/{job_id}/pause")
    assert oscars.post(path, key="k").status_code == 200
    lost = order | {"node": "later"}
    assert oscars.post(BACKFILLS, lost, key="lost").status_code == 404
    assert oscars.post(BACKFILLS, lost, key="lost")["Idempotency-Replayed"] == "true"


def test_a_crash_is_not_kept(oscars, job_id, monkeypatch):
    from coordinator.api import backfills

    path = f"{BACKFILLS}/{job_id}/pause"
    with monkeypatch.context() as patched:
        patched.setattr(backfills, "pause_job", lambda **_: 1 / 0)
        assert oscars.post(path, key="k").status_code == 500
    assert not IdempotentRequest.objects.filter(key="k").exists()
    assert oscars.post(path, key="k").status_code == 200


def running(oscars, job_id, started_at):
    """The first request with the key `k` to pause the job, as if it still ran."""
    oscars.post(f"{BACKFILLS}/{job_id}/pause", key="k")
    BackfillJob.objects.update(state="running")
    IdempotentRequest.objects.update(status=None, body="", started_at=started_at)
    return f"{BACKFILLS}/{job_id}/pause"


def test_while_the_first_one_runs_the_second_is_told_to_come_again(oscars, job_id):
    answer = oscars.post(running(oscars, job_id, timezone.now()), key="k")
    assert problem(answer) == (409, "idempotent_request_running")
    assert answer["Retry-After"] == "2"


def test_a_request_whose_process_died_is_taken_over_after_a_while(oscars, job_id):
    path = running(oscars, job_id, timezone.now() - GIVEN_UP_AFTER - timedelta(seconds=1))
    assert oscars.post(path, key="k").status_code == 200


def test_after_a_day_a_key_is_new(oscars, job_id):
    oscars.post(f"{BACKFILLS}/{job_id}/pause", key="k")
    IdempotentRequest.objects.update(started_at=timezone.now() - KEPT_FOR - timedelta(seconds=1))
    assert problem(oscars.post(f"{BACKFILLS}/{job_id}/pause", key="k")) == (
        409,
        "backfill_not_in_state",
    )


def test_of_many_at_once_one_is_carried_out(committed_db):
    attempt = idempotency.Attempt("user:1", "POST", "/x", "k", "sha256:0")
    start, outcomes = threading.Barrier(8), []

    def ask():
        start.wait()
        try:
            outcomes.append(begin(attempt=attempt, now=timezone.now()))
        except idempotency.StillRunning:
            outcomes.append("running")
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == ["None"] + ["running"] * 7


def test_the_rows_of_quarantine_are_not_for_every_member(sourced, oscars):
    from registry.models import Membership, Role, Team

    rita = User.objects.create(username="rita", is_staff=True)
    Membership.objects.create(
        user=rita, team=Team.objects.get(name="market-data"), role=Role.REVIEWER
    )
    assert problem(Person("rita").get("/api/v1/quarantine")) == (403, "not_allowed")
    assert not Quarantine.objects.exists()
