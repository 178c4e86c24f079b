"""What `manage.py health_check` asks, and what it makes of the answers; no database involved."""

import json
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlencode

from coordinator.lease_url import ServiceAddress

HEALTHY = frozenset({"ok", "healthy", "pass"})
HEALTH_PATH = "/healthz"


def missing_variables(names: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    return [f"Missing environment variable {name}" for name in names if not environ.get(name)]


def coordinator_problems(url: str, *, path: str, timeout: float) -> list[str]:
    """Healthy is a 2xx answer, no redirect, with a `status` that says so (or without any body)."""
    try:
        address = ServiceAddress(url, timeout=timeout)
    except ValueError as error:
        return [f"Coordinator URL cannot be used: {error}"]
    try:
        body = address.get(path)
    except HTTPError as error:
        error.close()
        return [f"Coordinator {address.name}{path} answered {error.code}"]
    except (OSError, HTTPException) as error:
        return [f"Coordinator {address.name} cannot be reached: {error}"]
    status = _status(body)
    return [] if status in HEALTHY else [f"Coordinator {address.name} is {status!r}, not healthy"]


def metric_problems(url: str, metrics: Sequence[str], *, timeout: float) -> list[str]:
    """Every metric must have a series in this Prometheus."""
    try:
        address = ServiceAddress(url, timeout=timeout)
    except ValueError as error:
        return [f"Prometheus URL cannot be used: {error}"]
    problems = []
    for metric in metrics:
        try:
            found = json.loads(address.get(f"/api/v1/query?{urlencode({'query': metric})}"))
            series = found["data"]["result"]
        except HTTPError as error:
            error.close()
            problems.append(f"Prometheus {address.name} answered {error.code} for {metric}")
        except (OSError, HTTPException) as error:
            problems.append(f"Prometheus {address.name} cannot be reached: {error}")
        except (ValueError, LookupError, TypeError):
            problems.append(f"Prometheus {address.name} answered no result for {metric}")
        else:
            problems += [] if series else [f"Missing series {metric}"]
    return problems


def _status(body: bytes) -> str:
    """The `status` of a JSON object, else the text itself; an empty answer is plain success."""
    if not body.strip():
        return "ok"
    try:
        told = json.loads(body)
    except ValueError:
        told = body.decode(errors="replace")
    status = told.get("status") if isinstance(told, dict) else told
    return str(status).strip().lower()
