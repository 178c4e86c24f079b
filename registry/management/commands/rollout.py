"""`manage.py rollout …`: from canary to strict and back, one verb for each decision."""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from registry.api.representations import (
    incident_json,
    override_json,
    rollout_facts,
    rollout_json,
)
from registry.management.acting import acting_person, refusals_as_command_errors
from registry.management.printing import add_json_option, table, tell
from registry.models import Incident, Rollout
from registry.services import gate_policies, gates, incidents, rollouts
from registry.services.visibility import require_visible, visible

VERBS = (
    "list|show|approve|promote|ramp|roll-back|demote|override|confirm-override|"
    "incidents|open-incident|close-incident|policy"
)


class Command(BaseCommand):
    help = "Look at rollouts and their gates, and decide about them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar=VERBS)
        listed = verbs.add_parser("list", help="the live rollouts")
        listed.add_argument("--ended", action="store_true", help="those that ended too")
        for one in (listed, seen := verbs.add_parser("incidents", help="the open incidents")):
            one.add_argument("--consumer", default="")
        listed.add_argument("--bundle", default="")
        made = [listed, seen]
        for verb, text in (
            ("show", "one rollout with its gates"),
            ("approve", "your word that a canary may become strict"),
            ("promote", "make a canary strict, its gates being open"),
            ("ramp", "let a canary judge a share of the requests as strict"),
            ("roll-back", "put the strict release before this one back"),
            ("demote", "make a strict rollout a canary again"),
            ("override", "ask that a canary's gates do not count for a while"),
        ):
            one = verbs.add_parser(verb, help=text)
            one.add_argument("id", type=int, help="the rollout's id")
            _options(verb, one)
            made.append(one)
        confirm = verbs.add_parser("confirm-override", help="the second person's word")
        confirm.add_argument("id", type=int, help="the override's id")
        opened = verbs.add_parser("open-incident", help="say that something is wrong")
        opened.add_argument("--consumer", required=True)
        opened.add_argument("--bundle", required=True)
        closed = verbs.add_parser("close-incident", help="say that it is over")
        closed.add_argument("id", type=int, help="the incident's id")
        for one in (opened, closed):
            one.add_argument("--reason", required=True)
        policy = verbs.add_parser("policy", help="save what the gates need, by name")
        _policy_options(policy)
        add_json_option(*made, confirm, opened, closed, policy)

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        verbs: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "list": self._list,
            "show": self._show,
            "approve": self._approve,
            "promote": self._promote,
            "ramp": self._ramp,
            "roll-back": self._roll_back,
            "demote": self._demote,
            "override": self._override,
            "confirm-override": self._confirm_override,
            "incidents": self._incidents,
            "open-incident": self._open_incident,
            "close-incident": self._close_incident,
            "policy": self._policy,
        }
        with refusals_as_command_errors():
            verbs[verb](options)

    def _list(self, options: dict[str, Any]) -> None:
        wanted = rollouts.all_rollouts(
            consumer=options["consumer"], bundle=options["bundle"], ended=options["ended"]
        )
        found = list(visible(acting_person(), wanted))
        rows = [("ID", "CONSUMER", "RELEASE", "MODE"), *(_row(rollout) for rollout in found)]
        facts = {"rollouts": [rollout_facts(rollout) for rollout in found]}
        tell(self.stdout, facts, *table(rows), as_json=options["json"])

    def _show(self, options: dict[str, Any]) -> None:
        require_visible(acting_person(), Rollout, [options["id"]])
        self._tell(options, rollouts.rollout_by_id(options["id"]))

    def _approve(self, options: dict[str, Any]) -> None:
        rollouts.approve_promotion(
            actor=acting_person(),
            rollout_id=options["id"],
            now=timezone.now(),
            comment=options["comment"],
        )
        self._tell(options, rollouts.rollout_by_id(options["id"]), "Your approval is recorded.")

    def _promote(self, options: dict[str, Any]) -> None:
        strict = rollouts.promote_rollout(
            actor=acting_person(), rollout_id=options["id"], now=timezone.now()
        )
        self._tell(options, strict, f"Rollout {strict.pk} blocks from now on.")

    def _ramp(self, options: dict[str, Any]) -> None:
        canary = rollouts.ramp_rollout(
            actor=acting_person(),
            rollout_id=options["id"],
            percent=options["percent"],
            now=timezone.now(),
        )
        self._tell(options, canary, f"It judges {canary.ramp_percent}% of the requests as strict.")

    def _roll_back(self, options: dict[str, Any]) -> None:
        restored = rollouts.roll_back_rollout(
            actor=acting_person(),
            rollout_id=options["id"],
            now=timezone.now(),
            reason=options["reason"],
        )
        self._tell(options, restored, f"{restored.release} is strict again.")

    def _demote(self, options: dict[str, Any]) -> None:
        canary = rollouts.demote_rollout(
            actor=acting_person(),
            rollout_id=options["id"],
            now=timezone.now(),
            reason=options["reason"],
        )
        self._tell(options, canary, f"{canary.release} is a canary again.")

    def _override(self, options: dict[str, Any]) -> None:
        now = timezone.now()
        override = gates.request_override(
            actor=acting_person(),
            rollout_id=options["id"],
            reason=options["reason"],
            expires_at=now + timedelta(hours=options["hours"]),
            now=now,
        )
        tell(
            self.stdout,
            override_json(override),
            f"Override {override.pk} waits for another person: "
            f"manage.py rollout confirm-override {override.pk}",
            as_json=options["json"],
        )

    def _confirm_override(self, options: dict[str, Any]) -> None:
        override = gates.confirm_override(
            actor=acting_person(), override_id=options["id"], now=timezone.now()
        )
        tell(
            self.stdout,
            override_json(override),
            f"The gates of rollout {override.rollout_id} do not count until "
            f"{override.expires_at:%Y-%m-%dT%H:%M:%SZ}.",
            as_json=options["json"],
        )

    def _incidents(self, options: dict[str, Any]) -> None:
        open_ones = Incident.objects.filter(closed_at__isnull=True)
        found = visible(acting_person(), open_ones).order_by("-pk")
        if options["consumer"]:
            found = found.filter(consumer__name=options["consumer"])
        shown = [incident_json(one) for one in found.select_related("consumer", "bundle")]
        rows = [("ID", "CONSUMER", "BUNDLE", "COUNT", "REASON")]
        rows += [(i["id"], i["consumer"], i["bundle"], i["count"], i["reason"]) for i in shown]
        tell(self.stdout, {"incidents": shown}, *table(rows), as_json=options["json"])

    def _open_incident(self, options: dict[str, Any]) -> None:
        incident = incidents.open_incident(
            actor=acting_person(),
            consumer=options["consumer"],
            bundle=options["bundle"],
            reason=options["reason"],
            now=timezone.now(),
        )
        tell(
            self.stdout,
            incident_json(incident),
            f"Incident {incident.pk} is open.",
            as_json=options["json"],
        )

    def _close_incident(self, options: dict[str, Any]) -> None:
        incident = incidents.close_incident(
            actor=acting_person(),
            incident_id=options["id"],
            reason=options["reason"],
            now=timezone.now(),
        )
        tell(
            self.stdout,
            incident_json(incident),
            f"Incident {incident.pk} is closed.",
            as_json=options["json"],
        )

    def _policy(self, options: dict[str, Any]) -> None:
        given = {name: options[name] for name in _POLICY if options[name] is not None}
        if options["hours"] is not None:
            given["observation"] = timedelta(hours=options["hours"])
        policy = gate_policies.save_gate_policy(
            actor=acting_person(),
            name=options["name"],
            promotes_itself=options["promotes_itself"],
            now=timezone.now(),
            **given,
        )
        facts = gate_policies.gate_policy_facts(policy)
        tell(self.stdout, facts, f"Gate policy {policy.name} is saved.", as_json=options["json"])

    def _tell(self, options: dict[str, Any], rollout: Rollout, *lines: str) -> None:
        shown = rollout_json(rollout, timezone.now())
        gates_shown = [
            (g["name"], "open" if g["ok"] else "closed", g["needed"], g["observed"])
            for g in shown["gates"]
        ]
        head = f"Rollout {rollout.pk}: {rollout.release} {rollout.mode} for {rollout.consumer}"
        rows = [("GATE", "STATE", "NEEDED", "OBSERVED"), *gates_shown] if gates_shown else []
        tell(self.stdout, shown, *lines, head, *table(rows), as_json=options["json"])


