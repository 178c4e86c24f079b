"""What operators do to jobs that exist: pause, resume, reorder, do again, give up."""

from datetime import timedelta

import pytest

from coordinator.failure_budget import FailureBudget
from coordinator.models import BackfillJob, BackfillShard
from coordinator.services.claiming import claim_shard
from coordinator.services.finishing import cancel_job, close_finished_jobs
from coordinator.services.job_rows import JobHasEnded, NoSuchJob
from coordinator.services.progress import progress
from coordinator.services.requesting import Wish, carry_out, outline_of
from coordinator.services.running import run_shard
from coordinator.services.steering import (
    Again,
    JobNotInState,
    NothingToDoAgain,
    RangeTaken,
    change_priority,
    pause_job,
    reprocess_job,
    resume_job,
)
from registry.errors import InvalidInput, NotAllowed
from registry.models import AuditEvent
from tests.coordinator.backfills import NOW, READER, make_next_version, make_operator, pointers

LATER = NOW + timedelta(days=400)  # past every backoff, by any clock


@pytest.fixture(autouse=True)
def _small_shards(settings):
    settings.SEAMLESS_SHARD_BARS = 5
    settings.SEAMLESS_MAX_ATTEMPTS = 1


@pytest.fixture
def job_id(house):
    (made,) = house.request((0, 140)).created
    return made


def drain(now=NOW):
    while (claim := claim_shard(holder="w", now=now)) is not None:
        run_shard(claim=claim)


def poison(wanted, _cancel):
    if wanted.start == 50:
        raise ValueError("poison")


def job():
    return BackfillJob.objects.get()


def audited(action):
    return AuditEvent.objects.get(action=f"backfill.job.{action}")


# --- pause and resume ----------------------------------------------------------------------------


def test_a_paused_job_finishes_what_runs_and_begins_nothing(house, job_id, handler, oscar):
    running = claim_shard(holder="w", now=NOW)
    pause_job(actor=oscar, job_id=job_id, now=NOW, reason="source is down")
    assert claim_shard(holder="w", now=NOW) is None
    assert run_shard(claim=running).state == "done"
    resume_job(actor=oscar, job_id=job_id, now=NOW)
    drain()
    assert progress(job_id).ratio == 1.0
    assert audited("pause").reason == "source is down"
    assert (audited("resume").before, audited("resume").after) == (
        {"state": "paused"},
        {"state": "running"},
    )


def test_a_job_is_paused_and_resumed_once(house, job_id, oscar):
    with pytest.raises(JobNotInState, match="nothing to resume"):
        resume_job(actor=oscar, job_id=job_id, now=NOW)
    pause_job(actor=oscar, job_id=job_id, now=NOW)
    with pytest.raises(JobNotInState, match="nothing to pause"):
        pause_job(actor=oscar, job_id=job_id, now=NOW)


@pytest.mark.parametrize("act", [pause_job, resume_job])
def test_what_has_ended_or_never_was_is_neither_paused_nor_resumed(house, job_id, oscar, act):
    cancel_job(actor=oscar, job_id=job_id, reason="", now=NOW)
    with pytest.raises(JobHasEnded, match="reprocess it"):
        act(actor=oscar, job_id=job_id, now=NOW)
    with pytest.raises(NoSuchJob):
        act(actor=oscar, job_id=404, now=NOW)


# --- priority ------------------------------------------------------------------------------------


def test_priority_moves_a_running_job_ahead_of_older_ones(house, job_id, handler, oscar):
    (second,) = house.request((1000, 1100), now=NOW + timedelta(seconds=60)).created
    run_shard(claim=claim_shard(holder="w", now=NOW))
    change_priority(actor=oscar, job_id=second, priority=2, now=NOW)
    far = NOW + timedelta(minutes=5)
    assert claim_shard(holder="w", now=far).job_id == second
    change_priority(actor=oscar, job_id=second, priority=1, now=NOW)
    assert claim_shard(holder="w", now=far).job_id == job_id
    changed = AuditEvent.objects.filter(action="backfill.job.priority").order_by("pk")
    assert [(e.before, e.after) for e in changed] == [
        ({"priority": 0}, {"priority": 2}),
        ({"priority": 2}, {"priority": 1}),
    ]


def test_priority_leaves_what_a_reader_waits_for_in_front(house, job_id, oscar):
    house.request((60, 70), wanted_now=True)
    change_priority(actor=oscar, job_id=job_id, priority=-50, now=NOW)
    assert claim_shard(holder="w", now=NOW).range == (50, 90)


@pytest.mark.parametrize("priority", [-51, 51])
def test_a_priority_out_of_bounds_is_refused(house, job_id, oscar, priority):
    with pytest.raises(InvalidInput, match="-50 to 50"):
        change_priority(actor=oscar, job_id=job_id, priority=priority, now=NOW)


# --- doing again ---------------------------------------------------------------------------------


def test_retrying_does_the_failed_shards_again_under_their_next_epoch(
    house, job_id, handler, oscar
):
    handler.on_fetch = poison
    drain()
    assert progress(job_id).state == "violation"
    handler.on_fetch = lambda *_: None
    request = reprocess_job(actor=oscar, job_id=job_id, again=Again.FAILED, now=NOW)
    assert request.job_ids == [job_id]
    assert (job().state, job().ended_at) == ("running", None)
    drain()
    assert (progress(job_id).state, progress(job_id).ratio) == ("done", 1.0)
    assert sorted(epoch for _, epoch, _ in pointers()) == [1, 1, 3]
    again = BackfillShard.objects.get(range_start=50)
    assert (again.attempts, again.violation, again.last_error) == (1, "", "")


