"""F13: many who ask at once, over HTTP, against a real server."""

import json
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from itertools import count

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client

from config.stack.ports import find_free_port
from config.stack.processes import ManagedProcess
from coordinator.models import BackfillJob, BackfillShard
from registry.models import AuditEvent
from tests.chaos.arena import PROJECT, Arena, percentile, report, verdict
from tests.coordinator.backfills import make_operator
from tests.processes import is_up, web_command

REQUESTS, CONNECTIONS = 1_000, 100
WHOLE = 1_000  # bars


@pytest.fixture
def port(arena: Arena) -> Iterator[int]:
    """A web server beside the arena."""
    port = find_free_port()
    web = ManagedProcess(
        "web",
        web_command(port, workers=2, threads=8),
        log=arena.folder / "web.log",
        environment=arena.environment(SEAMLESS_SECRET_KEY=django_settings.SECRET_KEY),
        folder=PROJECT,
        guardian=arena.guardian,
    )
    web.start()
    web.wait_until(lambda: is_up(port), seconds=60, way_out="see the lines above.")
    yield port
    web.kill()


def test_f13_a_thousand_equal_or_overlapping_requests(arena: Arena, port: int) -> None:
    node = arena.house.node
    node.source, node.store = {"type": "sample", "dataset": "stocks"}, {"type": "parquet"}
    node.save()
    make_operator()
    browser = Client()
    browser.force_login(User.objects.get(username="oscar"))
    csrf = "c" * 32
    headers = {
        "Content-Type": "application/json",
        "Cookie": f"sessionid={browser.cookies['sessionid'].value}; csrftoken={csrf}",
        "X-CSRFToken": csrf,
    }
    numbers = count()
    answers: list[tuple[bool, int, bytes]] = []
    spent: list[float] = []

    def ask() -> None:
        wire = HTTPConnection("127.0.0.1", port, timeout=120)
        while (number := next(numbers)) < REQUESTS:
            # A few different overlapping ranges inside one that is also asked for whole.
            first = 0 if number % 2 else (number % 7) * 1_000
            body = {"node": arena.house.node.node_id, "start": first, "end": (WHOLE - 1) * 10}
            began = time.monotonic()
            named = {"Idempotency-Key": f"k{number}"}
            wire.request("POST", "/api/v1/backfills", json.dumps(body), headers | named)
            answer = wire.getresponse()
            answers.append((first == 0, answer.status, answer.read()))
            spent.append(time.monotonic() - began)
        wire.close()

    threads = [threading.Thread(target=ask) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == REQUESTS
    assert {status for _, status, _ in answers} == {202}, [a for a in answers if a[1] != 202][:1]
    bars = BackfillShard.objects.order_by("range_start").values_list("range_start", "range_end")
    covered = [bar for start, end in bars for bar in range(start, end + 1, 10)]
    assert covered == list(range(0, WHOLE * 10, 10))  # one set of shards: each bar once
    events = AuditEvent.objects.select_related("payload").filter(action="backfill.request")
    created = [made["job"] for event in events for made in event.after["created"]]
    job_ids = sorted(BackfillJob.objects.values_list("pk", flat=True))
    assert sorted(created) == job_ids
    equal = {jobs_of(body) for whole, _, body in answers if whole}
    assert equal == {tuple(job_ids)}  # equal requests wait on the same jobs, all of them
    arena.start_workers()
    for job_id in job_ids:
        arena.wait_for_end(job_id)
        assert verdict(job_id).is_clean
    assert arena.audit_tree_holds()
    report("F13", job_ids[0], REQUESTS, [percentile(spent, 99)])


def jobs_of(body: bytes) -> tuple[int, ...]:
    answer = json.loads(body)
    return tuple(sorted(job["id"] for job in answer["created"] + answer["joined"]))
