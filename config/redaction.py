"""What no log line may hold, taken out of every one just before it is written.

Values under a name that says "secret", and in any text: our tokens, `Authorization` credentials and
the passwords of addresses (`redis://:…@host`). Values of sensitive columns are not logged to begin
with: findings are logged as counts.
"""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

REDACTED = "[redacted]"

_SECRET_NAME = re.compile(
    r"(^|_)(password|passwd|secret|token|authorization|cookie|credentials?|private_key|api_key)$",
    re.IGNORECASE,
)
_SECRET_TEXTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"smls_([0-9a-f]{12})_[A-Za-z0-9_-]{43}"), rf"smls_\1_{REDACTED}"),
    (re.compile(r"\b(Bearer|Basic) +[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {REDACTED}"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@"), rf"\1:{REDACTED}@"),
)


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor, after exceptions became text and before the line is rendered."""
    for name in event:
        event[name] = _clean(name, event[name])
    return event


def _clean(name: str, value: Any) -> Any:
    if value and _SECRET_NAME.search(name):
        return REDACTED
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {inner: _clean(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean("", item) for item in value]
    return value if isinstance(value, int | float | bool | None) else clean_text(str(value))


def clean_text(text: str) -> str:
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text)
    return text
