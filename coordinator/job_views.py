"""Backfill jobs as people and waiting programs see them."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from coordinator.models import BackfillJob
from coordinator.services.progress import progress
from registry.errors import NotFound
from registry.models import Consumer
from registry.permissions import MayGovern, MayRead
from registry.services.resolution import readable_node

PAGE = 100


class Jobs(APIView):
    """The newest jobs, for people; `?node=` selects."""

    permission_classes = (MayGovern,)

    def get(self, request: Request) -> Response:
        jobs = BackfillJob.objects.select_related("node", "bound_version")
        if node := request.query_params.get("node"):
            jobs = jobs.filter(node__node_id=node)
        return Response({"jobs": [job_json(job) for job in jobs.order_by("-pk")[:PAGE]]})


class JobDetail(APIView):
    """One job with its progress: for people, and for consumers that may read its node."""

    def get_permissions(self) -> list[Any]:
        reads = isinstance(self.request.user, Consumer)
        return [MayRead() if reads else MayGovern()]

    def get(self, request: Request, job_id: int) -> Response:
        job = BackfillJob.objects.select_related("node", "bound_version").filter(pk=job_id).first()
        if job is None:
            raise NotFound(f"There is no backfill job {job_id}.")
        if isinstance(request.user, Consumer):
            readable_node(request.user, job.node.node_id)
        seen = progress(job.pk)
        return Response(
            job_json(job)
            | {
                "ratio": round(seen.ratio, 6),
                "shards": dict(seen.shards),
                "committed_bars": seen.committed_bars,
                "written_bars": seen.written_bars,
            }
        )


def job_json(job: BackfillJob) -> dict[str, Any]:
    return {
        "id": job.pk,
        "node": job.node.node_id,
        "interval": job.interval,
        "bound_version": job.bound_version.number,
        "start": job.range_start,
        "end": job.range_end,
        "state": job.state,
        "expected_bars": job.expected_bars,
        "requested_by": job.requested_by,
        "created_at": job.created_at,
        "ended_at": job.ended_at,
    }
