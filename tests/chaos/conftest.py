import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator import ports
from tests.chaos.arena import EVERYTHING, SIZE, Arena, create_table
from tests.coordinator.backfills import House, make_node, make_version
from tests.databases import CommittedDatabase, test_folder

# What CI runs; all of it runs with SEAMLESS_CHAOS=all (`make chaos`).
IN_CI = {
    "postgres": {"f1", "f2", "f3", "f4", "f5", "f11", "f13", "f16"},
    "sqlite": {"f1", "f3", "f5"},
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.stack)
        item.add_marker(pytest.mark.chaos)
    if EVERYTHING:
        return
    chosen = IN_CI[config.getoption("--database")]
    left = {id(item) for item in ours if item.name.split("_")[1] not in chosen}
    config.hook.pytest_deselected(items=[item for item in items if id(item) in left])
    items[:] = [item for item in items if id(item) not in left]


@pytest.fixture
def arena(
    committed_db: CommittedDatabase,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Arena]:
    """Its parameter, where a test gives one, is how durable Redis is."""
    settings.SEAMLESS_SHARD_BARS = SIZE.bars
    create_table()
    version = make_version()
    folder = Path(tempfile.mkdtemp(prefix="arena-", dir=test_folder()))
    options = {"persistence": request.param} if hasattr(request, "param") else {}
    house = House(version=version, node=make_node(version))
    arena = Arena(folder, committed_db.url, house, **options)
    settings.REDIS_URL = arena.redis_url
    monkeypatch.setenv("SEAMLESS_CHAOS_FOLDER", str(folder))
    from tests.chaos.worker_side import ArmedHandler  # needs the folder's name when imported

    before = ports._factories.get("source")
    ports.set_shard_handler_factory(lambda node: ArmedHandler())  # this process runs shards too
    yield arena
    ports.set_shard_handler_factory(before)
    arena.close()
