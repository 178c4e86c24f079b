"""Drills emit on a scratch registry; the live metrics never learn of them."""

import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from urllib.request import urlopen

import pytest
from django.core.management import CommandError, call_command
from prometheus_client import REGISTRY, generate_latest

from provider.drills import DRILLS, Trouble, rehearse


@pytest.mark.parametrize("kind", sorted(DRILLS))
def test_a_drill_leaves_the_live_metrics_alone(kind: str) -> None:
    scratch = generate_latest(rehearse(kind, Trouble("drill:node"))).decode()
    assert 'node_id="drill:node"' in scratch
    assert "drill:node" not in generate_latest(REGISTRY).decode()


def test_the_violation_is_in_the_bucket_it_belongs_to() -> None:
    registry = rehearse("sla-violation", Trouble("n", repetitions=7, seconds=250.0))
    labels = {"node_id": "n", "phase": "total"}
    name = "seamless_sla_deadline_seconds"
    assert registry.get_sample_value(f"{name}_bucket", {**labels, "le": "240.0"}) == 0
    assert registry.get_sample_value(f"{name}_bucket", {**labels, "le": "300.0"}) == 7
    assert registry.get_sample_value("seamless_sla_violation_total", labels) == 7


def test_a_file_for_the_textfile_collector(tmp_path: Path) -> None:
    file = tmp_path / "drill.prom"
    call_command("inject", "flag-spike", "n", "--write-to", str(file), stdout=StringIO())
    line = 'seamless_conformance_flag_total{flag_type="gap",interval="60",node_id="n"} 10.0'
    assert line in file.read_text()


def test_an_endpoint_of_its_own() -> None:
    command = [sys.executable, "manage.py", "inject", "stuck-lease", "n", "--serve", "0"]
    with subprocess.Popen([*command, "--hold", "30"], stdout=subprocess.PIPE, text=True) as drill:
        try:
            assert drill.stdout is not None
            said = drill.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/metrics", said)
            assert address, said
            with urlopen(address[0], timeout=10) as answer:
                assert "backfill_stuck_leases 10.0" in answer.read().decode()
        finally:
            drill.terminate()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["sla-violation", "n"], "Give --write-to FILE"),
        (["earthquake", "n", "--write-to", "x"], "invalid choice: 'earthquake'"),
        (["flag-spike", "n", "--repetitions", "0", "--write-to", "x"], "above 0"),
        (["flag-spike", "n", "--serve", "70000"], "is not a port number"),
        (["flag-spike", "n", "--write-to", "/nowhere/drill.prom"], "cannot write /nowhere"),
    ],
)
def test_wrong_use_is_explained(arguments: list[str], complaint: str) -> None:
    with pytest.raises(CommandError, match=re.escape(complaint)):
        call_command("inject", *arguments, stdout=StringIO())
