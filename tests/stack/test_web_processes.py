"""Several web processes on one port: what one of them says of the whole is what all have done."""

import http.client
import os
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
from tests.processes import is_up, running, web_command

pytestmark = pytest.mark.stack
PROCESSES, REQUESTS, PATIENCE_SECONDS = 3, 60, 60


@pytest.fixture
def port(committed_db: CommittedDatabase, tmp_path: Path) -> Iterator[int]:
    port, metrics = find_free_port(), tmp_path / "metrics"
    metrics.mkdir()
    environment = os.environ | {
        "DATABASE_URL": committed_db.url,
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
    }
    command, log = web_command(port, workers=PROCESSES, threads=2), tmp_path / "web.log"
    with running(command, log=log, environment=environment):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_up(port):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield port


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
