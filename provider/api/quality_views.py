"""What the checks say of a node: of a window now, of earlier answers, of a few rows."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from provider.api.parameters import checked_query, count
from provider.api.reading import read_governed
from provider.api.selecting import Page, Selection, select
from provider.api.views import WINDOW_PARAMETERS, NodeView, window_json
from provider.blend import Blended
from provider.conformance import ConformancePipelineError, regression_digest
from provider.models import StoredReport
from provider.publications import ADDRESS, published_quality
from provider.reports import newest_report, reports_of, stored_report
from provider.requests import Strategy
from provider.seamless import SeamlessDataProvider
from provider.serialise import serialise
from registry.errors import NotFound

PAGE_OF_REPORTS = 50
PREVIEWED_ROWS = 20
MOST_PREVIEWED = 100


class Quality(NodeView):
    """The conformance report of a window as it is stored, sent or not; nothing is kept of it."""

    def get(self, request: Request, node_id: str) -> Response:
        _, read = self.read_request(
            request,
            node_id,
            WINDOW_PARAMETERS,
            partial_ok=True,
            strategy=Strategy.FAIL_FAST,
        )
        verdict: Mapping[str, Any] | None = None
        try:
            answer = SeamlessDataProvider().read(read)
            report, verdict, refused = answer.report, answer.verdict.to_dict(), None
        except ConformancePipelineError as refusal:
            report, refused = refusal.report, refusal.code
        last = newest_report(read.node, read.judge.version_id)
        regression = regression_digest(report, None if last is None else last.report)
        return Response(
            {
                "node": read.node.node_id,
                "window": window_json(read.window),
                "refused": refused,
                "verdict": verdict,
                "report": report.to_dict(),
                "regression": regression.to_dict(),
            }
        )


class Preview(NodeView):
    """The first rows of a window with their flags; values of sensitive columns are not shown."""

    def get(self, request: Request, node_id: str) -> HttpResponse:
        consumer, read = self.read_request(
            request,
            node_id,
            WINDOW_PARAMETERS | {"limit"},
            partial_ok=True,
            strategy=Strategy.FAIL_FAST,
        )
        query = checked_query(request.query_params, WINDOW_PARAMETERS | {"limit"})
        limit = count(query, "limit", most=MOST_PREVIEWED, default=PREVIEWED_ROWS)
        answer = read_governed(consumer, read)
        rows = select(answer, Selection(flags=True), Page(limit), "").rows
        shown = _without_sensitive(rows)
        head = {
            "node": read.node.node_id,
            "window": window_json(read.window),
            "coverage": answer.coverage,
            "rows_in_window": answer.rows.rows,
            "flags": answer.report.flags,
            "columns": _columns(shown),
        }
        return HttpResponse(
            _with_rows(head, serialise(shown, "json")), content_type="application/json"
        )


class Reports(NodeView):
    """The node's stored reports, newest first; `before` continues a list."""

    def get(self, request: Request, node_id: str) -> Response:
        _, node = self.node(request, node_id)
        query = checked_query(request.query_params, {"before", "limit"})
        limit = count(query, "limit", most=500, default=PAGE_OF_REPORTS) or PAGE_OF_REPORTS
        before = count(query, "before", most=2**62, default=None)
        found = reports_of(node, before=before, limit=limit)
        more = {"next_before": found[-1].pk} if len(found) == limit else {}
        return Response({"reports": [_brief(stored) for stored in found], **more})


class Report(NodeView):
    def get(self, request: Request, node_id: str, digest: str) -> Response:
        _, node = self.node(request, node_id)
        return Response(report_json(stored_report(node, digest)))


class PublishedQuality(NodeView):
    """What `qmtl://observability/seamless/<node>` names: the node's newest regression digest."""

    def get(self, request: Request, node_id: str) -> Response:
        _, node = self.node(request, node_id)
        published = published_quality(node)
        if published is None:
            raise NotFound(f"Nothing is published at {ADDRESS}{node_id} yet.")
        return Response(published.to_dict())


def report_json(stored: StoredReport) -> dict[str, Any]:
    return stored.report | {
        "digest": stored.digest,
        "node": stored.node.node_id,
        "regression": stored.regression,
        "created_at": stored.created_at,
        "repairs": [
            {
                "key": repair.series,
                "start": repair.range_start,
                "end": repair.range_end,
                "cause": repair.cause,
                "job": repair.job_id,
                "href": f"/api/v1/backfills/{repair.job_id}",
            }
            for repair in stored.repairs.order_by("pk")
        ],
    }


def _brief(stored: StoredReport) -> dict[str, Any]:
    return {
        "id": stored.pk,
        "digest": stored.digest,
        "version": stored.version.number,
        "created_at": stored.created_at,
        "rows": stored.report["rows"],
        "coverage": stored.report["coverage"],
        "flags": stored.report["flags"],
        "regression": stored.regression.get("verdict"),
        "href": f"/api/v1/nodes/{stored.node.node_id}/reports/{stored.digest}",
    }


def _without_sensitive(rows: Blended) -> Blended:
    """The rows with nulls in place of sensitive values."""
    parts = []
    for part in rows.parts:
        table = part.table
        for name in rows.frame.sensitive & set(table.column_names):
            at = table.column_names.index(name)
            table = table.set_column(at, name, pa.nulls(table.num_rows))
        parts.append(replace(part, table=table))
    return replace(rows, parts=parts)


def _columns(rows: Blended) -> list[dict[str, Any]]:
    """The columns and their types, as each part has them."""
    fields = dict.fromkeys(
        (field.name, str(field.type)) for part in rows.parts for field in part.table.schema
    )
    return [{"name": name, "type": kind} for name, kind in fields]


def _with_rows(head: Mapping[str, Any], rows: bytes) -> bytes:
    """The head as JSON with the rows, which are written already, as its last member."""
    return json.dumps(head, ensure_ascii=False).encode()[:-1] + b', "rows": ' + rows + b"}"
