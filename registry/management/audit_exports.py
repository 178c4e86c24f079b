"""`manage.py audit export`: its options, its file and its progress bar."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from registry.actors import Actor
from registry.audit.selection import Selection
from registry.services.audit.export_requests import begin_export
from registry.services.audit.exporting import FORMATS, Extent, Source, written

FILTERS = ("actor", "action", "object", "outcome", "consumer", "request_id", "correlation_id")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, help="a file; without it, standard output")
    parser.add_argument("--format", choices=list(FORMATS), default="jsonl")
    parser.add_argument("--from", type=int, default=0, dest="from_seq", help="first record")
    parser.add_argument("--to-size", type=int, help="up to the checkpoint of this size")
    parser.add_argument(
        "--earlier",
        type=int,
        action="append",
        default=[],
        help="prove that the log continues the checkpoint of this size; several times",
    )
    for name, what in (("since", "from this time on"), ("until", "before this time")):
        parser.add_argument(f"--{name}", type=instant, help=f"{what} (RFC 3339, or a date)")
    for name in FILTERS:
        parser.add_argument(f"--{name.replace('_', '-')}", default="", dest=name)
    parser.add_argument("--progress", action="store_true", help="a bar also without a terminal")


def extent_from(options: dict[str, Any]) -> Extent:
    times = {name: options[name] for name in ("since", "until")}
    selection = Selection(**times, **{name: options[name] for name in FILTERS})
    return Extent(selection, options["from_seq"], options["to_size"], tuple(options["earlier"]))


def export(*, actor: Actor, options: dict[str, Any]) -> tuple[int, Source]:
    """Write the export where it was asked for; how many records, and out of what."""
    with _output(options["output"]) as out:
        source = begin_export(
            actor=actor,
            extent=extent_from(options),
            format=options["format"],
            now=timezone.now(),
        )
        pages = written(out, source, options["format"], now=timezone.now())
        return _told(pages, source, shown=options["progress"] or sys.stderr.isatty()), source


def instant(text: str) -> datetime:
    """A bare date, or a time without zone, is UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a time: {text!r}") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


@contextmanager
def _output(path: Path | None) -> Iterator[BinaryIO]:
    """The file takes its name when it is whole, so that a broken export leaves none behind."""
    if path is None:
        yield sys.stdout.buffer
        return
    partial = path.with_name(f"{path.name}.part")
    try:
        with partial.open("wb") as out:
            yield out
        partial.replace(path)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def _told(pages: Iterator[int], source: Source, *, shown: bool) -> int:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("records"), TimeRemainingColumn())
    done = 0
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as progress:
        task = progress.add_task("export", total=source.count() if shown else None)
        for done in pages:
            progress.update(task, completed=done)
    return done
