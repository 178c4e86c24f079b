"""What a job that has ended can state about its bars: a certificate, or a violation report."""

import hashlib
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from coordinator.lease_state import ACTIVE_JOB_STATES, ShardState
from coordinator.models import BackfillJob, BackfillShard
from coordinator.origins import settings_of
from coordinator.services.job_rows import job_numbered
from registry.canonical import canonicalize, fingerprint
from registry.errors import Conflict
from registry.models import Release

FORMAT = "seamless-backfill-report/1"
DONE_LISTED = 1_000
ERROR_SHOWN = 300


class JobStillRuns(Conflict):
    code = "backfill_still_runs"
    title = "The backfill still runs"


def report_of(*, job_id: int) -> dict[str, Any]:
    """The certificate or violation report of a job. Raises NoSuchJob and JobStillRuns."""
    job = job_numbered(job_id)
    if job.state in ACTIVE_JOB_STATES:
        raise JobStillRuns(
            f"Backfill job {job_id} is {job.state}; it has no report before it ends."
        )
    return certificate_of(job)


def certificate_of(job: BackfillJob) -> dict[str, Any]:
    """What is complete and what is not: expected and written bars, checksums, sources, epochs.

    `missing` holds every range that ended without rows, with its error (neighbours with the same
    one together); `short` every range whose source had fewer rows than expected bars. `done` stops
    at 1,000 ranges; `checksum` covers all of them, and each commit has its own audit record.
    """
    shards = list(job.shards.order_by("range_start"))
    done = [shard for shard in shards if shard.state == ShardState.DONE]
    digest = canonicalize([[shard.range_start, shard.range_end, shard.checksum] for shard in done])
    version, settings = job.bound_version, settings_of(job.node, job.origin)
    return {
        "format": FORMAT,
        "state": job.state,
        "node_id": job.node.node_id,
        "interval": job.interval,
        "range": list(job.range),
        "schema": {
            "subject": version.subject.name,
            "version": version.number,
            "fingerprint": version.resolved_fingerprint,
        },
        "releases": _releases(job),
        "sources": [{"name": job.source, "settings": fingerprint(settings)}],
        "expected_bars": job.expected_bars,
        "written_bars": sum(shard.n_rows or 0 for shard in done),
        "checksum": f"sha256:{hashlib.sha256(digest).hexdigest()}",
        "shards": len(shards),
        "done": [
            {
                "range": list(shard.range),
                "expected": shard.expected_bars,
                "rows": shard.n_rows,
                "checksum": shard.checksum,
                "epoch": shard.epoch,
            }
            for shard in done[:DONE_LISTED]
        ],
        "missing": _missing(shards),
        "short": [
            {"range": list(shard.range), "expected": shard.expected_bars, "rows": shard.n_rows}
            for shard in done
            if (shard.n_rows or 0) < shard.expected_bars
        ],
    }


def _releases(job: BackfillJob) -> list[dict[str, Any]]:
    """The releases that held the bound version at this moment."""
    releases = Release.objects.filter(versions=job.bound_version).select_related("bundle")
    return [
        {"bundle": one.bundle.name, "release": one.number, "fingerprint": one.fingerprint}
        for one in releases.order_by("bundle__name", "number")
    ]


def _missing(shards: Sequence[BackfillShard]) -> list[dict[str, Any]]:
    """Every run of neighbours that ended for the same reason without rows."""
    runs = groupby(shards, key=lambda shard: (shard.state, shard.violation, shard.last_error))
    groups = [(key, list(members)) for key, members in runs if key[0] != ShardState.DONE]
    return [
        {
            "range": [members[0].range_start, members[-1].range_end],
            "shards": len(members),
            "code": code,
            "error": error[:ERROR_SHOWN],
        }
        for (_, code, error), members in groups
    ]
