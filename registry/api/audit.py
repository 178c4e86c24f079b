"""The audit log over HTTP, for auditors: search, proofs, checkpoints, exports."""

import base64
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api import audit_representations as shown
from registry.api import inputs
from registry.api.governing import body_of, query_of
from registry.api.receipts import AuditedView
from registry.audit.selection import Selection
from registry.models import AuditCheckpoint, AuditExport
from registry.permissions import MayAudit, MayGovern
from registry.request_context import actor_of, stranger_of
from registry.services.audit import searching
from registry.services.audit.export_jobs import export_for, fetch_export
from registry.services.audit.export_links import (
    fetch_by_link,
    make_export_link,
    revoke_export_link,
)
from registry.services.audit.export_requests import begin_export, request_export
from registry.services.audit.exporting import FORMATS, Extent, NoSuchCheckpoint, Source, written
from registry.services.audit.key_history import public_keys

EXPORTS_SHOWN = 100


class AuditView(APIView):
    permission_classes = (MayAudit,)


class OwnType(DefaultContentNegotiation):
    """The answer's type follows from the address, whatever `Accept` says."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class Records(AuditView):
    def get(self, request: Request) -> Response:
        if "cursor" in request.query_params:
            page = searching.search_on(**query_of(request, inputs.AuditPage))
        else:
            fields = query_of(request, inputs.AuditSearch)
            limit = fields.pop("limit")
            page = searching.search(Selection(**fields), limit=limit)
        return Response(
            {
                "records": [shown.record_json(event) for event in page.events],
                "next": _next(request, cursor=page.cursor),
            }
        )


class Record(AuditView):
    def get(self, request: Request, event_id: int) -> Response:
        size = query_of(request, inputs.TreeSize).get("size")
        event = searching.record_with_seal(event_id)
        proof = searching.prove_inclusion(event, size=size)
        return Response(shown.proven_record_json(event, proof))


class InclusionProof(AuditView):
    def get(self, request: Request) -> Response:
        fields = query_of(request, inputs.InclusionQuestion)
        event = searching.record_with_seal(fields["event"])
        proof = searching.prove_inclusion(event, size=fields.get("size"))
        return Response({"proof": None if proof is None else shown.inclusion_json(proof)})


class ConsistencyProof(AuditView):
    def get(self, request: Request) -> Response:
        fields = query_of(request, inputs.ConsistencyQuestion)
        proof = searching.prove_consistency(fields["from"], fields["to"])
        return Response(shown.consistency_json(proof))


class LatestCheckpoint(AuditView):
    """The signed note itself, as C2SP's tlog-checkpoint says."""

    content_negotiation_class = OwnType

    def get(self, request: Request) -> HttpResponse:
        last = AuditCheckpoint.objects.order_by("-size").first()
        if last is None:
            raise NoSuchCheckpoint("Nothing is sealed yet.")
        return HttpResponse(last.note, content_type="text/plain; charset=utf-8")


class Checkpoints(AuditView):
    def get(self, request: Request) -> Response:
        fields = query_of(request, inputs.CheckpointPage)
        stored = AuditCheckpoint.objects.order_by("-size")
        if "before" in fields:
            stored = stored.filter(size__lt=fields["before"])
        found = list(stored[: fields["limit"] + 1])
        page = found[: fields["limit"]]
        last = page[-1].size if len(found) > len(page) else None
        return Response(
            {
                "checkpoints": [shown.checkpoint_json(checkpoint) for checkpoint in page],
                "next": _next(request, before=last),
            }
        )


class Keys(AuditView):
    def get(self, request: Request) -> Response:
        return Response({"keys": public_keys()})


class Export(APIView):
    """The service refuses, and records, who is no auditor."""

    permission_classes = (MayGovern,)
    content_negotiation_class = OwnType

    def get(self, request: Request) -> StreamingHttpResponse:
        fields, now = query_of(request, inputs.StreamedExport), timezone.now()
        format = fields.pop("format")
        fields["earlier"] = [int(size) for size in fields.get("earlier", "").split(",") if size]
        source = begin_export(
            actor=actor_of(request),
            extent=_extent(fields.pop("earlier"), fields),
            format=format,
            now=now,
            limit=settings.SEAMLESS_EXPORT_STREAM_RECORDS,
        )
        return StreamingHttpResponse(
            _streamed(source, format, now),
            content_type=FORMATS[format].content_type,
            headers={
                "Content-Disposition": _attachment(format, f"{source.checkpoint.size}"),
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            },
        )


