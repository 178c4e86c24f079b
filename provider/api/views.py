"""The read API: data, coverage and reports of nodes, for consumers."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from coordinator.coverage import CoverageRange
from provider.api.negotiation import OursAlone, negotiate
from provider.api.reading import Selection, going_away, serve
from provider.api.windows import read_window
from provider.node_view import grid_of
from provider.planning import SeriesCoverage
from provider.reports import stored_report
from provider.requests import ReadRequest
from provider.seamless import measure
from registry.errors import InvalidInput, NotFound
from registry.models import Consumer, Node
from registry.permissions import MayRead
from registry.request_context import actor_of
from registry.services.resolution import readable_node, resolve

DATA_PARAMETERS = {"start", "end", "columns", "symbols", "format", "partial_ok"}
WINDOW_PARAMETERS = {"start", "end"}
FLAG_VALUES = {"true": True, "1": True, "false": False, "0": False}


class NodeView(APIView):
    """A view of one node that the calling consumer may read."""

    permission_classes = (MayRead,)
    content_negotiation_class = OursAlone

    def node(self, request: Request, node_id: str) -> tuple[Consumer, Node]:
        if not isinstance(request.user, Consumer):
            raise NotFound(f"There is no node {node_id!r} that you may read.")
        return request.user, readable_node(request.user, node_id)

    def read_request(
        self, request: Request, node_id: str, parameters: set[str]
    ) -> tuple[Consumer, ReadRequest]:
        consumer, node = self.node(request, node_id)
        query = _query(request, parameters)
        return consumer, ReadRequest(
            resolution=resolve(consumer, node),
            window=read_window(query.get("start"), query.get("end"), grid_of(node)),
            actor=actor_of(request),
            now=timezone.now(),
            partial_ok=_flag(query, "partial_ok"),
        )


class Data(NodeView):
    def get(self, request: Request, node_id: str) -> HttpResponse:
        consumer, read = self.read_request(request, node_id, DATA_PARAMETERS)
        query = request.query_params
        served = serve(
            consumer,
            read,
            Selection(columns=_names(query, "columns"), symbols=_names(query, "symbols")),
            negotiate(query.get("format"), request.headers.get("Accept", "")),
        )
        headers = served.headers | {"Vary": "Accept, Authorization", "Cache-Control": "private"}
        if served.headers["ETag"] in request.headers.get("If-None-Match", ""):
            return HttpResponse(status=304, headers=headers)
        return HttpResponse(served.body, content_type=served.content_type, headers=headers)


class Coverage(NodeView):
    """What a window holds and lacks per series; reading it fetches nothing."""

    def get(self, request: Request, node_id: str) -> Response:
        _, read = self.read_request(request, node_id, WINDOW_PARAMETERS)
        coverage = measure(read)
        return Response(
            {
                "node": read.node.node_id,
                "window": {
                    "start": read.window.start,
                    "end": read.window.end,
                    "first": _moment(read.window.start),
                    "last": _moment(read.window.end),
                },
                "coverage": round(coverage.ratio, 6),
                "expected_bars": coverage.expected_bars,
                "missing_bars": coverage.missing_bars,
                "series": [_series_json(one) for one in coverage.series],
            },
            headers=going_away(read),
        )


class Report(NodeView):
    def get(self, request: Request, node_id: str, digest: str) -> Response:
        _, node = self.node(request, node_id)
        found = stored_report(node, digest)
        return Response(
            found.report
            | {
                "digest": found.digest,
                "node": node.node_id,
                "regression": found.regression,
                "created_at": found.created_at,
            }
        )


def _series_json(one: SeriesCoverage) -> dict[str, Any]:
    return {
        "key": dict(one.key),
        "expected_bars": one.expected_bars,
        "missing_bars": one.missing_bars,
        "missing": [_range_json(run) for run in one.missing],
    }


def _range_json(run: CoverageRange) -> dict[str, Any]:
    return {
        "start": run.start,
        "end": run.end,
        "first": _moment(run.start),
        "last": _moment(run.end),
    }


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _query(request: Request, known: set[str]) -> Any:
    query = request.query_params
    if unknown := sorted(set(query) - known):
        raise InvalidInput(
            f"Unknown parameters {', '.join(unknown)[:200]}; there are {', '.join(sorted(known))}.",
            parameter=unknown[0][:60],
        )
    if doubled := [name for name in query if len(query.getlist(name)) > 1]:
        raise InvalidInput(f"The parameter {doubled[0]} is given twice.", parameter=doubled[0])
    return query


def _flag(query: Any, name: str) -> bool:
    text = query.get(name, "false").lower()
    if text not in FLAG_VALUES:
        raise InvalidInput(f"{name} is true or false, not {text[:60]!r}.", parameter=name)
    return FLAG_VALUES[text]


def _names(query: Any, name: str) -> tuple[str, ...] | None:
    if name not in query:
        return None
    names = tuple(part.strip() for part in query[name].split(",") if part.strip())
    if not names:
        raise InvalidInput(f"{name} is empty; leave it out for everything.", parameter=name)
    return names
