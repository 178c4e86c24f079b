"""Jobs, shards and rows that were set aside are there for those who may see their node."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from coordinator.models import BackfillJob, Quarantine
from registry.models import AuditEvent
from registry.services import people, tokens
from tests.registry.admin_world import PASSWORD, SYSTEM, World

pytestmark = pytest.mark.django_db
PAGES = [
    *("coordinator/backfilljob", "coordinator/backfillshard", "coordinator/quarantine"),
    *("provider/segment", "provider/storedreport"),
]


@pytest.fixture
def world() -> World:
    """`guest` owns and runs things of another team."""
    made = World(datetime(2026, 3, 2, 12, 0, tzinfo=UTC))
    people.create_team(actor=SYSTEM, name="strangers", now=made.now)
    guest = people.create_person(actor=SYSTEM, username="guest", password=PASSWORD, now=made.now)
    for role in ("owner", "operator"):
        people.add_member(actor=SYSTEM, team="strangers", username="guest", role=role, now=made.now)
    made.users["guest"] = guest
    return made


def get(world: World, name: str, path: str) -> tuple[int, dict[str, object]]:
    made = tokens.issue_personal_token(
        actor=SYSTEM,
        user=world.users[name],
        scopes=["govern"],
        lifetime=timedelta(days=1),
        now=timezone.now(),
    )
    headers = {"Authorization": f"Bearer {made.secret}"}
    answer = Client().get(f"/api/v1/{path}", headers=headers)
    return answer.status_code, json.loads(answer.content)


def test_jobs_are_listed_for_those_who_see_the_node(world: World) -> None:
    counts = {name: len(get(world, name, "backfills")[1]["jobs"]) for name in ("ed", "di", "guest")}  # type: ignore[arg-type]
    assert counts == {"ed": 1, "di": 1, "guest": 0}


@pytest.mark.parametrize("part", ["", "/shards", "/map", "/report"])
def test_a_hidden_job_answers_as_one_that_is_absent(world: World, part: str) -> None:
    number = BackfillJob.objects.get().pk
    assert get(world, "ed", f"backfills/{number}{part}")[0] in {200, 409}
    hidden, absent = (get(world, "guest", f"backfills/{pk}{part}") for pk in (number, 987654))
    assert (hidden[0], hidden[1]["code"]) == (404, "no_such_backfill")
    assert hidden[1]["detail"] == str(absent[1]["detail"]).replace("987654", str(number))
    assert AuditEvent.objects.filter(action="request.deny", outcome="denied").count() == 1


def test_rows_that_were_set_aside_are_shown_to_no_other_team(world: World) -> None:
    number = Quarantine.objects.get().pk
    assert get(world, "ed", f"quarantine/{number}")[0] == 200
    assert get(world, "guest", f"quarantine/{number}")[0] == 404
    assert get(world, "guest", "quarantine")[1]["rows"] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_list_the_same(world: World, page: str) -> None:
    for name, count in (("ed", 1), ("di", 1), ("guest", 0)):
        client = Client()
        client.force_login(world.users[name])
        assert client.get(f"/admin/{page}/").context["cl"].queryset.count() == count
