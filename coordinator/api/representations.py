"""Backfills as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from coordinator.models import BackfillJob, BackfillShard, Quarantine
from coordinator.services.limits import LimitState
from coordinator.services.planning import BackfillPlan
from coordinator.services.progress import JobProgress
from coordinator.services.requesting import BackfillRequest
from coordinator.services.watching import Cell, Pace

RANGES_SHOWN = 1_000


def job_json(job: BackfillJob) -> dict[str, Any]:
    return {
        "id": job.pk,
        "node": job.node.node_id,
        "interval": job.interval,
        "bound_version": job.bound_version.number,
        "start": job.range_start,
        "end": job.range_end,
        "state": job.state,
        "priority": job.priority,
        "source": job.source,
        "origin": job.origin,
        "failure_budget": job.failure_budget,
        "expected_bars": job.expected_bars,
        "requested_by": job.requested_by,
        "created_at": job.created_at,
        "ended_at": job.ended_at,
        "links": {"self": f"/api/v1/backfills/{job.pk}"},
    }


def progress_json(seen: JobProgress, pace: Pace) -> dict[str, Any]:
    return {
        "ratio": round(seen.ratio, 6),
        "shards": dict(seen.shards),
        "committed_bars": seen.committed_bars,
        "written_bars": seen.written_bars,
        "bars_per_second": round(pace.bars_per_second, 3),
        "eta_seconds": None if pace.eta_seconds is None else round(pace.eta_seconds, 1),
    }


def shard_json(shard: BackfillShard, now: datetime) -> dict[str, Any]:
    left = None if shard.expires_at is None else (shard.expires_at - now).total_seconds()
    return {
        "id": shard.pk,
        "start": shard.range_start,
        "end": shard.range_end,
        "state": shard.state,
        "expected_bars": shard.expected_bars,
        "rows": shard.n_rows,
        "checksum": shard.checksum,
        "epoch": shard.epoch,
        "attempts": shard.attempts,
        "holder": shard.holder,
        "expires_at": shard.expires_at,
        "expires_in": None if left is None else round(left, 1),
        "next_attempt_at": shard.next_attempt_at,
        "wanted_now": shard.wanted_now,
        "violation": shard.violation,
        "last_error": shard.last_error,
        "done_at": shard.done_at,
    }


def cell_json(cell: Cell) -> dict[str, Any]:
    return asdict(cell) | {"ratio": round(cell.ratio, 6)}


def plan_json(plan: BackfillPlan) -> dict[str, Any]:
    order, outline = plan.order, plan.outline
    return {
        "node": order.node_id,
        "window": {"start": plan.window.start, "end": plan.window.end},
        "what": order.again,
        "order": "newest" if order.newest_first else "oldest",
        "priority": order.priority,
        "failure_budget": str(order.failure_budget),
        "schema": {
            "subject": plan.version.subject.name,
            "version": plan.version.number,
            "fingerprint": plan.version.resolved_fingerprint,
        },
        "new_jobs": [
            {
                "start": job.range.start,
                "end": job.range.end,
                "shards": len(job.shards),
                "expected_bars": job.expected_bars,
                "failure_budget": order.failure_budget.of(len(job.shards)),
            }
            for job in outline.new[:RANGES_SHOWN]
        ],
        "joined_jobs": [
            {"id": job.pk, "start": job.range_start, "end": job.range_end, "state": job.state}
            for job in outline.joined
        ],
        "not_created": [
            {
                "start": rest.range.start,
                "end": rest.range.end,
                "reason": rest.reason,
                "job": rest.job,
            }
            for rest in plan.not_created[:RANGES_SHOWN]
        ],
        "estimate": asdict(plan.estimate),
        "limits": [asdict(limit) for limit in plan.limits],
        "plan_hash": plan.hash,
    }


def request_json(request: BackfillRequest, jobs: Sequence[BackfillJob]) -> dict[str, Any]:
    by_id = {job.pk: job for job in jobs}
    return {
        "created": [job_json(by_id[pk]) for pk in request.created],
        "joined": [job_json(by_id[pk]) for pk in request.joined],
    }


def quarantined_json(kept: Quarantine) -> dict[str, Any]:
    """Without the row."""
    job = kept.shard.job
    return {
        "id": kept.pk,
        "node": job.node.node_id,
        "job": job.pk,
        "shard": kept.shard_id,
        "start": kept.shard.range_start,
        "end": kept.shard.range_end,
        "epoch": kept.epoch,
        "diagnostics": kept.diagnostics,
        "created_at": kept.created_at,
        "released_at": kept.released_at,
        "released_by": kept.released_by,
    }


def limit_json(state: LimitState) -> dict[str, Any]:
    limit = state.limit
    return {
        "source": limit.name,
        "max_running": limit.max_running,
        "per_minute": limit.per_minute,
        "burst": limit.burst,
        "running": state.running,
        "tokens": round(state.tokens, 3),
        "blocked_until": limit.blocked_until,
        "wait_seconds": round(state.wait.total_seconds(), 3),
    }
