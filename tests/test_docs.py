"""What the documents name must exist."""

import io
import re
import shlex
from pathlib import Path

import pytest
from django.core.management import call_command

from scripts import refresh_metrics, refresh_rules

PROJECT = Path(__file__).resolve().parents[1]
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_every_test_that_keeps_a_promise_exists() -> None:
    text = (PROJECT / "docs" / "source-architecture.md").read_text()
    named = set(re.findall(r"`(tests/[^`]+)`", text))
    assert len(named) > 10
    assert {name for name in named if not (PROJECT / name).exists()} == set()


def test_the_codes_of_changes_on_the_page_are_those_of_the_code() -> None:
    page = refresh_rules.PAGE.read_text()
    assert page == refresh_rules.with_rules(page), "run python scripts/refresh_rules.py"


@pytest.mark.django_db
def test_the_metrics_on_the_page_are_those_of_the_code() -> None:
    page = refresh_metrics.PAGE.read_text()
    assert page == refresh_metrics.with_metrics(page), "run python -m scripts.refresh_metrics"


COMMAND_PAGES = ["docs/how-to/check-a-schema-in-ci.md"]


@pytest.mark.parametrize("page", COMMAND_PAGES)
def test_the_commands_of_a_page_print_what_it_shows(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fence with a file's name holds that file; `[exit N]` ends what a command prints."""
    monkeypatch.chdir(tmp_path)
    fence = r"^```(\w+)(?: (\S+))?\n(.*?)^```"
    fences = re.findall(fence, (PROJECT / page).read_text(), re.M | re.S)
    assert any(language == "console" for language, _, _ in fences)
    for language, name, content in fences:
        if name:
            (tmp_path / name).write_text(content)
        for command, shown in re.findall(
            r"^\$ manage\.py (.*?)\n(.*?\[exit \d+\])$", content, re.M | re.S
        ):
            assert language == "console"
            assert _printed(shlex.split(command)) == shown


def _printed(arguments: list[str]) -> str:
    out, code = io.StringIO(), 0
    try:
        call_command(*arguments, stdout=out)
    except SystemExit as left:
        code = int(left.code or 0)
    return f"{out.getvalue().rstrip()}\n[exit {code}]"
