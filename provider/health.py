"""Whether reads can be served: where bars lie, and what the nodes' settings name."""

import os
from collections.abc import Iterator

import adbc_driver_manager
from django.conf import settings

from provider.live.feed import live_feed_of
from provider.sources import InvalidSourceSettings
from provider.stores.connections import connections_to
from provider.stores.opening import open_store, source_of
from registry.errors import SeamlessError
from registry.frame import Frame
from registry.health import Finding, asked
from registry.models import Node


def provider_findings() -> Iterator[Finding]:
    yield _bars_directory()
    for name, url in sorted(settings.SEAMLESS_STORE_DATABASES.items()):
        yield _store_database(name, url)
    yield asked("nodes", _nodes)


def _bars_directory() -> Finding:
    directory = settings.SEAMLESS_BARS_DIR
    existing = next(place for place in (directory, *directory.parents) if place.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        return Finding(
            "bars directory",
            "failed",
            f"{existing} cannot be written",
            "Give this account the right to write there, or set SEAMLESS_BARS_DIR.",
        )
    return Finding("bars directory", "ok", str(directory))


def _store_database(name: str, url: str) -> Finding:
    title = f"store database {name}"
    try:
        with connections_to(url).borrowed() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchall()
    except adbc_driver_manager.Error as error:
        first = str(error).strip().splitlines()[0]
        fix = "Start it, or correct its address in SEAMLESS_STORE_DATABASES."
        return Finding(title, "failed", first, fix)
    return Finding(title, "ok", "answers")


def _nodes() -> Finding:
    wrong = []
    nodes = Node.objects.order_by("node_id")
    for node in nodes.iterator():
        try:
            open_store(node, Frame())
            source_of(node)
        except SeamlessError as error:
            wrong.append(error.detail)
        except InvalidSourceSettings as error:
            wrong.append(f"The source of {node.node_id}: {error}.")
        try:
            live_feed_of(node)
        except InvalidSourceSettings as error:
            wrong.append(f"The live feed of {node.node_id}: {error.key!r} {error.reason}.")
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        fix = "manage.py node change, or set what the settings name."
        return Finding("nodes", "failed", " ".join(wrong[:3]) + more, fix)
    return Finding("nodes", "ok", f"{nodes.count()} nodes: their settings hold")
