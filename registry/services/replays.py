"""Shadow replays: a candidate judged by stored rows, in shards that whoever is there runs.

A shard is held for a while and held longer with each table; a holder that dies lets it go, and the
next one starts it anew. `attempt` fences: what a holder that was too late writes, is not written.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Count, F, Q, Sum

from registry.actors import Actor
from registry.audit.events import recordable
from registry.errors import Conflict, InvalidInput, NotFound, SeamlessError
from registry.frame import frame_of
from registry.models import Proposal, ReplayRun, ReplayShard, ReplayState, Role, ShardState
from registry.replay import stored_rows
from registry.replay_check import ReplayCheck, merged
from registry.services.access import require_person, require_role
from registry.services.actions import audited_action
from registry.services.audit import record
from registry.services.open_proposals import locked_proposal, require_open
from registry.services.references import stored_references
from registry.services.samples import sampled_rows

HOLD = timedelta(seconds=120)
MOST_ATTEMPTS = 5
MOST_DAYS = 366
DEFAULT_DAYS = 30

log = structlog.get_logger("seamless.schema")
Clock = Callable[[], datetime]


class ReplayRunning(Conflict):
    code = "replay_running"
    title = "A replay is running"


class ReplayEnded(Conflict):
    code = "replay_ended"
    title = "The replay has ended"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is."""

    state: str
    shards: int
    shards_done: int
    rows: int
    invalid: int


def start_replay(
    *, actor: Actor, proposal_id: int, now: datetime, days: int = DEFAULT_DAYS
) -> ReplayRun:
    """Cut the bound nodes' last `days` days into shards. A replay of an earlier content ends.

    Raises ReplayRunning, WrongState, InvalidInput, NotFound and NotAllowed.
    """
    with audited_action(
        "replay.start", actor=actor, object_type="proposal", object_id=proposal_id, now=now
    ) as entry:
        proposal = locked_proposal(proposal_id)
        require_role(actor, proposal.subject.owner_team, Role.OWNER, Role.REVIEWER)
        require_open(proposal)
        if not 1 <= days <= MOST_DAYS:
            raise InvalidInput(f"A replay goes back 1 to {MOST_DAYS} days, not {days}.")
        _end_outdated(proposal, now)
        run = ReplayRun.objects.create(
            proposal=proposal,
            revision=proposal.revision,
            content=proposal.content,
            requested_by_id=require_person(actor),
            days=days,
            created_at=now,
        )
        shards = [ReplayShard(run=run, **fields) for fields in _shards(proposal, now, days)]
        ReplayShard.objects.bulk_create(shards)
        entry.after = {"replay": run.pk, "revision": run.revision, "shards": len(shards)}
    return run


def cancel_replay(*, actor: Actor, proposal_id: int, now: datetime, reason: str = "") -> ReplayRun:
    """End the running replay of the proposal; whoever runs a shard stops at its next table."""
    with audited_action(
        "replay.cancel",
        actor=actor,
        object_type="proposal",
        object_id=proposal_id,
        now=now,
        reason=reason,
    ) as entry:
        proposal = locked_proposal(proposal_id)
        require_role(actor, proposal.subject.owner_team, Role.OWNER, Role.REVIEWER)
        run = proposal.replays.filter(state=ReplayState.RUNNING).first()
        if run is None or not _end(run, ReplayState.CANCELLED, now):
            raise ReplayEnded(f"No replay of proposal {proposal_id} is running.")
        entry.after = {"replay": run.pk}
    return run


def run_replays(*, clock: Clock, seconds: float, run_id: int | None = None) -> Iterator[Progress]:
    """Run waiting shards, of one replay or of all, until none is left or the time is over."""
    until = clock() + timedelta(seconds=seconds)
    while clock() < until:
        shard = _claimed(clock(), run_id)
        if shard is None:
            return
        _run(shard, clock)
        yield progress_of(shard.run)


def progress_of(run: ReplayRun) -> Progress:
    totals = run.shards.aggregate(
        shards=Count("pk"),
        done=Count("pk", filter=Q(state__in=[ShardState.DONE, ShardState.FAILED])),
        rows=Sum("rows"),
        invalid=Sum("invalid"),
    )
    state = ReplayRun.objects.values_list("state", flat=True).get(pk=run.pk)
    return Progress(
        state=state,
        shards=totals["shards"],
        shards_done=totals["done"],
        rows=totals["rows"] or 0,
        invalid=totals["invalid"] or 0,
    )


def report_of(run: ReplayRun) -> dict[str, Any]:
    """Progress, and what was found so far: failures by column and keyword, a few places each."""
    run.refresh_from_db(fields=["state", "finished_at"])
    progress = progress_of(run)
    shards = list(run.shards.select_related("node"))
    return {
        "id": run.pk,
        "revision": run.revision,
        "days": run.days,
        "state": progress.state,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "shards": progress.shards,
        "shards_done": progress.shards_done,
        "rows": progress.rows,
        "invalid": progress.invalid,
        "failures": merged(shard.failures for shard in shards),
        "errors": [f"{shard.node or 'samples'}: {shard.error}" for shard in shards if shard.error],
    }


