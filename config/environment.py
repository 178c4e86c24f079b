"""Typed readers of environment variables: a bad value stops the start-up and names itself."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 10,
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA recursive_triggers=ON;"
    ),
}


def read_text(name: str, default: str) -> str:
    return os.environ.get(name, "") or default


def read_int(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {text!r}") from None


def read_float(name: str, default: float) -> float:
    text = os.environ.get(name, "")
    if not text:
        return default
    try:
        return float(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, not {text!r}") from None


def read_flag(name: str, default: bool) -> bool:
    text = os.environ.get(name, "").lower()
    if not text:
        return default
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} must be 1 or 0 (true or false), not {text!r}")


def read_list(name: str, default: list[str]) -> list[str]:
    text = os.environ.get(name, "")
    return [item.strip() for item in text.split(",") if item.strip()] if text else default


def read_addresses(name: str) -> Mapping[str, str]:
    """A JSON object of names and addresses: `{"warehouse": "postgresql://…"}`. Not echoed."""
    wrong = f'{name} must be a JSON object of names and addresses: {{"name": "postgresql://…"}}'
    try:
        found = json.loads(os.environ.get(name, "") or "{}")
    except ValueError:
        raise ImproperlyConfigured(wrong) from None
    if not isinstance(found, dict) or not all(isinstance(item, str) for item in found.values()):
        raise ImproperlyConfigured(wrong)
    return found


def read_database(name: str, default: str) -> Mapping[str, Any]:
    """`sqlite:///path` or `postgresql://user:password@host:port/name?host=/socket/folder`."""
    url = read_text(name, default)
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        path = unquote(parts.path.removeprefix("/"))
        if not path:
            raise ImproperlyConfigured(f"{name} needs a file: sqlite:///relative or sqlite:////abs")
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(Path(path).absolute()),
            "OPTIONS": dict(SQLITE_OPTIONS),
        }
    if parts.scheme in {"postgres", "postgresql"}:
        return _postgres(parts)
    raise ImproperlyConfigured(f"{name} must start with sqlite:/// or postgresql://, not {url!r}")


def _postgres(parts: Any) -> Mapping[str, Any]:
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "postgres",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        # A socket folder stands in the query: urlsplit lower-cases what stands in the host part.
        "HOST": options.pop("host", parts.hostname or ""),
        "PORT": str(parts.port or options.pop("port", "")),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5, **options},
    }


def celery_broker(redis_url: str) -> str:
    """Celery writes a socket as `redis+socket://`, redis-py as `unix://`; ours is redis-py's."""
    return redis_url.replace("unix://", "redis+socket://", 1)
