"""`manage.py bundle …`: bundles, their releases, and the file in Git that says what they should be.

`bundle plan` ends with exit code 3 where file and registry differ: a CI can watch for drift.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry.api.representations import bundle_json, plan_json, release_json
from registry.bundle_files import WantedBundle, format_bundle_file, parse_bundle_file
from registry.management.acting import USAGE, acting_person, refusals_as_command_errors
from registry.management.printing import add_json_option, tell
from registry.models import Bundle
from registry.services import releases
from registry.services.bundle_plans import (
    BundlePlan,
    Step,
    apply_bundles,
    export_bundles,
    plan_bundles,
    require_known,
)
from registry.services.comparisons import compare_releases
from registry.services.visibility import require_visible

DRIFT = 3
ROLLED_BACK = "rolled_back"
VERBS = "create|change|show|cut|compare|export|plan|apply"


class Command(BaseCommand):
    help = "Bundles and their releases; plan and apply a file of them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar=VERBS)
        create = verbs.add_parser("create", help="a new bundle; its first release is cut")
        change = verbs.add_parser("change", help="members, gate policy or description")
        show = verbs.add_parser("show", help="a bundle with its newest release")
        cut = verbs.add_parser("cut", help="cut the release of this moment")
        compare = verbs.add_parser("compare", help="what one release has over another")
        for each in (create, change, show, cut, compare):
            each.add_argument("name")
        for each in (create, change):
            each.add_argument("--gate-policy", required=each is create)
            each.add_argument("--description", default="" if each is create else None)
        create.add_argument("--team", required=True, help="the team that owns it")
        create.add_argument("--subject", action="append", required=True)
        change.add_argument("--add", action="append", default=[], metavar="SUBJECT")
        change.add_argument("--remove", action="append", default=[], metavar="SUBJECT")
        compare.add_argument("before", type=int)
        compare.add_argument("after", type=int)
        export = verbs.add_parser("export", help="write the bundles as a file")
        export.add_argument("names", nargs="*", metavar="BUNDLE", help="all without any")
        plan = verbs.add_parser("plan", help="what a file would change (exit code 3: it would)")
        apply = verbs.add_parser("apply", help="do exactly what a plan says")
        for each in (plan, apply):
            each.add_argument("file", help="a path, or - for standard input")
            each.add_argument(
                "--again", action="store_true", help="offer a release that was rolled back anew"
            )
        apply.add_argument("--plan", required=True, help="the digest that `bundle plan` printed")
        add_json_option(create, change, show, cut, compare, plan, apply)

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        verbs: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "create": self._create,
            "change": self._change,
            "show": self._show,
            "cut": self._cut,
            "compare": self._compare,
            "export": self._export,
            "plan": self._plan,
            "apply": self._apply,
        }
        with refusals_as_command_errors():
            verbs[verb](options)

    def _create(self, options: dict[str, Any]) -> None:
        bundle = releases.create_bundle(
            actor=acting_person(),
            name=options["name"],
            owner_team=options["team"],
            subjects=options["subject"],
            gate_policy=options["gate_policy"],
            description=options["description"],
            now=timezone.now(),
        )
        self._tell_bundle(options, f"Bundle {bundle.name} is made.")

    def _change(self, options: dict[str, Any]) -> None:
        releases.change_bundle(
            actor=acting_person(),
            name=options["name"],
            add=options["add"],
            remove=options["remove"],
            gate_policy=options["gate_policy"],
            description=options["description"],
            now=timezone.now(),
        )
        self._tell_bundle(options, f"Bundle {options['name']} is changed.")

    def _show(self, options: dict[str, Any]) -> None:
        require_visible(acting_person(), Bundle, [options["name"]])
        self._tell_bundle(options)

    def _cut(self, options: dict[str, Any]) -> None:
        release = releases.cut_release(
            actor=acting_person(), name=options["name"], now=timezone.now()
        )
        tell(
            self.stdout,
            release_json(release),
            f"{release}: {release.fingerprint}",
            as_json=options["json"],
        )

    def _compare(self, options: dict[str, Any]) -> None:
        require_visible(acting_person(), Bundle, [options["name"]])
        found = compare_releases(
            releases.release_of(options["name"], options["before"]),
            releases.release_of(options["name"], options["after"]),
        )
        lines = [f"+ {name} version {number}" for name, number in found.added.items()]
        lines += [f"- {name} version {number}" for name, number in found.removed.items()]
        for member in found.changed:
            lines.append(f"~ {member.subject} version {member.before} -> {member.after}")
            lines += [
                f"    {one['kind']} {one['new_pointer'] or one['old_pointer']}"
                for one in member.changes
            ]
        tell(
            self.stdout,
            asdict(found),
            *(lines or ["The releases are equal."]),
            as_json=options["json"],
        )

    def _export(self, options: dict[str, Any]) -> None:
        found = export_bundles(acting_person(), options["names"])
        self.stdout.write(format_bundle_file(found), ending="")

    def _plan(self, options: dict[str, Any]) -> None:
        actor, wanted = acting_person(), _file(options["file"])
        require_known(actor, wanted)
        plan = plan_bundles(wanted, again=options["again"])
        lines = _plan_lines(plan, again=options["again"])
        tell(self.stdout, plan_json(plan), *lines, as_json=options["json"])
        if plan.steps:
            raise SystemExit(DRIFT)

    def _apply(self, options: dict[str, Any]) -> None:
        actor, wanted = acting_person(), _file(options["file"])
        require_known(actor, wanted)
        done = apply_bundles(
            actor=actor,
            wanted=wanted,
            plan=options["plan"],
            again=options["again"],
            now=timezone.now(),
        )
        count = sum(step.action != ROLLED_BACK for step in done.steps)
        tell(
            self.stdout,
            plan_json(done),
            f"Done: {count} step{'s' * (count != 1)}.",
            as_json=options["json"],
        )

    def _tell_bundle(self, options: dict[str, Any], *lines: str) -> None:
        shown = bundle_json(releases.bundle_named(options["name"]))
        newest = shown["latest_release"]
        release = "no release yet" if newest is None else f"release {newest['release']}"
        head = f"{shown['name']}: {', '.join(shown['subjects'])}; {release}"
        tell(self.stdout, shown, *lines, head, as_json=options["json"])


def _file(name: str) -> tuple[WantedBundle, ...]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {error}", returncode=USAGE) from None
    return parse_bundle_file(text)


def _plan_lines(plan: BundlePlan, *, again: bool) -> list[str]:
    if not plan.steps:
        return ["File and registry agree."]
    lines = []
    for step in plan.steps:
        if step.action == ROLLED_BACK:
            lines.append(_rolled_back(step))
            continue
        facts = "; ".join(f"{name} {_short(value)}" for name, value in step.facts.items())
        lines.append(f"{step.action} {step.bundle}: {facts}")
    if all(step.action == ROLLED_BACK for step in plan.steps):
        return lines
    flag = " --again" if again else ""
    return [*lines, "", f"To do exactly this: bundle apply FILE{flag} --plan {plan.digest}"]


def _rolled_back(step: Step) -> str:
    facts = step.facts
    who = f" by {facts['by']}: {facts['reason']}" if facts["by"] else ""
    return (
        f"{step.bundle} release {facts['release']} for {facts['consumer']}: rolled back on "
        f"{facts['at']}{who}. It stays so; --again offers it anew."
    )


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}/{number}" for name, number in value.items())
    return repr(value) if value == "" else str(value)
