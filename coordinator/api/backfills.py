"""Backfills over HTTP: plan, run, watch, steer. Each view calls one service."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from coordinator.api import inputs
from coordinator.api.idempotency import once
from coordinator.api.representations import (
    cell_json,
    job_json,
    limit_json,
    plan_json,
    progress_json,
    request_json,
    shard_json,
)
from coordinator.models import BackfillShard
from coordinator.services.certifying import report_of
from coordinator.services.database_clock import database_now
from coordinator.services.finishing import cancel_job
from coordinator.services.job_rows import (
    job_numbered,
    jobs_with_context,
    require_visible_job,
    visible_jobs,
)
from coordinator.services.limits import limit_states, save_source_limit
from coordinator.services.planning import plan_backfill, run_backfill
from coordinator.services.progress import progress
from coordinator.services.steering import (
    Again,
    change_priority,
    pause_job,
    reprocess_job,
    resume_job,
)
from coordinator.services.watching import heat_map, live_leases_of, pace_of
from registry.actors import Actor
from registry.api.pages import page_of
from registry.errors import InvalidInput
from registry.models import Consumer
from registry.permissions import MayGovern, MayRead
from registry.request_context import actor_of
from registry.services.resolution import readable_node

ACCEPTED = 202
_FLAGS = {"true": True, "false": False}


class PeopleView(APIView):
    """For people with a role in some team; who may act on what, the services decide.

    A job that the address names is there for those who may see its node.
    """

    permission_classes = (MayGovern,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "job_id" in kwargs:
            require_visible_job(actor_of(request._request), kwargs["job_id"])


class Backfills(PeopleView):
    def get(self, request: Request) -> Response:
        """The newest jobs first; `?node=` and `?state=` select."""
        jobs = visible_jobs(actor_of(request._request))
        if node := request.query_params.get("node"):
            jobs = jobs.filter(node__node_id=node)
        if state := request.query_params.get("state"):
            jobs = jobs.filter(state=state)
        page, following = page_of(request, jobs)
        return Response({"jobs": [job_json(job) for job in page], "next": following})

    def post(self, request: Request) -> HttpResponse:
        """Carry an order out, or with `?dry_run=true` only say what that would do."""
        fields = body_of(request, inputs.NewBackfill)
        order, actor, now = inputs.order_of(fields), actor_of(request._request), database_now()
        if _flag(request, "dry_run"):
            return Response(plan_json(plan_backfill(actor=actor, order=order, now=now)))

        def run() -> Response:
            plan, made = run_backfill(
                actor=actor, order=order, now=now, plan_hash=fields["plan_hash"]
            )
            jobs = list(jobs_with_context().filter(pk__in=made.job_ids))
            body = request_json(made, jobs) | {"plan": plan_json(plan)}
            return Response(body, status=ACCEPTED if jobs else 200)

        return once(request, run)


class BackfillDetail(APIView):
    """One job with its progress: for people, and for consumers that may read its node."""

    def get_permissions(self) -> list[Any]:
        reads = isinstance(self.request.user, Consumer)
        return [MayRead() if reads else MayGovern()]

    def get(self, request: Request, job_id: int) -> Response:
        now = database_now()
        if not isinstance(request.user, Consumer):
            require_visible_job(actor_of(request._request), job_id)
            return Response(detail_json(job_id, now))
        job = job_numbered(job_id)
        readable_node(request.user, job.node.node_id)
        seen = progress(job.pk)
        return Response(job_json(job) | progress_json(seen, pace_of(seen, now)))


class BackfillShards(PeopleView):
    """The shards of a job in the order of time; `?state=` selects."""

    def get(self, request: Request, job_id: int) -> Response:
        job, now = job_numbered(job_id), database_now()
        shards = BackfillShard.objects.filter(job=job)
        if state := request.query_params.get("state"):
            shards = shards.filter(state=state)
        page, following = page_of(request, shards, key="range_start", descending=False)
        return Response({"shards": [shard_json(one, now) for one in page], "next": following})


class BackfillMap(PeopleView):
    """The shards of a job as a heat map of at most 400 cells."""

    def get(self, request: Request, job_id: int) -> Response:
        job = job_numbered(job_id)
        return Response({"cells": [cell_json(cell) for cell in heat_map(job.pk)]})


class BackfillReport(PeopleView):
    """The certificate of a job that is done, or its violation report."""

    def get(self, request: Request, job_id: int) -> Response:
        return Response(report_of(job_id=job_id))


class SteeringView(PeopleView):
    """A decision about one job: the job as it stands after it."""

    form: type[Serializer] = inputs.Reason

    def post(self, request: Request, job_id: int) -> HttpResponse:
        fields, actor, now = body_of(request, self.form), actor_of(request._request), database_now()

        def decide() -> Response:
            self.decide(actor, job_id, now, fields)
            return Response(detail_json(job_id, now))

        return once(request, decide)

    def decide(self, actor: Actor, job_id: int, now: datetime, fields: Mapping[str, Any]) -> None:
        raise NotImplementedError


class PauseBackfill(SteeringView):
    def decide(self, actor: Actor, job_id: int, now: datetime, fields: Mapping[str, Any]) -> None:
        pause_job(actor=actor, job_id=job_id, now=now, reason=fields["reason"])


class ResumeBackfill(SteeringView):
    def decide(self, actor: Actor, job_id: int, now: datetime, fields: Mapping[str, Any]) -> None:
        resume_job(actor=actor, job_id=job_id, now=now, reason=fields["reason"])


class CancelBackfill(SteeringView):
    form = inputs.NeededReason

    def decide(self, actor: Actor, job_id: int, now: datetime, fields: Mapping[str, Any]) -> None:
        cancel_job(actor=actor, job_id=job_id, now=now, reason=fields["reason"])


class PrioritiseBackfill(SteeringView):
    form = inputs.NewPriority

    def decide(self, actor: Actor, job_id: int, now: datetime, fields: Mapping[str, Any]) -> None:
        change_priority(actor=actor, job_id=job_id, now=now, **fields)


class ReprocessBackfill(PeopleView):
    """Do shards of a job again; `retry` is this for what has failed."""

    form: type[Serializer] = inputs.Reprocess

    def post(self, request: Request, job_id: int) -> HttpResponse:
        fields, actor, now = body_of(request, self.form), actor_of(request._request), database_now()

        def again() -> Response:
            made = reprocess_job(
                actor=actor,
                job_id=job_id,
                again=Again(fields.get("what", Again.FAILED)),
                newest_first=fields.get("order") == "newest",
                reason=fields["reason"],
                now=now,
            )
            jobs = list(jobs_with_context().filter(pk__in=made.job_ids))
            return Response(request_json(made, jobs), status=ACCEPTED)

        return once(request, again)


class RetryBackfill(ReprocessBackfill):
    form = inputs.Reason


class SourceLimits(PeopleView):
    def get(self, request: Request) -> Response:
        return Response({"limits": [limit_json(state) for state in limit_states(database_now())]})

    def post(self, request: Request) -> HttpResponse:
        fields, actor, now = (
            body_of(request, inputs.NewLimit),
            actor_of(request._request),
            database_now(),
        )

        def save() -> Response:
            name = fields.pop("source")
            save_source_limit(actor=actor, name=name, now=now, **fields)
            states = {state.limit.name: state for state in limit_states(now)}
            return Response(limit_json(states[name]))

        return once(request, save)


def detail_json(job_id: int, now: datetime) -> dict[str, Any]:
    """The job, its progress and its live leases."""
    job, seen = job_numbered(job_id), progress(job_id)
    leases = [shard_json(shard, now) for shard in live_leases_of(job_id)]
    return job_json(job) | progress_json(seen, pace_of(seen, now)) | {"leases": leases}


def body_of(request: Request, form: type[Serializer]) -> dict[str, Any]:
    checked = form(data=request.data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def _flag(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "false").lower()
    if text not in _FLAGS:
        raise InvalidInput(f"{name} is true or false, not {text[:60]!r}.", parameter=name)
    return _FLAGS[text]
