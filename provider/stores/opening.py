"""From a node's settings to its store and its source."""

from django.conf import settings

from provider.sources import Source, open_source
from provider.stores.parquet import ParquetStore
from registry.errors import InvalidInput
from registry.frame import Frame
from registry.models import Node


class UnknownStore(InvalidInput):
    code = "unknown_store"
    title = "Unknown store"


def open_store(node: Node, frame: Frame) -> ParquetStore:
    """The store that the node's settings name; `frame` says which column is its time."""
    kind = node.store.get("type")
    if kind != "parquet":
        raise UnknownStore(f"{node.node_id} has store type {kind!r}; this build knows 'parquet'.")
    return ParquetStore(settings.SEAMLESS_BARS_DIR, node.node_id, time=frame.time, unit=frame.unit)


def source_of(node: Node) -> Source | None:
    """What a backfill of the node fetches from; None where the node has no source."""
    return open_source(node.source) if node.source else None