class Exports(AuditedView):
    permission_classes = (MayGovern,)

    def get_permissions(self) -> list[Any]:
        return [MayGovern() if self.request.method == "POST" else MayAudit()]

    def get(self, request: Request) -> Response:
        newest = AuditExport.objects.select_related("requested_by").order_by("-pk")[:EXPORTS_SHOWN]
        return Response({"exports": [shown.export_json(export) for export in newest]})

    def post(self, request: Request) -> Response:
        fields = body_of(request, inputs.NewExport)
        format = fields.pop("format")
        fields |= fields.pop("filter", {})
        export = request_export(
            actor=actor_of(request),
            extent=_extent(fields.pop("earlier", []), fields),
            format=format,
            now=timezone.now(),
        )
        answer = Response(shown.export_json(export), status=202)
        answer["Location"] = answer.data["link"]
        return answer


class ExportDetail(AuditView):
    def get(self, request: Request, export_id: int) -> Response:
        return Response(shown.export_json(export_for(actor=actor_of(request), export_id=export_id)))


class ExportFile(APIView):
    permission_classes = (MayGovern,)
    content_negotiation_class = OwnType

    def get(self, request: Request, export_id: int) -> FileResponse:
        return _file(
            *fetch_export(actor=actor_of(request), export_id=export_id, now=timezone.now())
        )


class ExportLinks(AuditedView):
    permission_classes = (MayGovern,)

    def get(self, request: Request, export_id: int) -> Response:
        export = export_for(actor=actor_of(request), export_id=export_id)
        links = export.links.select_related("made_by").order_by("-pk")[:EXPORTS_SHOWN]
        return Response({"links": [shown.link_json(link) for link in links]})

    def post(self, request: Request, export_id: int) -> Response:
        fields = body_of(request, inputs.NewExportLink)
        link, secret = make_export_link(
            actor=actor_of(request),
            export_id=export_id,
            lifetime=timedelta(hours=fields["hours"]),
            now=timezone.now(),
        )
        url = request.build_absolute_uri(f"/api/v1/audit/links/{secret}")
        return Response(shown.link_json(link) | {"url": url}, status=201)


class RevokeExportLink(AuditedView):
    permission_classes = (MayGovern,)

    def post(self, request: Request, export_id: int, prefix: str) -> Response:
        link = revoke_export_link(
            actor=actor_of(request),
            export_id=export_id,
            prefix=prefix,
            now=timezone.now(),
            **body_of(request, inputs.Reason),
        )
        return Response(shown.link_json(link))


class LinkedFile(APIView):
    """For whoever holds the link: the service tells its secret from any other text."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    content_negotiation_class = OwnType

    def get(self, request: Request, secret: str) -> FileResponse:
        found = fetch_by_link(caller=stranger_of(request), secret=secret, now=timezone.now())
        return _file(*found)


def _file(export: AuditExport, file: Path) -> FileResponse:
    digest = base64.b64encode(bytes.fromhex(export.sha256)).decode()
    return FileResponse(
        file.open("rb"),
        content_type=FORMATS[export.format].content_type,
        headers={
            "Content-Disposition": _attachment(export.format, str(export.size)),
            "Content-Digest": f"sha-256=:{digest}:",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
        },
    )


def _extent(earlier: list[int], fields: dict[str, Any]) -> Extent:
    from_seq, to_size = fields.pop("from_seq"), fields.pop("to_size", None)
    return Extent(Selection(**fields), from_seq, to_size, tuple(earlier))


def _next(request: Request, **position: Any) -> str | None:
    """The address of the next page; None where this is the last."""
    (value,) = position.values()
    if value is None:
        return None
    if limit := request.query_params.get("limit"):
        position["limit"] = limit
    return f"{request.path}?{urlencode(position)}"


def _streamed(source: Source, format: str, now: datetime) -> Iterator[bytes]:
    """What is written for one page is sent before the next one is read."""
    out = _Outlet()
    for _ in written(out, source, format, now=now):
        yield out.taken()


class _Outlet:
    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _attachment(format: str, name: str) -> str:
    return f'attachment; filename="audit-{name}.{FORMATS[format].suffix}"'