def test_what_brought_too_few_rows_is_done_again_as_missing(house, job_id, handler, oscar):
    handler.rows_missing = 1
    handler.on_fetch = lambda wanted, _: setattr(handler, "rows_missing", int(wanted.start == 50))
    drain()
    assert progress(job_id).written_bars == 14
    with pytest.raises(NothingToDoAgain, match="no shard that is failed"):
        reprocess_job(actor=oscar, job_id=job_id, again=Again.FAILED, now=NOW)
    reprocess_job(actor=oscar, job_id=job_id, again=Again.MISSING, now=NOW)
    handler.on_fetch = lambda *_: setattr(handler, "rows_missing", 0)
    drain()
    assert progress(job_id).written_bars == 15
    assert [fetched.start for fetched in handler.fetched] == [0, 50, 100, 50]


def test_all_is_done_again_newest_first(house, job_id, handler, oscar):
    drain()
    reprocess_job(actor=oscar, job_id=job_id, again=Again.ALL, now=NOW, newest_first=True)
    drain()
    assert [fetched.start for fetched in handler.fetched][3:] == [100, 50, 0]
    assert {epoch for _, epoch, _ in pointers()} == {1, 3}


def test_f16_no_result_of_before_commits_after_a_reprocess(house, job_id, handler, oscar):
    running = claim_shard(holder="w", now=NOW)
    reprocess_job(actor=oscar, job_id=job_id, again=Again.ALL, now=NOW)
    assert run_shard(claim=running).state is None
    assert pointers() == []
    drain()
    assert progress(job_id).ratio == 1.0
    assert (running.shard_id, running.epoch) not in [(s, e) for s, e, _ in pointers()]


def test_a_cancelled_job_is_taken_up_again_where_it_stopped(house, job_id, handler, oscar):
    run_shard(claim=claim_shard(holder="w", now=NOW))
    cancel_job(actor=oscar, job_id=job_id, reason="", now=NOW)
    reprocess_job(actor=oscar, job_id=job_id, again=Again.FAILED, now=NOW)
    drain()
    assert progress(job_id).state == "done"
    assert len(handler.fetched) == 3


def test_a_job_does_not_open_again_over_another_active_one(house, job_id, oscar):
    cancel_job(actor=oscar, job_id=job_id, reason="", now=NOW)
    (other,) = house.request((50, 90)).created
    with pytest.raises(RangeTaken) as refused:
        reprocess_job(actor=oscar, job_id=job_id, again=Again.ALL, now=NOW)
    assert refused.value.extra["job"] == other
    assert BackfillJob.objects.get(pk=job_id).state == "cancelled"


def test_what_is_stale_is_fetched_anew_under_the_latest_version(house, job_id, handler, oscar):
    drain()
    with pytest.raises(NothingToDoAgain, match="stale"):
        reprocess_job(actor=oscar, job_id=job_id, again=Again.STALE, now=NOW)
    newer = make_next_version(house.version)
    request = reprocess_job(actor=oscar, job_id=job_id, again=Again.STALE, now=NOW)
    (made,) = request.created
    made = BackfillJob.objects.get(pk=made)
    assert (made.bound_version, made.range) == (newer, (0, 140))
    drain()
    assert progress(made.pk).state == "done"


# --- the failure budget --------------------------------------------------------------------------


def budgeted(house, budget):
    wish = Wish(house.node, [(0, 490)], house.version, failure_budget=FailureBudget(shards=budget))
    return carry_out(outline_of(wish), actor=READER, now=NOW, requested_by="t").created[0]


def test_a_job_that_fails_more_than_it_may_gives_up_the_rest(house, handler):
    """Every shard still ends, each with its reason, and the report lists them."""
    made = budgeted(house, 2)

    def fail(*_):
        raise OSError("down")

    handler.on_fetch = fail
    drain()
    assert len(handler.fetched) == 3
    assert progress(made).shards == {"violation": 10}
    codes = list(BackfillShard.objects.order_by("range_start").values_list("violation", flat=True))
    assert codes == ["attempts_exhausted"] * 3 + ["failure_budget_spent"] * 7
    report = AuditEvent.objects.get(action="backfill.violation").after
    assert [(run["range"], run["shards"]) for run in report["missing"]] == [
        ([0, 140], 3),
        ([150, 490], 7),
    ]
    assert AuditEvent.objects.get(action="backfill.job.stop").after == {"shards_ended": 7}


def test_a_job_within_its_budget_goes_on(house, handler):
    made = budgeted(house, 1)
    handler.on_fetch = poison
    drain()
    assert progress(made).shards == {"done": 9, "violation": 1}
    assert close_finished_jobs(now=NOW) == []


# --- who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        lambda actor, job_id: pause_job(actor=actor, job_id=job_id, now=NOW),
        lambda actor, job_id: resume_job(actor=actor, job_id=job_id, now=NOW),
        lambda actor, job_id: change_priority(actor=actor, job_id=job_id, priority=1, now=NOW),
        lambda actor, job_id: reprocess_job(actor=actor, job_id=job_id, again=Again.ALL, now=NOW),
        lambda actor, job_id: cancel_job(actor=actor, job_id=job_id, reason="", now=NOW),
    ],
)
def test_only_operators_of_the_nodes_team_steer_and_refusals_are_recorded(house, job_id, act):
    for actor in (READER, make_operator("olaf", team="another team")):
        with pytest.raises(NotAllowed):
            act(actor, job_id)
    refused = AuditEvent.objects.filter(outcome="denied")
    assert [event.object_id for event in refused] == [str(job_id)] * 2
    assert job().state == "pending"
