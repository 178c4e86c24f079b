"""Recovery hooks are told what happened to attempts, shards and jobs, once it is true."""

import pytest
from django.db import transaction
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from coordinator.recovery import add_recovery_hook, remove_recovery_hook
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.running import run_shard
from registry.models import AuditEvent


class Notes:
    def __init__(self):
        self.told = []

    def failed(self, event):
        self.told.append(("failed", event.attempt, event.error))

    def recovered(self, event):
        self.told.append(("recovered", event.attempt, event.epoch))

    def violated(self, event):
        self.told.append(("violated", event.attempt, event.error))

    def completed(self, event):
        self.told.append(("completed", str(event.outcome), event.report["written_bars"]))


@pytest.fixture
def notes(settings):
    settings.SEAMLESS_RETRY_BASE_SECONDS = 0.0
    settings.SEAMLESS_MAX_ATTEMPTS = 2
    hook = Notes()
    add_recovery_hook(hook)
    yield hook
    remove_recovery_hook(hook)


def run_next():
    return run_shard(claim=claim_shard(holder="w", now=database_now()))


def counted(event, node_id):
    labels = {"event": event, "node_id": node_id, "interval": "10"}
    return REGISTRY.get_sample_value("backfill_recovery_total", labels) or 0.0


def test_a_failure_and_a_recovery_are_told_logged_counted_and_recorded(
    committed_house, handler, notes
):
    committed_house.request((0, 100))
    node_id = committed_house.node.node_id
    before = {name: counted(name, node_id) for name in ("failed", "recovered", "completed")}

    def once(*_):
        handler.on_fetch = lambda *_: None
        raise OSError("away")

    handler.on_fetch = once
    run_next()
    with capture_logs() as events:
        run_next()
    assert notes.told == [
        ("failed", 1, "OSError: away"),
        ("recovered", 2, 2),
        ("completed", "done", 11),
    ]
    assert {name: counted(name, node_id) - n for name, n in before.items()} == dict.fromkeys(
        before, 1
    )
    names = [event["event"].removeprefix("seamless.backfill.") for event in events]
    assert "recovered" in names
    assert "completed" in names
    (commit,) = AuditEvent.objects.filter(action="backfill.shard.commit")
    assert commit.after["recovered"] is True


def test_a_violation_is_told_and_the_job_completes_with_its_report(committed_house, handler, notes):
    def fail(*_):
        raise OSError("away")

    committed_house.request((0, 100))
    handler.on_fetch = fail
    run_next()
    run_next()
    assert [happening for happening, *_ in notes.told] == ["failed", "violated", "completed"]
    assert notes.told[-1] == ("completed", "violation", 0)


def test_what_a_hook_raises_stops_nothing_and_nobody_else(committed_house, handler, notes):
    class Broken:
        def __getattr__(self, name):
            raise RuntimeError("hook broken")

    broken = Broken()
    add_recovery_hook(broken)
    after = Notes()
    add_recovery_hook(after)
    try:
        committed_house.request((0, 100))
        with capture_logs() as events:
            assert run_next().state == "done"
    finally:
        remove_recovery_hook(broken)
        remove_recovery_hook(after)
    assert after.told == notes.told == [("completed", "done", 11)]
    assert "seamless.backfill.hook_failed" in [event["event"] for event in events]


def test_what_is_rolled_back_is_told_to_nobody(committed_house, handler, notes):
    committed_house.request((0, 100))
    with transaction.atomic():
        run_next()
        transaction.set_rollback(True)
    assert notes.told == []
