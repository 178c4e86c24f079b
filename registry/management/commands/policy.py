"""`manage.py policy import | list | show`: SLA policies as registry documents."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry.management.acting import USAGE, acting_person, refusals_as_command_errors
from registry.policies import PRESETS
from registry.services import nodes


class Command(BaseCommand):
    help = "Import SLA policies from YAML, list and print them."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="import|list|show")
        bring = verbs.add_parser("import", help="save every policy of a YAML file, or none of them")
        bring.add_argument("file", help="a mapping of names to policies; - reads standard input")
        verbs.add_parser("list", help="print the names")
        show = verbs.add_parser("show", help="print one as JSON")
        show.add_argument("name", help="a saved policy, or a preset: " + ", ".join(PRESETS))

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        with refusals_as_command_errors():
            {"import": self._import, "list": self._list, "show": self._show}[verb](options)

    def _import(self, options: dict[str, Any]) -> None:
        actor, documents = acting_person(), _read(options["file"])
        saved = nodes.save_sla_policies(actor=actor, documents=documents, now=timezone.now())
        for policy in saved:
            self.stdout.write(f"Saved {policy.name}.")

    def _list(self, options: dict[str, Any]) -> None:
        acting_person()
        for policy in nodes.sla_policies():
            self.stdout.write(policy.name)

    def _show(self, options: dict[str, Any]) -> None:
        acting_person()
        name = options["name"]
        found = {policy.name: policy.document for policy in nodes.sla_policies()}
        presets = {preset: policy.to_dict() for preset, policy in PRESETS.items()}
        document = (presets | found).get(name)
        if document is None:
            raise CommandError(f"There is no SLA policy {name!r}.", returncode=USAGE)
        self.stdout.write(json.dumps(document, indent=2))


def _read(file: str) -> Mapping[str, Any]:
    """A YAML mapping of names to mappings. CommandError says what else it is."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        found = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CommandError(f"{file} cannot be read: {error}", returncode=USAGE) from None
    if not isinstance(found, dict) or not found:
        raise CommandError(f"{file} holds no policies: name: {{…}}", returncode=USAGE)
    for name, document in found.items():
        if not isinstance(name, str) or not isinstance(document, dict):
            raise CommandError(
                f"{file}: {name!r} is not a mapping of policy keys", returncode=USAGE
            )
    return found
