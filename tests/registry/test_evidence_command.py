"""`manage.py evidence`: what checks found and what was read, as far as one may see it."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from registry.services import people, tokens
from tests.registry.admin_world import PASSWORD, SYSTEM, World

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    made = World(NOW)
    made.grow("b")
    people.create_team(actor=SYSTEM, name="strangers", now=NOW)
    people.create_person(actor=SYSTEM, username="guest", password=PASSWORD, now=NOW)
    people.add_member(actor=SYSTEM, team="strangers", username="guest", role="owner", now=NOW)
    return made


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    def command(who: str, *words: str) -> str:
        made = tokens.issue_personal_token(
            actor=SYSTEM,
            user=people.person_named(who),
            scopes=["govern"],
            lifetime=timedelta(days=1),
            now=timezone.now(),
        )
        monkeypatch.setenv("SEAMLESS_TOKEN", made.secret)
        out = io.StringIO()
        call_command("evidence", *words, stdout=out)
        return out.getvalue()

    return command


def test_diagnostics_and_usage_are_shown_and_selected(run: Any) -> None:
    shown = run("cy", "diagnostics")
    assert "node:a" in shown
    assert "type" in shown
    found = json.loads(run("cy", "diagnostics", "--consumer", "consumer-b", "--json"))
    assert [one["node"] for one in found["diagnostics"]] == ["node:b"]
    used = json.loads(run("di", "usage", "--node", "node:a", "--json"))["usage"]
    assert [(one["consumer"], one["day"], one["reads"]) for one in used] == [
        ("consumer-a", "2026-03-02", 1)
    ]
    assert len(json.loads(run("di", "usage", "--limit", "1", "--json"))["usage"]) == 1
    assert "READS" in run("di", "usage")


def test_other_teams_evidence_is_not_shown(run: Any) -> None:
    assert json.loads(run("guest", "diagnostics", "--json")) == {"diagnostics": []}
    assert json.loads(run("guest", "usage", "--json")) == {"usage": []}
