"""Sources of other packages are found by their entry point; the template is one, and passes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coordinator.coverage import CoverageRange
from provider.sources import Source, open_source
from provider.sources.suite import SourceSuite

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATE = PROJECT / "templates" / "seamless-source"


class TestSample(SourceSuite):
    """Ours passes the suite that we ask others to pass."""

    time = "session"
    span = CoverageRange(1_338_508_800, 1_339_718_400)
    keys = ({"symbol": "AAPL"}, {"symbol": "IBM"})

    @pytest.fixture
    def source(self) -> Source:
        return open_source({"type": "sample", "dataset": "stocks"})


def run(*command: str, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=TEMPLATE,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_template_passes_its_own_tests(tmp_path: Path) -> None:
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:valkey", "-p", "no:django")
    done = run("-m", "pytest", *options, "tests", path=f"{TEMPLATE / 'src'}:{PROJECT}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout


def test_an_installed_package_adds_a_source_type(tmp_path: Path) -> None:
    """What an installer writes of the template's entry point."""
    info = tmp_path / "seamless_walk-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: seamless-walk\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(
        "[seamless.sources]\nwalk = seamless_walk:WalkSource.from_settings\n"
    )
    program = (
        "from coordinator.coverage import CoverageRange\n"
        "from provider.sources import open_source\n"
        "rows = open_source({'type': 'walk', 'seed': 7}).fetch(CoverageRange(0, 120), [], None)\n"
        "print(rows.num_rows)"
    )
    done = run("-c", program, path=f"{tmp_path}:{TEMPLATE / 'src'}:{PROJECT}")
    assert done.stdout.split() == ["6"], done.stderr
