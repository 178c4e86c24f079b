"""The folder of one stack (`var/`): data, logs, secret, and the lock that keeps others out."""

import fcntl
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from config.stack.errors import StackError

LOCK = "stack.lock"


class StackFolder:
    """`path` and its parts; `claim()` makes them and takes the lock, `release()` gives it back.

    The lock is an flock on `stack.lock`: the kernel drops it when the last process that holds it
    ends, however it ends. Besides us only the guardian holds it, so that nobody starts over the
    same files while the processes of a killed supervisor are being stopped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "log"
        self.metrics = self.path / "metrics"
        self.valkey = self.path / "valkey"
        self.beat = self.path / "beat"
        self.database = self.path / "seamless.sqlite3"
        self.lock_descriptor: int | None = None

    def claim(self, *, fresh: bool = False) -> None:
        """Take the lock and make the parts; `fresh` empties the folder once the lock is ours."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock()
            if fresh:
                self._empty()
            for folder in (self.logs, self.valkey, self.beat):
                folder.mkdir(exist_ok=True)
            # prometheus-client reads every file in there: those of dead processes would count on
            shutil.rmtree(self.metrics, ignore_errors=True)
            self.metrics.mkdir()
        except OSError as error:
            self.release()
            raise StackError(
                f"The folder {self.path} cannot be written: {error}.",
                "make it writable for this account, free some space, or move it away.",
            ) from error

    def _empty(self) -> None:
        for item in self.path.iterdir():
            if item.is_dir():
                shutil.rmtree(item)
            elif item.name != LOCK:
                item.unlink()

    def _lock(self) -> None:
        descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise StackError(
                f"Another Seamless stack (process {owner}) is using {self.path}.",
                f"stop it with Ctrl-C there or `kill {owner}`; one that was killed outright needs "
                "some seconds until its servers have ended.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self.lock_descriptor = descriptor

    def release(self) -> None:
        if self.lock_descriptor is not None:
            os.close(self.lock_descriptor)
            self.lock_descriptor = None

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def secret(self) -> str:
        """The Django secret key of this folder, made on first use, readable by its owner only."""
        file = self.path / "secret"
        with suppress(FileExistsError):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as handle:
                handle.write(secrets.token_urlsafe(50))
        text = file.read_text().strip()
        if len(text) < 50:
            raise StackError(
                f"{file} holds no usable secret key.",
                "delete it; a new one is made, and people have to sign in again.",
            )
        return text
