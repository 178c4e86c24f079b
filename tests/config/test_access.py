"""Default deny, from the first endpoint: every address is walked with nobody's credentials."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.views import APIView

# The only addresses that answer nobody in particular: liveness and readiness.
OPEN = {"livez", "readyz", "healthz"}
# And what opens by a secret in the address alone (`test_audit_links.py`).
BY_LINK = {"api/v1/audit/links/<str:secret>"}
SAMPLES = {"int": "1", "str": "x"}


def api_views() -> Iterator[tuple[str, type[APIView]]]:
    for pattern, callback in walk(get_resolver().url_patterns, ""):
        view = getattr(callback, "cls", None)
        if view is not None and issubclass(view, APIView):
            yield pattern, view


def walk(patterns: list[Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for item in patterns:
        here = prefix + str(item.pattern)
        if isinstance(item, URLResolver):
            if not here.startswith("admin"):
                yield from walk(item.url_patterns, here)
        elif isinstance(item, URLPattern):
            yield here, item.callback


def test_the_default_permission_admits_nobody() -> None:
    assert settings.REST_FRAMEWORK["DEFAULT_PERMISSION_CLASSES"] == ["registry.permissions.Denied"]


def test_every_view_names_a_permission_of_its_own() -> None:
    views = list(api_views())
    assert len(views) > 25
    for pattern, view in views:
        named = "permission_classes" in vars(view) or any(
            "permission_classes" in vars(base) for base in view.__mro__[1:-3] if base is not APIView
        )
        assert named or "get_permissions" in vars(view), pattern
        if pattern not in OPEN | BY_LINK:
            assert not set(view.permission_classes) & {AllowAny, IsAuthenticated}, pattern


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_without_credentials_every_address_is_refused(method: str) -> None:
    client = Client(raise_request_exception=False)
    for pattern, _ in api_views():
        if pattern in OPEN | BY_LINK:
            continue
        path = "/" + concrete(pattern)
        answer = getattr(client, method)(path)
        assert answer.status_code == 401, (method, path, answer.status_code)
        assert answer["Content-Type"] == "application/problem+json"


def concrete(pattern: str) -> str:
    """An address that the pattern matches."""
    path = pattern.replace("^", "").replace("$", "")
    for group in ("(?P<node_id>.+)", "(?P<digest>sha256:[0-9a-f]{64})"):
        path = path.replace(group, "x" if "node" in group else "sha256:" + "0" * 64)
    while "<" in path:
        head, _, rest = path.partition("<")
        kind, _, tail = rest.partition(">")
        path = head + SAMPLES[kind.partition(":")[0]] + tail
    return path


@pytest.mark.django_db
def test_liveness_and_readiness_need_no_credentials_and_tell_no_names() -> None:
    client = Client()
    assert client.get("/livez").content == b"ok\n"
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert set(ready.json()) == {
        "status",
        "database",
        "redis",
        "audit_seal",
        "coordinator_mode",
    }


@pytest.mark.django_db
def test_an_unknown_address_is_a_problem_document() -> None:
    answer = Client().get("/api/v2/nothing")
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.django_db
def test_scripts_are_strict_everywhere_but_in_the_admin() -> None:
    client = Client()
    strict = client.get("/livez")["Content-Security-Policy"]
    relaxed = client.get("/admin/login/")["Content-Security-Policy"]
    assert "unsafe-eval" not in strict
    assert "unsafe-eval" in relaxed
    assert "frame-ancestors 'none'" in strict
