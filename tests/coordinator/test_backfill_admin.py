"""The live page of a job and the decisions on it, as the browser sends them."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from coordinator.models import BackfillJob, BackfillShard
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.running import run_shard
from registry.models import AuditEvent, Membership, Role, Team

SUBMITTED = {"_form_submitted": "True"}


@pytest.fixture
def job(sourced):
    (made,) = sourced.request((0, 140)).created
    return BackfillJob.objects.get(pk=made)


@pytest.fixture
def oscars(job, oscar):
    return signed_in("oscar")


def signed_in(name):
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def address(job, part="change"):
    return reverse(f"admin:coordinator_backfilljob_{part}", args=[job.pk])


def decide(client, job, decision, **fields):
    answer = client.post(address(job, decision), SUBMITTED | fields, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    return client.get(answer["HX-Redirect"]).content.decode()


def drain():
    while (claim := claim_shard(holder="w", now=database_now())) is not None:
        run_shard(claim=claim)


def test_the_page_of_a_running_job_shows_it_live(oscars, job, handler):
    run_shard(claim=claim_shard(holder="w1", now=database_now()))
    claim_shard(holder="w2", now=database_now())
    page = oscars.get(address(job)).content.decode()
    assert "33.3%" in page
    assert f'hx-get="{address(job, "live")}" hx-trigger="every 2s"' in page
    for state in ("done", "leased", "pending"):
        assert f'<span class="seamless-cell seamless-cell-{state}" title="' in page
    assert "w2" in page


def test_the_part_that_moves_stops_asking_once_the_job_has_ended(oscars, job, handler):
    assert "hx-get" in oscars.get(address(job, "live")).content.decode()
    drain()
    part = oscars.get(address(job, "live")).content.decode()
    assert "100.0%" in part
    assert "hx-get" not in part
    assert "<html" not in part
    page = oscars.get(address(job)).content.decode()
    assert "Completeness certificate" in page


def test_a_job_that_failed_shows_every_missing_range_with_its_error(oscars, job, handler, settings):
    settings.SEAMLESS_MAX_ATTEMPTS = 1

    def fail(*_):
        raise OSError("source <away>")

    handler.on_fetch = fail
    drain()
    page = oscars.get(address(job)).content.decode()
    assert "Violation report" in page
    assert "OSError: source &lt;away&gt;" in page


def test_a_job_is_steered_by_its_buttons(oscars, job):
    def state():
        return BackfillJob.objects.get().state

    assert "It is paused." in decide(oscars, job, "pause", reason="")
    assert "nothing to pause" in decide(oscars, job, "pause", reason="")
    assert "It goes on." in decide(oscars, job, "resume", reason="")
    assert "has changed" in decide(oscars, job, "priority", priority="5", reason="urgent")
    assert "no shard that is failed" in decide(oscars, job, "retry", reason="")
    assert "It is cancelled." in decide(oscars, job, "cancel", reason="wrong node")
    assert state() == "cancelled"
    page = decide(oscars, job, "reprocess", what="all", order="newest", reason="")
    assert "The shards are done again." in page
    assert state() == "running"
    assert AuditEvent.objects.get(action="backfill.job.cancel").reason == "wrong node"


@pytest.mark.parametrize(
    ("decision", "fields"),
    [
        ("cancel", {"reason": ""}),
        ("priority", {"priority": "51"}),
        ("priority", {"priority": "x"}),
        ("reprocess", {"what": "some", "order": "oldest"}),
        ("reprocess", {"what": "all", "order": "random"}),
    ],
)
def test_a_dialog_that_is_filled_in_wrongly_decides_nothing(oscars, job, decision, fields):
    answer = oscars.post(address(job, decision), SUBMITTED | fields, headers={"HX-Request": "true"})
    assert "HX-Redirect" not in answer
    assert BackfillJob.objects.get().state == "pending"
    assert not AuditEvent.objects.filter(action__startswith="backfill.job").exists()


def test_buttons_are_those_of_the_state(oscars, job):
    def offered():
        page = oscars.get(address(job)).content.decode()
        names = ("pause", "resume", "retry", "reprocess", "priority", "cancel")
        return {name for name in names if f'hx-get="{address(job, name)}"' in page}

    assert offered() == {"pause", "reprocess", "priority", "cancel"}
    BackfillJob.objects.update(state="paused")
    assert offered() == {"resume", "reprocess", "priority", "cancel"}
    decide(oscars, job, "cancel", reason="x")
    assert offered() == {"retry", "reprocess"}


def test_members_without_the_role_look_and_are_refused(oscars, job):
    rita = User.objects.create(username="rita", is_staff=True)
    Membership.objects.create(
        user=rita, team=Team.objects.get(name="market-data"), role=Role.REVIEWER
    )
    client = signed_in("rita")
    assert client.get(address(job, "live")).status_code == 200
    assert "needs the role operator" in decide(client, job, "pause", reason="")
    assert BackfillJob.objects.get().state == "pending"


def test_staff_in_no_team_do_not_see_the_part_that_moves(oscars, job):
    User.objects.create(username="stan", is_staff=True)
    assert signed_in("stan").get(address(job, "live")).status_code == 403
    assert Client().get(address(job, "live")).status_code == 302
    assert oscars.get(reverse("admin:coordinator_backfilljob_live", args=[404])).status_code == 404


def test_a_list_of_jobs_costs_no_more_queries_for_more_of_them(oscars, job, sourced):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            page = oscars.get(reverse("admin:coordinator_backfilljob_changelist"))
            assert page.status_code == 200
        return len(captured)

    before = queries()
    for n in range(1, 7):
        sourced.request((n * 1000, n * 1000))
    assert queries() == before
    assert BackfillShard.objects.count() == 9
