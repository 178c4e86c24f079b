"""`manage.py backfill …`: plan, run, watch and steer backfills; quarantine and limits."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from coordinator.api.representations import (
    job_json,
    limit_json,
    plan_json,
    quarantined_json,
    request_json,
    shard_json,
)
from coordinator.failure_budget import NO_BUDGET, FailureBudget
from coordinator.instants import read_instant
from coordinator.management.telling import (
    as_json,
    follow,
    instant,
    job_table,
    map_lines,
    plan_lines,
)
from coordinator.models import Quarantine
from coordinator.services.certifying import report_of
from coordinator.services.database_clock import database_now
from coordinator.services.finishing import cancel_job
from coordinator.services.job_rows import job_numbered, jobs_with_context
from coordinator.services.limits import limit_states, save_source_limit
from coordinator.services.planning import BackfillOrder, plan_backfill, run_backfill
from coordinator.services.progress import JobProgress, progress
from coordinator.services.quarantine import (
    quarantined_row,
    quarantined_rows,
    release_quarantine,
)
from coordinator.services.requesting import BackfillRequest
from coordinator.services.steering import (
    Again,
    change_priority,
    pause_job,
    reprocess_job,
    resume_job,
)
from coordinator.services.watching import Pace, heat_map, live_leases_of, pace_of
from registry.errors import InvalidInput
from registry.management.acting import REFUSED, acting_person, refusals_as_command_errors

Options = dict[str, Any]
ORDERS = ("oldest", "newest")
SHOWN = 50


class Command(BaseCommand):
    help = "Plan, run, watch and steer backfills. Act with SEAMLESS_TOKEN (scope govern)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for name, does in (("plan", "say what a run would do"), ("run", "do it")):
            order = verbs.add_parser(name, help=does)
            _add_order(order)
        order.add_argument("--plan", default="", metavar="HASH", help="only as it was planned")
        order.add_argument("--watch", action="store_true", help="stay until it has ended")
        listing = verbs.add_parser("list", help="the newest jobs")
        listing.add_argument("--node")
        listing.add_argument("--state")
        for name, does in _ONE_JOB.items():
            one = verbs.add_parser(name, help=does)
            one.add_argument("job", type=int)
            if name in ("pause", "resume", "retry", "reprocess", "priority"):
                one.add_argument("--reason", default="")
            if name == "cancel":
                one.add_argument("--reason", required=True)
            if name == "priority":
                one.add_argument("priority", type=int, help="-50 to 50; one is worth 36 s")
            if name == "reprocess":
                one.add_argument("--what", required=True, choices=[str(what) for what in Again])
                one.add_argument("--order", choices=ORDERS, default="oldest")
            if name == "watch":
                one.add_argument("--every", type=_seconds, default=1.0, metavar="SECONDS")
        _add_quarantine(verbs.add_parser("quarantine", help="rows that were set aside"))
        limit = verbs.add_parser("limit", help="limit a source, or all together (*)")
        limit.add_argument("source", nargs="?", help="without it: the limits there are")
        limit.add_argument("--max-running", type=int, help="shards at once")
        limit.add_argument("--per-minute", type=float, help="shards begun per minute")
        limit.add_argument("--burst", type=int, default=1)
        for each in verbs.choices.values():
            each.add_argument("--json", action="store_true", help="as the API answers")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        verbs: Mapping[str, Callable[[Options], None]] = {
            "plan": self._plan,
            "run": self._run,
            "list": self._list,
            "show": self._show,
            "watch": self._watch,
            "report": self._report,
            "pause": self._pause,
            "resume": self._resume,
            "cancel": self._cancel,
            "priority": self._priority,
            "retry": self._retry,
            "reprocess": self._reprocess,
            "quarantine": self._quarantine,
            "limit": self._limit,
        }
        with refusals_as_command_errors():
            verbs[verb](options)

    # --- orders ----------------------------------------------------------------------------------

    def _plan(self, options: Options) -> None:
        plan = plan_backfill(actor=acting_person(), order=_order(options), now=database_now())
        if options["json"]:
            self.stdout.write(as_json(plan_json(plan)))
        else:
            self._say(*plan_lines(plan))

    def _run(self, options: Options) -> None:
        plan, made = run_backfill(
            actor=acting_person(),
            order=_order(options),
            now=database_now(),
            plan_hash=options["plan"],
        )
        if not options["json"]:
            self._say(*plan_lines(plan))
        self._made(made, options)
        if options["watch"]:
            self._stay(made.job_ids, every=1.0)

    def _made(self, made: BackfillRequest, options: Options) -> None:
        if options["json"]:
            jobs = list(jobs_with_context().filter(pk__in=made.job_ids))
            self.stdout.write(as_json(request_json(made, jobs)))
            return
        for done, ids in (("Created", made.created), ("Joined", made.joined)):
            if ids:
                self._say(f"{done} job {', '.join(map(str, ids))}.")
        if made.job_ids:
            self._say(f"Now: manage.py backfill watch {made.job_ids[0]}")
        else:
            self._say("There is nothing to do.")

    # --- looking ---------------------------------------------------------------------------------

    def _list(self, options: Options) -> None:
        acting_person()
        jobs = jobs_with_context().order_by("-pk")
        for name, field in (("node", "node__node_id"), ("state", "state")):
            if options[name]:
                jobs = jobs.filter(**{field: options[name]})
        shown = [job_json(job) for job in jobs[:SHOWN]]
        if options["json"]:
            self.stdout.write(as_json({"jobs": shown}))
        else:
            self._console().print(job_table(shown))

    def _show(self, options: Options) -> None:
        acting_person()
        now = database_now()
        job, (seen, pace) = job_numbered(options["job"]), _look(options["job"])
        leases = [shard_json(shard, now) for shard in live_leases_of(job.pk)]
        if options["json"]:
            facts = job_json(job) | {"ratio": seen.ratio, "shards": dict(seen.shards)}
            self.stdout.write(as_json(facts | {"leases": leases}))
            return
        self._console().print(job_table([job_json(job)]))
        eta = "unknown" if pace.eta_seconds is None else f"{pace.eta_seconds:.0f} s"
        self._say(
            f"{seen.ratio:.1%} of {seen.expected_bars} bars, {pace.bars_per_second:.0f} bars/s, "
            f"time to go: {eta}",
            *map_lines(heat_map(job.pk)),
        )
        for lease in leases:
            self._say(
                f"{instant(lease['start'])} to {instant(lease['end'])} held by {lease['holder']}, "
                f"epoch {lease['epoch']}, attempt {lease['attempts']}, "
                f"expires in {lease['expires_in']:.0f} s"
            )

    def _watch(self, options: Options) -> None:
        acting_person()
        self._stay([job_numbered(options["job"]).pk], every=options["every"])

    def _stay(self, job_ids: list[int], *, every: float) -> None:
        """Until every job has ended; exit code 1 where one has not all its rows."""
        states = [
            follow(lambda pk=pk: _look(pk), every=every, console=self._console()).state  # type: ignore[misc]
            for pk in job_ids
        ]
        if any(state != "done" for state in states):
            raise SystemExit(REFUSED)

    def _report(self, options: Options) -> None:
        acting_person()
        self.stdout.write(as_json(report_of(job_id=options["job"])))

    # --- steering --------------------------------------------------------------------------------

    def _pause(self, options: Options) -> None:
        pause_job(**_decision(options), reason=options["reason"])
        self._say(f"Job {options['job']} is paused; shards that run are finished.")

    def _resume(self, options: Options) -> None:
        resume_job(**_decision(options), reason=options["reason"])
        self._say(f"Job {options['job']} goes on.")

    def _cancel(self, options: Options) -> None:
        cancel_job(**_decision(options), reason=options["reason"])
        self._say(f"Job {options['job']} is cancelled; no result of it commits any more.")

    def _priority(self, options: Options) -> None:
        change_priority(
            **_decision(options), priority=options["priority"], reason=options["reason"]
        )
        self._say(f"Job {options['job']} has priority {options['priority']}.")

    def _retry(self, options: Options) -> None:
        made = reprocess_job(**_decision(options), again=Again.FAILED, reason=options["reason"])
        self._made(made, options)

    def _reprocess(self, options: Options) -> None:
        made = reprocess_job(
            **_decision(options),
            again=Again(options["what"]),
            newest_first=options["order"] == "newest",
            reason=options["reason"],
        )
        self._made(made, options)

    # --- quarantine and limits -------------------------------------------------------------------

    def _quarantine(self, options: Options) -> None:
        actor = acting_person()
        if options["action"] == "list":
            rows = quarantined_rows(actor=actor)
            if options["node"]:
                rows = rows.filter(shard__job__node__node_id=options["node"])
            self._kept(list(rows[:SHOWN]), options)
        elif options["action"] == "show":
            seen = quarantined_row(actor=actor, row_id=options["row"])
            self.stdout.write(as_json(quarantined_json(seen.kept) | {"row": seen.row}))
        else:
            made = release_quarantine(
                actor=actor, row_id=options["row"], reason=options["reason"], now=database_now()
            )
            self._made(made, options)

    def _kept(self, rows: list[Quarantine], options: Options) -> None:
        if options["json"]:
            self.stdout.write(as_json({"rows": [quarantined_json(kept) for kept in rows]}))
        for kept in () if options["json"] else rows:
            found = ", ".join(
                f"{one.get('column') or 'row'}: {one.get('keyword')}" for one in kept.diagnostics
            )
            state = "released" if kept.released_at else "kept"
            self._say(f"{kept.pk}  {kept.shard.job.node}  shard {kept.shard_id}  {state}  {found}")

    def _limit(self, options: Options) -> None:
        actor = acting_person()
        if options["source"]:
            save_source_limit(
                actor=actor,
                name=options["source"],
                max_running=options["max_running"],
                per_minute=options["per_minute"],
                burst=options["burst"],
                now=database_now(),
            )
        states = [limit_json(state) for state in limit_states(database_now())]
        if options["json"]:
            self.stdout.write(as_json({"limits": states}))
        for state in () if options["json"] else states:
            self._say(
                f"{state['source']}: at once {state['max_running'] or 'any'} "
                f"({state['running']} run), per minute {state['per_minute'] or 'any'}, "
                f"burst {state['burst']}, next in {state['wait_seconds']:g} s"
            )

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.stdout.write(line)

    def _console(self) -> Console:
        """Without markup: a node id such as `ohlcv:x:BTC` holds what rich takes for an emoji."""
        width = None if sys.stdout.isatty() else 160
        plain = {"markup": False, "emoji": False, "highlight": False}
        return Console(file=self.stdout, width=width, **plain)  # type: ignore[arg-type]


_ONE_JOB = {
    "show": "one job: progress, heat map, leases",
    "watch": "follow a job until it has ended",
    "report": "the certificate of a job, or its violation report",
    "pause": "begin no more shards",
    "resume": "go on",
    "cancel": "end it at once",
    "retry": "do again what has failed",
    "reprocess": "do shards again",
    "priority": "move it in the queue",
}


def _add_order(parser: ArgumentParser) -> None:
    parser.add_argument("node", help="the node's id")
    parser.add_argument("start", help="epoch seconds or RFC 3339")
    parser.add_argument("end", help="the last bar time, included")
    parser.add_argument("--what", choices=[str(what) for what in Again], default=str(Again.MISSING))
    parser.add_argument("--order", choices=ORDERS, default="oldest")
    parser.add_argument("--priority", type=int, default=0, help="-50 to 50; one is worth 36 s")
    parser.add_argument(
        "--failure-budget",
        type=_budget,
        default=NO_BUDGET,
        metavar="N|N%",
        help="give up the rest when more shards than this have failed",
    )


def _add_quarantine(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|show|release")
    actions.add_parser("list", help="the newest rows").add_argument("--node")
    actions.add_parser("show", help="one row").add_argument("row", type=int)
    release = actions.add_parser("release", help="do the shard of a row again, after a fix")
    release.add_argument("row", type=int)
    release.add_argument("--reason", required=True)


def _order(options: Options) -> BackfillOrder:
    return BackfillOrder(
        node_id=options["node"],
        start=_instant("start", options["start"]),
        end=_instant("end", options["end"]),
        again=Again(options["what"]),
        newest_first=options["order"] == "newest",
        priority=options["priority"],
        failure_budget=options["failure_budget"],
    )


def _instant(name: str, text: str) -> int:
    try:
        return read_instant(name, text)
    except InvalidInput as wrong:
        raise CommandError(wrong.detail, returncode=2) from None


def _budget(text: str) -> FailureBudget:
    try:
        return FailureBudget.read(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.05 <= seconds <= 3_600:
        raise ArgumentTypeError("between 0.05 and 3600 seconds")
    return seconds


def _decision(options: Options) -> dict[str, Any]:
    return {"actor": acting_person(), "job_id": options["job"], "now": database_now()}


def _look(job_id: int) -> tuple[JobProgress, Pace]:
    seen = progress(job_id)
    return seen, pace_of(seen, database_now())
