"""`manage.py subject` and `manage.py proposal`: each action from the shell, as one's own person."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from registry import replay
from registry.models import Node, Subject
from tests.cast import OHLC, Cast, subject
from tests.registry.test_acting import personal_token
from tests.registry.test_lifecycle import NARROWED, VWAP
from tests.registry.test_replays import FakeStore

Shell = Callable[..., Any]


@pytest.fixture
def shell(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """`shell("olive", "proposal", "list")`: what the command printed, as JSON."""
    secrets = {name: personal_token(cast, name) for name in ("olive", "ravi", "sofia")}

    def run(who: str, *words: object) -> Any:
        monkeypatch.setenv("SEAMLESS_TOKEN", secrets[who])
        out = StringIO()
        call_command(*map(str, words), "--json", stdout=out, stderr=StringIO())
        return json.loads(out.getvalue())

    return run


def file_of(path: Path, schema: Any) -> str:
    (path / "schema.json").write_text(json.dumps(schema))
    return str(path / "schema.json")


def test_from_a_file_to_a_version_and_its_end(shell: Shell, tmp_path: Path) -> None:
    made = shell("olive", "subject", "create", "market.ohlc", "--owner-team", "market-data")
    assert made["compatibility"] == "BACKWARD"
    changed = shell(
        *("olive", "subject", "change", "market.ohlc", "--reason", "the house rule"),
        *("--required-approvals", 2, "--approval-teams", "market-data=1,trading=1"),
    )
    assert changed["approval_teams"] == {"market-data": 1, "trading": 1}
    for schema in (OHLC, VWAP):
        proposal = shell("olive", "proposal", "create", "market.ohlc", file_of(tmp_path, schema))
        here = proposal["id"]
        assert shell("olive", "proposal", "submit", here)["state"] == "in_review"
        assert shell("ravi", "proposal", "approve", here)["version"] is None
        version = shell("sofia", "proposal", "approve", here, "--comment", "good")["version"]
    assert version["version"] == 2
    assert shell("olive", "proposal", "diff", here)["compared_to"] == 1
    assert shell("olive", "proposal", "impact", here)["properties"] == ["vwap"]
    ended = shell(
        *("olive", "subject", "deprecate", "market.ohlc", 1),
        *("--sunset", "2099-01-01T00:00:00Z", "--reason", "vwap"),
    )
    assert ended["state"] == "deprecated"
    with pytest.raises(CommandError, match="version_in_use"):
        shell("olive", "subject", "retire", "market.ohlc", 1, "--reason", "x")
    shown = shell("olive", "subject", "show", "market.ohlc")
    assert [one["state"] for one in shown["versions"]] == ["deprecated", "approved"]
    assert [one["name"] for one in shell("olive", "subject", "list")] == ["market.ohlc"]


def test_edit_waive_reject_and_withdraw(shell: Shell, cast: Cast, tmp_path: Path) -> None:
    subject(cast)
    first = shell("olive", "proposal", "create", "market.ohlc", file_of(tmp_path, OHLC))["id"]
    shell("olive", "proposal", "submit", first)
    shell("ravi", "proposal", "approve", first)
    here = shell("olive", "proposal", "create", "market.ohlc", file_of(tmp_path, VWAP))["id"]
    edited = shell("olive", "proposal", "edit", here, file_of(tmp_path, NARROWED))
    assert (edited["revision"], edited["compatibility"]["verdict"]) == (2, "incompatible")
    with pytest.raises(CommandError, match="incompatible") as refused:
        shell("olive", "proposal", "submit", here)
    assert refused.value.returncode == 1
    asked = ("--reason", "nobody below 10", "--until", "2099-01-01T00:00:00Z")
    with pytest.raises(CommandError, match="90 days"):
        shell("ravi", "proposal", "waive", here, "compatibility", *asked)
    soon = (timezone.now() + timedelta(days=1)).isoformat()
    waiver = shell("ravi", "proposal", "waive", here, "compatibility", *asked[:3], soon)["id"]
    assert shell("sofia", "proposal", "grant-waiver", waiver)["state"] == "granted"
    shell("olive", "proposal", "submit", here)
    assert shell("ravi", "proposal", "end-waiver", waiver, "--reason", "x")["state"] == "ended"
    rejected = shell("ravi", "proposal", "reject", here, "--reason", "mend the feed")
    assert rejected["state"] == "rejected"
    again = shell("olive", "proposal", "create", "market.ohlc", file_of(tmp_path, VWAP))["id"]
    assert shell("olive", "proposal", "recheck", again)["revision"] == 1
    assert shell("olive", "proposal", "withdraw", again)["state"] == "withdrawn"
    listed = shell("olive", "proposal", "list", "--state", "withdrawn", "--subject", "market.ohlc")
    assert [one["id"] for one in listed] == [again]


def test_replay_runs_here_and_its_exit_code_says_what_was_refused(
    shell: Shell, cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "_stored", FakeStore())
    subject(cast)
    Node.objects.create(
        node_id="ohlc:x", subject=Subject.objects.get(), interval=60, series=[], store={}, source={}
    )
    here = shell("olive", "proposal", "create", "market.ohlc", file_of(tmp_path, OHLC))["id"]
    waiting = shell("olive", "proposal", "replay", here, "--background")
    assert waiting["state"] == "running"
    assert shell("olive", "proposal", "cancel-replay", here)["state"] == "cancelled"
    with pytest.raises(SystemExit) as ended:
        shell("olive", "proposal", "replay", here, "--days", 3)
    assert ended.value.code == 1
    report = shell("ravi", "proposal", "report", here)
    assert (report["state"], report["rows"], report["invalid"]) == ("done", 8, 4)


def test_what_is_printed_for_people(
    shell: Shell, cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject(cast)
    here = shell("olive", "proposal", "create", "market.ohlc", file_of(tmp_path, OHLC))["id"]
    out = StringIO()
    for verb in ("show", "diff", "impact"):
        call_command("proposal", verb, str(here), stdout=out)
    call_command("proposal", "list", stdout=out)
    call_command("subject", "show", "market.ohlc", stdout=out)
    text = out.getvalue()
    assert f"Proposal {here} of market.ohlc, revision 1: draft" in text
    assert "0 of 1 approvals" in text
    assert "owner_team: market-data" in text


@pytest.mark.parametrize(
    "words",
    [
        ("proposal",),
        ("proposal", "approve"),
        ("proposal", "waive", "1", "compatibility", "--reason", "x", "--until", "tomorrow"),
        ("subject", "change", "x"),
        ("subject", "change", "x", "--reason", "y", "--approval-teams", "data=many"),
    ],
)
def test_wrong_use_is_told(db: None, words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command(*words)


def test_without_a_token_nobody_acts(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEAMLESS_TOKEN", raising=False)
    with pytest.raises(CommandError, match="SEAMLESS_TOKEN"):
        call_command("proposal", "list")
