"""Which records a person asks for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Records that match every given field; nothing given: all of them.

    since <= at < until. `actor` is a person's or program's name, `object` either `type` or
    `type:id`, `consumer` what was done by, to or for a consumer.
    """

    since: datetime | None = None
    until: datetime | None = None
    actor: str = ""
    action: str = ""
    object: str = ""
    outcome: str = ""
    consumer: str = ""
    request_id: str = ""
    correlation_id: str = ""

    def given(self) -> dict[str, str]:
        """The fields that select, as JSON texts; empty where everything is asked for."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(self).items()
            if value
        }

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Selection":
        """From what `given` wrote. ValueError for an unknown field or a time that is none."""
        unknown = sorted(set(given) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"records are not selected by {', '.join(unknown)}")
        times = {name: _instant(name, given[name]) for name in ("since", "until") if name in given}
        return cls(**{**given, **times})


EVERYTHING = Selection()


def _instant(name: str, text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.utcoffset() is None:
        raise ValueError(f"{name} needs a time zone, as in 2026-01-31T00:00:00Z")
    return at
