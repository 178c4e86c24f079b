"""The walk from a proposal to strict and back, run as its page shows it on a fresh house."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management.color import no_style
from django.db import connection
from django.db.models import Model
from django.utils import timezone

from demo.house import build_house
from registry.models import GateOverride, Proposal, ReplayRun, Rollout
from registry.services.behind_reads import flush_all
from tests.databases import CommittedDatabase, as_owner
from tests.provider.pages import DOCS, follow


@pytest.fixture
def people(committed_db: CommittedDatabase, own_storage: None) -> dict[str, str]:
    """Those of a fresh `make run`, in a database whose numbers begin with 1, as on the page."""
    number_from_one(Proposal, ReplayRun, Rollout, GateOverride)
    return {name.upper(): person.token for name, person in build_house(timezone.now()).items()}


def number_from_one(*models: type[Model]) -> None:
    """A copy of the migrated database goes on where the sequences of other tests stopped."""
    with as_owner(), connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)


def test_a_change_goes_from_proposal_to_strict_and_back(
    people: dict[str, str], tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEAMLESS_TOKEN", "")
    settings.SEAMLESS_PARQUET_ROOTS = [str(tmp_path)]
    # What a process does behind its answers each second is done after each command.
    page = DOCS / "how-to" / "roll-out-a-schema.md"
    assert follow(page, people, same=without_clock, after_each=flush_all) > 40
    live = Rollout.objects.filter(ended_at=None)
    assert [(rollout.mode, rollout.release.number) for rollout in live] == [("strict", 1)]


def without_clock(text: str) -> str:
    """When it runs, and how long the canary was observed, depends on the machine."""
    undated = re.sub(r"\d{4}-\d\d-\d\dT", "T", text.strip())
    return re.sub(r"\d+:\d\d:\d\d", "0:00:00", undated)