_POLICY = (
    "minimum_reads",
    "minimum_rows",
    "maximum_violation_rate",
    "maximum_unchecked_share",
    "minimum_node_coverage",
    "required_approvals",
    "description",
)


def _options(verb: str, parser: ArgumentParser) -> None:
    if verb == "approve":
        parser.add_argument("--comment", default="")
    if verb == "ramp":
        parser.add_argument("percent", type=int, help="0 to 99")
    if verb in ("roll-back", "demote", "override"):
        parser.add_argument("--reason", required=True)
    if verb == "override":
        parser.add_argument("--hours", type=int, default=24, help="how long it lasts, up to 168")


def _policy_options(parser: ArgumentParser) -> None:
    parser.add_argument("name")
    parser.add_argument("--hours", type=float, help="of observation (48)")
    for name in ("minimum_reads", "minimum_rows", "required_approvals"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int)
    for name in ("maximum_violation_rate", "maximum_unchecked_share", "minimum_node_coverage"):
        parser.add_argument(f"--{name.replace('_', '-')}", help="from 0 to 1")
    parser.add_argument("--promotes-itself", action="store_true")
    parser.add_argument("--description")


def _row(rollout: Rollout) -> tuple[object, ...]:
    ramp = f" {rollout.ramp_percent}%" if rollout.ramp_percent else ""
    ended = "" if rollout.ended_at is None else " (ended)"
    return rollout.pk, rollout.consumer, rollout.release, f"{rollout.mode}{ramp}{ended}"
