"""Sealers as processes of their own, which kill themselves at a point that the test draws.

A point is a moment before a statement or before a file is opened, linked or renamed. This module is
also the program: it reads a number a line and forks a sealer for each, so that Django starts once.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FILE_EVENTS = {"open", "os.rename", "os.link", "os.mkdir", "os.remove"}


class Sealers:
    """`seal(point)`: one sealer, killed with -9 at its point (never, where there are fewer)."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def seal(self, *points: int) -> list[bool]:
        """As many sealers at once; whether each was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, points)) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        assert len(answer) == len(points), "the sealers' process has ended: see its error output"
        assert set(answer) <= {"0", "-9"}, answer
        return [code == "-9" for code in answer]


@contextmanager
def sealing_processes(checkpoints: Path) -> Iterator[Sealers]:
    environment = os.environ | {
        "SEAMLESS_CHECKPOINT_DIR": str(checkpoints),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SEAMLESS_LOG_LEVEL": "ERROR",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.registry.sealing_processes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield Sealers(process)
    finally:
        process.communicate()


def _serve() -> None:
    import django

    django.setup()
    from registry.services.audit import sealing  # noqa: F401  (once, not in each child)

    for line in sys.stdin:
        children = [_forked(int(point)) for point in line.split()]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(*codes, flush=True)


def _forked(point: int) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _seal_until(point)
            code = 0
        finally:
            os._exit(code)
    return child


def _seal_until(point: int) -> None:
    from django.db import connection
    from django.utils import timezone

    from registry.services.audit import seal

    step = _counting(point)

    def before_statement(execute: Callable[..., Any], *args: Any) -> Any:
        step()
        return execute(*args)

    sys.addaudithook(lambda event, _: step() if event in FILE_EVENTS else None)
    with connection.execute_wrapper(before_statement):
        seal(now=timezone.now())


def _counting(point: int) -> Callable[[], None]:
    left = [point]

    def step() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return step


if __name__ == "__main__":
    _serve()
