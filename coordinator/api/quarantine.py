"""Quarantined rows over HTTP: list, look at one, release."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from coordinator.api import inputs
from coordinator.api.backfills import ACCEPTED, PeopleView, body_of
from coordinator.api.idempotency import once
from coordinator.api.representations import quarantined_json, request_json
from coordinator.services.database_clock import database_now
from coordinator.services.job_rows import jobs_with_context
from coordinator.services.quarantine import (
    quarantined_row,
    quarantined_rows,
    release_quarantine,
)
from registry.api.pages import page_of
from registry.errors import InvalidInput
from registry.request_context import actor_of


class QuarantineList(PeopleView):
    """The newest first, without the rows themselves; `?node=`, `?job=` and `?released=` select."""

    def get(self, request: Request) -> Response:
        rows, query = quarantined_rows(actor=actor_of(request._request)), request.query_params
        if node := query.get("node"):
            rows = rows.filter(shard__job__node__node_id=node)
        if job := query.get("job"):
            if not job.isdecimal() or len(job) > 18:
                raise InvalidInput(f"job is a number, not {job[:60]!r}.", parameter="job")
            rows = rows.filter(shard__job=int(job))
        if released := query.get("released"):
            if released not in ("true", "false"):
                raise InvalidInput("released is true or false.", parameter="released")
            rows = rows.filter(released_at__isnull=released == "false")
        page, following = page_of(request, rows)
        return Response({"rows": [quarantined_json(kept) for kept in page], "next": following})


class QuarantinedRow(PeopleView):
    def get(self, request: Request, row_id: int) -> Response:
        seen = quarantined_row(actor=actor_of(request._request), row_id=row_id)
        return Response(quarantined_json(seen.kept) | {"row": seen.row})


class ReleaseQuarantine(PeopleView):
    """Do the shard of the row again."""

    def post(self, request: Request, row_id: int) -> HttpResponse:
        reason = body_of(request, inputs.NeededReason)["reason"]
        actor, now = actor_of(request._request), database_now()

        def release() -> Response:
            made = release_quarantine(actor=actor, row_id=row_id, reason=reason, now=now)
            jobs = list(jobs_with_context().filter(pk__in=made.job_ids))
            return Response(request_json(made, jobs), status=ACCEPTED)

        return once(request, release)
