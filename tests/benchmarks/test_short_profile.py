"""Every benchmark still runs: a short profile of each, as its page says to start it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import NoPostgresError, postgres_binaries

PROJECT = Path(__file__).parents[2]
SHORT = {
    "columnar": ("--rows", "100", "--rounds", "1"),
    "reading": ("--rounds", "1", "--bars", "100", "--export", "2000"),
    "tracing": ("--reads", "2"),
}
OWN_SERVERS = {
    "audit": ("--clients", "2", "--seconds", "0.2", "--first"),
    "coordinator": ("--shards", "4", "--bars", "10", "--workers", "1", "--many", "50"),
    "live": ("--bars", "3", "--window", "120"),
    "stores": ("--rows", "100", "--rounds", "1", "--backfill", "200"),
}


@pytest.mark.parametrize("name", SHORT)
def test_it_runs_and_prints_figures(name: str) -> None:
    printed = run(name, *SHORT[name])
    assert any(character.isdigit() for character in printed)


@pytest.mark.stack
@pytest.mark.parametrize("name", OWN_SERVERS)
def test_it_runs_with_servers_of_its_own(name: str, tmp_path: Path) -> None:
    try:
        postgres_binaries(tmp_path)
    except NoPostgresError as missing:
        pytest.skip(str(missing))
    assert "| " in run(name, *OWN_SERVERS[name])


def test_none_is_forgotten() -> None:
    pages = {page.stem for page in (PROJECT / "benchmarks").glob("*.py")}
    parts = {"audit_clients", "audit_export", "coordinator_worker"}
    assert pages - parts == SHORT.keys() | OWN_SERVERS.keys()


def run(name: str, *options: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]
    return done.stdout
