"""The batch of reads in memory: bounded, and honest about what it shed."""

import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from registry.services import behind_reads, usage
from registry.services.background import Rounds
from registry.services.usage import ALL_COLUMNS, MOST_COLUMN_SETS, Kind, UsageBatch

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def kind(columns: str = ALL_COLUMNS, consumer: int = 1) -> Kind:
    return Kind(consumer, 1, 1, "market/1", columns, NOW.date())


def test_many_threads_lose_no_count() -> None:
    batch = UsageBatch()
    with ThreadPoolExecutor(8) as pool:
        for number in range(4_000):
            pool.submit(batch.add, kind(consumer=number % 5), NOW)
    counted, shed = batch.take()
    assert ([reads for _, reads, _ in counted], shed) == ([800] * 5, 0)
    assert batch.take() == ([], 0)


def test_a_full_batch_counts_known_kinds_and_sheds_new_ones() -> None:
    batch = UsageBatch(most_kinds=2)
    for consumer in (1, 2, 3, 3, 1):
        batch.add(kind(consumer=consumer), NOW)
    counted, shed = batch.take()
    assert ({one.consumer_id: reads for one, reads, _ in counted}, shed) == ({1: 2, 2: 1}, 2)


def test_too_many_sets_of_columns_count_as_all_columns() -> None:
    batch = UsageBatch()
    for number in range(MOST_COLUMN_SETS + 10):
        batch.add(kind(f'["c{number}"]'), NOW)
    counted, shed = batch.take()
    reads = Counter({one.columns: count for one, count, _ in counted})
    assert (len(reads), reads[ALL_COLUMNS], shed) == (MOST_COLUMN_SETS + 1, 10, 0)


def test_a_long_list_of_columns_counts_as_all_columns() -> None:
    assert usage._columns_text(["b", "a", "b"]) == '["a","b"]'
    assert usage._columns_text([f"column-{n}" for n in range(200)]) == ALL_COLUMNS


def test_what_was_shed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = UsageBatch(most_kinds=0)
    batch.add(kind(), NOW)
    monkeypatch.setattr(usage, "_batch", batch)
    with capture_logs() as logs:
        usage.flush_usage()
    assert [(line["event"], line["reads"]) for line in logs] == [("evidence.usage_shed", 1)]


def test_what_the_database_refuses_is_shed_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = UsageBatch()
    batch.add(kind(), NOW, reads=7)
    monkeypatch.setattr(usage, "_batch", batch)
    monkeypatch.setattr(usage, "_write", lambda counted: 1 / 0)
    with capture_logs() as logs:
        usage.flush_usage()
    assert logs[-1]["reads"] == 7
    assert batch.take() == ([], 0)


def test_the_thread_flushes_by_itself_and_outlives_a_failure(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SEAMLESS_EVIDENCE_SECONDS = 0.001
    calls: list[int] = []

    def failing() -> None:
        calls.append(1)
        raise RuntimeError("no database")

    monkeypatch.setattr(behind_reads, "_flushes", [failing])
    behind_reads.wake()
    wait_until(lambda: len(calls) > 2)
    behind_reads.forget()


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_forked_process_starts_rounds_of_its_own() -> None:
    ran: list[int] = []
    rounds = Rounds("test", lambda: ran.append(os.getpid()), lambda: 0.001)
    rounds.start()
    wait_until(lambda: bool(ran))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            rounds.start()
            wait_until(lambda: os.getpid() in ran)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    rounds.stop()
