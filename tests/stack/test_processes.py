"""The supervisor's parts: processes, guardian, folder, ports, Valkey; no Django involved."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from config.stack import ManagedProcess, StackError, valkey
from config.stack.embedded import EmbeddedStack
from config.stack.folder import StackFolder
from config.stack.ports import LOOPBACK, find_free_port, require_free_port
from config.stack.processes import Guardian, stop_all

PATIENCE_SECONDS = 30
MakeProcess = Callable[..., ManagedProcess]


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def alive(pid: int) -> bool:
    """Whether it runs; a zombie that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def guardian() -> Iterator[Guardian]:
    guardian = Guardian(grace=0.2, lock_descriptor=None)
    yield guardian
    guardian.close()


@pytest.fixture
def make_process(tmp_path: Path, guardian: Guardian) -> Iterator[MakeProcess]:
    made: list[ManagedProcess] = []

    def make(
        script: str, *, grace: float = 10.0, command: list[str] | None = None
    ) -> ManagedProcess:
        process = ManagedProcess(
            f"child{len(made)}",
            command or ["sh", "-c", script],
            log=tmp_path / f"child{len(made)}.log",
            environment=os.environ,
            folder=tmp_path,
            guardian=guardian,
            grace=grace,
        )
        made.append(process)
        return process

    yield make
    for process in made:
        process.kill()


def test_output_of_a_process_goes_to_its_log(make_process: MakeProcess) -> None:
    process = make_process("echo to stdout; echo to stderr >&2")
    process.run_to_end(seconds=PATIENCE_SECONDS, way_out="")
    assert process.log.read_text() == "to stdout\nto stderr\n"


def test_a_process_that_dies_at_start_shows_its_last_lines_and_a_way_out(
    make_process: MakeProcess,
) -> None:
    process = make_process("echo cannot open the thing; exit 3")
    process.start()
    with pytest.raises(StackError, match="ended with exit code 3") as caught:
        process.wait_until(lambda: False, seconds=PATIENCE_SECONDS, way_out="open the thing.")
    assert "cannot open the thing" in caught.value.log
    assert str(caught.value).endswith("Way out: open the thing.")


def test_a_run_that_fails_is_an_error_and_shows_this_run_only(make_process: MakeProcess) -> None:
    process = make_process("test -e again && { echo second; exit 1; }; echo first; touch again")
    process.run_to_end(seconds=PATIENCE_SECONDS, way_out="")
    with pytest.raises(StackError) as caught:
        process.run_to_end(seconds=PATIENCE_SECONDS, way_out="")
    assert caught.value.log.split() == ["second"]


def test_a_process_that_is_never_ready_is_an_error_that_says_so(make_process: MakeProcess) -> None:
    process = make_process("sleep 1000")
    process.start()
    with pytest.raises(StackError, match="was not ready after 0 seconds"):
        process.wait_until(lambda: False, seconds=0, way_out="")


def test_a_missing_program_is_an_error_that_names_it(make_process: MakeProcess) -> None:
    process = make_process("", command=["/no/such/program"])
    with pytest.raises(StackError, match="/no/such/program: No such file"):
        process.start()
    assert not process.running


