"""The verifier as a command."""

import argparse
import sys
import time
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NoReturn

from .bundle import opened, told, verify_bundle
from .export import Demands, verify_export
from .findings import CHANGED, NO_INPUT, OK, USAGE, Finding, Report, describe
from .notes import Key, Note, read_key, read_note


class ProgressBar:
    """How far, in bytes, on standard error; silent unless that is a terminal (or `shown`)."""

    WIDTH = 40

    def __init__(self, total: int, *, shown: bool, out: IO[str]) -> None:
        self.total, self.shown, self.out = max(total, 1), shown, out
        self.done, self.next_at = 0, 0.0

    def __call__(self, length: int) -> None:
        self.done += length
        if self.shown and time.monotonic() >= self.next_at:
            self.next_at = time.monotonic() + 0.2
            self.draw(min(self.done / self.total, 1.0))

    def draw(self, part: float) -> None:
        filled = "#" * int(part * self.WIDTH)
        self.out.write(f"\r[{filled:<{self.WIDTH}}] {part:4.0%}")
        self.out.flush()

    def end(self) -> None:
        if self.shown:
            self.draw(1.0)
            self.out.write("\n")


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")  # argparse's own 2 means "missing" here


def add_arguments(parser: argparse.ArgumentParser, default: Path | None = None) -> None:
    parser.add_argument(
        "export",
        type=Path,
        help="the .jsonl file, bundle or unpacked bundle",
        default=default,
        nargs=None if default is None else "?",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        help="a checkpoint obtained earlier or elsewhere; may be given several times",
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        help="a public key you trust (name+hash+base64), or a file with one; several times",
    )
    parser.add_argument(
        "--max-unsealed",
        type=float,
        help="seconds that a record may have waited for its seal when the export was made",
    )
    parser.add_argument("--progress", action="store_true", help="a bar also without a terminal")


def main(arguments: Sequence[str] | None = None, default: Path | None = None) -> int:
    """`default`: what is checked where no export is named."""
    parser = _Arguments(prog="verify", description="Check an exported audit log.")
    add_arguments(parser, default)
    options = parser.parse_args(arguments)
    code, text = check_file(
        options.export,
        options.checkpoint,
        options.key,
        max_unsealed=options.max_unsealed,
        progress=options.progress or sys.stderr.isatty(),
    )
    print(text, file=sys.stdout if code == OK else sys.stderr)
    return code


def check_file(
    export: Path,
    checkpoints: Sequence[Path] = (),
    trusted: Sequence[str] = (),
    *,
    max_unsealed: float | None = None,
    progress: bool = False,
) -> tuple[int, str]:
    """The exit code for a file and what to tell the person who asked."""
    try:
        earlier = tuple(_checkpoint(path) for path in checkpoints)
        demands = Demands(earlier, tuple(_key(text) for text in trusted), max_unsealed)
    except OSError as error:
        return NO_INPUT, f"cannot read {error.filename}: {error.strerror}"
    except ValueError as error:
        return USAGE, str(error)
    try:
        report = _judged(export, demands, progress)
    except OSError as error:
        return NO_INPUT, f"cannot read {error.filename or export}: {error.strerror or error}"
    return report.code, describe(report, earlier)


def _judged(export: Path, demands: Demands, shown: bool) -> Report:
    if export.is_dir() or _is_zip(export):
        return _judged_bundle(export, demands, shown)
    bar = ProgressBar(export.stat().st_size, shown=shown, out=sys.stderr)
    with export.open("rb") as lines:
        report = verify_export(told(lines, bar), demands)
    bar.end()
    return report


def _judged_bundle(export: Path, demands: Demands, shown: bool) -> Report:
    try:
        with opened(export) as bundle:
            bar = ProgressBar(bundle.bytes_to_read(), shown=shown, out=sys.stderr)
            report = verify_bundle(bundle, demands, bar)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, LookupError, RuntimeError) as e:
        finding = Finding(CHANGED, 0, None, f"the bundle is damaged: {e}")
        return Report(CHANGED, (finding,), 1, 0, 0, True, None)
    bar.end()
    return report


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _checkpoint(path: Path) -> Note:
    try:
        return read_note(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"--checkpoint: {error}") from None


def _key(text: str) -> Key:
    try:
        return read_key(Path(text).read_text("utf-8") if Path(text).is_file() else text)
    except ValueError as error:
        raise ValueError(f"--key: {error}") from None
