"""The tour of `make demo`, on the real stack: it ends well, and the README shows what it prints."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
# Values that no two runs share, or that depend on how fast the machine is.
VARYING = [
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"observed \d:\d\d:\d\d", "observed TIME"),
    (r"root [0-9a-f]{64}", "root ROOT"),
    # Equal refusals of one minute are one record, so the clock decides how many there are.
    (r"records 0 to \d+", "records 0 to LAST"),
    (r"size \d+", "size SIZE"),
    (r"line \d+", "line LINE"),
    (r"record \d+", "record RECORD"),
    (r"signed by seamless\.local/audit\+[0-9a-f]{8};", "signed by seamless.local/audit+KEY;"),
]
PROGRESS = re.compile(r"^ +job \d+ (pending|running|done): \d+% \(.*\)$")

pytestmark = pytest.mark.stack


def play(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DATABASE_URL", "REDIS_URL"} and not name.startswith("SEAMLESS_")
    }
    return subprocess.run(
        [sys.executable, "-m", "demo", *options],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def settled(text: str) -> list[str]:
    """The lines that every run has in common."""
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text)
    return [line for line in text.strip().splitlines() if not PROGRESS.match(line)]


def shown_in_readme() -> str:
    readme = (PROJECT / "README.md").read_text()
    block = re.search(r"<!-- tour -->\n```text\n(.*?)```\n<!-- /tour -->", readme, re.DOTALL)
    assert block is not None
    return block[1]


def test_the_tour_ends_well_and_is_what_the_readme_shows(tmp_path: Path) -> None:
    done = play(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert settled(done.stdout) == settled(shown_in_readme())
    progress = [line for line in done.stdout.splitlines() if PROGRESS.match(line)]
    assert any(": 100% (5 done)" in line for line in progress)
    # A second run over the same folder tells the same.
    assert settled(play(tmp_path).stdout) == settled(done.stdout)


def test_with_redis_away_the_tour_finishes_in_degraded_mode(tmp_path: Path) -> None:
    done = play(tmp_path, "--without-redis")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "coordinator mode degraded" in done.stdout
    full = [line for line in settled(shown_in_readme()) if "coordinator mode" not in line]
    degraded = [line for line in settled(done.stdout) if "coordinator mode" not in line]
    assert degraded == full
