"""Celery tasks are one service call each, and a lost child is not waited for."""

from types import SimpleNamespace

import pytest
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from django.utils import timezone
from prometheus_client import REGISTRY

from coordinator import tasks
from coordinator.models import BackfillShard, SourceLimit
from coordinator.queue import RUN_SHARD
from coordinator.services.claiming import claim_shard
from tests.coordinator.backfills import NOW, pointers


def run(**more):
    return tasks.run_shard.apply(kwargs=more).get()


@pytest.fixture
def shard_id(house):
    house.request((0, 100))
    return BackfillShard.objects.get().pk


def test_the_task_has_the_name_that_is_announced():
    assert tasks.run_shard.name == RUN_SHARD


def test_a_ticket_runs_the_next_shard_and_a_second_one_finds_nothing_to_do(shard_id, handler):
    assert run() == "done"
    assert run() == "nothing to do"
    assert len(pointers()) == 1


def test_a_ticket_runs_one_shard_at_least_and_goes_on_for_a_while(
    house, handler, monkeypatch, settings
):
    settings.SEAMLESS_SHARD_BARS = 1
    house.request((0, 50))
    monkeypatch.setattr(tasks, "TICKET_SECONDS", 0.0)
    assert run() == "done"
    assert BackfillShard.objects.filter(state="done").count() == 1
    monkeypatch.setattr(tasks, "TICKET_SECONDS", 60.0)
    assert run() == "done"
    assert set(BackfillShard.objects.values_list("state", flat=True)) == {"done"}


def test_a_ticket_stops_where_its_source_is_at_its_limit(house, handler, settings):
    settings.SEAMLESS_SHARD_BARS = 1
    house.request((0, 50))
    source = BackfillShard.objects.first().job.source
    SourceLimit.objects.create(
        name=source, per_minute=0.001, burst=2, tokens=2, refilled_at=timezone.now()
    )
    dropped = REGISTRY.get_sample_value("seamless_rl_dropped_total", {"limiter": source}) or 0
    assert run() == "done"
    assert BackfillShard.objects.filter(state="done").count() == 2
    assert run() == "nothing to do"
    now_dropped = REGISTRY.get_sample_value("seamless_rl_dropped_total", {"limiter": source})
    assert now_dropped == dropped + 2


def test_an_argument_from_a_newer_sender_is_ignored(shard_id, handler):
    assert run(shard_id=9, colour="blue") == "done"


def test_without_shards_there_is_nothing_to_do(db):
    assert run() == "nothing to do"


def test_the_reconciler_runs_as_a_task(shard_id):
    claim_shard(holder="dead", now=NOW)
    tasks.reconcile.apply().get()
    assert BackfillShard.objects.get().state == "failed"


def test_a_lost_child_frees_its_shard_at_once_and_only_its_own(shard_id):
    claim_shard(holder=tasks.holder_of("task-1"), now=NOW)
    lost = {"sender": tasks.run_shard, "reason": WorkerLostError("signal 9 (SIGKILL)")}
    other = SimpleNamespace(id="task-2", kwargs={})
    tasks._child_lost_and_retried(request=other, **lost)
    assert BackfillShard.objects.get().state == "leased"
    mine = SimpleNamespace(id="task-1", kwargs={})
    tasks._child_lost_and_retried(request=mine, **lost)
    shard = BackfillShard.objects.get()
    assert (shard.state, "SIGKILL" in shard.last_error) == ("failed", True)


def test_a_retry_for_another_reason_frees_nothing(shard_id):
    claim_shard(holder=tasks.holder_of("task-1"), now=NOW)
    tasks._child_lost_and_retried(
        sender=tasks.run_shard,
        request=SimpleNamespace(id="task-1", kwargs={}),
        reason=OSError("try again"),
    )
    assert BackfillShard.objects.get().state == "leased"


def test_the_hard_time_limit_frees_the_shard(shard_id):
    claim_shard(holder=tasks.holder_of("task-1"), now=NOW)
    tasks._child_lost_for_good(
        sender=tasks.run_shard,
        task_id="task-1",
        exception=TimeLimitExceeded(60),
        kwargs={},
    )
    assert BackfillShard.objects.get().last_error.startswith("TimeLimitExceeded")
