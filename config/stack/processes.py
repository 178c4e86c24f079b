"""Child processes that are started with a log file and a guardian, and always stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from config.stack import guardian
from config.stack.errors import StackError

POLL_SECONDS = 0.02
LOG_LINES_SHOWN = 15


class Guardian:
    """Our end of the process that cleans up should we be killed; see `config.stack.guardian`."""

    def __init__(self, *, grace: float, lock_descriptor: int | None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", guardian.__file__, str(grace)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            pass_fds=() if lock_descriptor is None else (lock_descriptor,),
            start_new_session=True,
        )

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # somebody ended it; stopping in good order still works
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def close(self) -> None:
        """Let it go; it ends at once where its list is empty."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()


class ManagedProcess:
    """One child in its own session and process group, its output in `log`.

    `start()` may follow `stop()` or `kill()`: the same command runs again. Stopping ends its
    whole group, not only its first process.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        folder: Path,
        guardian: Guardian,
        grace: float = 10.0,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.grace = grace
        self._environment = dict(environment)
        self._folder = folder
        self._guardian = guardian
        self._process: subprocess.Popen[bytes] | None = None
        self._group: int | None = None  # None again once it has ended: numbers are used again
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs or was never started; negative: the signal that ended it."""
        return None if self._process is None else self._process.poll()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            self._process = self._spawn(output)
        self._group = self._process.pid
        self._guardian.watch(self._group)

    def _spawn(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )
        except OSError as error:
            raise StackError(
                f"The {self.name} could not be started: {self.command[0]}: {error.strerror}.",
                "set the environment up again: `rm -rf .venv`, then the same command.",
            ) from error

    def wait_until(self, ready: Callable[[], bool], *, seconds: float, way_out: str) -> None:
        """Return once `ready()`; StackError where the process ends before or `seconds` pass."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.require_running(way_out)
            if time.monotonic() > deadline:
                problem = f"The {self.name} was not ready after {seconds:.0f} seconds."
                raise StackError(problem, way_out, self.last_lines())
            time.sleep(POLL_SECONDS)

    def require_running(self, way_out: str) -> None:
        if not self.running:
            raise StackError(f"The {self.name} {self.how_it_ended()}.", way_out, self.last_lines())

    def run_to_end(self, *, seconds: float, way_out: str) -> None:
        """Start it and wait for exit code 0; StackError on any other end, also after `seconds`."""
        self.start()
        self.wait_until(lambda: not self.running, seconds=seconds, way_out=way_out)
        code = self.exit_code
        self.stop()
        if code != 0:
            self.require_running(way_out)

    def how_it_ended(self) -> str:
        code = self.exit_code
        if code is None:
            return "is running" if self.running else "was not started"
        return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def last_lines(self) -> str:
        """The end of what it wrote since its last start; "" where it wrote nothing."""
        with suppress(OSError), self.log.open("rb") as output:
            output.seek(self._log_start)
            lines = output.read().decode(errors="replace").splitlines()
            return "\n".join(f"    {line}" for line in lines[-LOG_LINES_SHOWN:])
        return ""

    def terminate(self) -> None:
        """SIGTERM to the first process, which ends its own children in good order."""
        if self.running and self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """SIGKILL to the whole group, as a crash or the kernel's out-of-memory killer would."""
        if self._process is None or self._group is None:
            return
        guardian.signal_group(self._group, signal.SIGKILL)
        self._process.wait()
        self._guardian.forget(self._group)
        self._group = None

    def stop(self) -> None:
        stop_all([self])


def stop_all(processes: Sequence[ManagedProcess]) -> None:
    """SIGTERM to all at once, SIGKILL to each one that outlives its grace; returns when all ended.

    What a process leaves behind in its group is killed with it.
    An interrupt while waiting (a second Ctrl-C) ends the waiting, never the stopping: what is left
    is killed at once, and then the interrupt goes on.
    """
    for process in processes:
        process.terminate()
    try:
        _wait_for_end(processes)
    finally:
        for process in processes:
            process.kill()


def _wait_for_end(processes: Sequence[ManagedProcess]) -> None:
    started = time.monotonic()
    left = list(processes)
    while left:
        waited = time.monotonic() - started
        left = [each for each in left if each.running and waited < each.grace]
        time.sleep(POLL_SECONDS if left else 0)


def rotate(log: Path) -> None:
    """Keep the log of the run before as `<name>.log.1`."""
    if log.exists():
        os.replace(log, log.with_suffix(".log.1"))
