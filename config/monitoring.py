"""Liveness, readiness and metrics of one process."""

import os
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import permission_denied
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from rest_framework.request import Request
from rest_framework.views import APIView

from config.metric_reference import scrape_collectors
from coordinator.mode import Mode, coordinator_mode
from registry.denials import record_denial
from registry.health import asked, audit_seal
from registry.permissions import MayScrape
from registry.problems import crashed as crashed_problem
from registry.problems import problem


def livez(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> JsonResponse:
    """Each dependency's state. 503 only without the database: without Redis we are `degraded`."""
    mode = coordinator_mode()
    there = mode is not Mode.LOCAL
    body = {
        "status": "ok" if mode is Mode.FULL else mode,
        "database": "up" if there else "down",
        "redis": "up" if mode is Mode.FULL else "down" if there else "unknown",
        "audit_seal": asked("audit seal", audit_seal).state if there else "unknown",
        "coordinator_mode": mode,
    }
    return JsonResponse(body, status=200 if there else 503)


class Metrics(APIView):
    """Prometheus text of every process of this installation (scope `metrics`)."""

    permission_classes = (MayScrape,)

    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(generate_latest(_collectors()), content_type=CONTENT_TYPE_LATEST)


def _collectors() -> CollectorRegistry:
    from prometheus_client import REGISTRY

    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        gathered: Any = REGISTRY
    else:
        gathered = CollectorRegistry()
        MultiProcessCollector(gathered)
    merged = CollectorRegistry()
    for collector in scrape_collectors():  # first: they count what they leave out
        merged.register(collector)
    merged.register(gathered)
    return merged


def denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A page (of the admin) that the signed-in person may not see or use."""
    record_denial(request, str(exception) or "This page is not open to this person.")
    return permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem(
        request,
        status=404,
        code="not_found",
        title="Not found",
        detail=f"There is nothing at {request.path}.",
    )


def crashed(request: HttpRequest) -> HttpResponse:
    return crashed_problem(request)
