"""`manage.py audit seal | export | verify`: the audit log from the command line."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from registry.audit.verify import OK, USAGE
from registry.audit.verify.command import add_arguments as add_verify_arguments
from registry.audit.verify.command import check_file
from registry.errors import SeamlessError
from registry.services.audit import export_jsonl, latest_checkpoint, seal


class UsageParser(CommandParser):
    """Wrong use exits 64: argparse's own 2 says "records are missing" here."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message}\n{self.format_usage()}", returncode=USAGE)


class Command(BaseCommand):
    help = "Seal, export or verify the audit log."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, parser_class=UsageParser)
        actions.add_parser("seal", help="seal what is pending and publish the checkpoint")
        export = actions.add_parser("export", help="write the sealed records as JSON Lines")
        export.add_argument("--output", type=Path, help="a file; without it, standard output")
        export.add_argument("--from", type=int, default=0, dest="from_seq", help="first record")
        export.add_argument("--to-size", type=int, help="up to the checkpoint of this size")
        verify = actions.add_parser("verify", help="check an exported file")
        add_verify_arguments(verify)

    def handle(self, *args: Any, **options: Any) -> None:
        actions: dict[str, Callable[..., None]] = {
            "seal": self.seal,
            "export": self.export,
            "verify": self.verify,
        }
        try:
            actions[options["action"]](**options)
        except SeamlessError as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal

    def seal(self, **options: Any) -> None:
        while seal(now=timezone.now()):
            pass
        head = latest_checkpoint()
        self.stdout.write(f"sealed up to {head.size} records, root {head.root.hex()}")

    def export(self, *, output: Path | None, from_seq: int, to_size: int | None, **_: Any) -> None:
        if output is None:
            export_jsonl(sys.stdout.buffer, now=timezone.now(), from_seq=from_seq, to_size=to_size)
            return
        try:
            with output.open("wb") as out:
                done = export_jsonl(out, now=timezone.now(), from_seq=from_seq, to_size=to_size)
        except OSError as error:
            raise CommandError(f"cannot write {output}: {error.strerror}") from error
        self.stdout.write(f"{done.rows} records, sealed up to {done.checkpoint.size}, in {output}")

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
