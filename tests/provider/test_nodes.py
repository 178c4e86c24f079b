"""Registering and changing nodes: what could not be read is refused before it is kept."""

from typing import Any

import pytest

from registry.errors import InvalidInput, NotAllowed, NotFound, SeamlessError
from registry.models import AuditEvent, Node
from registry.services import nodes
from tests.cast import NOW
from tests.provider.world import DAY, NODE, SYMBOLS, World

SERIES = [{"key": {"symbol": symbol}, "since": None} for symbol in SYMBOLS]


def register(world: World, **changes: Any) -> Node:
    fields: dict[str, Any] = {
        "node_id": "another",
        "subject": "market.ohlc",
        "interval": DAY,
        "series": SERIES,
        "store": {"type": "parquet"},
        "source": {},
    }
    return nodes.register_node(actor=world.cast.olive, now=NOW, **(fields | changes))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"store": {}}, "unknown_store"),
        ({"store": {"type": "parquet", "path": "/etc"}}, "wrong_store_settings"),
        ({"source": {"type": "nowhere"}}, "wrong_source_settings"),
        ({"source": {"type": "sample", "dataset": "x"}}, "wrong_source_settings"),
        ({"calendar": "NOWHERE"}, "wrong_node_settings"),
        ({"series": [{"key": {}}]}, "wrong_node_settings"),
        ({"series": [{"key": {"ticker": "A"}}]}, "wrong_node_settings"),
        ({"series": [SERIES[0], SERIES[0]]}, "wrong_node_settings"),
        ({"series": [{"symbol": "A"}]}, "invalid_input"),
        ({"interval": 0}, "invalid_input"),
        ({"sla": "none"}, "not_found"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_node_that_could_not_be_read_is_not_registered(
    world: World, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(SeamlessError) as caught:
        register(world, **changes)
    assert caught.value.code == code
    assert not Node.objects.filter(node_id="another").exists()


def test_a_changed_node_says_what_changed(world: World) -> None:
    nodes.change_node(
        actor=world.cast.olive, node_id=NODE, now=NOW, series=SERIES[:1], description="One symbol"
    )
    node = Node.objects.get(node_id=NODE)
    assert ([one["key"] for one in node.series], node.description) == (
        [{"symbol": "AAPL"}],
        "One symbol",
    )
    record = AuditEvent.objects.get(action="node.change")
    assert record.after == {"series": SERIES[:1], "description": "One symbol"}
    assert record.before == {"series": SERIES, "description": ""}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"interval": 60}, "'interval' of a node cannot be changed"),
        ({"store": {"type": "parquet"}}, "'store' of a node cannot be changed"),
        ({"calendar": "NOWHERE"}, "no exchange calendar"),
        ({"series": [{"key": {"ticker": "A"}}]}, "must name the key columns"),
    ],
)
def test_a_change_that_is_refused_changes_nothing(
    world: World, changes: dict[str, Any], says: str
) -> None:
    before = Node.objects.filter(node_id=NODE).values().get()
    with pytest.raises(InvalidInput, match=says):
        nodes.change_node(actor=world.cast.olive, node_id=NODE, now=NOW, **changes)
    assert Node.objects.filter(node_id=NODE).values().get() == before
    assert AuditEvent.objects.get(action="node.change").outcome == "refused"


def test_only_owners_of_the_subject_change_its_nodes(world: World) -> None:
    for actor in (world.cast.carl, world.cast.ravi, world.cast.stan, world.cast.ada):
        with pytest.raises(NotAllowed):
            nodes.change_node(actor=actor, node_id=NODE, now=NOW, description="mine")
    with pytest.raises(NotFound):
        nodes.change_node(actor=world.cast.olive, node_id="none", now=NOW, description="mine")
