"""The read API: data of nodes for consumers, and what can be said of it without fetching."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from coordinator.coverage import CoverageRange, Window
from provider.api.encoding import chosen_coding
from provider.api.headers import going_away
from provider.api.large import serve_large
from provider.api.negotiation import OursAlone, negotiate
from provider.api.parameters import checked_query, count, flag, names
from provider.api.reading import Question, serve
from provider.api.selecting import Page, Selection, question_of, read_cursor
from provider.api.windows import read_window
from provider.domains import bound_to_artifact
from provider.exporting import is_large
from provider.node_view import grid_of
from provider.planning import SeriesCoverage
from provider.requests import ReadRequest, Strategy
from provider.seamless import measure
from provider.viewpoint import ExecutionDomain, checked_world, read_domain, read_moment
from registry.errors import NotFound
from registry.models import Consumer, Node
from registry.permissions import MayRead
from registry.request_context import actor_of
from registry.services.resolution import readable_node, resolve

DATA_PARAMETERS = {
    *("start", "end", "columns", "symbols", "format"),
    *("partial_ok", "flags", "cursor", "limit"),
    *("domain", "world", "as_of"),
}
WINDOW_PARAMETERS = {"start", "end"}
MAX_LIMIT = 1_000_000
_CHUNK = 1 << 20


class NodeView(APIView):
    """A view of one node that the calling consumer may read."""

    permission_classes = (MayRead,)
    content_negotiation_class = OursAlone

    def node(self, request: Request, node_id: str) -> tuple[Consumer, Node]:
        if not isinstance(request.user, Consumer):
            raise NotFound(f"There is no node {node_id!r} that you may read.")
        return request.user, readable_node(request.user, node_id)

    def read_request(
        self,
        request: Request,
        node_id: str,
        parameters: set[str],
        *,
        partial_ok: bool | None = None,
        strategy: Strategy = Strategy.SEAMLESS,
    ) -> tuple[Consumer, ReadRequest]:
        consumer, node = self.node(request, node_id)
        query = checked_query(request.query_params, parameters)
        window = read_window(query.get("start"), query.get("end"), grid_of(node))
        return consumer, ReadRequest(
            resolution=resolve(consumer, node, (window.start, window.end)),
            window=window,
            actor=actor_of(request),
            now=timezone.now(),
            partial_ok=flag(query, "partial_ok") if partial_ok is None else partial_ok,
            strategy=strategy,
            domain=read_domain(query.get("domain", ExecutionDomain.LIVE)),
            world=checked_world(query.get("world", "")),
            as_of=read_moment(query["as_of"]) if "as_of" in query else None,
        )


class Data(NodeView):
    """The rows of a window, checked. HEAD says what GET would of what is stored already."""

    def get(self, request: Request, node_id: str) -> HttpResponseBase:
        return self._answer(request, node_id, Strategy.SEAMLESS)

    def head(self, request: Request, node_id: str) -> HttpResponseBase:
        answer = self._answer(request, node_id, Strategy.FAIL_FAST)
        if isinstance(answer, HttpResponse):
            answer["Content-Length"] = str(len(answer.content))
            answer.content = b""
        elif isinstance(answer, StreamingHttpResponse):
            answer.close()
            answer.streaming_content = ()
        return answer

    def _answer(self, request: Request, node_id: str, strategy: Strategy) -> HttpResponseBase:
        question = self._question(request, node_id, strategy)
        served = serve_large(question) if is_large(question.request) else serve(question)
        headers = served.headers | {
            "Vary": "Accept, Accept-Encoding, Authorization",
            "Cache-Control": "private",
        }
        if cursor := served.headers.get("Seamless-Next-Cursor"):
            query = request.query_params.copy()
            query["cursor"] = cursor
            headers["Link"] = f'<{request.path}?{query.urlencode()}>; rel="next"'
        if served.body is None:
            return HttpResponse(status=304, headers=headers)
        if isinstance(served.body, bytes):
            return HttpResponse(served.body, content_type=served.content_type, headers=headers)
        chunks = _Chunks(served.body)
        return StreamingHttpResponse(chunks, content_type=served.content_type, headers=headers)

    def _question(self, request: Request, node_id: str, strategy: Strategy) -> Question:
        consumer, read = self.read_request(request, node_id, DATA_PARAMETERS, strategy=strategy)
        read = bound_to_artifact(read)
        query = checked_query(request.query_params, DATA_PARAMETERS)
        selection = Selection(
            columns=names(query, "columns"),
            symbols=names(query, "symbols"),
            flags=flag(query, "flags"),
        )
        identity = question_of(consumer.pk, read, selection)
        representation = negotiate(query.get("format"), request.headers.get("Accept", ""))
        accepted = request.headers.get("Accept-Encoding", "")
        return Question(
            consumer=consumer,
            request=read,
            selection=selection,
            page=Page(
                limit=count(query, "limit", most=MAX_LIMIT, default=None),
                cursor=read_cursor(query.get("cursor"), identity),
            ),
            representation=representation,
            coding=chosen_coding(accepted) if representation.compressible else "",
            if_none_match=request.headers.get("If-None-Match", ""),
        )


class _Chunks:
    """A file piece by piece, closed with the response, also when nobody read it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self._file.read(_CHUNK), b"")

    def close(self) -> None:
        self._file.close()


class Coverage(NodeView):
    """What a window holds and lacks per series; reading it fetches nothing."""

    def get(self, request: Request, node_id: str) -> Response:
        _, read = self.read_request(request, node_id, WINDOW_PARAMETERS, partial_ok=True)
        coverage = measure(read)
        return Response(
            {
                "node": read.node.node_id,
                "window": window_json(read.window),
                "coverage": round(coverage.ratio, 6),
                "expected_bars": coverage.expected_bars,
                "missing_bars": coverage.missing_bars,
                "series": [_series_json(one) for one in coverage.series],
            },
            headers=going_away(read),
        )


def window_json(window: Window) -> dict[str, Any]:
    return _range_json(CoverageRange(window.start, window.end))


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
