"""`manage.py policy`: SLA policies from YAML, all of a file or none of it."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from registry.models import AuditEvent, SLAPolicyDocument
from registry.services import tokens
from tests.cast import Cast, assemble

POLICIES = """
desk:
  max_lag_seconds: 120
  min_coverage: 0.95
  on_violation: partial_fill
batch:
  total_deadline_ms: 90000
"""


@pytest.fixture
def cast(db: None, monkeypatch: pytest.MonkeyPatch) -> Cast:
    made = assemble()
    act_as(made, "oscar", monkeypatch)
    return made


def act_as(cast: Cast, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens.issue_personal_token(
        actor=getattr(cast, name),
        user=cast.user(name),
        scopes=["govern"],
        lifetime=timedelta(hours=1),
        now=timezone.now(),
    )
    monkeypatch.setenv("SEAMLESS_TOKEN", token.secret)


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("policy", *arguments, stdout=out)
    return out.getvalue()


def file_of(tmp_path: Path, text: str) -> str:
    path = tmp_path / "policies.yaml"
    path.write_text(text)
    return str(path)


def test_t58_policies_are_imported_listed_and_shown(cast: Cast, tmp_path: Path) -> None:
    assert run("import", file_of(tmp_path, POLICIES)) == "Saved desk.\nSaved batch.\n"
    assert run("list").split() == ["batch", "desk"]
    assert json.loads(run("show", "desk")) == {
        "max_lag_seconds": 120,
        "min_coverage": 0.95,
        "on_violation": "partial_fill",
    }
    assert AuditEvent.objects.filter(action="sla_policy.save", outcome="ok").count() == 2


def test_presets_are_shown_like_policies_of_yours(cast: Cast) -> None:
    assert json.loads(run("show", "baseline"))["on_violation"] == "fail_fast"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("desk: {min_coverage: 2}", "min_coverage"),
        ("good: {}\nbad: {max_lag: 1}", "max_lag"),
        ("good: {}\nbad: {on_violation: WAIT}", "on_violation"),
        ("'a b': {}", "not a policy's name"),
        ("desk: 5", "not a mapping"),
        ("- desk", "holds no policies"),
        ("", "holds no policies"),
        ("desk: [", "cannot be read"),
        ("desk: !!python/object/apply:os.system ['true']", "cannot be read"),
    ],
)
def test_x18_a_file_with_anything_wrong_saves_nothing(
    cast: Cast, tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(CommandError, match=says):
        run("import", file_of(tmp_path, text))
    assert not SLAPolicyDocument.objects.exists()


def test_who_may_not_is_refused_and_recorded(
    cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    act_as(cast, "carl", monkeypatch)
    with pytest.raises(CommandError, match="not_allowed"):
        run("import", file_of(tmp_path, POLICIES))
    assert AuditEvent.objects.filter(action="sla_policy.save", outcome="denied").count() == 1
    with pytest.raises(CommandError, match="no SLA policy"):
        run("show", "desk")
    with pytest.raises(CommandError, match="cannot be read"):
        run("import", str(tmp_path / "nothing.yaml"))
