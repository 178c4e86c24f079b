"""The check of a node's settings, before the registry keeps them."""

from coordinator.calendars import UnknownCalendar, check_calendar
from provider.live.feed import open_live
from provider.sources import InvalidSourceSettings, open_source
from provider.stores.opening import open_store_of, source_environment
from registry.errors import InvalidInput
from registry.frame import Frame
from registry.node_settings import NodeSettings


class WrongNodeSettings(InvalidInput):
    code = "wrong_node_settings"
    title = "Wrong node settings"


class WrongSourceSettings(InvalidInput):
    code = "wrong_source_settings"
    title = "Wrong source settings"


class WrongLiveSettings(InvalidInput):
    code = "wrong_live_settings"
    title = "Wrong live settings"


def check_settings(node: NodeSettings) -> None:
    """Open the store, the source and the live feed, which touches nothing yet, and look up the
    calendar.

    Raises UnknownStore, WrongStoreSettings, WrongSourceSettings, WrongLiveSettings and
    WrongNodeSettings.
    """
    _check_calendar(node)
    _check_series(node)
    open_store_of(node.store, node.node_id, node.frame or Frame())
    _check_source(node)
    _check_live(node)


def _check_source(node: NodeSettings) -> None:
    try:
        if node.source:
            open_source(node.source, source_environment())
    except InvalidSourceSettings as wrong:
        raise WrongSourceSettings(
            f"The source of {node.node_id}: {wrong}.", setting=wrong.key
        ) from None


def _check_live(node: NodeSettings) -> None:
    try:
        if node.live:
            open_live(node.live, source_environment())
    except InvalidSourceSettings as wrong:
        raise WrongLiveSettings(
            f"The live feed of {node.node_id}: {wrong.key!r} {wrong.reason}.", setting=wrong.key
        ) from None


def _check_calendar(node: NodeSettings) -> None:
    try:
        if node.calendar:
            check_calendar(node.calendar)
    except UnknownCalendar as unknown:
        raise WrongNodeSettings(f"{node.node_id}: {unknown}.", setting="calendar") from None


def _check_series(node: NodeSettings) -> None:
    """Every expected series names exactly the key columns of the schema, and none comes twice."""
    keys = [dict(one["key"]) for one in node.series]
    for key in keys:
        if node.frame is not None and set(key) != set(node.frame.key):
            wanted = ", ".join(node.frame.key) or "no column: the schema has no key"
            raise WrongNodeSettings(
                f"The series {key} of {node.node_id} must name the key columns of the schema: "
                f"{wanted}.",
                setting="series",
            )
        if keys.count(key) > 1:
            raise WrongNodeSettings(
                f"The series {key} of {node.node_id} is named twice.", setting="series"
            )
