"""The permission matrix, over the services, REST and the admin pages: every cell is tried.

What is not in the table is refused: 403, or 404 for what one may not know, and an audit record
`denied`.
"""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from registry.errors import Hidden, NotAllowed, SeamlessError
from registry.models import AuditEvent, Role
from registry.services import people, tokens
from tests.cast import NOW, SYSTEM
from tests.registry.permission_house import PEOPLE, House, build_house
from tests.registry.permission_table import MATRIX, Act, Page

pytestmark = pytest.mark.django_db


@pytest.fixture
def house() -> Iterator[House]:
    """In its own time, which REST and the pages take from the clock."""
    with time_machine.travel(NOW + timedelta(seconds=1)):
        yield build_house()


def refused_first(who: set[str]) -> list[str]:
    """Those who may do it come last, so that what they do gets in nobody's way."""
    return sorted(PEOPLE, key=lambda name: name in who)


@pytest.mark.parametrize("act", MATRIX, ids=lambda act: act.action)
def test_a_service_lets_those_of_the_table_act_and_denies_all_others(
    house: House, act: Act
) -> None:
    allowed, done = set(), False
    for number, name in enumerate(refused_first(act.who)):
        try:
            act.service(house, house.actors[name], f"new{number}")
            allowed.add(name)
            done = True
        except (NotAllowed, Hidden):
            record = AuditEvent.objects.filter(action=act.action).latest("pk")
            assert record.outcome == "denied", name
        except SeamlessError:
            allowed.add(name)  # the state refused it, not the role
    assert allowed == act.who
    assert done is (bool(act.who) and not act.blocked)


@pytest.mark.parametrize("act", [act for act in MATRIX if act.rest], ids=lambda act: act.action)
def test_rest_lets_those_of_the_table_act_and_denies_all_others(house: House, act: Act) -> None:
    allowed, done = set(), False
    for number, name in enumerate(refused_first(act.who)):
        status = ask(house, name, act, f"new{number}")
        if status in {403, 404}:
            assert AuditEvent.objects.latest("pk").outcome == "denied", name
        else:
            assert status in {200, 201, 202, 409}, (name, status)
            allowed.add(name)
            done |= status != 409
    assert allowed == act.who
    assert done is not act.blocked


def ask(house: House, name: str, act: Act, mark: str) -> int:
    assert act.rest is not None
    token = tokens.issue_personal_token(
        actor=SYSTEM,
        user=people.User.objects.get(username=name),
        scopes=["govern"],
        lifetime=timedelta(days=1),
        now=timezone.now(),
    )
    path, body = act.rest
    method, _, path = path.rpartition(" ")
    text = json.dumps(body).replace("{mark}", mark).replace('"{proposal}"', str(house.proposal))
    answer = Client().generic(
        method or "POST",
        "/api/v1/" + path.format(**house.ids),
        text,
        content_type="application/json",
        headers={"Authorization": f"Bearer {token.secret}"},
    )
    return answer.status_code


@pytest.mark.parametrize("act", [act for act in MATRIX if act.page], ids=lambda act: act.action)
def test_pages_let_those_of_the_table_act_and_deny_all_others(house: House, act: Act) -> None:
    """The page itself answers the same to all who may see it: the log says what came of it."""
    allowed, done = set(), False
    for number, name in enumerate(refused_first(act.who)):
        before = AuditEvent.objects.latest("pk").pk
        press(house, name, act.page, f"new{number}")
        record = AuditEvent.objects.filter(
            pk__gt=before, action__in=[act.action, "request.deny"]
        ).latest("pk")
        if record.outcome != "denied":
            assert record.action == act.action
            allowed.add(name)
            done |= record.outcome == "ok"
    assert allowed == act.who
    assert done is not act.blocked


def press(house: House, name: str, page: Page | None, mark: str) -> None:
    assert page is not None
    client = Client()
    client.force_login(people.User.objects.get(username=name))
    wanted = {field: house.ids.get(key, key) for field, key in page.of.items()}
    meta = page.model._meta
    address = reverse(
        f"admin:{meta.app_label}_{meta.model_name}_{page.decision}",
        args=[page.model.objects.get(**wanted).pk] if wanted else [],
    )
    marks = {"{mark}": mark, "{waiver}": str(house.waiver)}
    fields = {key: marked(value, marks) for key, value in page.fields.items()}
    answer = client.post(
        address, {"_form_submitted": "True"} | fields, headers={"HX-Request": "true"}
    )
    assert answer.status_code in {200, 403, 404}, (name, answer.status_code)


def marked(text: str, marks: dict[str, str]) -> str:
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text


def test_the_matrix_names_every_role_in_both_teams() -> None:
    assert {name.partition("-")[0] for name in PEOPLE} == {*Role.values, "nobody"}
