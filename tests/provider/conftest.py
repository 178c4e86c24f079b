from pathlib import Path
from typing import Any

import pytest

from tests.databases import CommittedDatabase
from tests.provider.world import World, build_world


@pytest.fixture
def own_storage(tmp_path: Path, settings: Any) -> None:
    """Bars of this test alone; what happens behind an answer happens before it returns."""
    settings.SEAMLESS_BARS_DIR = tmp_path / "bars"
    settings.SEAMLESS_CANARY_THREADS = 0


@pytest.fixture(autouse=True)
def _own_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pool and cache are made on first use, with the settings of that moment."""
    monkeypatch.setattr("provider.canary._pool", None)
    monkeypatch.setattr("provider.seamless._cache", None)


@pytest.fixture
def world(db: None, own_storage: None) -> World:
    return build_world()


@pytest.fixture
def committed_world(committed_db: CommittedDatabase, own_storage: None) -> World:
    """For reads that backfill: other threads and processes see what was written."""
    return build_world(source={"type": "sample", "dataset": "stocks"})
