"""`manage.py backfill`: what an operator types, what is printed, and with which exit code."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from rich.console import Console

from coordinator.lease_state import JobState, ShardState
from coordinator.management.telling import follow, map_lines
from coordinator.models import BackfillJob, SourceLimit
from coordinator.ports import QuarantinedRow, ShardRefused
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.progress import JobProgress
from coordinator.services.running import run_shard
from coordinator.services.watching import Cell, Pace
from registry.actors import Actor
from registry.models import AuditEvent
from registry.services import tokens

WINDOW = ("1970-01-01", "140")


@pytest.fixture(autouse=True)
def _as_oscar(sourced, oscar, monkeypatch):
    secret = tokens.issue_personal_token(
        actor=Actor.system("tests"),
        user=User.objects.get(username="oscar"),
        scopes=["govern"],
        lifetime=timedelta(hours=1),
        now=timezone.now(),
    ).secret
    monkeypatch.setenv("SEAMLESS_TOKEN", secret)


def run(*arguments):
    """What was printed; a SystemExit goes through."""
    out = StringIO()
    call_command("backfill", *map(str, arguments), stdout=out)
    return out.getvalue()


@pytest.fixture
def node(sourced):
    return sourced.node.node_id


@pytest.fixture
def job_id(node):
    run("run", node, *WINDOW)
    return BackfillJob.objects.get().pk


def drain():
    while (claim := claim_shard(holder="w", now=database_now())) is not None:
        run_shard(claim=claim)


def test_a_plan_is_printed_with_its_hash_and_run_by_it(node):
    printed = run("plan", node, *WINDOW, "--failure-budget", "10%", "--priority", "5")
    assert "new job    1970-01-01T00:00:00Z to 1970-01-01T00:02:20Z: 3 shards, 15 bars" in printed
    assert "minutes: unknown (no history)" in printed
    plan_hash = printed.split()[-1]
    assert not BackfillJob.objects.exists()
    with pytest.raises(CommandError, match="plan_outdated"):
        run("run", node, *WINDOW, "--plan", plan_hash)
    options = ("--failure-budget", "10%", "--priority", "5")
    printed = run("run", node, *WINDOW, *options, "--plan", plan_hash)
    job = BackfillJob.objects.get()
    assert f"Created job {job.pk}." in printed
    assert f"Now: manage.py backfill watch {job.pk}" in printed
    assert AuditEvent.objects.get(action="backfill.order", outcome="ok").after["priority"] == 5


def test_what_is_not_made_is_said_with_its_reason(node, job_id):
    printed = run("plan", node, *WINDOW)
    assert f"is being fetched already (job {job_id})" in printed
    assert f"Joined job {job_id}." in run("run", node, *WINDOW)


def test_where_there_is_nothing_to_do_it_says_so(node):
    assert "There is nothing to do." in run("run", node, *WINDOW, "--what", "failed")


def test_a_job_is_watched_until_its_end(job_id, handler):
    drain()
    assert f"job {job_id} 100.0% done: 3 done" in run("watch", job_id, "--every", "0.05")


def test_watching_a_job_that_fails_ends_with_exit_code_1(job_id, handler, settings):
    settings.SEAMLESS_MAX_ATTEMPTS = 1

    def fail(*_):
        raise OSError("away")

    handler.on_fetch = fail
    drain()
    with pytest.raises(SystemExit) as left:
        run("watch", job_id)
    assert left.value.code == 1
    report = json.loads(run("report", job_id))
    assert report["missing"][0]["error"] == "OSError: away"
    handler.on_fetch = lambda *_: None
    assert f"Joined job {job_id}." in run("retry", job_id)
    drain()
    assert json.loads(run("report", job_id))["state"] == "done"


def test_a_job_is_shown_with_its_map_and_its_leases(job_id, handler):
    run_shard(claim=claim_shard(holder="w1", now=database_now()))
    claim_shard(holder="w2", now=database_now())
    printed = run("show", job_id)
    assert "33.3% of 15 bars" in printed
    assert "█▓░" in printed
    assert "held by w2, epoch 1, attempt 1" in printed
    facts = json.loads(run("show", job_id, "--json"))
    assert (facts["ratio"], facts["leases"][0]["holder"]) == (pytest.approx(1 / 3), "w2")


def test_jobs_are_listed(job_id, node):
    assert node in run("list")
    assert node not in run("list", "--state", "paused")
    assert json.loads(run("list", "--node", node, "--json"))["jobs"][0]["id"] == job_id


def test_a_job_is_steered(job_id):
    def state():
        return BackfillJob.objects.get().state

    run("pause", job_id, "--reason", "source down")
    assert state() == "paused"
    run("resume", job_id)
    assert state() == "running"
    run("priority", job_id, "--reason", "urgent", "--", "-7")
    assert BackfillJob.objects.get().priority == -7
    run("cancel", job_id, "--reason", "wrong node")
    assert state() == "cancelled"
    run("reprocess", job_id, "--what", "all", "--order", "newest")
    assert state() == "running"
    reasons = {event.reason for event in AuditEvent.objects.filter(object_type="backfill_job")}
    assert {"source down", "urgent", "wrong node"} <= reasons


def test_quarantine_is_listed_shown_and_released(job_id, handler, node):
    finding = {"keyword": "type", "column": "v", "count": 1}

    def refuse(*_):
        raise ShardRefused("schema_refused", [finding], [QuarantinedRow({"v": "x"}, [finding])])

    handler.on_stage = refuse
    run_shard(claim=claim_shard(holder="w", now=database_now()))
    printed = run("quarantine", "list", "--node", node)
    assert "kept  v: type" in printed
    row = printed.split()[0]
    assert json.loads(run("quarantine", "show", row))["row"] == {"v": "x"}
    run("quarantine", "release", row, "--reason", "source fixed")
    assert "released" in run("quarantine", "list")
    with pytest.raises(CommandError, match="already_released"):
        run("quarantine", "release", row, "--reason", "again")


def test_sources_are_limited(job_id):
    assert run("limit") == ""
    printed = run("limit", "sample", "--max-running", "2", "--per-minute", "30", "--burst", "4")
    assert "sample: at once 2 (0 run), per minute 30.0, burst 4" in printed
    assert SourceLimit.objects.get().max_running == 2
    assert json.loads(run("limit", "--json"))["limits"][0]["source"] == "sample"


def test_wrong_use_and_refusals_say_what_is_wrong(node, job_id, monkeypatch):
    for arguments in (
        ("plan", node, "yesterday", "140"),
        ("plan", node, "0", "140", "--failure-budget", "lots"),
        ("watch", job_id, "--every", "0"),
        ("cancel", job_id),
        ("plan", "nobody's", "0", "140"),
        ("show", 404),
        ("limit", "sample", "--max-running", "0"),
        ("reprocess", job_id, "--what", "stale"),
    ):
        with pytest.raises(CommandError):
            run(*arguments)
    monkeypatch.delenv("SEAMLESS_TOKEN")
    with pytest.raises(CommandError, match="SEAMLESS_TOKEN"):
        run("list")


# --- what a terminal shows -----------------------------------------------------------------------


def seen(done, state="running"):
    return JobProgress(
        job_id=7,
        state=JobState(state),
        shards={ShardState.DONE: done, ShardState.PENDING: 4 - done},
        committed_bars=done,
        expected_bars=4,
        written_bars=done,
        open_bars=4 - done,
    )


def test_a_terminal_has_a_bar_that_moves():
    looks = iter([(seen(1), Pace(2.0, 1.5)), (seen(4, "done"), Pace(2.0, 0.0))])
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    assert follow(lambda: next(looks), every=0.0, console=console).state == "done"
    assert "━" in out.getvalue()
    assert "100%" in out.getvalue()


def test_elsewhere_a_line_is_printed_for_every_look():
    looks = iter([(seen(1), Pace(2.0, 1.5)), (seen(4, "done"), Pace(2.0, 0.0))])
    out = StringIO()
    follow(lambda: next(looks), every=0.0, console=Console(file=out, width=120))
    assert out.getvalue().splitlines() == [
        "job 7 25.0% running: 1 done, 3 pending; 2 bars/s, 2 s to go",
        "job 7 100.0% done: 4 done, 0 pending",
    ]


def test_a_heat_map_is_a_mark_a_cell_and_a_legend():
    cells = [Cell(n, n, state, 1, 0.0, 1, 1) for n, state in enumerate(ShardState)]
    assert list(map_lines(cells, width=3)) == [
        "░▓▒",
        "█!",
        "█ done  ▓ leased  ░ pending  ▒ failed  ! violation",
    ]
