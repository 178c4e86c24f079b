"""Instants as callers write them: epoch seconds or RFC 3339, whole seconds, always with a zone."""

import re
from datetime import UTC, datetime

from registry.errors import InvalidInput

_SECONDS = re.compile(r"-?[0-9]{1,12}")
EARLIEST = -62_135_596_800  # 0001-01-01
LATEST = 253_402_300_799  # 9999-12-31


def read_instant(name: str, text: str | None) -> int:
    """Epoch seconds. Raises InvalidInput, which names the parameter."""
    if text is None or not text.strip():
        raise InvalidInput(f"The parameter {name} is missing.", parameter=name)
    text = text.strip()
    seconds = int(text) if _SECONDS.fullmatch(text) else _rfc3339(name, text)
    if not EARLIEST <= seconds <= LATEST:
        raise InvalidInput(f"{name} must lie in the years 1 to 9999.", parameter=name)
    return seconds


def _rfc3339(name: str, text: str) -> int:
    # A "+" of an offset arrives as a space unless the caller escaped it.
    candidate = re.sub(r" (\d\d:\d\d)$", r"+\1", text)
    try:
        moment = datetime.fromisoformat(candidate)
    except ValueError:
        raise InvalidInput(
            f"{name} is neither epoch seconds nor RFC 3339: {text[:60]!r}.", parameter=name
        ) from None
    if moment.tzinfo is None and len(text) == len("2026-01-01"):
        moment = moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        raise InvalidInput(
            f"{name} has no zone; write 2026-01-01T00:00:00Z or an offset.", parameter=name
        )
    if moment.microsecond:
        raise InvalidInput(f"{name} is in whole seconds, not {text[:60]!r}.", parameter=name)
    return int(moment.timestamp())
