"""`manage.py schema check | validate | infer | lint | diff | fingerprint`, for shells and CI.

Exit codes: 0 nothing found; 1 something was found; 2 compatibility not proven; 64 wrong use;
65 an input that cannot be read, or is no schema.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from registry.admission import SchemaNotAdmitted, admit
from registry.canonical import fingerprint
from registry.compatibility import Change, CompatibilityReport, Level, check_compatibility
from registry.diff import SchemaChange, diff
from registry.inference import draft_schema
from registry.lint import lint
from registry.management.schema_inputs import (
    NamedSchema,
    read_schema,
    unreadable,
)
from registry.management.usage import USAGE, UsageParser
from registry.references import resolved_fingerprint
from registry.tables import SUFFIXES, Batch, declared_types, read_batches
from registry.validation import Failure, FileCheck

FOUND, NOT_PROVEN = 1, 2
VERDICT_CODES = {"compatible": 0, "incompatible": FOUND, "not_proven": NOT_PROVEN}


class Command(BaseCommand):
    help = (
        "Check, validate, draft and compare schemas. A SCHEMA is a file, - (standard input) or "
        "seamless:///subjects/NAME/versions/N. Exit codes: 0 nothing found, 1 something found, "
        "2 not proven, 64 wrong use, 65 unreadable or refused input."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.__class__ = UsageParser  # Django names the class of the outer parser itself
        return parser

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, parser_class=UsageParser)
        check = verbs.add_parser("check", help="does NEW keep a compatibility level?")
        check.add_argument("schemas", nargs="+", metavar="OLD … NEW", help="oldest first")
        check.add_argument("--level", default="BACKWARD", choices=[level.value for level in Level])
        validate = verbs.add_parser("validate", help="does every record of a file fit?")
        infer = verbs.add_parser("infer", help="draft a schema from a file")
        linted = verbs.add_parser("lint", help="advice on a schema, and whether it is admitted")
        compare = verbs.add_parser("diff", help="what is written differently in two schemas")
        identify = verbs.add_parser("fingerprint", help="content and resolved fingerprint")
        for each in (validate, linted, identify):
            each.add_argument("schema", metavar="SCHEMA")
        for each in (validate, infer):
            each.add_argument("file", type=Path, metavar="FILE", help=" ".join(SUFFIXES))
        infer.add_argument("--title", help="the schema's title; default: the name of the file")
        infer.add_argument(
            "--enum",
            type=int,
            default=0,
            metavar="N",
            help="columns with at most N different texts become an enum",
        )
        compare.add_argument("old", metavar="OLD")
        compare.add_argument("new", metavar="NEW")
        for each in (check, validate, linted, compare, identify):
            each.add_argument("--json", action="store_true", help="the result as JSON")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        verbs: Mapping[str, Callable[[dict[str, Any]], int]] = {
            "check": self._check,
            "validate": self._validate,
            "infer": self._infer,
            "lint": self._lint,
            "diff": self._diff,
            "fingerprint": self._fingerprint,
        }
        with _refusals_told():
            code = verbs[verb](options)
        if code:
            raise SystemExit(code)

    # --- one verb each: the exit code ----------------------------------------------------------

    def _check(self, options: dict[str, Any]) -> int:
        if len(options["schemas"]) < 2:
            raise CommandError("check needs an OLD schema and a NEW one", returncode=USAGE)
        *olds, new = [read_schema(name) for name in options["schemas"]]
        references = {k: v for one in (*olds, new) for k, v in one.references.items()}
        report = check_compatibility(
            [old.document for old in olds],  # type: ignore[misc]
            new.document,  # type: ignore[arg-type]
            options["level"],
            references=references,
        )
        if options["json"]:
            self._print_json(asdict(report))
        else:
            self._tell_compatibility(report, olds, new)
        return VERDICT_CODES[report.verdict]

    def _validate(self, options: dict[str, Any]) -> int:
        schema = read_schema(options["schema"])
        check = FileCheck(schema.document, references=schema.references)
        types = declared_types(schema.document)
        for batch in self._progress(options["file"].name, read_batches(options["file"], types)):
            check.add(batch)
        failures = check.failures
        if options["json"]:
            told = {"records": check.records, "invalid": check.invalid}
            self._print_json(told | {"failures": [one.to_dict() for one in failures]})
        else:
            self._tell_failures(check, failures)
        return FOUND if check.invalid else 0

    def _infer(self, options: dict[str, Any]) -> int:
        file: Path = options["file"]
        draft = draft_schema(
            self._progress(file.name, read_batches(file)),
            title=options["title"] or file.stem,
            texts_are_cells=file.suffix.lower() == ".csv",
            most_values=options["enum"],
        )
        admit(draft.schema)
        self._print_json(draft.schema)
        for remark in draft.remarks:
            self.stderr.write(f"note: {remark}")
        return 0

    def _lint(self, options: dict[str, Any]) -> int:
        schema = read_schema(options["schema"])
        problems = _problems(schema)
        findings = list(lint(schema.document))
        if options["json"]:
            told = {"problems": [asdict(one) for one in problems]}
            self._print_json(told | {"findings": [asdict(one) for one in findings]})
        else:
            for one in (*problems, *findings):
                refused = " (refused at proposal)" if one in problems else ""
                self.stdout.write(f"{one.code}{refused} at {one.pointer or 'the root'}")
                self.stdout.write(f"  {one.message}\n  Fix: {one.fix}")
            self.stdout.write(f"{len(problems)} problems, {len(findings)} pieces of advice.")
        return FOUND if problems or findings else 0

    def _diff(self, options: dict[str, Any]) -> int:
        old, new = read_schema(options["old"]), read_schema(options["new"])
        changes = diff(old.document, new.document)
        if options["json"]:
            self._print_json({"changes": [asdict(change) for change in changes]})
        else:
            for change in changes:
                self.stdout.write(_changed(change))
            self.stdout.write(f"{len(changes)} differences.")
        return FOUND if changes else 0

    def _fingerprint(self, options: dict[str, Any]) -> int:
        schema = read_schema(options["schema"])
        found = {
            "content": fingerprint(schema.document),
            "resolved": resolved_fingerprint(schema.document, schema.references),
        }
        if options["json"]:
            self._print_json(found)
        else:
            for kind, value in found.items():
                self.stdout.write(f"{kind:8} {value}")
        return 0

    # --- how results are told --------------------------------------------------------------------

    def _tell_compatibility(
        self, report: CompatibilityReport, olds: list[NamedSchema], new: NamedSchema
    ) -> None:
        verdict = report.verdict.replace("_", " ")
        self.stdout.write(f"{new.name} at level {report.level}: {verdict}")
        for witness in report.witnesses:
            old = olds[witness.version].name
            valid, refused = (old, new.name) if witness.direction == "backward" else (new.name, old)
            self.stdout.write(f"\nValid under {valid}, refused by {refused}:")
            self.stdout.write(f"  {json.dumps(witness.document, ensure_ascii=False)}")
            self.stdout.write(f"  at {witness.pointer or 'the root'}: {witness.message}")
        for reason in report.reasons:
            self.stdout.write(f"\nNot proven: {reason}")
        if report.changes:
            self.stdout.write("\nChanges:")
        for change in report.changes:
            self._tell_change(change)

    def _tell_change(self, change: Change) -> None:
        breaks = "breaks nothing" if change.breaks == "none" else f"breaks {change.breaks}"
        place = change.new_pointer if change.new_pointer is not None else change.old_pointer
        self.stdout.write(f"  {change.code} at {place or 'the root'} ({breaks})")
        self.stdout.write(f"    {change.message}")
        if change.fix and change.breaks != "none":
            self.stdout.write(f"    Fix: {change.fix}")

    def _tell_failures(self, check: FileCheck, failures: list[Failure]) -> None:
        self.stdout.write(f"{check.records} records, {check.invalid} invalid.")
        for failure in failures:
            column = failure.column if failure.column is not None else "(record)"
            self.stdout.write(f"\n{column}: {failure.keyword} x {failure.count}")
            self.stdout.write(f"  {failure.sentence}  [schema {failure.schema_pointer}]")
            for place in failure.places[:3]:
                value = "" if place.value is None else f" = {place.value}"
                self.stdout.write(f"  record {place.record} {place.pointer}{value}")

    def _print_json(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, indent=2, ensure_ascii=False))

    def _progress(self, name: str, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, with a bar on standard error where that is a terminal."""
        console = Console(file=sys.stderr)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task(name, total=1.0)
            for batch in batches:
                yield batch
                progress.update(task, completed=batch.done)


def _problems(schema: NamedSchema) -> tuple[Any, ...]:
    try:
        admit(schema.text, references=schema.references)
    except SchemaNotAdmitted as refusal:
        return refusal.problems
    return ()


def _changed(change: SchemaChange) -> str:
    place = change.new_pointer if change.new_pointer is not None else change.old_pointer
    note = " (annotation)" if change.annotation else ""
    renamed = f", perhaps {change.renamed_from} renamed" if change.renamed_from else ""
    values = {
        "added": _json(change.after),
        "removed": _json(change.before),
        "changed": f"{_json(change.before)} -> {_json(change.after)}",
    }[change.kind]
    return f"{change.kind} {place or 'the root'}{note}{renamed}: {values}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@contextmanager
def _refusals_told() -> Iterator[None]:
    """What is wrong with an input, as one sentence and exit code 65."""
    try:
        yield
    except SchemaNotAdmitted as error:
        raise unreadable(error.detail) from None
    except ValueError as error:  # of schemas, references and files: each says what and where
        raise unreadable(str(error)) from None
