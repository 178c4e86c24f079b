"""Threads and processes that want the same work: it is done once."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from django.db import connection
from django.utils import timezone

from coordinator.models import BackfillJob, BackfillShard
from coordinator.services.local_runs import finish_jobs

CLAIM = """
import django, time
django.setup()
from coordinator.services.claiming import claim_shard
from django.utils import timezone
claim = claim_shard(holder="racer", now=timezone.now())
print("won" if claim else "lost")
"""


def test_t39_two_who_ask_at_once_cause_one_backfill(committed_house, handler, settings):
    settings.REDIS_URL = "redis://127.0.0.1:9/0"  # so both run here what they wait for
    start = threading.Barrier(2)

    def ensure(_):
        try:
            start.wait()
            request = committed_house.request((0, 100), now=timezone.now())
            return finish_jobs(request.job_ids, time.monotonic() + 30)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ensure, range(2))) == [True, True]
    assert [(wanted.start, wanted.end) for wanted in handler.fetched] == [(0, 100)]
    assert not BackfillJob.objects.filter(state__in=["pending", "running", "paused"]).exists()
    assert max(BackfillShard.objects.values_list("range_end", flat=True)) == 100


def test_x26_of_several_processes_one_gets_the_shard(committed_house, redis_client):
    committed_house.request((0, 100), now=timezone.now())
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(3)
    ]
    told = sorted(racer.communicate(timeout=120)[0].strip() for racer in racers)
    assert told == ["lost", "lost", "won"]
    assert BackfillShard.objects.get().epoch == 1
