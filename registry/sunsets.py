"""How an answer says that what it stands on goes away: RFC 9745 and RFC 8594."""

from datetime import UTC, datetime
from email.utils import format_datetime


def sunset_headers(deprecated_at: datetime | None, sunset_at: datetime | None) -> dict[str, str]:
    """`Deprecation: @<unix seconds>` and `Sunset: <HTTP date>`; none where nothing goes away."""
    headers = {}
    if deprecated_at is not None:
        headers["Deprecation"] = f"@{int(deprecated_at.timestamp())}"
    if sunset_at is not None:
        headers["Sunset"] = format_datetime(sunset_at.astimezone(UTC), usegmt=True)
    return headers
