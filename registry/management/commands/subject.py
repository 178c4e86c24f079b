"""`manage.py subject list | show | create | change | deprecate | retire`.

The acting person is whose token SEAMLESS_TOKEN holds. Exit codes: 0 done, 1 refused, 2 wrong use.
"""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from registry.api.representations import subject_json, version_json
from registry.management.acting import acting_person, refusals_as_command_errors
from registry.management.lifecycle_inputs import instant, team_counts
from registry.management.printing import tell
from registry.models import Compatibility, ReplayRule, Subject
from registry.services import subjects, versions
from registry.services.visibility import require_visible, visible

SETTINGS = (
    "owner_team",
    "description",
    "compatibility",
    "required_approvals",
    "approval_teams",
    "replay",
    "tags",
    "contact",
)


class Command(BaseCommand):
    help = "Subjects: who owns a line of schemas, what its next version needs, how versions end."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        listed = verbs.add_parser("list", help="all subjects")
        shown = verbs.add_parser("show", help="one subject and its versions")
        made = verbs.add_parser("create", help="open a line of schemas")
        changed = verbs.add_parser("change", help="change settings, with a reason")
        deprecated = verbs.add_parser("deprecate", help="announce the end of a version")
        retired = verbs.add_parser("retire", help="end a deprecated version")
        for each in (shown, made, changed, deprecated, retired):
            each.add_argument("name")
        for each in (deprecated, retired):
            each.add_argument("number", type=int)
        deprecated.add_argument("--sunset", required=True, type=instant, metavar="INSTANT")
        made.add_argument("--owner-team", required=True)
        changed.add_argument("--owner-team")
        made.add_argument("--reason", default="")
        for each in (changed, deprecated, retired):
            each.add_argument("--reason", required=True)
        for each in (made, changed):
            _add_settings(each)
        for each in (listed, shown, made, changed, deprecated, retired):
            each.add_argument("--json", action="store_true")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        verbs: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "list": self._list,
            "show": self._show,
            "create": self._create,
            "change": self._change,
            "deprecate": self._deprecate,
            "retire": self._retire,
        }
        with refusals_as_command_errors():
            verbs[verb](options)

    def _list(self, options: dict[str, Any]) -> None:
        subjects_seen = visible(acting_person(), Subject.objects.select_related("owner_team"))
        found = subjects_seen.order_by("name")
        facts = [subject_json(subject) for subject in found]
        lines = (f"{one['name']}  {one['owner_team']}  {one['compatibility']}" for one in facts)
        tell(self.stdout, facts, *lines, as_json=options["json"])

    def _show(self, options: dict[str, Any]) -> None:
        require_visible(acting_person(), Subject, [options["name"]])
        subject = subjects.subject_named(options["name"])
        states = list(subject.versions.order_by("number").values("number", "state", "sunset_at"))
        facts = subject_json(subject) | {"versions": states}
        lines = [f"{name}: {value}" for name, value in facts.items() if name != "versions"]
        lines += [f"version {one['number']}: {one['state']}" for one in states]
        tell(self.stdout, facts, *lines, as_json=options["json"])

    def _create(self, options: dict[str, Any]) -> None:
        subject = subjects.create_subject(
            actor=acting_person(),
            name=options["name"],
            now=timezone.now(),
            reason=options["reason"],
            **_settings(options),
        )
        line = f"Subject {subject.name} is open."
        tell(self.stdout, subject_json(subject), line, as_json=options["json"])

    def _change(self, options: dict[str, Any]) -> None:
        subject = subjects.change_subject(
            actor=acting_person(),
            name=options["name"],
            reason=options["reason"],
            now=timezone.now(),
            **_settings(options),
        )
        line = f"Subject {subject.name} is changed."
        tell(self.stdout, subject_json(subject), line, as_json=options["json"])

    def _deprecate(self, options: dict[str, Any]) -> None:
        version = versions.deprecate_version(
            actor=acting_person(),
            subject=options["name"],
            number=options["number"],
            sunset_at=options["sunset"],
            reason=options["reason"],
            now=timezone.now(),
        )
        line = f"{version} is deprecated; its sunset is {version.sunset_at:%Y-%m-%d %H:%M}Z."
        tell(self.stdout, version_json(version), line, as_json=options["json"])

    def _retire(self, options: dict[str, Any]) -> None:
        version = versions.retire_version(
            actor=acting_person(),
            subject=options["name"],
            number=options["number"],
            reason=options["reason"],
            now=timezone.now(),
        )
        tell(self.stdout, version_json(version), f"{version} is retired.", as_json=options["json"])


def _add_settings(parser: ArgumentParser) -> None:
    parser.add_argument("--description")
    parser.add_argument("--compatibility", choices=Compatibility.values)
    parser.add_argument("--required-approvals", type=int, metavar="N")
    parser.add_argument(
        "--approval-teams",
        type=team_counts,
        metavar="TEAM=N,…",
        help="so many of the approvals from each of these teams",
    )
    parser.add_argument("--replay", choices=ReplayRule.values)
    parser.add_argument("--tags", type=lambda text: [t for t in text.split(",") if t])
    parser.add_argument("--contact")


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Those that were given."""
    return {name: options[name] for name in SETTINGS if options.get(name) is not None}
