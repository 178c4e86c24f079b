"""Whatever can be asked of this system leaves its audit record: every address, page and command.

The tables are in `tests/mutations.py`; a new way to change something fails here until it has a line
there.
"""

import argparse
import ast
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import get_commands, load_command_class
from django.test import Client, RequestFactory
from django.utils import timezone

from registry.models import AuditEvent, Membership, Role, Team
from registry.services import tokens
from tests.config.test_access import api_views
from tests.mutations import ADDRESSES, COMMANDS, DECISIONS, Exercised, SameAs, Shown
from tests.registry.admin_world import SYSTEM, World

UNSAFE = ("post", "put", "patch", "delete")
OURS = ("registry", "coordinator", "provider")
EXERCISED = {key: cover for key, cover in ADDRESSES.items() if isinstance(cover, Exercised)}
ACTION_LISTS = ("actions_list", "actions_row", "actions_detail", "actions_submit_line")


def test_every_address_that_changes_something_is_in_the_table() -> None:
    existing = {
        (method, pattern)
        for pattern, view in api_views()
        for method in UNSAFE
        if hasattr(view, method)
    }
    assert existing - set(ADDRESSES) == set(), (
        "new ways to change something: add a line for each to ADDRESSES in tests/mutations.py"
        " (best an Exercised one), so that its audit record is looked at"
    )
    assert set(ADDRESSES) - existing == set(), "gone: remove them from tests/mutations.py"


def value(given: Any, world: World) -> Any:
    return given(world) if callable(given) else given


@pytest.mark.django_db
@pytest.mark.parametrize("key", EXERCISED, ids=" ".join)
def test_what_is_asked_over_http_leaves_its_record(key: tuple[str, str]) -> None:
    case, (method, _) = EXERCISED[key], key
    world = World(timezone.now() - timedelta(hours=1))
    case.prepare(world)
    object_id, headers = value(case.object_id, world), signed_in(world, case)
    before, asked = AuditEvent.objects.count(), timezone.now()
    answer = getattr(Client(raise_request_exception=False), method)(
        f"/{value(case.path, world)}",
        json.dumps(value(case.body, world)),
        content_type="application/json",
        headers=headers,
    )
    assert answer.status_code in (200, 201, 202), answer.content
    events = AuditEvent.objects.select_related("payload", "personal").order_by("pk")
    (event,) = [event for event in events[before:] if event.action == case.action]
    assert (event.outcome, event.object_type) == ("ok", case.object_type)
    assert event.object_name == object_id
    assert (event.actor_kind, event.actor_name) == ("user", case.who)
    assert event.actor_roles == roles_of(case.who)
    assert (event.request_id, event.correlation_id) == ("request-7", "correlation-7")
    assert event.source == "127.0.0.1"
    assert asked <= event.at <= timezone.now()
    assert (bool(event.before), bool(event.after)) == (case.before, case.after)
    assert case.reason in event.reason


def signed_in(world: World, case: Exercised) -> dict[str, str]:
    token = tokens.issue_personal_token(
        actor=SYSTEM,
        user=world.users[case.who],
        scopes=(case.scope,),
        lifetime=timedelta(days=1),
        now=timezone.now(),
    )
    return {
        "Authorization": f"Bearer {token.secret}",
        "X-Request-ID": "request-7",
        "X-Correlation-ID": "correlation-7",
        "Idempotency-Key": "key-7",
    }


def roles_of(name: str) -> list[str]:
    held = Membership.objects.filter(user__username=name)
    return sorted(f"{role}:{team}" for role, team in held.values_list("role", "team__name"))


@pytest.mark.django_db
def test_no_admin_page_adds_changes_or_deletes_whoever_asks() -> None:
    """Pages decide through services alone; every form of Django's own is shut, for everybody."""
    request = RequestFactory().get("/admin/")
    request.user = everything()
    for model, page in admin.site._registry.items():
        for may in (
            page.has_add_permission,
            page.has_change_permission,
            page.has_delete_permission,
        ):
            assert not may(request), f"{model._meta.label}: {may.__name__}"


def everything() -> User:
    user = User.objects.create(username="all", is_staff=True, is_superuser=True)
    team = Team.objects.create(name="everything")
    Membership.objects.bulk_create(Membership(team=team, user=user, role=role) for role in Role)
    return user


def test_every_decision_of_an_admin_page_is_in_the_table() -> None:
    found = {
        model._meta.label: {name for listed in ACTION_LISTS for name in getattr(page, listed, ())}
        | set(page.actions or ())
        for model, page in admin.site._registry.items()
    }
    offered = {label: names for label, names in found.items() if names}
    assert offered == DECISIONS, (
        "a page offers what DECISIONS in tests/mutations.py does not list: add it there, and to the"
        " tests of that page one that looks at its audit record"
    )


def test_every_command_is_in_the_table() -> None:
    existing = {
        name: set(sub_commands(load_command_class(app, name)))
        for name, app in get_commands().items()
        if app in OURS
    }
    assert existing == {name: set(verbs) for name, verbs in COMMANDS.items()}, (
        "add new commands and sub-commands to COMMANDS in tests/mutations.py"
    )


def sub_commands(command: Any) -> list[str]:
    parser = command.create_parser("manage.py", "x")
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return list(action.choices)
    return [""]


def shown() -> list[str]:
    covers = [
        *ADDRESSES.values(),
        *(cover for verbs in COMMANDS.values() for cover in verbs.values()),
    ]
    return sorted({cover.test for cover in covers if isinstance(cover, Shown)})


@pytest.mark.parametrize("test", shown())
def test_a_test_that_is_named_exists_and_looks_at_records(test: str) -> None:
    file, _, name = test.partition("::")
    text = (Path(settings.BASE_DIR) / file).read_text("utf-8")
    own = [ast.get_source_segment(text, one) or "" for one in functions(text) if one.name == name]
    assert own, f"{test} is gone: name another one in tests/mutations.py"
    assert "audit" in own[0].lower(), f"{test} looks at no audit record"


def functions(text: str) -> list[ast.FunctionDef]:
    return [part for part in ast.parse(text).body if isinstance(part, ast.FunctionDef)]


def test_a_command_that_does_what_an_address_does_names_one_that_exists() -> None:
    covers = [cover for verbs in COMMANDS.values() for cover in verbs.values()]
    named = {cover.address for cover in covers if isinstance(cover, SameAs)}
    assert named - set(ADDRESSES) == set()


def test_our_rooms_are_all_walked() -> None:
    assert {app.label for app in apps.get_app_configs()} >= set(OURS)
