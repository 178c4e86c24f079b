"""The tutorial, step by step as a reader would: its commands run, and print what the page shows."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from registry.services import tokens
from tests.cast import Cast, assemble
from tests.provider.pages import DOCS, follow


@pytest.fixture
def people(db: None, own_storage: None) -> dict[str, str]:
    cast: Cast = assemble()
    return {name.upper(): _token(cast, name) for name in ("olive", "ravi", "sofia", "carl")}


def _token(cast: Cast, name: str) -> str:
    return tokens.issue_personal_token(
        actor=getattr(cast, name),
        user=cast.user(name),
        scopes=["govern"],
        lifetime=timedelta(hours=1),
        now=timezone.now(),
    ).secret


def test_from_a_csv_to_a_strict_read(
    people: dict[str, str], tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEAMLESS_TOKEN", "")
    settings.SEAMLESS_PARQUET_ROOTS = [str(tmp_path)]
    assert follow(DOCS / "tutorials" / "your-own-data.md", people) > 20
    assert len(Path("strict.csv").read_text().splitlines()) == 25
