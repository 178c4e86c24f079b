"""The embedded stack: Valkey, migrations, one Celery worker with beat, one web server."""

import http.client
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from config.stack import valkey
from config.stack.errors import StackError
from config.stack.folder import StackFolder
from config.stack.ports import LOOPBACK, find_free_port, require_free_port
from config.stack.processes import POLL_SECONDS, Guardian, ManagedProcess, rotate, stop_all

PROJECT = Path(__file__).resolve().parents[2]
DEFAULT_PORT = 8000
START_SECONDS = 60.0
MIGRATE_SECONDS = 300.0
STOP_GRACE_SECONDS = 10.0
RESTARTS_IN_WINDOW = 3
RESTART_WINDOW = 60.0


class EmbeddedStack:
    """Seamless on one machine, in one folder; a context manager that stops what it started.

        with EmbeddedStack(Path("var"), port=8000) as stack:
            os.environ.update(stack.environment)  # before Django's settings are read
            ... stack.url, stack.redis_url ...

    `var`: everything it writes lies under it. `port`: of the web server, None for a free one.
    `redis_url`, `database_url`: servers of yours, else a Valkey of its own and a SQLite file.
    `redis=False`: the Redis address stands in the environment and nothing listens there, until
    `start_redis()`. `environment`: further variables for the children. `fresh`: empty `var` first.

    Entering raises StackError where it cannot start, with everything stopped again. Leaving stops
    all: at the end, on any exception, Ctrl-C, SIGTERM and SIGHUP (which become SystemExit, in the
    main thread); a guardian process does so where this process is killed.
    """

    def __init__(
        self,
        var: Path,
        *,
        port: int | None = None,
        redis: bool = True,
        redis_url: str | None = None,
        database_url: str | None = None,
        environment: Mapping[str, str] | None = None,
        fresh: bool = False,
    ) -> None:
        self._fresh = fresh
        self.folder = StackFolder(var)
        self.port = find_free_port() if port is None else port
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._start_with_redis = redis
        self._own_redis = redis_url is None
        self._redis_port = find_free_port()
        self._redis_password = secrets.token_hex(16)
        self.redis_url = redis_url or valkey.server_url(self._redis_port, self._redis_password)
        self.database_url = database_url or f"sqlite:///{self.folder.database}"
        self._more_environment = dict(environment or {})
        self._old_handlers: dict[int, Any] = {}
        self._processes: list[ManagedProcess] = []
        self._restarts: list[float] = []

    @classmethod
    def from_environment(cls, var: Path, environ: Mapping[str, str], **options: Any) -> Self:
        """As the variables REDIS_URL, DATABASE_URL and SEAMLESS_PORT say; `options` win."""
        chosen = {
            "port": _read_port(environ),
            "redis_url": environ.get("REDIS_URL") or None,
            "database_url": environ.get("DATABASE_URL") or None,
        }
        return cls(var, **{**chosen, **options})

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to be part of this stack; the children get it on top of ours."""
        return {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "SEAMLESS_VAR": str(self.folder.path),
            "SEAMLESS_SECRET_KEY": self.folder.secret(),
            "PROMETHEUS_MULTIPROC_DIR": str(self.folder.metrics),
            **self._more_environment,
        }

    def __enter__(self) -> Self:
        self._catch_signals()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        require_free_port(self.port)
        self.folder.claim(fresh=self._fresh)
        self._guardian = Guardian(
            grace=STOP_GRACE_SECONDS, lock_descriptor=self.folder.lock_descriptor
        )
        self._describe_processes()
        if self._start_with_redis and self._own_redis:
            self._start_own_redis()
        self._migrate()
        self.worker.start()
        self.web.start()
        self._wait_for_web()
        if valkey.answers(self.redis_url):
            self.wait_for_worker()
        else:  # the worker keeps trying, the web says `degraded`
            self.worker.require_running(f"see {self.worker.log}.")

    def start_redis(self) -> None:
        """Start the Valkey that `redis=False`, `redis.stop()` or `redis.kill()` left away.

        Returns once the worker takes tasks again, which may be a new one: see `check`.
        """
        self._start_own_redis()
        deadline = time.monotonic() + START_SECONDS
        while not self._worker_consumes() and time.monotonic() < deadline:
            self.check()
            time.sleep(POLL_SECONDS)
        self.wait_for_worker()

    def stop(self) -> None:
        """Stop all that runs; calling it again does nothing."""
        try:
            if self._processes:
                self._stop_processes()
        finally:
            self.folder.release()
            self._restore_signals()

    def _stop_processes(self) -> None:
        try:
            stop_all([self.web, self.worker])  # before the server they both talk to
        finally:
            stop_all(self._processes)
            self._guardian.close()
            self._processes = []

    def watch(self) -> NoReturn:
        """Stay until a signal comes, or StackError says that a part of the stack has ended."""
        while True:
            self.check()
            time.sleep(0.5)

    def check(self) -> None:
        """Start the worker again where it has ended; StackError where the web server has.

        As a process manager would: a Celery worker that held a message when the Redis server went
        away may end itself (Kombu then fails with `'NoneType' object has no attribute 'hostname'`).
        A worker that keeps ending is an error too.
        """
        self.web.require_running(f"start the stack again; see {self.web.log}.")
        if self.worker.running:
            return
        now = time.monotonic()
        self._restarts = [moment for moment in self._restarts if now - moment < RESTART_WINDOW]
        if len(self._restarts) >= RESTARTS_IN_WINDOW:
            self.worker.require_running(f"see {self.worker.log}.")
        self._restarts.append(now)
        self.worker.stop()  # what its pool left behind
        self.worker.start()

    def manage(
        self, *arguments: str, seconds: float = 120, token: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` inside the stack, as the holder of `token` where it needs a person.

        Its output and exit code, whatever that is.
        """
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            env={**os.environ, **self.environment, "SEAMLESS_TOKEN": token},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def _describe_processes(self) -> None:
        self._ready_file = self.folder.path / "worker-ready"
        self.redis = self._process("redis", [])
        self.migration = self._process("migrate", [*_python("manage.py"), "migrate", "--noinput"])
        self.worker = self._process("worker", self._worker_command())
        self.web = self._process("web", self._web_command())

    def _process(self, name: str, command: list[str]) -> ManagedProcess:
        rotate(self.folder.log(name))
        process = ManagedProcess(
            name,
            command,
            log=self.folder.log(name),
            environment={
                **os.environ,
                **self.environment,
                "SEAMLESS_WORKER_READY_FILE": str(self._ready_file),
            },
            folder=PROJECT,
            guardian=self._guardian,
            grace=STOP_GRACE_SECONDS,
        )
        self._processes.append(process)
        return process

    def _worker_command(self) -> list[str]:
        return [
            *_python("-m", "celery", "-A", "config", "worker", "--beat"),
            *("--schedule", str(self.folder.beat / "schedule")),
            *("--pool", "prefork", "--concurrency", "2", "--without-gossip", "--without-mingle"),
            *("--include", "config.stack.readiness", "--loglevel", "INFO"),
        ]

    def _web_command(self) -> list[str]:
        return [
            *_python("-m", "granian", "--interface", "wsgi", "config.wsgi:application"),
            *("--host", LOOPBACK, "--port", str(self.port), "--no-ws"),
            *("--workers", "1", "--blocking-threads", "8"),
        ]

    def _start_own_redis(self) -> None:
        configuration = valkey.write_configuration(
            self.folder.valkey,
            port=self._redis_port,
            password=self._redis_password,
            persistence=valkey.DURABLE,
        )
        self.redis.command = [valkey.find_server(), str(configuration)]
        self.redis.start()
        self.redis.wait_until(
            lambda: valkey.answers(self.redis_url),
            seconds=START_SECONDS,
            way_out=f"see {self.redis.log}; where its files are damaged, move "
            f"{self.folder.valkey} away (queued work is planned again from the database).",
        )

    def _migrate(self) -> None:
        self.migration.run_to_end(
            seconds=MIGRATE_SECONDS,
            way_out=f"see {self.migration.log}; a database that an older version left behind can "
            f"be moved away: {self.database_url.removeprefix('sqlite:///')}.",
        )

    def _wait_for_web(self) -> None:
        self.web.wait_until(
            lambda: _lives(self.port),
            seconds=START_SECONDS,
            way_out=f"see {self.web.log}; where the port was taken meanwhile, choose another one: "
            f"`SEAMLESS_PORT={self.port + 1} make run`.",
        )

    def wait_for_worker(self) -> None:
        """Return once the worker takes tasks from the broker; StackError where it does not."""
        self.worker.wait_until(
            self._worker_consumes,
            seconds=START_SECONDS,
            way_out=f"see {self.worker.log}, and whether the Redis server answers.",
        )

    def _worker_consumes(self) -> bool:
        try:
            announced = self._ready_file.read_text()
        except FileNotFoundError:
            return False
        return self.worker.running and announced == str(self.worker.pid)

    def _catch_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number, handler in SIGNALS_THAT_STOP.items():
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                self._old_handlers[number] = signal.signal(number, handler)

    def _restore_signals(self) -> None:
        while self._old_handlers:
            signal.signal(*self._old_handlers.popitem())


def _leave(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


# SIGINT too: a shell starts its background jobs with it ignored.
SIGNALS_THAT_STOP = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: _leave,
    signal.SIGHUP: _leave,
}


def _python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def _read_port(environ: Mapping[str, str]) -> int:
    text = environ.get("SEAMLESS_PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise StackError(
            f"SEAMLESS_PORT is {text!r}, not a port number.", "for example SEAMLESS_PORT=8001."
        )
    return int(text)


def _lives(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)  # never through a proxy
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
