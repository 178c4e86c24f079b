"""The whole embedded stack: it starts, serves, and leaves nothing running however it ends."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from config.stack import EmbeddedStack, StackError
from config.stack.embedded import RESTARTS_IN_WINDOW

pytestmark = pytest.mark.stack
PATIENCE_SECONDS = 90
SUPERVISOR = """
import sys
from pathlib import Path
from config.stack import EmbeddedStack

with EmbeddedStack(Path(sys.argv[1])) as stack:
    print(stack.port, *(part.pid for part in (stack.redis, stack.worker, stack.web)), flush=True)
    stack.watch()
"""


def get(stack: EmbeddedStack, path: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


def processes_mentioning(text: str) -> list[str]:
    """The commands of all processes that carry `text` in their command line or environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in told and int(folder.name) != os.getpid():
            found.append((folder / "cmdline").read_text().replace("\0", " "))
    return found


def wait_until_gone(text: str) -> list[str]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (left := processes_mentioning(text)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    with EmbeddedStack(tmp_path_factory.mktemp("stack") / "var") as stack:
        yield stack


def test_every_part_is_up_once_the_stack_is_entered(stack: EmbeddedStack) -> None:
    assert get(stack, "/livez") == 200
    assert stack.redis.running
    assert stack.worker.running
    assert stack.migration.exit_code == 0


def test_commands_see_the_database_of_the_stack(stack: EmbeddedStack) -> None:
    listed = stack.manage("showmigrations", "--plan")
    assert listed.returncode == 0, listed.stderr
    assert "[X]" in listed.stdout
    assert "[ ]" not in listed.stdout


def test_a_second_stack_over_the_same_folder_is_refused(stack: EmbeddedStack) -> None:
    with pytest.raises(StackError, match=rf"process {os.getpid()}\) is using"):
        EmbeddedStack(stack.folder.path).__enter__()
    assert get(stack, "/livez") == 200


def test_a_second_stack_on_the_same_port_is_refused(stack: EmbeddedStack, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=f"Port {stack.port} on"):
        EmbeddedStack(tmp_path / "var", port=stack.port).__enter__()


def test_the_worker_comes_back_after_redis_was_killed_and_started_again(
    stack: EmbeddedStack,
) -> None:
    stack.redis.kill()
    assert get(stack, "/livez") == 200
    stack.start_redis()
    stack.wait_for_worker()


def test_a_worker_that_ended_while_redis_was_away_is_started_again(stack: EmbeddedStack) -> None:
    stack.redis.kill()
    stack.worker.kill()
    stack.start_redis()
    stack.wait_for_worker()


def test_a_killed_worker_is_not_taken_for_a_ready_one(stack: EmbeddedStack) -> None:
    stack.worker.kill()
    with pytest.raises(StackError, match="ended by signal 9"):
        stack.wait_for_worker()
    stack.worker.start()
    stack.wait_for_worker()


def test_a_worker_that_keeps_ending_is_an_error_in_the_end(stack: EmbeddedStack) -> None:
    stack._restarts.clear()
    for _ in range(RESTARTS_IN_WINDOW):
        stack.worker.kill()
        stack.check()
        assert stack.worker.running
    stack.worker.kill()
    with pytest.raises(StackError, match="worker was ended by signal 9"):
        stack.check()
    stack._restarts.clear()
    stack.check()
    stack.wait_for_worker()


def test_a_web_server_that_ended_is_an_error(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path / "var", redis=False) as stack:
        stack.web.kill()
        with pytest.raises(StackError, match="web was ended by signal 9"):
            stack.watch()


def test_the_stack_starts_without_redis_and_takes_it_up_later(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path / "var", redis=False) as stack:
        assert get(stack, "/livez") == 200
        assert not stack.redis.running
        stack.start_redis()
        stack.wait_for_worker()
        assert stack.redis.running
    assert wait_until_gone(str(tmp_path)) == []


def test_a_worker_that_cannot_start_is_an_error_and_stops_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ["sh", "-c", "echo out of order; exit 7"]
    monkeypatch.setattr(EmbeddedStack, "_worker_command", lambda stack: broken)
    with pytest.raises(StackError, match=r"worker ended with exit code 7(?s:.*)out of order"):
        EmbeddedStack(tmp_path / "var").__enter__()
    assert wait_until_gone(str(tmp_path)) == []


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [
        pytest.param(signal.SIGINT, 130, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, 143, id="SIGTERM"),
        pytest.param(signal.SIGKILL, -9, id="kill -9"),
    ],
)
def test_nothing_is_left_running_after(number: int, exit_code: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path / "var")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        assert len(supervisor.stdout.readline().split()) == 4
        supervisor.send_signal(number)
        supervisor.communicate(timeout=PATIENCE_SECONDS)
    assert supervisor.returncode in {exit_code, -number}
    assert wait_until_gone(str(tmp_path)) == []
