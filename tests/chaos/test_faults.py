"""F1-F20 of the failure suite on real processes: 0 duplicate rows, 0 lost shards, every shard ends.

Times run from the fault to the next commit of the shard it hit. Each test is named by its fault.
"""

import statistics
import time

import pytest
from django.utils import timezone

from config.stack import valkey
from coordinator.lease_state import ShardState
from coordinator.mode import Mode, coordinator_mode
from coordinator.models import BackfillShard
from coordinator.services.finishing import cancel_job
from coordinator.services.local_runs import finish_jobs
from coordinator.services.progress import progress
from coordinator.services.steering import Again, reprocess_job
from registry.models import AuditEvent
from tests.chaos.arena import EVERYTHING, SIZE, TTL, Arena, report, verdict
from tests.coordinator.backfills import make_operator

MID_SHARD = ("fetch", "chunk", "stage", "publish")
RECONNECT_SECONDS = 35.0
RESTART_SECONDS = 20.0
# A busy machine is no bug: the limits themselves are kept by `make chaos`.
BUSY_SECONDS = 0.0 if EVERYTHING else 10.0
LIMIT = 2 * TTL + BUSY_SECONDS


def first_commit_after(job_id: int, moment: float) -> list[float]:
    """How long after it; nothing where all had been done before."""
    done = BackfillShard.objects.filter(job=job_id, state=ShardState.DONE)
    later = [at.timestamp() - moment for at in done.values_list("done_at", flat=True)]
    return sorted(gap for gap in later if gap > 0)[:1]


def ends_clean(arena: Arena, job_id: int) -> None:
    arena.wait_for_end(job_id)
    arena.wait_until(lambda: progress(job_id).has_ended)
    found = verdict(job_id)
    assert found.is_clean, found
    assert found.states == {ShardState.DONE: BackfillShard.objects.filter(job=job_id).count()}
    assert progress(job_id).ratio == 1.0
    assert arena.audit_tree_holds()


def test_f1_a_pool_child_killed_in_mid_shard(arena: Arena) -> None:
    job_id = arena.request()
    injected = arena.arm("kill", arena.some_starts(job_id, SIZE.repeats), MID_SHARD)
    arena.start_workers()
    ends_clean(arena, job_id)
    recovered = arena.recoveries(job_id)
    report("F1", job_id, injected, recovered)
    assert len(recovered) == injected
    assert max(recovered) <= LIMIT
    assert statistics.median(recovered) <= TTL + BUSY_SECONDS


def test_f2_a_whole_worker_killed_at_a_random_point(arena: Arena) -> None:
    job_id = arena.request()
    repeats = SIZE.repeats // 2
    points = (*MID_SHARD, "fenced", "written")
    injected = arena.arm("kill worker", arena.some_starts(job_id, repeats), points)
    arena.start_workers()
    ends_clean(arena, job_id)
    recovered = arena.recoveries(job_id)
    report("F2", job_id, injected, recovered)
    assert len(recovered) == injected
    assert max(recovered) <= LIMIT + RESTART_SECONDS  # the last worker alive may be hit too


@pytest.mark.parametrize("point", [*MID_SHARD, "fenced", "written"] if EVERYTHING else ["publish"])
def test_f3_a_holder_stopped_for_three_leases_never_commits_late(
    arena: Arena, point: str, committed_db: object
) -> None:
    job_id = arena.request()
    injected = arena.arm("stop", arena.some_starts(job_id, 2), [point])
    arena.start_workers()
    arena.wake_after(3 * TTL)
    ends_clean(arena, job_id)
    recovered = arena.recoveries(job_id)
    report(f"F3 {point}", job_id, injected, recovered)
    if point == "publish":
        # The job may have ended before the woken holder comes to the fence.
        arena.wait_until(lambda: arena.counted("backfill_fence_rejected_total") >= injected)
    frozen_in_transaction = point in {"fenced", "written"}
    if not (frozen_in_transaction and committed_db.vendor == "sqlite"):  # one writer: it waits
        assert max(recovered) <= LIMIT


@pytest.mark.parametrize(
    "arena",
    [
        pytest.param(valkey.DURABLE, id="durable"),
        *([pytest.param(valkey.VOLATILE, id="volatile")] if EVERYTHING else []),
    ],
    indirect=True,
)
@pytest.mark.parametrize("away", [TTL, 10 * TTL] if EVERYTHING else [TTL])
def test_f4_redis_killed_and_back(arena: Arena, away: float) -> None:
    job_id = arena.request()
    arena.start_workers()
    arena.wait_for_commits(job_id)
    before = progress(job_id).committed_bars
    arena.redis.process.kill()
    finish_jobs([job_id], time.monotonic() + away)
    assert coordinator_mode() is Mode.DEGRADED
    assert progress(job_id).committed_bars > before
    arena.redis.start()
    back = time.time()
    arena.wait_until(lambda: coordinator_mode() is Mode.FULL)
    ends_clean(arena, job_id)
    recovered = first_commit_after(job_id, back)
    report(f"F4 {away:g} s", job_id, 1, recovered)
    assert not recovered or recovered[0] <= LIMIT + RECONNECT_SECONDS


def test_f5_redis_emptied_in_mid_run(arena: Arena) -> None:
    import redis

    job_id = arena.request()
    arena.start_workers()
    arena.wait_for_commits(job_id)
    with redis.Redis.from_url(arena.redis_url) as client:
        client.flushall()
    flushed = time.time()
    ends_clean(arena, job_id)
    recovered = first_commit_after(job_id, flushed)
    report("F5", job_id, 1, recovered)
    assert not recovered or recovered[0] <= LIMIT + 5


def test_f11_the_broker_delivers_everything_again(arena: Arena) -> None:
    job_id = arena.request(shards=8)
    arena.start_workers(SEAMLESS_CHAOS_VISIBILITY="1", SEAMLESS_CHAOS_CHUNK_SECONDS="2.5")
    ends_clean(arena, job_id)
    again = sum(times - 1 for times in arena.deliveries().values())
    report("F11", job_id, again, [])
    assert again >= 1


def test_f16_after_a_cancel_no_older_result_commits(arena: Arena) -> None:
    oscar = make_operator()
    job_id = arena.request()
    arena.start_workers(SEAMLESS_CHAOS_CHUNK_SECONDS="0.3")
    for _ in range(2):
        arena.wait_for_commits(job_id, at_least=progress(job_id).shards.get("done", 0) + 1)
        cancel_job(actor=oscar, job_id=job_id, reason="enough", now=timezone.now())
        last = AuditEvent.objects.order_by("-pk").values_list("pk", flat=True).first()
        assert not BackfillShard.objects.filter(job=job_id, state=ShardState.LEASED).exists()
        epochs = dict(BackfillShard.objects.filter(job=job_id).values_list("pk", "epoch"))
        reprocess_job(actor=oscar, job_id=job_id, again=Again.FAILED, now=timezone.now())
    ends_clean(arena, job_id)
    late = AuditEvent.objects.filter(action="backfill.shard.commit", pk__gt=last)
    for event in late:
        assert event.after["epoch"] > epochs[int(event.object_id)]
    report("F16", job_id, 2, [])
