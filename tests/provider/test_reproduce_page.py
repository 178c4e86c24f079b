"""The page on reproducing a read, run as it stands on a fresh house."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from demo.house import build_house
from provider.models import Artifact
from registry.models import Proposal
from tests.databases import CommittedDatabase
from tests.provider.pages import DOCS, follow
from tests.provider.test_roll_out_page import number_from_one


@pytest.fixture
def people(committed_db: CommittedDatabase, own_storage: None) -> dict[str, str]:
    number_from_one(Proposal)
    return {name.upper(): person.token for name, person in build_house(timezone.now()).items()}


def test_a_window_is_published_corrected_and_read_as_it_was(
    people: dict[str, str], tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEAMLESS_TOKEN", "")
    settings.SEAMLESS_PARQUET_ROOTS = [str(tmp_path)]
    ran = follow(DOCS / "how-to" / "reproduce-a-read.md", people, same=without_addresses)
    assert (ran, Artifact.objects.count()) == (26, 2)


def without_addresses(text: str) -> str:
    """The bytes of a Parquet file depend on the build that wrote them."""
    return re.sub(r"sha256:[0-9a-f]{64}", "sha256:…", text.strip())
