"""A plan says what a run would do; a run does exactly that, or says that the world has moved."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from coordinator.failure_budget import FailureBudget
from coordinator.grid import painted
from coordinator.models import BackfillJob, BackfillShard, Quarantine
from coordinator.ports import set_gap_finder
from coordinator.services.claiming import claim_shard
from coordinator.services.finishing import cancel_job
from coordinator.services.limits import block_source, save_source_limit
from coordinator.services.planning import (
    BackfillOrder,
    NothingToBindTo,
    PlanOutdated,
    plan_backfill,
    run_backfill,
)
from coordinator.services.requesting import BackfillTooLarge
from coordinator.services.running import run_shard
from coordinator.services.steering import Again
from registry.errors import InvalidInput, NotAllowed, NotFound
from registry.models import AuditEvent, Node, Subject
from tests.coordinator.backfills import NOW, READER, make_next_version, make_node, pointers
from tests.coordinator.test_grid import Window


@pytest.fixture
def plan(sourced, oscar):
    def make(start=0, end=140, **options):
        order = BackfillOrder(
            node_id=options.pop("node_id", sourced.node.node_id), start=start, end=end, **options
        )
        return plan_backfill(actor=oscar, order=order, now=NOW)

    return make


def run(actor, plan, plan_hash=""):
    return run_backfill(actor=actor, order=plan.order, now=NOW, plan_hash=plan_hash)


def left(plan):
    return [(*rest.range, rest.reason, rest.job) for rest in plan.not_created]


def drain():
    while (claim := claim_shard(holder="w", now=NOW)) is not None:
        run_shard(claim=claim)


def test_a_plan_says_what_would_be_made_and_changes_nothing(plan):
    made = plan(-5, 147)
    assert (made.window.start, made.window.end) == (0, 140)
    (job,) = made.outline.new
    assert [shard for shard, _ in job.shards] == [(0, 40), (50, 90), (100, 140)]
    assert (job.expected_bars, left(made)) == (15, [])
    assert (made.estimate.shards, made.estimate.rows, made.estimate.calls) == (3, 15, 3)
    assert (made.estimate.minutes, made.estimate.based_on) == (None, "nothing")
    assert not BackfillJob.objects.exists()
    assert not AuditEvent.objects.exists()


def test_a_plan_says_what_is_not_made_and_why(plan, sourced):
    (active,) = sourced.request((50, 90)).created
    set_gap_finder(lambda node, version, ranges: [(0, 20), (50, 140)])
    made = plan()
    assert left(made) == [(30, 40, "not_missing", None), (50, 90, "active_job", active)]
    assert [job.range for job in made.outline.new] == [(0, 20), (100, 140)]
    Node.objects.update(source={})
    assert plan().outline.new == ()
    assert left(plan()) == [
        (30, 40, "not_missing", None),
        (0, 20, "no_source", None),
        (50, 140, "no_source", None),
    ]


def test_bars_that_nobody_expects_are_not_made(plan, sourced):
    node = make_node(
        sourced.version, "stocks", interval=86_400, calendar="XNYS", source={"type": "sample"}
    )
    saturday = 1_337_385_600
    made = plan(saturday, saturday + 86_400, node_id=node.node_id)
    assert left(made) == [(saturday, saturday + 86_400, "no_expected_bars", None)]


def test_a_run_does_what_was_planned(plan, oscar):
    made = plan()
    again, request = run(oscar, made, made.hash)
    assert again.hash == made.hash
    job = BackfillJob.objects.get()
    assert request.created == (job.pk,)
    assert (job.range, job.source, job.requested_by) == ((0, 140), "sample", "oscar")
    event = AuditEvent.objects.get(action="backfill.order")
    assert event.after["plan_hash"] == made.hash
    assert event.after["created"] == [job.pk]


def test_a_plan_is_refused_when_the_world_has_moved(plan, sourced, oscar):
    made = plan()
    sourced.request((50, 90))
    with pytest.raises(PlanOutdated) as refused:
        run(oscar, made, made.hash)
    assert refused.value.status == 409
    assert BackfillJob.objects.count() == 1
    assert refused.value.extra["plan_hash"] == plan().hash
    assert AuditEvent.objects.get(action="backfill.order").outcome == "refused"
    _, request = run(oscar, made, plan().hash)
    assert (len(request.created), len(request.joined)) == (2, 1)


def test_the_hash_knows_everything_that_decides_and_nothing_else(plan, oscar, handler):
    first = plan()
    assert plan().hash == first.hash
    others = [
        plan(end=130),
        plan(again=Again.ALL, newest_first=True),
        plan(newest_first=True),
        plan(priority=1),
        plan(failure_budget=FailureBudget(percent=10)),
    ]
    assert len({made.hash for made in (first, *others)}) == 6
    run(oscar, plan(1000, 1040))
    drain()
    with_history = plan()
    assert with_history.estimate != first.estimate
    assert with_history.hash == first.hash
    make_next_version(first.version)
    assert plan().hash != first.hash


def test_the_options_of_an_order_reach_its_jobs(plan, oscar):
    run(oscar, plan(0, 490, priority=7, failure_budget=FailureBudget(percent=20)))
    job = BackfillJob.objects.get()
    assert (job.priority, job.failure_budget) == (7, 2)
    assert set(BackfillShard.objects.values_list("priority", flat=True)) == {7}


# --- what is asked for ---------------------------------------------------------------------------


def test_failed_means_what_ended_as_a_violation_and_was_not_made_good(
    plan, sourced, oscar, handler
):
    (first,) = sourced.request((0, 140)).created
    cancel_job(actor=oscar, job_id=first, reason="", now=NOW)
    sourced.request((50, 90))
    drain()
    made = plan(again=Again.FAILED)
    assert [job.range for job in made.outline.new] == [(0, 40), (100, 140)]
    assert left(made) == [(50, 90, "not_failed", None)]


def test_stale_means_what_was_last_done_under_an_older_version(plan, sourced, handler):
    sourced.request((0, 140))
    drain()
    assert plan(again=Again.STALE).outline.new == ()
    newer = make_next_version(sourced.version)
    sourced.request((50, 90), bound_version=newer)
    drain()
    made = plan(again=Again.STALE)
    assert [job.range for job in made.outline.new] == [(0, 40), (100, 140)]
    assert made.version == newer


def test_all_means_the_whole_window_whatever_storage_has(plan):
    set_gap_finder(lambda node, version, ranges: [])
    assert plan().outline.new == ()
    assert [job.range for job in plan(again=Again.ALL).outline.new] == [(0, 140)]


def test_the_last_stroke_decides_over_a_bar():
    window = Window(0, 100, 10)
    strokes = [(0, 100, True), (20, 40, False), (40, 50, True), (-100, 0, False), (95, 300, False)]
    assert painted(window, strokes) == [(10, 10), (40, 90)]
    assert painted(window, []) == []
    assert painted(window, [(-100, -50, True), (200, 300, True)]) == []


# --- estimates and limits ------------------------------------------------------------------------


def _history(sourced, seconds, rows, node=None):
    request = sourced.request((10_000, 10_490), node=node or sourced.node)
    BackfillShard.objects.filter(job__in=request.created).update(
        state="done",
        epoch=1,
        checksum="sha256:0",
        next_attempt_at=None,
        n_rows=rows,
        leased_at=NOW - timedelta(seconds=seconds),
        done_at=NOW,
    )
    BackfillJob.objects.filter(pk__in=request.created).update(state="done", ended_at=NOW)


def test_an_estimate_comes_from_what_the_last_shards_of_the_node_took(plan, sourced):
    _history(sourced, seconds=6, rows=4)
    estimate = plan(0, 990).estimate
    assert (estimate.based_on, estimate.sample, estimate.shards) == ("node", 10, 20)
    assert estimate.rows == 80  # four of five bars
    assert estimate.minutes == 0.2  # 20 shards of 6 s, ten at a time as before


def test_a_node_without_history_takes_that_of_its_source(plan, sourced):
    other = make_node(sourced.version, "other", source={"type": "sample"})
    _history(sourced, seconds=6, rows=5, node=other)
    assert plan().estimate.based_on == "source"


def test_limits_lengthen_an_estimate_and_are_named(plan, sourced, oscar):
    _history(sourced, seconds=6, rows=5)
    save_source_limit(actor=oscar, name="sample", max_running=2, per_minute=10, now=NOW)
    block_source("sample", wait=timedelta(minutes=5), now=NOW)
    made = plan(0, 990)
    assert made.estimate.minutes == 2.0 + 5.0
    assert [limit.code for limit in made.limits] == ["source_blocked", "max_running", "per_minute"]


def test_what_stands_before_it_in_the_queue_is_counted(plan, sourced):
    sourced.request((2000, 2090), now=NOW - timedelta(minutes=1))
    assert plan().estimate.ahead == 2


# --- refusals ------------------------------------------------------------------------------------


def test_only_operators_of_the_nodes_team_plan_and_run(sourced, plan):
    made = plan()
    with pytest.raises(NotAllowed):
        plan_backfill(actor=READER, order=made.order, now=NOW)
    with pytest.raises(NotAllowed):
        run(READER, made)
    event = AuditEvent.objects.get(action="backfill.order")
    assert (event.outcome, event.object_id) == ("denied", sourced.node.node_id)


def test_an_order_that_cannot_be_carried_out_is_refused(plan, sourced, oscar):
    with pytest.raises(NotFound):
        plan(node_id="nobody's")
    with pytest.raises(InvalidInput, match="reversed"):
        plan(10, 0)
    with pytest.raises(InvalidInput, match="No bar lies"):
        plan(1, 2)
    with pytest.raises(InvalidInput, match="-50 to 50"):
        plan(priority=51)
    with pytest.raises(BackfillTooLarge, match="at most 100000 fit"):
        plan(0, 10**9)
    line = Subject.objects.create(name="market.none", owner_team=sourced.node.subject.owner_team)
    Node.objects.create(node_id="none", subject=line, interval=10, series=[])
    with pytest.raises(NothingToBindTo):
        plan(node_id="none")
    with pytest.raises(InvalidInput):
        run_backfill(actor=oscar, order=BackfillOrder(sourced.node.node_id, 10, 0), now=NOW)
    assert AuditEvent.objects.get(action="backfill.order").outcome == "refused"


@pytest.mark.parametrize(
    ("text", "of_50"), [("", None), ("0", 0), ("7", 7), ("10%", 5), ("100%", 50), ("1%", 0)]
)
def test_a_failure_budget_is_a_number_or_a_share(text, of_50):
    budget = FailureBudget.read(text)
    assert (budget.of(50), str(budget)) == (of_50, text)


@pytest.mark.parametrize("text", ["-1", "101%", "1.5", "x", "%", "1 %"])
def test_another_failure_budget_is_refused(text):
    with pytest.raises(ValueError, match="failure budget"):
        FailureBudget.read(text)


# --- acceptance of the original's behaviour ------------------------------------------------------


def test_x23_overlapping_requests_share_their_shards(sourced, handler):
    first = sourced.request((0, 100))
    second = sourced.request((10, 110))
    assert second.joined == first.created
    drain()
    bars = [bar for span in handler.fetched for bar in range(span.start, span.end + 1, 10)]
    assert sorted(bars) == list(range(0, 111, 10))
    assert len(pointers()) == len(handler.fetched)


def test_x24_ids_with_colons_and_slashes_go_through_every_step(sourced, oscar, plan, handler):
    assert sourced.node.node_id == "ohlcv:x:BTC/USDT:10s"
    _, request = run(oscar, plan())
    drain()
    (job,) = BackfillJob.objects.filter(pk__in=request.created)
    report = AuditEvent.objects.get(action="backfill.certificate").after
    assert (job.state, report["node_id"]) == ("done", "ohlcv:x:BTC/USDT:10s")


def test_t46_one_bar_shards_cover_both_ends_of_the_window(sourced, settings):
    settings.SEAMLESS_SHARD_BARS = 1
    sourced.request((0, 100))
    assert BackfillShard.objects.count() == 11


def test_t48_without_jitter_no_random_number_is_drawn():
    from coordinator.lease_state import RetryPolicy, backoff

    def never():
        raise AssertionError("drawn")

    assert backoff(1, RetryPolicy(base_seconds=0.5, jitter=0.0), never).total_seconds() == 0.5


def test_listing_a_plan_costs_the_same_for_ten_shards_as_for_a_hundred(plan, sourced):
    with CaptureQueriesContext(
        connection,
    ) as few:
        plan(0, 490)
    with CaptureQueriesContext(connection) as many:
        plan(0, 4_990)
    assert len(many) == len(few)
    assert not Quarantine.objects.exists()
