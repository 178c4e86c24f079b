"""Backfills in a terminal: plans, jobs, leases, certificates, and a bar that moves."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from coordinator.services.planning import BackfillPlan
from coordinator.services.progress import JobProgress
from coordinator.services.watching import Cell, Pace

REASONS = {
    "not_missing": "in storage already, or not expected",
    "not_failed": "nothing failed there",
    "not_stale": "done under the latest schema version",
    "no_expected_bars": "no bar is expected there",
    "no_source": "the node has no source",
    "active_job": "is being fetched already",
}
MARKS = {"done": "█", "leased": "▓", "pending": "░", "failed": "▒", "violation": "!"}
LINES = 20


def instant(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def plan_lines(plan: BackfillPlan) -> Iterator[str]:
    """A plan in words: what would be made, joined and left, how long, and its hash."""
    window, estimate = plan.window, plan.estimate
    yield (
        f"{plan.order.node_id}, {plan.order.again}, "
        f"{instant(window.start)} to {instant(window.end)}, judged by {plan.version}"
    )
    jobs = [
        f"new job    {instant(job.range.start)} to {instant(job.range.end)}: "
        f"{len(job.shards)} shards, {job.expected_bars} bars"
        for job in plan.outline.new
    ]
    left = [
        f"not made   {instant(rest.range.start)} to {instant(rest.range.end)}: "
        f"{REASONS.get(rest.reason, rest.reason)}{f' (job {rest.job})' if rest.job else ''}"
        for rest in plan.not_created
    ]
    yield from _cut(jobs)
    yield from _cut(left)
    for limit in plan.limits:
        yield f"limit      {limit.detail}"
    minutes = "unknown (no history)" if estimate.minutes is None else f"{estimate.minutes:g}"
    yield (
        f"in all     {estimate.shards} shards, {estimate.rows} rows, {estimate.calls} calls, "
        f"minutes: {minutes}; {estimate.ahead} shards stand before them"
    )
    yield f"plan hash  {plan.hash}"


def job_table(jobs: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("job", "node", "from", "to", "state", "priority", "bars", "for"):
        table.add_column(heading, overflow="fold")
    for job in jobs:
        table.add_row(
            str(job["id"]),
            job["node"],
            instant(job["start"]),
            instant(job["end"]),
            job["state"],
            str(job["priority"]),
            str(job["expected_bars"]),
            job["requested_by"],
        )
    return table


def map_lines(cells: list[Cell], *, width: int = 80) -> Iterator[str]:
    """The heat map: one mark a cell, in the order of time."""
    marks = "".join(MARKS[cell.state] for cell in cells)
    for start in range(0, len(marks), width):
        yield marks[start : start + width]
    yield "  ".join(f"{mark} {state}" for state, mark in MARKS.items())


def follow(
    look: Callable[[], tuple[JobProgress, Pace]], *, every: float, console: Console
) -> JobProgress:
    """Show a job until it has ended; a bar in a terminal, a line a look elsewhere."""
    if not console.is_terminal:
        return _follow_in_lines(look, every, console)
    columns = (
        TextColumn("job {task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[says]}"),
    )
    with Progress(*columns, console=console) as bar:
        seen, pace = look()
        task = bar.add_task(str(seen.job_id), total=1.0, says="")
        while True:
            bar.update(task, completed=seen.ratio, says=_says(seen, pace))
            if seen.has_ended:
                return seen
            time.sleep(every)
            seen, pace = look()


def _follow_in_lines(
    look: Callable[[], tuple[JobProgress, Pace]], every: float, console: Console
) -> JobProgress:
    while True:
        seen, pace = look()
        console.print(f"job {seen.job_id} {seen.ratio:.1%} {_says(seen, pace)}", soft_wrap=True)
        if seen.has_ended:
            return seen
        time.sleep(every)


def _says(seen: JobProgress, pace: Pace) -> str:
    counts = ", ".join(f"{n} {state}" for state, n in sorted(seen.shards.items()))
    if seen.has_ended:
        return f"{seen.state}: {counts}"
    eta = "" if pace.eta_seconds is None else f", {pace.eta_seconds:.0f} s to go"
    return f"{seen.state}: {counts}; {pace.bars_per_second:.0f} bars/s{eta}"


def _cut(lines: list[str]) -> Iterator[str]:
    yield from lines[:LINES]
    if len(lines) > LINES:
        yield f"           … and {len(lines) - LINES} more"
