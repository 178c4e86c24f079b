"""What the live page of a job shows, read anew every two seconds while the job is active."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.urls import reverse
from django.utils.safestring import SafeString

from coordinator.lease_state import ShardState
from coordinator.models import BackfillJob
from coordinator.services.database_clock import database_now
from coordinator.services.progress import JobProgress, progress
from coordinator.services.watching import Cell, heat_map, live_leases_of, pace_of
from registry.admin.panels import label, moment

STATE_COLOURS = {
    "pending": "default",
    "leased": "info",
    "running": "info",
    "paused": "warning",
    "held": "info",
    "done": "success",
    "completed": "success",
    "failed": "warning",
    "violation": "danger",
    "cancelled": "default",
}


@dataclass(frozen=True, slots=True)
class LivePage:
    """The template's facts; `address` is where the next look comes from."""

    address: str
    progress: JobProgress
    label: SafeString
    percent: str
    ratio: str
    rate: str
    eta: str
    counts: str
    states: list[str]
    cells: list[dict[str, str]]
    leases: list[dict[str, Any]]

    @property
    def is_active(self) -> bool:
        return not self.progress.has_ended


def live_page(job: BackfillJob) -> LivePage:
    now, seen = database_now(), progress(job.pk)
    pace = pace_of(seen, now)
    eta = pace.eta_seconds
    return LivePage(
        address=reverse("admin:coordinator_backfilljob_live", args=[job.pk]),
        progress=seen,
        label=label(seen.state, STATE_COLOURS),
        percent=f"{seen.ratio:.1%}",
        ratio=f"{seen.ratio:.4f}",
        rate=f"{pace.bars_per_second:.0f}",
        eta="time to go unknown" if eta is None else f"about {eta:.0f} s to go",
        counts=", ".join(f"{n} {state}" for state, n in sorted(seen.shards.items())),
        states=[str(state) for state in ShardState],
        cells=[{"state": str(cell.state), "title": _title(cell)} for cell in heat_map(job.pk)],
        leases=[
            {
                "shard": shard.pk,
                "first": bar_time(shard.range_start),
                "last": bar_time(shard.range_end),
                "holder": shard.holder,
                "epoch": shard.epoch,
                "attempt": shard.attempts,
                "left": round((shard.expires_at - now).total_seconds()),
            }
            for shard in live_leases_of(job.pk)
            if shard.expires_at is not None
        ],
    )


def bar_time(seconds: int) -> str:
    return moment(datetime.fromtimestamp(seconds, UTC))


def _title(cell: Cell) -> str:
    many = f"{cell.shards} shards, {cell.ratio:.0%} done, " if cell.shards > 1 else ""
    return (
        f"{bar_time(cell.start)} to {bar_time(cell.end)}: {many}{cell.state}, "
        f"epoch {cell.epoch}, {cell.attempts} attempts"
    )