def test_stop_lets_a_process_end_in_good_order(make_process: MakeProcess) -> None:
    process = make_process(
        "trap 'echo put away; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    )
    process.start()
    process.wait_until(lambda: "up" in process.last_lines(), seconds=PATIENCE_SECONDS, way_out="")
    process.stop()
    assert "put away" in process.last_lines()
    assert process.exit_code == 0


def test_stop_kills_a_process_that_ignores_the_request(make_process: MakeProcess) -> None:
    process = make_process("trap '' TERM; echo up; while :; do sleep 0.05; done", grace=0.1)
    process.start()
    process.wait_until(lambda: "up" in process.last_lines(), seconds=PATIENCE_SECONDS, way_out="")
    process.stop()
    assert process.exit_code == -signal.SIGKILL


def test_stop_ends_children_that_outlive_their_parent(make_process: MakeProcess) -> None:
    process = make_process("sleep 1000 & echo $!", grace=0.1)
    process.start()
    assert eventually(lambda: not process.running)
    child = int(process.log.read_text())
    assert alive(child)
    process.stop()
    assert eventually(lambda: not alive(child))


def test_a_process_can_be_started_again_after_kill(make_process: MakeProcess) -> None:
    process = make_process("exec sleep 1000")
    process.start()
    first = process.pid
    process.kill()
    assert process.exit_code == -signal.SIGKILL
    process.start()
    assert process.running
    assert process.pid != first


def test_stopping_twice_or_what_never_started_does_nothing(make_process: MakeProcess) -> None:
    never, once = make_process("sleep 1000"), make_process("sleep 1000")
    once.start()
    stop_all([never, once])
    stop_all([never, once])
    assert not once.running


def test_an_interrupt_while_stopping_still_stops(
    make_process: MakeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = make_process("trap '' TERM; while :; do sleep 0.05; done")
    process.start()
    with monkeypatch.context() as patch:
        patch.setattr("config.stack.processes._wait_for_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stop_all([process])
    assert process.exit_code in {-signal.SIGKILL, -signal.SIGTERM}


def interrupted(_: object) -> None:
    raise KeyboardInterrupt


KILLED_SUPERVISOR = """
import os, signal, sys
from pathlib import Path
from config.stack.processes import Guardian, ManagedProcess

folder = Path(sys.argv[1])
guardian = Guardian(grace=0.2, lock_descriptor=None)
for name, script in (("calm", "sleep 1000 & echo $$ $!; wait"),
                     ("stubborn", "trap '' TERM; echo $$; while :; do sleep 0.05; done")):
    process = ManagedProcess(name, ["sh", "-c", script], log=folder / name,
                             environment=os.environ, folder=folder, guardian=guardian)
    process.start()
    process.wait_until(lambda: process.last_lines() != "", seconds=30, way_out="")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_guardian_ends_all_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_SUPERVISOR, str(tmp_path)]
    ended = subprocess.run(command, cwd=Path.cwd(), timeout=PATIENCE_SECONDS, check=False)
    assert ended.returncode == -signal.SIGKILL
    logs = (tmp_path / "calm").read_text() + (tmp_path / "stubborn").read_text()
    pids = [int(word) for word in logs.split()]
    assert len(pids) == 3
    assert eventually(lambda: not any(alive(pid) for pid in pids))


def test_a_folder_in_use_is_refused_with_the_process_that_uses_it(tmp_path: Path) -> None:
    first, second = StackFolder(tmp_path), StackFolder(tmp_path)
    first.claim()
    with pytest.raises(StackError, match=rf"process {os.getpid()}\) is using"):
        second.claim()
    first.release()
    second.claim()
    second.release()


def test_the_lock_holds_until_the_guardian_has_ended_too(tmp_path: Path) -> None:
    first, second = StackFolder(tmp_path), StackFolder(tmp_path)
    first.claim()
    guardian = Guardian(grace=0.2, lock_descriptor=first.lock_descriptor)
    first.release()
    with pytest.raises(StackError, match="is using"):
        second.claim()
    guardian.close()
    second.claim()
    second.release()


def test_a_folder_that_cannot_be_written_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match=r"cannot be written(?s:.*)Way out: make it writable"):
        StackFolder(tmp_path / "file" / "var").claim()


def test_metrics_of_dead_processes_are_removed_at_start(tmp_path: Path) -> None:
    folder = StackFolder(tmp_path)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "counter_1.db").touch()
    folder.claim()
    folder.release()
    assert list(folder.metrics.iterdir()) == []


def test_the_secret_is_kept_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    secret = StackFolder(tmp_path).secret()
    assert len(secret) >= 50
    assert StackFolder(tmp_path).secret() == secret
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_an_emptied_secret_is_refused_never_used(tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    with pytest.raises(StackError, match="no usable secret key"):
        StackFolder(tmp_path).secret()


def test_a_busy_port_is_refused_by_name_with_another_to_choose() -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StackError, match=rf"Port {port}(?s:.*)SEAMLESS_PORT={port + 1}"):
            require_free_port(port)
    require_free_port(port)


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "80.5"])
def test_a_port_that_is_no_port_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="SEAMLESS_PORT is"):
        EmbeddedStack.from_environment(tmp_path, {"SEAMLESS_PORT": text})


def test_servers_named_in_the_environment_are_used(tmp_path: Path) -> None:
    environ = {"REDIS_URL": "redis://elsewhere/3", "DATABASE_URL": "postgresql://elsewhere/db"}
    stack = EmbeddedStack.from_environment(tmp_path, {**environ, "SEAMLESS_PORT": "9000"})
    assert (stack.redis_url, stack.database_url) == tuple(environ.values())
    assert stack.url == "http://127.0.0.1:9000"


def test_an_address_that_is_no_redis_is_refused() -> None:
    with pytest.raises(StackError, match="REDIS_URL is not the address"):
        valkey.answers("postgresql://elsewhere")


def test_a_missing_redis_server_is_an_error_with_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StackError, match=r"No Valkey(?s:.*)REDIS_URL="):
        valkey.find_server()


def test_acknowledged_writes_survive_kill_of_the_server_and_strangers_are_refused(
    tmp_path: Path, make_process: MakeProcess
) -> None:
    folder = tmp_path / 'with "quotes" and spaces'
    folder.mkdir()
    port = find_free_port()
    file = valkey.write_configuration(
        folder, port=port, password="secret", persistence=valkey.DURABLE
    )
    assert file.stat().st_mode & 0o777 == 0o600
    server = make_process("", command=[valkey.find_server(), str(file)])
    url = valkey.server_url(port, "secret")
    for value in (None, b"kept"):
        server.start()
        server.wait_until(lambda: valkey.answers(url), seconds=PATIENCE_SECONDS, way_out="")
        with redis.Redis.from_url(url) as client:
            assert client.get("key") == value
            client.set("key", b"kept")
        server.kill()
    server.start()
    server.wait_until(lambda: valkey.answers(url), seconds=PATIENCE_SECONDS, way_out="")
    assert not valkey.answers(valkey.server_url(port, "guessed"))
