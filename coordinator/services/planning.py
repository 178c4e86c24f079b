"""What a backfill would do, before it does it; and doing exactly that.

A plan changes nothing. Its hash covers what would be created and joined, not the estimates: who
runs the plan by its hash gets that, or a refusal with the plan of now.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coordinator.configuration import shard_bars
from coordinator.coverage import CoverageRange, Window, subtract
from coordinator.failure_budget import NO_BUDGET, FailureBudget
from coordinator.grid import Grid, painted
from coordinator.lease_state import ShardState
from coordinator.models import BackfillJob, BackfillShard
from coordinator.ports import stored_gaps
from coordinator.services.estimating import Estimate, LimitHit, estimate, limits_hit
from coordinator.services.job_rows import lock_node, require_operator
from coordinator.services.requesting import (
    MAX_SHARDS,
    BackfillRequest,
    BackfillTooLarge,
    Outline,
    Wish,
    carry_out,
    outline_of,
)
from coordinator.services.steering import Again, check_priority
from registry.actors import Actor
from registry.canonical import fingerprint
from registry.errors import Conflict, InvalidInput, NotFound, SeamlessError
from registry.models import Node, SchemaVersion
from registry.services.actions import audited_action
from registry.services.proposals import latest_version


class PlanOutdated(Conflict):
    code = "plan_outdated"
    title = "The plan is outdated"


class NothingToBindTo(Conflict):
    code = "no_approved_version"


@dataclass(frozen=True, slots=True)
class BackfillOrder:
    """What an operator asks for: the closed [start, end] of a node, in epoch seconds.

    `again`: what of it (`Again.MISSING`: what storage lacks).
    """

    node_id: str
    start: int
    end: int
    again: Again = Again.MISSING
    newest_first: bool = False
    priority: int = 0
    failure_budget: FailureBudget = NO_BUDGET


@dataclass(frozen=True, slots=True)
class NotCreated:
    """A range for which no shard is made, and why: `job` is the one that has it already."""

    range: CoverageRange
    reason: str
    job: int | None = None


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    order: BackfillOrder
    node: Node
    version: SchemaVersion
    window: Window
    outline: Outline
    not_created: tuple[NotCreated, ...]
    estimate: Estimate
    limits: tuple[LimitHit, ...]

    @property
    def hash(self) -> str:
        return _hash(self.order, self.version, self.outline)


@dataclass(frozen=True, slots=True)
class _Selection:
    """The part of a plan that is found out without holding anything: it may read storage."""

    node: Node
    version: SchemaVersion
    window: Window
    ranges: tuple[CoverageRange, ...]

    def wish(self, order: BackfillOrder) -> Wish:
        ranges = self.ranges if self.node.source else ()
        return Wish(
            self.node,
            ranges,
            self.version,
            order.priority,
            order.newest_first,
            order.failure_budget,
        )


def plan_backfill(*, actor: Actor, order: BackfillOrder, now: datetime) -> BackfillPlan:
    """What `run_backfill` would do now. Raises NotFound, NotAllowed, InvalidInput, BackfillTooLarge
    and NothingToBindTo.
    """
    selection = _select(actor, order)
    return _plan(order, selection, outline_of(selection.wish(order)), now)


def run_backfill(
    *, actor: Actor, order: BackfillOrder, now: datetime, plan_hash: str = ""
) -> tuple[BackfillPlan, BackfillRequest]:
    """Carry an order out; with a hash only as it was planned. Raises as `plan_backfill`, and
    PlanOutdated.
    """
    try:
        selection = _select(actor, order)
    except SeamlessError:
        with _ordered(actor, order, now):
            raise
    with _ordered(actor, order, now) as entry:
        outline = outline_of(selection.wish(order))
        if outline.new:  # who only joins need not wait for others who ask for the node
            lock_node(selection.node.pk)
            outline = outline_of(selection.wish(order))
        found = _hash(order, selection.version, outline)
        if plan_hash and plan_hash != found:
            raise PlanOutdated(
                "What would be done has changed since that plan; look at the plan of now and run "
                "that one.",
                plan_hash=found,
            )
        request = carry_out(outline, actor=actor, now=now, requested_by=actor.name)
        entry.after = _identity(order, selection.version, outline) | {
            "plan_hash": found,
            "new": [list(job.range) for job in outline.new],
            "created": list(request.created),
        }
    # Estimated with nothing held any more.
    return _plan(order, selection, outline, now), request


def _ordered(actor: Actor, order: BackfillOrder, now: datetime):  # type: ignore[no-untyped-def]
    return audited_action(
        "backfill.order", actor=actor, object_type="node", object_id=order.node_id, now=now
    )


def _select(actor: Actor, order: BackfillOrder) -> _Selection:
    node = Node.objects.select_related("subject__owner_team").filter(node_id=order.node_id).first()
    if node is None:
        raise NotFound(f"There is no node {order.node_id!r}.")
    require_operator(actor, node)
    check_priority(order.priority)
    version = latest_version(node.subject)
    if version is None:
        raise NothingToBindTo(f"{node.subject} has no approved version to judge rows by.")
    window = _window(node, order.start, order.end)
    return _Selection(node, version, window, tuple(_wanted(node, version, window, order.again)))


def _window(node: Node, start: int, end: int) -> Window:
    if start > end:
        raise InvalidInput(f"The window is reversed: {start} is after {end}.", parameter="start")
    window = Grid(node.interval, node.anchor).snap(start, end)
    if window is None:
        raise InvalidInput(
            f"No bar lies in [{start}, {end}]: bars are every {node.interval} s from "
            f"{node.anchor}. Widen the window.",
            parameter="start",
        )
    largest = MAX_SHARDS * shard_bars()
    if window.bars > largest:
        raise BackfillTooLarge(
            f"The window has {window.bars} bars, at most {largest} fit one request.", limit=largest
        )
    return window


def _wanted(
    node: Node, version: SchemaVersion, window: Window, again: Again
) -> Iterable[CoverageRange]:
    whole = CoverageRange(window.start, window.end)
    if again is Again.ALL:
        return [whole]
    if again is Again.MISSING:
        return stored_gaps(node, version, [whole])
    ended = BackfillShard.objects.filter(
        job__node=node,
        job__interval=node.interval,
        state__in=(ShardState.DONE, ShardState.VIOLATION),
        range_start__lte=window.end,
        range_end__gte=window.start,
    ).order_by("done_at", "pk")
    if again is Again.STALE:
        ended = ended.filter(state=ShardState.DONE)
    rows = ended.values_list("range_start", "range_end", "state", "job__bound_version_id")
    return painted(
        window,
        (
            (start, end, bound != version.pk if again is Again.STALE else state != ShardState.DONE)
            for start, end, state, bound in rows
        ),
    )


def _plan(
    order: BackfillOrder, selection: _Selection, outline: Outline, now: datetime
) -> BackfillPlan:
    return BackfillPlan(
        order=order,
        node=selection.node,
        version=selection.version,
        window=selection.window,
        outline=outline,
        not_created=tuple(_not_created(order, selection, outline)),
        estimate=estimate(selection.node, outline, now),
        limits=tuple(limits_hit(selection.node, now)),
    )


def _not_created(
    order: BackfillOrder, selection: _Selection, outline: Outline
) -> Iterable[NotCreated]:
    whole = [CoverageRange(selection.window.start, selection.window.end)]
    other = {Again.MISSING: "not_missing", Again.FAILED: "not_failed", Again.STALE: "not_stale"}
    for rest in subtract(whole, selection.ranges, selection.node.interval):
        yield NotCreated(rest, other.get(order.again, "outside"))
    if not selection.node.source:
        for wanted in selection.ranges:
            yield NotCreated(wanted, "no_source")
    for empty in outline.empty:
        yield NotCreated(empty, "no_expected_bars")
    for job in outline.joined:
        for start, end in _shared(job, outline.ranges):
            yield NotCreated(CoverageRange(start, end), "active_job", job.pk)


def _shared(job: BackfillJob, ranges: Sequence[CoverageRange]) -> list[tuple[int, int]]:
    return [
        (max(start, job.range_start), min(end, job.range_end))
        for start, end in ranges
        if start <= job.range_end and job.range_start <= end
    ]


def _hash(order: BackfillOrder, version: SchemaVersion, outline: Outline) -> str:
    return fingerprint(_identity(order, version, outline))


def _identity(order: BackfillOrder, version: SchemaVersion, outline: Outline) -> dict[str, Any]:
    """What decides whether two plans are the same."""
    return {
        "node": order.node_id,
        "schema": version.resolved_fingerprint,
        "what": str(order.again),
        "order": "newest" if order.newest_first else "oldest",
        "priority": order.priority,
        "failure_budget": str(order.failure_budget),
        "new": [[[*shard, bars] for shard, bars in job.shards] for job in outline.new],
        "joined": [[job.pk, *job.range] for job in outline.joined],
    }
