"""Programs that tests start beside themselves, and what a web server of theirs is asked first."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

Process = subprocess.Popen[bytes]


@contextmanager
def running(command: list[str], *, log: Path, environment: Mapping[str, str]) -> Iterator[Process]:
    """In a process group of its own; killed with all of it in the end. `log` takes what it says."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, env=environment, stdout=said, stderr=said, start_new_session=True
        )
    try:
        yield process
    finally:
        kill_group(process)


def kill_group(process: Process) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def worker_command(folder: Path, name: str, *options: str, beat: bool = True) -> list[str]:
    """A prefork Celery worker of two children."""
    return [
        *(sys.executable, "-m", "celery", "-A", "config", "worker", "--concurrency", "2"),
        *("--hostname", f"{name}@test", "--without-gossip", "--without-mingle", *options),
        *(("--beat", "--schedule", str(folder / f"{name}.beat")) if beat else ()),
    ]


def web_command(port: int, *, workers: int, threads: int) -> list[str]:
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "config.wsgi:application"),
        *("--host", "127.0.0.1", "--port", str(port), "--no-ws"),
        *("--workers", str(workers), "--blocking-threads", str(threads)),
    ]


def is_up(port: int) -> bool:
    """Whether the web server there answers."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as wire:
        try:
            wire.request("GET", "/livez")
            return wire.getresponse().status == 200
        except OSError:
            return False
