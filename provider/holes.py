"""The holes that a report shows, each handed to the coordinator once, behind the answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings

from coordinator.coverage import CoverageRange
from coordinator.models import BackfillJob
from provider.conformance import ConformanceReport, SeriesQuality
from provider.models import RepairRequest
from provider.requests import ReadRequest, Strategy
from provider.sources import can_fetch
from provider.stages import start_backfill
from provider.stores.opening import source_of
from registry.canonical import fingerprint
from registry.cells import json_text

MOST_HOLES = 200


@dataclass(frozen=True, slots=True)
class Hole:
    """A run of expected bars that one series lacks, and why as far as the report can tell."""

    series: Mapping[str, Any]
    range: CoverageRange
    cause: str

    @property
    def identity(self) -> str:
        series = json_text(dict(sorted(self.series.items())))
        return fingerprint([series, self.range.start, self.range.end, self.cause])


def holes_in(report: ConformanceReport) -> list[Hole]:
    """The holes of a report, at most `MOST_HOLES`."""
    found = [hole for series in report.series for hole in _of_series(series)]
    return found[:MOST_HOLES]


def hand_over(
    request: ReadRequest, report: ConformanceReport, job_ids: Sequence[int]
) -> list[RepairRequest]:
    """Name the job that repairs each hole, once per (series, range, cause).

    The job of the read itself where there is one, else one that covers the range lately, else a new
    one in the background. Nothing is asked of a node without a source, or of a read that fetches
    nothing, or is answered from an artefact.
    """
    node = request.node
    fetches = request.artifact is None and request.strategy is not Strategy.FAIL_FAST
    holes = holes_in(report) if fetches and node.source else []
    if not holes:
        return []
    by_identity = {hole.identity: hole for hole in holes}
    known = list(RepairRequest.objects.filter(node=node, identity__in=by_identity))
    fresh = by_identity.keys() - {repair.identity for repair in known}
    jobs = _jobs_near(request, job_ids) if fresh else []
    made = [_repair(request, identity, by_identity[identity], jobs) for identity in sorted(fresh)]
    RepairRequest.objects.bulk_create([one for one in made if one], ignore_conflicts=True)
    return list(RepairRequest.objects.filter(node=node, identity__in=by_identity))


def _of_series(series: SeriesQuality) -> Iterator[Hole]:
    if series.observed == 0:
        cause = "missing_series"
    else:
        cause = "invalid_rows" if series.counts.get("invalid_timestamp") else "gap"
    for gap in series.gaps:
        yield Hole(series.key, CoverageRange(*gap), cause)


def _jobs_near(request: ReadRequest, job_ids: Sequence[int]) -> list[BackfillJob]:
    """Jobs of this read first, then those that were made lately."""
    window, node = request.window, request.node
    near = BackfillJob.objects.filter(
        node=node, range_start__lte=window.end, range_end__gte=window.start
    ).order_by("-pk")
    since = request.now - timedelta(seconds=settings.SEAMLESS_ASK_AGAIN_SECONDS)
    own = list(near.filter(pk__in=job_ids))
    return [*own, *near.exclude(pk__in=job_ids).filter(created_at__gte=since)[:MOST_HOLES]]


def _repair(
    request: ReadRequest, identity: str, hole: Hole, jobs: Sequence[BackfillJob]
) -> RepairRequest | None:
    job_id = _job_over(hole.range, jobs)
    source = source_of(request.node)
    if job_id is None and source is not None and can_fetch(source, hole.range):
        started = start_backfill(request, [hole.range], waits=False)
        job_id = next(iter(started.job_ids), None)
    if job_id is None:
        return None
    return RepairRequest(
        node=request.node,
        identity=identity,
        series=dict(hole.series),
        range_start=hole.range.start,
        range_end=hole.range.end,
        cause=hole.cause,
        job_id=job_id,
        created_at=request.now,
    )


def _job_over(span: CoverageRange, jobs: Sequence[BackfillJob]) -> int | None:
    over = (job.pk for job in jobs if job.range_start <= span.end and span.start <= job.range_end)
    return next(over, None)
