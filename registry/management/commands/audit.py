"""`manage.py audit …`: the audit log from the command line.

`seal`, `reconcile` and `verify` are for whoever runs the machine. The others act as the person
whose token is in SEAMLESS_TOKEN: auditors export, operators rotate the key, erase and drop.
"""

import argparse
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry.audit.verify import OK
from registry.audit.verify.command import add_arguments as add_verify_arguments
from registry.audit.verify.command import check_file
from registry.management import audit_exports
from registry.management.acting import acting_person, refusals_as_command_errors
from registry.management.usage import UsageParser
from registry.services.audit import latest_checkpoint, seal_all
from registry.services.audit.key_history import public_keys
from registry.services.audit.reconciling import report_unrecorded_changes
from registry.services.audit.removing import drop_payloads, erase_person
from registry.services.audit.rotating import rotate_key


class Command(BaseCommand):
    help = "Seal, reconcile, export and verify the audit log; rotate its key; erase and drop."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="what", required=True, parser_class=UsageParser)
        actions.add_parser("seal", help="seal what is pending and publish the checkpoint")
        actions.add_parser("reconcile", help="record, and list, what changed without a record")
        export = actions.add_parser("export", help="write the sealed records")
        audit_exports.add_arguments(export)
        add_verify_arguments(actions.add_parser("verify", help="check an exported file"))
        actions.add_parser("keys", help="the log's public keys, oldest first")
        rotate = actions.add_parser("rotate-key", help="sign with a new key from now on")
        erase = actions.add_parser("erase", help="delete a person's fields from the records")
        erase.add_argument("username")
        drop = actions.add_parser("drop-payloads", help="delete what old records say")
        drop.add_argument("--before", required=True, type=audit_exports.instant)
        for each in (rotate, erase, drop):
            each.add_argument("--reason", required=True, help="stays in the log for ever")

    def handle(self, *args: Any, what: str, **options: Any) -> None:
        run: dict[str, Callable[..., None]] = {
            "seal": self.seal,
            "reconcile": self.reconcile,
            "export": self.export,
            "verify": self.verify,
            "keys": self.keys,
            "rotate-key": self.rotate_key,
            "erase": self.erase,
            "drop-payloads": self.drop_payloads,
        }
        with refusals_as_command_errors():
            run[what](**options)

    def seal(self, **_: Any) -> None:
        seal_all(now=timezone.now())
        head = latest_checkpoint()
        self.stdout.write(f"sealed up to {head.size} records, root {head.root.hex()}")

    def reconcile(self, **_: Any) -> None:
        found = report_unrecorded_changes(now=timezone.now())
        if found:
            lines = "\n".join(f"  {change}" for change in found)
            raise CommandError(f"Changed without an audit record (it has one now):\n{lines}")
        self.stdout.write("every change of a governed table has its audit record")

    def export(self, **options: Any) -> None:
        count, source = audit_exports.export(actor=acting_person(), options=options)
        if path := options["output"]:
            size = source.checkpoint.size
            self.stdout.write(f"{count} records, sealed up to {size}, in {path}")

    def verify(
        self, *, export: Path, checkpoint: list[Path], key: list[str], **options: Any
    ) -> None:
        code, text = check_file(
            export,
            checkpoint,
            key,
            max_unsealed=options["max_unsealed"],
            progress=options["progress"] or sys.stderr.isatty(),
        )
        if code != OK:
            raise CommandError(text, returncode=code)
        self.stdout.write(text)

    def keys(self, **_: Any) -> None:
        for key in public_keys():
            self.stdout.write(key)

    def rotate_key(self, *, reason: str, **_: Any) -> None:
        key = rotate_key(actor=acting_person(), now=timezone.now(), reason=reason)
        self.stdout.write(f"checkpoints are signed with {key} from now on")

    def erase(self, *, username: str, reason: str, **_: Any) -> None:
        count = erase_person(
            actor=acting_person(), username=username, now=timezone.now(), reason=reason
        )
        self.stdout.write(f"{count} records lost their personal fields")

    def drop_payloads(self, *, before: datetime, reason: str, **_: Any) -> None:
        count = drop_payloads(
            actor=acting_person(), before=before, now=timezone.now(), reason=reason
        )
        self.stdout.write(f"{count} records lost their payloads")
