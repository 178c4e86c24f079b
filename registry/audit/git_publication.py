"""Checkpoints as commits of a Git repository: it keeps all earlier ones, clones are witnesses.

A commit costs tens of milliseconds and lasts for ever, so that one is made only every so often.
"""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from registry.audit.checkpoint import Checkpoint

FILE = "checkpoint"
_TIMEOUT_SECONDS = 30
_IDENTITY = ("-c", "user.name=seamless audit", "-c", "user.email=audit@seamless.invalid")
_PLAIN = ("-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0")


class CheckpointRepository:
    """`folder` is a working tree (made where missing); with `remote`, each commit is pushed."""

    setting = "SEAMLESS_CHECKPOINT_GIT"

    def __init__(self, folder: Path, *, every: float, remote: str = "") -> None:
        self.folder = folder
        self.every = every
        self.remote = remote

    @property
    def place(self) -> str:
        return f"the repository {self.folder}"

    def last(self) -> Checkpoint | None:
        """As committed, whatever the working tree says. ValueError where it is damaged."""
        if self._committed_at() is None:
            return None
        return Checkpoint.parse(self._git("show", f"HEAD:{FILE}"))

    @contextmanager
    def publishing(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / ".git").exists():
            self._git("init", "--quiet")
        with (self.folder / ".git" / "seamless.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def is_due(self, now: datetime) -> bool:
        committed = self._committed_at()
        return committed is None or now.timestamp() - committed >= self.every

    def write(self, note: str) -> None:
        """Commit (and push). Call within `publishing`."""
        (self.folder / FILE).write_text(note, encoding="utf-8")
        size = Checkpoint.parse(note).size
        self._git("add", "--", FILE)
        self._git(*_IDENTITY, "commit", "--quiet", "--message", f"Checkpoint of {size} records")
        if self.remote:
            self._git("push", "--quiet", self.remote, "HEAD")

    def _committed_at(self) -> int | None:
        if not (self.folder / ".git").exists():
            return None
        if not self._git("for-each-ref", "--count=1"):
            return None
        return int(self._git("log", "-1", "--format=%ct"))

    def _git(self, *arguments: str) -> str:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        done = subprocess.run(
            ["git", "-C", str(self.folder), *_PLAIN, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
            env=environment | {"GIT_TERMINAL_PROMPT": "0"},
        )
        if done.returncode:
            raise OSError(f"git {arguments[-1]}: {done.stderr.strip()[:300]}")
        return done.stdout
