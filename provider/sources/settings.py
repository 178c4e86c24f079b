"""What is wrong with the settings of a source, and how it is found out."""

from collections.abc import Collection, Mapping
from typing import Any


class InvalidSourceSettings(ValueError):
    """The settings of a source: `key` is where, `reason` is what is wrong."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"source settings: {key!r} {reason}")
        self.key = key
        self.reason = reason


def refuse_unknown(settings: Mapping[str, Any], known: Collection[str]) -> None:
    """Raises InvalidSourceSettings for a key that is none."""
    for key in settings:
        if key not in known:
            raise InvalidSourceSettings(key, f"is unknown; there are {', '.join(sorted(known))}")


def required_text(settings: Mapping[str, Any], key: str) -> str:
    """Raises InvalidSourceSettings where it is missing, empty or no text."""
    found = settings.get(key)
    if not isinstance(found, str) or not found:
        raise InvalidSourceSettings(key, "is missing or no text")
    return found


def optional_text(settings: Mapping[str, Any], key: str) -> str | None:
    """None where it is not given; raises InvalidSourceSettings where it is no text."""
    found = settings.get(key)
    if found is not None and not isinstance(found, str):
        raise InvalidSourceSettings(key, "is no text")
    return found


def unit_of_time(settings: Mapping[str, Any]) -> str | None:
    """What integers in the time column count; None: they are no integers."""
    units = ("s", "ms", "us", "ns")
    return None if settings.get("unit") is None else one_of(settings, "unit", units, "s")


def texts(settings: Mapping[str, Any], key: str) -> dict[str, str]:
    """An object of texts, empty where it is not given. Raises InvalidSourceSettings."""
    found = settings.get(key) or {}
    if not isinstance(found, dict) or not all(isinstance(item, str) for item in found.values()):
        raise InvalidSourceSettings(key, "must be an object of texts")
    return found


def one_of(settings: Mapping[str, Any], key: str, allowed: Collection[str], default: str) -> str:
    found = settings.get(key, default)
    if found not in allowed:
        raise InvalidSourceSettings(key, f"must be {' or '.join(sorted(allowed))}")
    return str(found)


def whole_number(
    settings: Mapping[str, Any], key: str, default: int, *, least: int, most: int
) -> int:
    found = settings.get(key, default)
    if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
        raise InvalidSourceSettings(key, f"must be a whole number from {least} to {most}")
    return found
