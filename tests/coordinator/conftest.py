from collections.abc import Iterator

import pytest
from pytest_django import Settings

from coordinator.ports import set_gap_finder, set_shard_handler_factory
from registry.actors import Actor
from tests.coordinator.backfills import (
    House,
    TinyHandler,
    create_pointer_table,
    make_node,
    make_operator,
    make_version,
)
from tests.databases import CommittedDatabase


@pytest.fixture
def house(db: None) -> House:
    """In one transaction that is rolled back."""
    return _built()


@pytest.fixture
def committed_house(committed_db: CommittedDatabase) -> House:
    """In a database of its own, where threads and other processes see it."""
    return _built()


def _built() -> House:
    create_pointer_table()
    version = make_version()
    return House(version=version, node=make_node(version))


@pytest.fixture
def oscar(house: House) -> Actor:
    """Runs the backfills of the house."""
    return make_operator()


@pytest.fixture
def handler() -> Iterator[TinyHandler]:
    """The one handler of every node, for this test."""
    from coordinator import ports

    before, tiny = ports._factories.get("source"), TinyHandler()
    set_shard_handler_factory(lambda node: tiny)
    yield tiny
    set_shard_handler_factory(before)


@pytest.fixture
def sourced(house: House, settings: Settings) -> Iterator[House]:
    """The house with a source, shards of five bars, and a storage that lacks everything."""
    from coordinator import ports

    settings.SEAMLESS_SHARD_BARS = 5
    house.node.source = {"type": "sample", "dataset": "stocks"}
    house.node.save()
    before = ports._find_gaps
    set_gap_finder(None)
    yield house
    set_gap_finder(before)
