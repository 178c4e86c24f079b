"""The SLA policy and the clock that holds a request to it."""

import contextvars
import threading

import pytest

from coordinator.coverage import Window
from provider.sla import (
    OnViolation,
    PoolFull,
    SeamlessSLAExceeded,
    SLAClock,
    SLAPhase,
    SLAPolicy,
    SourcePool,
)
from registry.errors import SeamlessError
from registry.policies import PRESETS, InvalidPolicy


class FakeTime:
    """A monotonic clock that moves when it is told to."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds

    def pass_ms(self, milliseconds):
        self.seconds += milliseconds / 1000


@pytest.fixture
def now():
    return FakeTime()


@pytest.fixture
def seen():
    return []


@pytest.fixture
def clock(now, seen):
    def make(**policy):
        return SLAClock(SLAPolicy(**policy), node_id="ohlcv:x:1m", now=now, observe=seen.append)

    return make


@pytest.fixture
def pool():
    return SourcePool("test", limit=1)


@pytest.fixture
def hang():
    """A call that hangs until the test is over."""
    over = threading.Event()
    yield over.wait
    over.set()


# --- the policy ---------------------------------------------------------------------------------


def test_x18_a_policy_goes_to_a_document_and_back():
    for policy in PRESETS.values():
        assert SLAPolicy.from_dict(policy.to_dict()) == policy


def test_x18_what_happens_on_violation_is_a_checked_enum():
    policy = SLAPolicy.from_dict({"on_violation": "partial_fill"})
    assert policy.on_violation is OnViolation.PARTIAL_FILL
    with pytest.raises(InvalidPolicy, match="fail_fast, partial_fill, hold") as caught:
        SLAPolicy.from_dict({"on_violation": "FAIL"})
    assert caught.value.key == "on_violation"


@pytest.mark.parametrize(
    "document",
    [
        {"total_deadline_ms": -1},
        {"total_deadline_ms": True},
        {"max_wait_storage_ms": 1.5},
        {"max_wait_backfill_ms": "1000"},
        {"max_sync_gap_bars": -3},
        {"min_coverage": 1.01},
        {"min_coverage": float("nan")},
        {"max_lag_seconds": -1},
        {"total_deadline": 1},
    ],
)
def test_an_impossible_policy_is_refused_with_the_name_of_the_key(document):
    (key,) = document
    with pytest.raises(InvalidPolicy, match=repr(key)) as caught:
        SLAPolicy.from_dict(document)
    assert caught.value.key == key


def test_the_presets_are_those_of_the_original():
    baseline, tolerant = PRESETS["baseline"], PRESETS["tolerant-partial"]
    assert baseline.to_dict() == {
        "total_deadline_ms": 60000,
        "max_wait_storage_ms": 3000,
        "max_wait_backfill_ms": 45000,
        "max_wait_live_ms": 5000,
        "retry_backoff_ms": 500,
        "min_coverage": 0.98,
        "max_lag_seconds": 45,
        "on_violation": "fail_fast",
    }
    assert tolerant.to_dict() == {
        "total_deadline_ms": 90000,
        "max_wait_storage_ms": 5000,
        "max_wait_backfill_ms": 75000,
        "max_wait_live_ms": 7000,
        "retry_backoff_ms": 1000,
        "min_coverage": 0.9,
        "max_lag_seconds": 90,
        "on_violation": "partial_fill",
    }


# --- the error ----------------------------------------------------------------------------------


def test_the_error_says_what_the_original_said():
    error = SeamlessSLAExceeded("total", node_id="n", elapsed_ms=12.34, budget_ms=10)
    assert str(error) == "SLA phase 'total' exceeded for node n: elapsed=12.3ms budget=10ms"
    assert isinstance(error, RuntimeError)
    assert isinstance(error, SeamlessError)
    assert (error.phase, error.node_id, error.elapsed_ms, error.budget_ms) == (
        "total",
        "n",
        12.34,
        10,
    )
    assert error.extra["phase"] == "total"


def test_without_a_budget_the_error_names_none():
    error = SeamlessSLAExceeded("live_wait", node_id="n", elapsed_ms=1, budget_ms=None)
    assert str(error) == "SLA phase 'live_wait' exceeded for node n: elapsed=1.0ms"


# --- phases -------------------------------------------------------------------------------------


def test_t29_a_call_longer_than_the_storage_budget_breaks_storage_wait(clock, now, pool):
    running = clock(max_wait_storage_ms=10)
    with pytest.raises(SeamlessSLAExceeded) as caught:
        running.run_within(SLAPhase.STORAGE_WAIT, lambda: now.pass_ms(50), pool)
    assert (caught.value.phase, caught.value.budget_ms) == ("storage_wait", 10)
    assert caught.value.elapsed_ms == pytest.approx(50)
    assert running.violation is caught.value


def test_t32_calls_within_their_own_budget_can_still_break_the_total(clock, now, pool):
    running = clock(max_wait_storage_ms=80, total_deadline_ms=50)
    running.run_within(SLAPhase.STORAGE_WAIT, lambda: now.pass_ms(40), pool)
    with pytest.raises(SeamlessSLAExceeded) as caught:
        running.run_within(SLAPhase.STORAGE_WAIT, lambda: now.pass_ms(40), pool)
    assert (caught.value.phase, caught.value.budget_ms) == ("total", 50)
    assert caught.value.elapsed_ms == pytest.approx(80)


def test_each_call_of_a_phase_has_the_whole_budget_of_the_phase(clock, now, pool):
    running = clock(max_wait_storage_ms=50)
    for _ in range(3):
        running.run_within(SLAPhase.STORAGE_WAIT, lambda: now.pass_ms(50), pool)
    assert running.violation is None


def test_x15_live_wait_is_enforced(clock, now, pool):
    with pytest.raises(SeamlessSLAExceeded, match="live_wait"):
        clock(max_wait_live_ms=5).run_within(SLAPhase.LIVE_WAIT, lambda: now.pass_ms(6), pool)


def test_x13_a_hung_source_costs_the_caller_its_budget(pool, hang):
    running = SLAClock(SLAPolicy(max_wait_storage_ms=10), node_id="n")
    with pytest.raises(SeamlessSLAExceeded) as caught:
        running.run_within(SLAPhase.STORAGE_WAIT, hang, pool)
    assert caught.value.phase == "storage_wait"
    assert caught.value.elapsed_ms >= 10


def test_x13_a_hung_source_cannot_outlast_the_total_either(pool, hang):
    running = SLAClock(SLAPolicy(total_deadline_ms=10), node_id="n")
    with pytest.raises(SeamlessSLAExceeded, match="'total'"):
        running.run_within(SLAPhase.BACKFILL_WAIT, hang, pool)


def test_a_spent_total_is_refused_before_the_source_is_asked(clock, now, pool):
    running, asked = clock(total_deadline_ms=10), []
    now.pass_ms(11)
    with pytest.raises(SeamlessSLAExceeded, match="'total'"):
        running.run_within(SLAPhase.STORAGE_WAIT, lambda: asked.append(1), pool)
    assert asked == []


def test_a_full_pool_is_refused_at_once_and_frees_with_its_calls(pool):
    release, running = threading.Event(), SLAClock(SLAPolicy(max_wait_storage_ms=5), node_id="n")
    with pytest.raises(SeamlessSLAExceeded):
        running.run_within(SLAPhase.STORAGE_WAIT, release.wait, pool)
    with pytest.raises(PoolFull, match="'test'"):
        pool.run(lambda: 1, None)
    release.set()
    for thread in threading.enumerate():
        if thread.name == "source-test":
            thread.join()
    assert pool.run(lambda: 1, None) == 1


def test_what_the_source_raises_reaches_the_caller_unchanged(clock, pool, seen):
    def broken():
        raise KeyError("boom")

    with pytest.raises(KeyError, match="boom"):
        clock(max_wait_storage_ms=1000).run_within(SLAPhase.STORAGE_WAIT, broken, pool)
    assert [(o.phase, o.outcome) for o in seen] == [("storage_wait", "failed")]


def test_a_timeout_of_the_source_itself_is_its_failure_not_ours(clock, pool):
    def gave_up():
        raise TimeoutError("the peer said nothing")

    with pytest.raises(TimeoutError, match="the peer"):
        clock(max_wait_storage_ms=1000).run_within(SLAPhase.STORAGE_WAIT, gave_up, pool)


def test_the_caller_s_context_is_known_on_the_pool_s_thread(clock, pool):
    request_id = contextvars.ContextVar("request_id")
    request_id.set("r-1")
    assert clock().run_within(SLAPhase.STORAGE_WAIT, request_id.get, pool) == "r-1"


def test_code_that_watches_its_own_deadline_is_given_it(clock, now):
    running = clock(max_wait_backfill_ms=100, total_deadline_ms=1000)
    now.pass_ms(950)
    with running.timed(SLAPhase.BACKFILL_WAIT) as deadline:
        assert deadline.remaining() == pytest.approx(0.05)
        assert deadline.blamed is SLAPhase.TOTAL
    with clock().timed(SLAPhase.BACKFILL_WAIT) as deadline:
        assert deadline.remaining() is None


def test_giving_up_at_the_deadline_is_the_violation(clock, now):
    def wait():
        with clock(max_wait_backfill_ms=100).timed(SLAPhase.BACKFILL_WAIT):
            now.pass_ms(100)
            raise TimeoutError

    with pytest.raises(SeamlessSLAExceeded, match="backfill_wait"):
        wait()


# --- observation --------------------------------------------------------------------------------


def test_t30_phases_and_total_are_observed(clock, now, pool, seen):
    running = clock(max_wait_storage_ms=80, total_deadline_ms=500)
    with running.total():
        running.run_within(SLAPhase.STORAGE_WAIT, lambda: now.pass_ms(40), pool)
        now.pass_ms(2)
    assert [(o.phase, round(o.elapsed_ms), o.budget_ms, o.outcome) for o in seen] == [
        ("storage_wait", 40, 80, "ok"),
        ("total", 42, 500, "ok"),
    ]


def test_x19_total_is_observed_when_the_request_fails(clock, now, seen):
    def fail():
        with clock().total():
            now.pass_ms(7)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [(o.phase, round(o.elapsed_ms), o.outcome) for o in seen] == [("total", 7, "failed")]


def test_x19_total_is_observed_when_a_phase_breaks_its_budget(clock, now, pool, seen):
    running = clock(max_wait_storage_ms=10)
    with pytest.raises(SeamlessSLAExceeded), running.total():
        running.run_within(SLAPhase.STORAGE_WAIT, lambda: now.pass_ms(50), pool)
    assert [(o.phase, o.outcome) for o in seen] == [
        ("storage_wait", "exceeded"),
        ("total", "exceeded"),
    ]


def test_a_request_past_its_total_is_refused_at_its_end(clock, now):
    running = clock(total_deadline_ms=10)
    with pytest.raises(SeamlessSLAExceeded, match="'total'"), running.total():
        now.pass_ms(11)


def test_the_first_violation_is_kept(clock, now, pool):
    running = clock(max_wait_storage_ms=10, max_sync_gap_bars=0)
    for attempt in (
        lambda: running.run_within(SLAPhase.STORAGE_WAIT, lambda: now.pass_ms(50), pool),
        lambda: running.check_sync_gap(1, 10),
    ):
        with pytest.raises(SeamlessSLAExceeded):
            attempt()
    assert running.violation.phase == "storage_wait"


# --- sync gap -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gap", "most", "elapsed_ms", "budget_ms"),
    [
        ((0, 0), 0, 10_000, 0),
        ((0, 10), 1, 20_000, 10_000),
        ((0, 20), 1, 30_000, 10_000),
        ((0, 100), 10, 110_000, 100_000),
    ],
)
def test_x16_a_sync_gap_counts_every_bar(clock, seen, gap, most, elapsed_ms, budget_ms):
    with pytest.raises(SeamlessSLAExceeded) as caught:
        clock(max_sync_gap_bars=most).check_sync_gap(Window(*gap, 10).bars, 10)
    assert (caught.value.phase, caught.value.elapsed_ms, caught.value.budget_ms) == (
        "sync_gap",
        elapsed_ms,
        budget_ms,
    )
    assert seen == []


def test_x16_a_sync_gap_of_just_the_limit_passes(clock):
    clock(max_sync_gap_bars=11).check_sync_gap(Window(0, 100, 10).bars, 10)


def test_without_a_limit_any_sync_gap_passes(clock):
    clock().check_sync_gap(10**9, 60)
