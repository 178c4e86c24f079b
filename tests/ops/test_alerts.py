"""Alert rules are valid, each shown firing and silent, each with a runbook that helps."""

import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.ops.prometheus import PROJECT, RULES, needs_promtool

RUNBOOK_PARTS = ["## What it means", "## Look first", "## What to do", "## Done when"]


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((RULES / "alerts.rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


each_alert = pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])


@needs_promtool
def test_promtool_accepts_the_rules() -> None:
    files = sorted(map(str, RULES.glob("*.rules.yml")))
    done = subprocess.run(["promtool", "check", "rules", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_every_alert_fires_and_stays_silent_where_it_should() -> None:
    done = subprocess.run(
        ["promtool", "test", "rules", "alerts_test.yml"], cwd=RULES, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@each_alert
def test_each_has_a_firing_and_a_silent_case(alert: dict[str, Any]) -> None:
    cases = yaml.safe_load((RULES / "alerts_test.yml").read_text())["tests"]
    mine = [case["name"] for case in cases if case["name"].startswith(f"{alert['alert']},")]
    assert {re.match(r"\w+, (\w+):", name)[1] for name in mine} == {"firing", "silent"}


@each_alert
def test_each_says_how_bad_it_is_and_where_help_is(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert {"summary", "description", "runbook"} <= set(alert["annotations"])
    runbook = PROJECT / alert["annotations"]["runbook"]
    assert runbook.name == f"{alert['alert']}.md"
    text = runbook.read_text()
    assert [part for part in RUNBOOK_PARTS if part not in text] == []


def test_no_runbook_outlives_its_alert() -> None:
    named = {f"{alert['alert']}.md" for alert in alerts()}
    written = {path.name for path in (PROJECT / "docs" / "runbooks").glob("*.md")}
    assert written - {"README.md"} == named