def replay_numbered(proposal: Proposal) -> ReplayRun:
    """The newest replay of the proposal, also of an earlier content."""
    run = proposal.replays.order_by("-pk").first()
    if run is None:
        raise NotFound(f"Proposal {proposal.pk} was never replayed.")
    return run


# --- shards --------------------------------------------------------------------------------------


def _shards(proposal: Proposal, now: datetime, days: int) -> Iterator[dict[str, Any]]:
    until = int(now.timestamp())
    since = until - days * 86_400
    number = 0
    for node in proposal.subject.nodes.order_by("node_id"):
        for start, end in stored_rows().ranges(node, since, until):
            number += 1
            yield {"number": number, "node": node, "start": start, "end": end}
    yield {"number": number + 1}  # the retained samples


def _claimed(now: datetime, run_id: int | None) -> ReplayShard | None:
    """The next shard that nobody holds, held by this caller from now on."""
    free = ReplayShard.objects.filter(
        Q(state=ShardState.WAITING) | Q(state=ShardState.RUNNING, held_until__lte=now),
        run__state=ReplayState.RUNNING,
    )
    if run_id is not None:
        free = free.filter(run_id=run_id)
    for shard in free.select_related("run__content", "node").order_by("pk")[:20]:
        mine = ReplayShard.objects.filter(
            pk=shard.pk, attempt=shard.attempt, run__state=ReplayState.RUNNING
        )
        if mine.update(state=ShardState.RUNNING, attempt=F("attempt") + 1, held_until=now + HOLD):
            shard.attempt += 1
            return shard
    return None


def _run(shard: ReplayShard, clock: Clock) -> None:
    if shard.attempt > MOST_ATTEMPTS:
        _finish(shard, clock(), error=f"given up after {MOST_ATTEMPTS} attempts that died")
        return
    content = shard.run.content
    check = ReplayCheck(content.document, references=stored_references(content.canonical))
    try:
        for add in _pieces(shard, check):
            if not _still_held(shard, clock()):
                return
            add()
    except (SeamlessError, ValueError) as error:
        _finish(shard, clock(), error=str(error))
    except Exception as error:
        log.exception("schema.replay_crashed", run=shard.run_id, shard=shard.number)
        _finish(shard, clock(), error=f"crashed: {type(error).__name__}")
    else:
        _finish(shard, clock(), check=check)


def _pieces(shard: ReplayShard, check: ReplayCheck) -> Iterator[Callable[[], None]]:
    if shard.node is None or shard.start is None or shard.end is None:
        run = shard.run
        since = run.created_at - timedelta(days=run.days)
        for sample in sampled_rows(run.proposal.subject, since=since):
            yield partial(check.add_rows, sample.rows, sample.withheld)
        return
    first = not shard.run.shards.filter(node=shard.node, number__lt=shard.number).exists()
    frame = frame_of(shard.run.content.document)
    rows = stored_rows().tables(shard.node, frame, shard.start, shard.end, untimed=first)
    for table in rows:
        yield partial(check.add_table, table)


def _still_held(shard: ReplayShard, now: datetime) -> bool:
    mine = ReplayShard.objects.filter(
        pk=shard.pk, attempt=shard.attempt, run__state=ReplayState.RUNNING
    )
    return bool(mine.update(held_until=now + HOLD))


def _finish(
    shard: ReplayShard, now: datetime, *, check: ReplayCheck | None = None, error: str = ""
) -> None:
    """Write what the shard found, if it is still held, and end the run with its last shard."""
    found = {} if check is None else {"rows": check.rows, "invalid": check.invalid}
    failures = [] if check is None else check.failures
    with transaction.atomic():
        run = ReplayRun.objects.select_for_update().get(pk=shard.run_id)
        if run.state != ReplayState.RUNNING:
            return
        mine = ReplayShard.objects.filter(
            pk=shard.pk, attempt=shard.attempt, state=ShardState.RUNNING
        )
        mine.update(
            state=ShardState.FAILED if error else ShardState.DONE,
            failures=recordable(failures),
            error=error,
            **found,
        )
        _settle(run, now)


def _settle(run: ReplayRun, now: datetime) -> None:
    if run.shards.filter(state__in=[ShardState.WAITING, ShardState.RUNNING]).exists():
        return
    failed = run.shards.filter(state=ShardState.FAILED).exists()
    if _end(run, ReplayState.FAILED if failed else ReplayState.DONE, now):
        progress = progress_of(run)
        record(
            actor=Actor.system("replay"),
            action="replay.finish",
            object_type="proposal",
            object_id=str(run.proposal_id),
            now=now,
            outcome="failed" if failed else "ok",
            after={"replay": run.pk, "rows": progress.rows, "invalid": progress.invalid},
        )


def _end(run: ReplayRun, state: ReplayState, now: datetime) -> bool:
    going = ReplayRun.objects.filter(pk=run.pk, state=ReplayState.RUNNING)
    ended = bool(going.update(state=state, finished_at=now))
    if ended:
        run.state, run.finished_at = state, now
    return ended


def _end_outdated(proposal: Proposal, now: datetime) -> None:
    running = proposal.replays.filter(state=ReplayState.RUNNING).first()
    if running is None:
        return
    if running.revision == proposal.revision:
        raise ReplayRunning(f"Replay {running.pk} of proposal {proposal.pk} is running already.")
    _end(running, ReplayState.CANCELLED, now)
