"""`manage.py people`: teams and people are made here, and a password is printed once."""

import re
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from registry.models import AuditEvent, AuditPayload, Membership, Team

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("people", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def market() -> Team:
    run("team", "market", "--description", "Bars")
    return Team.objects.get()


def test_a_team_is_made_and_recorded(market: Team) -> None:
    assert (market.name, market.description) == ("market", "Bars")
    event = AuditEvent.objects.get(action="team.create")
    assert (event.actor_kind, event.actor_id, event.object_id) == ("system", "cli", "market")


def test_a_person_signs_in_with_the_password_printed_once(market: Team) -> None:
    printed = run("add", "ada", "--team", "market", "--role", "owner", "--email", "ada@test.org")
    found = re.search(r"the password (\S{24})\n", printed)
    assert found is not None
    assert printed.count(found[1]) == 1
    assert Client().login(username="ada", password=found[1])
    user = User.objects.get()
    assert (user.email, user.is_staff, user.is_superuser) == ("ada@test.org", True, False)
    assert [(m.team.name, m.role) for m in Membership.objects.all()] == [("market", "owner")]
    stored = user.password + "".join(AuditPayload.objects.values_list("text", flat=True))
    assert found[1] not in stored


def test_two_people_get_two_passwords(market: Team) -> None:
    texts = {run("add", name, "--team", "market", "--role", "owner")[3:] for name in ("ada", "bob")}
    assert len(texts) == 2


def test_a_person_takes_a_further_role(market: Team) -> None:
    run("add", "ada", "--team", "market", "--role", "owner")
    assert "password" not in run("join", "ada", "--team", "market", "--role", "reviewer")
    assert sorted(Membership.objects.values_list("role", flat=True)) == ["owner", "reviewer"]


def test_what_is_done_to_people_is_recorded_in_full(market: Team) -> None:
    run("add", "ada", "--team", "market", "--role", "owner")
    run("join", "ada", "--team", "market", "--role", "reviewer")
    events = AuditEvent.objects.select_related("payload", "personal").order_by("pk")
    assert [(event.action, event.object_type, event.object_name, event.after) for event in events][
        1:
    ] == [
        ("person.create", "user", "ada", None),
        ("team.add_member", "team", "market", {"user": "ada", "role": "owner"}),
        ("team.add_member", "team", "market", {"user": "ada", "role": "reviewer"}),
    ]
    for event in events:
        assert (event.outcome, event.actor_kind, event.actor_name) == ("ok", "system", "cli")
        assert abs(timezone.now() - event.at) < timedelta(minutes=5)


def test_an_unknown_team_makes_no_person() -> None:
    with pytest.raises(CommandError, match="no team 'nowhere'"):
        run("add", "ada", "--team", "nowhere", "--role", "owner")
    assert not User.objects.exists()


def test_an_unknown_role_makes_no_person(market: Team) -> None:
    with pytest.raises(CommandError, match="invalid choice: 'king'"):
        run("add", "ada", "--team", "market", "--role", "king")
    assert not User.objects.exists()


def test_a_name_is_given_once(market: Team) -> None:
    run("add", "ada", "--team", "market", "--role", "owner")
    with pytest.raises(CommandError, match="exists already"):
        run("add", "ada", "--team", "market", "--role", "owner")
    with pytest.raises(CommandError, match="exists already"):
        run("team", "market")


def test_a_token_is_printed_once_and_recorded(market: Team) -> None:
    run("add", "ada", "--team", "market", "--role", "owner")
    secret = run("token", "ada", "--days", "3").splitlines()[0]
    answer = Client().get("/api/v1/subjects", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200
    event = AuditEvent.objects.get(action="token.issue")
    assert (event.actor_kind, event.object_type, event.object_name) == ("system", "user", "ada")
    assert secret not in "".join(AuditPayload.objects.values_list("text", flat=True))
    with pytest.raises(CommandError, match="no person 'eve'"):
        run("token", "eve")
