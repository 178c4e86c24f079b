"""Several web processes on one port: what one of them says of the whole is what all have done."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from config.stack.ports import find_free_port
from registry.actors import Actor
from registry.services.tokens import issue_personal_token
from tests.databases import CommittedDatabase

pytestmark = pytest.mark.stack
PROCESSES, REQUESTS, PATIENCE_SECONDS = 3, 60, 60


@pytest.fixture
def port(committed_db: CommittedDatabase, tmp_path: Path) -> Iterator[int]:
    port, metrics = find_free_port(), tmp_path / "metrics"
    metrics.mkdir()
    command = [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "config.wsgi:application"),
        *("--host", "127.0.0.1", "--port", str(port), "--no-ws"),
        *("--workers", str(PROCESSES), "--blocking-threads", "2"),
    ]
    environment = os.environ | {
        "DATABASE_URL": committed_db.url,
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
    }
    with (tmp_path / "web.log").open("wb") as log:
        web = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not answers(port):
            assert time.monotonic() < deadline, (tmp_path / "web.log").read_text()
            time.sleep(0.1)
        yield port
    finally:
        os.killpg(web.pid, signal.SIGKILL)
        web.wait()


def answers(port: int) -> bool:
    try:
        return get(port, "/livez")[0] == 200
    except OSError:
        return False


def get(port: int, path: str, token: str = "") -> tuple[int, str]:
    """Over a connection of its own, which any of the processes may take."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def counted(text: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "seamless_http_requests_total" and sample.labels["status"] == "401"
    )


def test_a_scrape_of_any_process_counts_the_requests_of_all(port: int, tmp_path: Path) -> None:
    user = User.objects.create_user("oscar")
    actor = Actor(kind="user", id=str(user.pk), name="oscar")
    issued = issue_personal_token(
        actor=actor,
        user=user,
        scopes=("metrics",),
        lifetime=timedelta(days=1),
        now=timezone.now(),
    )
    for _ in range(REQUESTS):
        assert get(port, "/api/v1/nodes")[0] == 401
    scrapes = [get(port, "/metrics", issued.secret) for _ in range(3 * PROCESSES)]
    assert {status for status, _ in scrapes} == {200}
    assert {counted(text) for _, text in scrapes} == {REQUESTS}
    took_part = {file.stem for file in (tmp_path / "metrics").glob("counter_*.db")}
    assert len(took_part) >= PROCESSES
