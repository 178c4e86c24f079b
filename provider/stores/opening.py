"""From a node's settings to its store and its source."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from django.conf import settings

from provider.sources import Source, SourceEnvironment, open_source
from provider.stores.parquet import ParquetStore, directory_name
from provider.stores.postgres import PostgresStore
from provider.stores.protocol import Store
from provider.stores.questdb import QuestDBStore
from registry.errors import InvalidInput
from registry.frame import Frame
from registry.models import Node

ENTRY_POINTS = "seamless.stores"

# (settings of the store without its type, node id, frame) -> the store; ValueError names the fault.
StoreFactory = Callable[[Mapping[str, Any], str, Frame], Store]


class UnknownStore(InvalidInput):
    code = "unknown_store"
    title = "Unknown store"


class WrongStoreSettings(InvalidInput):
    code = "wrong_store_settings"
    title = "Wrong store settings"


def open_store(node: Node, frame: Frame) -> Store:
    """The store that the node's settings name; `frame` says which column is its time.

    Raises UnknownStore and WrongStoreSettings.
    """
    return open_store_of(node.store, node.node_id, frame)


def open_store_of(store: Mapping[str, Any], node_id: str, frame: Frame) -> Store:
    """`open_store` for settings that no node has yet."""
    kind = store.get("type")
    factory = store_types().get(kind) if isinstance(kind, str) else None
    if factory is None:
        known = ", ".join(sorted(store_types()))
        raise UnknownStore(f"{node_id} has the store type {kind!r}; there are {known}.")
    rest = {name: value for name, value in store.items() if name != "type"}
    try:
        return factory(rest, node_id, frame)
    except ValueError as error:
        raise WrongStoreSettings(f"The store of {node_id}: {error}.") from None


def source_of(node: Node) -> Source | None:
    """What a backfill of the node fetches from; None where the node has no source."""
    return open_source(node.source, source_environment()) if node.source else None


def source_environment() -> SourceEnvironment:
    """What this installation's sources may reach."""
    return SourceEnvironment(
        hosts=frozenset(settings.SEAMLESS_SOURCE_HOSTS),
        folders=tuple(Path(folder) for folder in settings.SEAMLESS_SOURCE_FOLDERS),
        secrets=settings.SEAMLESS_SOURCE_SECRETS,
        servers=settings.SEAMLESS_LIVE_SERVERS,
    )


@cache
def store_types() -> Mapping[str, StoreFactory]:
    """Ours, and those that installed packages register under `seamless.stores`."""
    others = {point.name: point.load() for point in entry_points(group=ENTRY_POINTS)}
    return others | {"parquet": _parquet, "postgresql": _postgresql, "questdb": _questdb}


def _parquet(options: Mapping[str, Any], node_id: str, frame: Frame) -> Store:
    """`path`: a directory of yours below one that SEAMLESS_PARQUET_ROOTS names; default: ours."""
    _know(options, ("path",))
    directory = settings.SEAMLESS_BARS_DIR / directory_name(node_id)
    if "path" in options:
        directory = _allowed_directory(options["path"])
    return ParquetStore(directory, time=frame.time, unit=frame.unit)


def _allowed_directory(path: Any) -> Path:
    if not isinstance(path, str) or not path:
        raise ValueError("`path` is a directory's path")
    directory = Path(path).resolve()
    roots = [Path(root).resolve() for root in settings.SEAMLESS_PARQUET_ROOTS]
    if not any(root in directory.parents for root in roots):
        raise ValueError(
            "`path` lies outside the directories that SEAMLESS_PARQUET_ROOTS names "
            f"({'there are ' + str(len(roots)) if roots else 'none yet'})"
        )
    return directory


def _postgresql(options: Mapping[str, Any], node_id: str, frame: Frame) -> Store:
    url, table = _database_and_table(options)
    return PostgresStore(url, table, time=frame.time, unit=frame.unit)


def _questdb(options: Mapping[str, Any], node_id: str, frame: Frame) -> Store:
    url, table = _database_and_table(options)
    return QuestDBStore(url, table, time=frame.time, unit=frame.unit)


def _database_and_table(options: Mapping[str, Any]) -> tuple[str, str]:
    """`database` is a name: its address, with a password perhaps, is the operator's to know."""
    _know(options, ("database", "table"))
    database, table = options.get("database"), options.get("table")
    url = settings.SEAMLESS_STORE_DATABASES.get(str(database))
    if url is None:
        known = ", ".join(sorted(settings.SEAMLESS_STORE_DATABASES)) or "none yet"
        raise ValueError(
            f"the database {database!r} is not one that SEAMLESS_STORE_DATABASES names ({known})"
        )
    if not isinstance(table, str):
        raise ValueError("`table` is a table's name, with its schema where it has one")
    return url, table


def _know(options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"{unknown[0]!r} is no setting of it; there are {', '.join(known) or 'none'}"
        )
