"""`manage.py proposal …`: every step from a draft to a version, one verb each.

The acting person is whose token SEAMLESS_TOKEN holds. Exit codes: 0 done, 1 refused (of `replay`
also: rows were refused), 2 wrong use.
"""

import argparse
import json
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from registry.api.representations import (
    diff_json,
    proposal_json,
    proposal_line,
    version_json,
    waiver_json,
)
from registry.management.acting import acting_person, refusals_as_command_errors
from registry.management.lifecycle_inputs import instant
from registry.management.printing import tell
from registry.management.schema_inputs import read_schema
from registry.models import Proposal, ProposalState
from registry.services import proposals, replays, waivers
from registry.services.impact import impact_of
from registry.services.open_proposals import proposal_numbered
from registry.services.visibility import require_visible, visible

ALL_DAY = 86_400.0
REFUSED = 1


class Command(BaseCommand):
    help = "Propose a schema, show what it breaks and touches, replay, review, waive, withdraw."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        listed = verbs.add_parser("list", help="the newest first")
        listed.add_argument("--state", choices=ProposalState.values)
        listed.add_argument("--subject")
        listed.add_argument("--json", action="store_true")
        create = verbs.add_parser("create", help="draft a subject's next version")
        create.add_argument("subject")
        create.add_argument("schema", help="a file, - or seamless:///subjects/NAME/versions/N")
        create.add_argument("--reason", default="")
        create.add_argument("--json", action="store_true")
        edit = _verb(verbs, "edit", "give it another content: a draft again, without approvals")
        edit.add_argument("schema")
        edit.add_argument("--reason", default="")
        for name, about in (
            ("show", "all that a reviewer must see"),
            ("diff", "what is written differently"),
            ("impact", "whom it touches"),
            ("submit", "hand it to the reviewers"),
            ("recheck", "judge it anew"),
            ("report", "what the newest replay found"),
        ):
            _verb(verbs, name, about)
        approve = _verb(verbs, "approve", "count one approval")
        approve.add_argument("--comment", default="")
        reject = _verb(verbs, "reject", "end it, with a reason for its author")
        reject.add_argument("--reason", required=True)
        approve.add_argument(
            "--with",
            type=int,
            nargs="+",
            default=[],
            dest="others",
            metavar="ID",
            help="others to approve together with it: one release",
        )
        for each in (approve, reject):
            each.add_argument("--team", default="", help="for which of your teams you speak")
        for name, about in (("withdraw", "end it undecided"), ("cancel-replay", "end its replay")):
            _verb(verbs, name, about).add_argument("--reason", default="")
        replay = _verb(verbs, "replay", "try it on stored rows, in this process")
        replay.add_argument("--days", type=int, default=replays.DEFAULT_DAYS)
        replay.add_argument("--background", action="store_true", help="leave it to the workers")
        waive = _verb(verbs, "waive", "ask for a waiver")
        waive.add_argument("rule")
        waive.add_argument("--reason", required=True)
        waive.add_argument("--until", required=True, type=instant, metavar="INSTANT")
        for name, about in (("grant-waiver", "grant it"), ("end-waiver", "end it early")):
            _verb(verbs, name, about, "waiver").add_argument("--reason", default="")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        verbs: Mapping[str, Callable[[dict[str, Any]], int | None]] = {
            "list": self._list,
            "create": self._create,
            "edit": self._edit,
            "show": self._show,
            "diff": self._diff,
            "impact": self._impact,
            "submit": self._submit,
            "recheck": self._recheck,
            "approve": self._approve,
            "reject": self._reject,
            "withdraw": self._withdraw,
            "replay": self._replay,
            "report": self._report,
            "cancel-replay": self._cancel_replay,
            "waive": self._waive,
            "grant-waiver": self._grant_waiver,
            "end-waiver": self._end_waiver,
        }
        with refusals_as_command_errors():
            code = verbs[verb](options)
        if code:
            raise SystemExit(code)

    # --- drafting ----------------------------------------------------------------------------

    def _list(self, options: dict[str, Any]) -> None:
        proposals_seen = visible(
            acting_person(), Proposal.objects.select_related("subject", "author")
        )
        found = proposals_seen.order_by("-pk")
        if options["state"]:
            found = found.filter(state=options["state"])
        if options["subject"]:
            found = found.filter(subject__name=options["subject"])
        facts = [proposal_line(proposal) for proposal in found]
        lines = (
            f"{p['id']}  {p['subject']}  {p['state']}  {p['verdict']}  {p['author']}" for p in facts
        )
        tell(self.stdout, facts, *lines, as_json=options["json"])

    def _create(self, options: dict[str, Any]) -> None:
        outcome = proposals.propose_schema(
            actor=acting_person(),
            subject=options["subject"],
            document=read_schema(options["schema"]).text,
            now=timezone.now(),
            reason=options["reason"],
        )
        if outcome.proposal is not None:
            self._told(outcome.proposal, options)
        elif outcome.version is not None:
            line = f"{outcome.version} has this very content already."
            tell(self.stdout, version_json(outcome.version), line, as_json=options["json"])

    def _edit(self, options: dict[str, Any]) -> None:
        edited = proposals.edit_proposal(
            actor=acting_person(),
            proposal_id=options["id"],
            document=read_schema(options["schema"]).text,
            now=timezone.now(),
            reason=options["reason"],
        )
        self._told(edited, options)

    def _submit(self, options: dict[str, Any]) -> None:
        self._told(proposals.submit_proposal(**self._acting(options)), options)

    def _recheck(self, options: dict[str, Any]) -> None:
        self._told(proposals.recheck_proposal(**self._acting(options)), options)

    def _withdraw(self, options: dict[str, Any]) -> None:
        reason = options["reason"]
        self._told(proposals.withdraw_proposal(**self._acting(options), reason=reason), options)

    # --- what it breaks and touches ----------------------------------------------------------

    def _show(self, options: dict[str, Any]) -> None:
        self._told(_seen(options), options)

    def _diff(self, options: dict[str, Any]) -> None:
        facts = diff_json(_seen(options))
        lines = [
            f"{one['kind']} {one['new_pointer'] or one['old_pointer'] or 'the root'}: "
            f"{json.dumps(one['before'])} -> {json.dumps(one['after'])}"
            for one in facts["changes"]
        ]
        tell(self.stdout, facts, *lines, as_json=options["json"])

    def _impact(self, options: dict[str, Any]) -> None:
        facts = impact_of(_seen(options), now=timezone.now()).to_dict()
        lines = (f"{name}: {_listed(value)}" for name, value in facts.items())
        tell(self.stdout, facts, *lines, as_json=options["json"])

    # --- replaying ---------------------------------------------------------------------------

    def _replay(self, options: dict[str, Any]) -> int:
        run = replays.start_replay(**self._acting(options), days=options["days"])
        if not options["background"]:
            going = replays.run_replays(clock=timezone.now, seconds=ALL_DAY, run_id=run.pk)
            for progress in going:
                done = f"{progress.shards_done} of {progress.shards} shards"
                self.stderr.write(f"{done}, {progress.rows} rows, {progress.invalid} refused")
        report = replays.report_of(run)
        self._tell_report(report, options)
        return REFUSED if report["invalid"] or report["state"] == "failed" else 0

    def _report(self, options: dict[str, Any]) -> None:
        run = replays.replay_numbered(_seen(options))
        self._tell_report(replays.report_of(run), options)

    def _cancel_replay(self, options: dict[str, Any]) -> None:
        run = replays.cancel_replay(**self._acting(options), reason=options["reason"])
        self._tell_report(replays.report_of(run), options)

    # --- deciding ----------------------------------------------------------------------------

    def _approve(self, options: dict[str, Any]) -> None:
        if options["others"]:
            self._approve_together(options)
            return
        version = proposals.approve_proposal(
            **self._acting(options), comment=options["comment"], team=options["team"]
        )
        stands = proposals.approval_standing(proposal_numbered(options["id"])).sentence
        line = f"Recorded: {stands}." if version is None else f"{version} is approved."
        facts = {"version": None if version is None else version_json(version), "stands": stands}
        tell(self.stdout, facts, line, as_json=options["json"])

    def _approve_together(self, options: dict[str, Any]) -> None:
        versions = proposals.approve_proposals(
            actor=acting_person(),
            proposal_ids=[options["id"], *options["others"]],
            now=timezone.now(),
            comment=options["comment"],
            team=options["team"],
        )
        made = [version for version in versions if version is not None]
        lines = [f"{version} is approved." for version in made]
        open_ones = len(versions) - len(made)
        lines += [f"{open_ones} of them wait for more approvals."] if open_ones else []
        facts = {"versions": [version_json(version) for version in made]}
        tell(self.stdout, facts, *lines, as_json=options["json"])

    def _reject(self, options: dict[str, Any]) -> None:
        rejected = proposals.reject_proposal(
            **self._acting(options), comment=options["reason"], team=options["team"]
        )
        self._told(rejected, options)

    def _waive(self, options: dict[str, Any]) -> None:
        waiver = waivers.request_waiver(
            **self._acting(options),
            rule=options["rule"],
            reason=options["reason"],
            expires_at=options["until"],
        )
        self._tell_waiver(waiver, options)

    def _grant_waiver(self, options: dict[str, Any]) -> None:
        waiver = waivers.grant_waiver(
            actor=acting_person(),
            waiver_id=options["waiver"],
            now=timezone.now(),
            comment=options["reason"],
        )
        self._tell_waiver(waiver, options)

    def _end_waiver(self, options: dict[str, Any]) -> None:
        waiver = waivers.end_waiver(
            actor=acting_person(),
            waiver_id=options["waiver"],
            now=timezone.now(),
            reason=options["reason"],
        )
        self._tell_waiver(waiver, options)

    # --- telling -----------------------------------------------------------------------------

    def _acting(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"actor": acting_person(), "proposal_id": options["id"], "now": timezone.now()}

    def _told(self, proposal: Proposal, options: dict[str, Any]) -> None:
        facts = proposal_json(proposal)
        report = facts["compatibility"]
        lines = [
            f"Proposal {proposal.pk} of {facts['subject']}, revision {proposal.revision}: "
            f"{proposal.state}",
            f"{proposal.verdict} at level {report.get('level')}",
            proposals.approval_standing(proposal).sentence,
        ]
        if report.get("witness"):
            lines.append(f"Witness: {json.dumps(report['witness']['document'])}")
        lines += [f"Not proven: {reason}" for reason in report.get("reasons", ())]
        lines += [f"Lint {one['pointer'] or 'the root'}: {one['message']}" for one in facts["lint"]]
        tell(self.stdout, facts, *lines, as_json=options["json"])

    def _tell_report(self, report: dict[str, Any], options: dict[str, Any]) -> None:
        lines = [
            f"Replay {report['id']}: {report['state']}, {report['shards_done']} of "
            f"{report['shards']} shards, {report['rows']} rows, {report['invalid']} refused"
        ]
        for one in report["failures"]:
            lines.append(f"{one['column'] or '(row)'}: {one['keyword']} x {one['count']}")
            lines += [f"  {p['key']} {p['time']} = {p['value']}" for p in one["places"][:3]]
        lines += [f"Error: {error}" for error in report["errors"]]
        tell(self.stdout, report, *lines, as_json=options["json"])

    def _tell_waiver(self, waiver: Any, options: dict[str, Any]) -> None:
        facts = waiver_json(waiver, timezone.now())
        line = f"Waiver {facts['id']} of {facts['rule']}: {facts['state']}"
        tell(self.stdout, facts, line, as_json=options["json"])


def _seen(options: dict[str, Any]) -> Proposal:
    """The proposal, for a person who may see it."""
    require_visible(acting_person(), Proposal, [options["id"]])
    return proposal_numbered(options["id"])


def _verb(verbs: Any, name: str, about: str, what: str = "id") -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = verbs.add_parser(name, help=about)
    made.add_argument(what, type=int)
    made.add_argument("--json", action="store_true")
    return made


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
