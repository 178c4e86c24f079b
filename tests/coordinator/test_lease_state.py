"""The pure rules of jobs, shards and leases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from coordinator.coverage import CoverageRange, merge_coverage
from coordinator.lease_state import (
    UNFINISHED_SHARD_STATES,
    JobState,
    NotClaimable,
    RetryPolicy,
    ShardLease,
    ShardState,
    StaleLease,
    backoff,
    cancelled,
    claimed,
    committed,
    cut_shards,
    failed,
    held_back,
    is_claimable,
    job_outcome,
    lease_key,
    refused,
    renewed,
    reopened,
)

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TTL = timedelta(seconds=30)
POLICY = RetryPolicy(base_seconds=0.5, jitter=0.25, max_attempts=3)
FRESH = ShardLease(next_attempt_at=NOW)


def never() -> float:
    raise AssertionError("a policy without jitter draws nothing")


def claim(lease: ShardLease, holder: str = "a", now: datetime = NOW) -> ShardLease:
    return claimed(lease, holder=holder, now=now, ttl=TTL, max_attempts=3)


def test_a_claim_raises_the_epoch_and_the_attempts_by_one():
    lease = claim(FRESH)
    assert (lease.state, lease.epoch, lease.attempts, lease.holder) == ("leased", 1, 1, "a")
    assert lease.expires_at == NOW + TTL
    assert lease.next_attempt_at is None


def test_a_live_lease_cannot_be_claimed_and_an_expired_one_can():
    lease = claim(FRESH)
    with pytest.raises(NotClaimable):
        claim(lease, "b", NOW + TTL)
    taken = claim(lease, "b", NOW + TTL + timedelta(microseconds=1))
    assert (taken.epoch, taken.holder) == (2, "b")


def test_a_shard_in_backoff_cannot_be_claimed_before_its_time():
    lease = replace(FRESH, next_attempt_at=NOW + TTL)
    assert not is_claimable(lease, now=NOW, max_attempts=3)
    assert is_claimable(lease, now=NOW + TTL, max_attempts=3)


def test_without_an_attempt_left_nothing_is_claimable():
    assert not is_claimable(replace(FRESH, attempts=3), now=NOW, max_attempts=3)


@pytest.mark.parametrize("end", [committed, refused])
def test_only_the_current_epoch_ends_a_shard(end):
    first = claim(FRESH)
    second = claim(first, "b", NOW + 2 * TTL)
    with pytest.raises(StaleLease) as stale:
        end(second, epoch=first.epoch)
    assert (stale.value.epoch, stale.value.lease) == (1, second)
    assert end(second, epoch=second.epoch).epoch == 2


def test_a_shard_is_committed_once():
    done = committed(claim(FRESH), epoch=1)
    with pytest.raises(StaleLease):
        committed(done, epoch=1)


def test_renewing_needs_the_current_epoch_and_keeps_everything_but_the_expiry():
    lease = claim(FRESH)
    later = NOW + timedelta(seconds=10)
    assert renewed(lease, epoch=1, now=later, ttl=TTL) == replace(lease, expires_at=later + TTL)
    with pytest.raises(StaleLease):
        renewed(lease, epoch=2, now=later, ttl=TTL)


def test_a_failure_waits_longer_each_time_and_ends_in_a_violation():
    lease, waits = FRESH, []
    for _ in range(2):
        lease = failed(
            claim(lease, now=lease.next_attempt_at),
            epoch=lease.epoch + 1,
            now=NOW,
            policy=POLICY,
            draw=lambda: 0.0,
        )
        waits.append((lease.next_attempt_at - NOW).total_seconds())
    assert waits == [0.5, 1.0]
    last = claim(lease, now=NOW + TTL)
    ended = failed(last, epoch=3, now=NOW, policy=POLICY, draw=never)
    assert (ended.state, ended.next_attempt_at) == (ShardState.VIOLATION, None)


def test_a_late_failure_of_an_old_holder_changes_nothing():
    taken = claim(claim(FRESH), "b", NOW + 2 * TTL)
    with pytest.raises(StaleLease):
        failed(taken, epoch=1, now=NOW, policy=POLICY, draw=lambda: 0.0)


def test_cancelling_fences_off_the_holder():
    ended = cancelled(claim(FRESH))
    assert (ended.state, ended.epoch) == (ShardState.VIOLATION, 2)
    with pytest.raises(StaleLease):
        committed(ended, epoch=1)


def test_cancelling_leaves_what_is_done_alone():
    done = committed(claim(FRESH), epoch=1)
    assert cancelled(done) == done


def test_without_jitter_nothing_is_drawn():
    policy = RetryPolicy(base_seconds=0.5, jitter=0.0)
    waits = [backoff(n, policy, never).total_seconds() for n in range(1, 5)]
    assert waits == [0.5, 1.0, 2.0, 4.0]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_backoff_stays_within_its_policy(attempt, drawn):
    wait = backoff(attempt, POLICY, lambda: drawn).total_seconds()
    plain = min(0.5 * 2 ** min(attempt - 1, 60), POLICY.longest_seconds)
    assert plain <= wait <= plain * 1.25 + 1e-6


@pytest.mark.parametrize(
    ("states", "outcome"),
    [
        ([], JobState.DONE),
        ([ShardState.DONE], JobState.DONE),
        ([ShardState.DONE, ShardState.VIOLATION], JobState.VIOLATION),
        ([ShardState.VIOLATION, ShardState.FAILED], None),
        ([ShardState.DONE, ShardState.LEASED], None),
        ([ShardState.PENDING], None),
    ],
)
def test_a_job_ends_when_its_last_shard_does(states, outcome):
    assert job_outcome(states) == outcome


@pytest.mark.parametrize(
    ("ranges", "window_bars", "pieces"),
    [
        ([(0, 100)], 5, [(0, 40), (50, 90), (100, 100)]),
        ([(0, 100)], 1, [(n, n) for n in range(0, 101, 10)]),
        ([(0, 100)], 900, [(0, 100)]),
        ([(50, 50)], 3, [(50, 50)]),
        ([(0, 30), (20, 60)], 4, [(0, 30), (40, 60)]),
        ([(0, 10), (40, 50)], 4, [(0, 10), (40, 50)]),
        ([], 4, []),
    ],
)
def test_shards_are_cut_on_bars(ranges, window_bars, pieces):
    assert cut_shards(ranges, 10, window_bars) == pieces


@pytest.mark.parametrize(
    ("ranges", "interval", "window_bars"),
    [([(0, 15)], 10, 4), ([(10, 0)], 10, 4), ([(0, 10)], 0, 4), ([(0, 10)], 10, 0)],
)
def test_what_cannot_be_cut_is_refused(ranges, interval, window_bars):
    with pytest.raises(ValueError, match=r"whole number|reversed|interval|at least 1 bar"):
        cut_shards(ranges, interval, window_bars)


grid_ranges = st.lists(
    st.tuples(st.integers(-50, 50), st.integers(0, 20)).map(
        lambda pair: (pair[0] * 10, (pair[0] + pair[1]) * 10)
    ),
    max_size=8,
)


@given(grid_ranges, st.integers(1, 30))
def test_shards_cover_the_same_bars_once(ranges, window_bars):
    pieces = cut_shards(ranges, 10, window_bars)
    bars = [bar for start, end in pieces for bar in range(start, end + 1, 10)]
    wanted = {bar for start, end in ranges for bar in range(start, end + 1, 10)}
    assert bars == sorted(wanted)
    assert all((end - start) // 10 < window_bars for start, end in pieces)
    assert merge_coverage(pieces, 10) == merge_coverage(ranges, 10)
    assert all(isinstance(piece, CoverageRange) for piece in pieces)


def test_lease_keys_tell_apart_what_a_joined_string_would_mix_up():
    assert lease_key("a:1", 2, 0, 10, 3) != lease_key("a", 12, 0, 10, 3)
    assert lease_key("a:b/c", 10, 0, 10, 1) == lease_key("a:b/c", 10, 0, 10, 1)
    assert len(lease_key("node", 10, 0, 10, 1)) == 64


class LeaseMachine(RuleBasedStateMachine):
    """Any number of holders that claim, die, sleep, wake up late and try to commit."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.lease = FRESH
        self.now = NOW
        self.commits = 0
        self.highest = 0

    @rule(seconds=st.sampled_from([0, 1, 29, 31, 600, 3_600, -3_600]))
    def time_passes_or_the_clock_jumps(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule(target=claims, holder=st.sampled_from("abc"))
    def claim(self, holder):
        try:
            self.lease = claim(self.lease, holder, self.now)
        except NotClaimable:
            return 0  # an epoch that nobody was ever granted
        assert self.lease.epoch > self.highest
        self.highest = self.lease.epoch
        return self.lease.epoch

    @rule(epoch=claims, verb=st.sampled_from(["commit", "refuse", "fail", "renew"]))
    def act(self, epoch, verb):
        act = {
            "commit": lambda: committed(self.lease, epoch=epoch),
            "refuse": lambda: refused(self.lease, epoch=epoch),
            "renew": lambda: renewed(self.lease, epoch=epoch, now=self.now, ttl=TTL),
            "fail": lambda: failed(
                self.lease, epoch=epoch, now=self.now, policy=POLICY, draw=lambda: 0.5
            ),
        }[verb]
        entitled = self.lease.state is ShardState.LEASED and self.lease.epoch == epoch
        try:
            self.lease = act()
        except StaleLease:
            assert not entitled, "the current holder was refused"
            return
        assert entitled, "an old holder got through"
        self.commits += verb == "commit"

    @rule()
    def cancel(self):
        before, self.lease = self.lease, cancelled(self.lease)
        if before.state in UNFINISHED_SHARD_STATES:
            self.highest += 1

    @rule()
    def reprocess(self):
        """Also what is done: only so may progress fall, and nothing older commits any more."""
        self.lease = reopened(self.lease, now=self.now)
        self.commits, self.highest = 0, self.highest + 1

    @rule(epoch=claims, costs_attempt=st.booleans())
    def the_source_is_busy(self, epoch, costs_attempt):
        entitled = self.lease.state is ShardState.LEASED and self.lease.epoch == epoch
        if not entitled or (costs_attempt and self.lease.attempts >= 3):
            return
        wait = timedelta(seconds=5)
        self.lease = held_back(
            self.lease, epoch=epoch, now=self.now, wait=wait, costs_attempt=costs_attempt
        )

    def teardown(self):
        """From wherever it has come to, the shard can still end."""
        for _ in range(8):
            if self.lease.state not in UNFINISHED_SHARD_STATES:
                return
            due = self.lease.expires_at or self.lease.next_attempt_at
            self.now = max(self.now, due + timedelta(seconds=1))
            if is_claimable(self.lease, now=self.now, max_attempts=3):
                self.lease = claim(self.lease, "z", self.now)
                self.lease = committed(self.lease, epoch=self.lease.epoch)
            else:  # the reaper, of a lease without an attempt left
                self.lease = failed(
                    self.lease, epoch=self.lease.epoch, now=self.now, policy=POLICY, draw=never
                )
        raise AssertionError(f"it goes on for ever: {self.lease}")

    @invariant()
    def committed_at_most_once(self):
        assert self.commits <= 1
        assert (self.commits == 1) == (self.lease.state is ShardState.DONE)

    @invariant()
    def somebody_or_something_will_drive_it_on(self):
        lease = self.lease
        ended = lease.state in {ShardState.DONE, ShardState.VIOLATION}
        assert ended == (lease.expires_at is None and lease.next_attempt_at is None)
        assert lease.attempts <= 3
        assert lease.epoch == self.highest


TestLeaseMachine = LeaseMachine.TestCase
