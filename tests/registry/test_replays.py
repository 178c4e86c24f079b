"""Shadow replays: what they count and show, who runs a shard, what an approval asks of them."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from django.db import IntegrityError, transaction

from registry import replay
from registry.errors import Conflict, InvalidInput, NotAllowed, Unavailable
from registry.frame import Frame
from registry.models import AuditEvent, Node, Proposal, ReplayShard, Subject
from registry.replay_check import ReplayCheck, merged
from registry.services import proposals, replays, waivers
from registry.services.replay_rules import ReplayMissing
from tests.cast import NOW, OHLC, Cast, approved, subject, with_property
from tests.registry.test_lifecycle import approve, drafted, edited

LOW = with_property("vwap", {"type": "number"})
ROWS = {
    "session": ["2026-03-02T00:00:00Z"] * 4,
    "symbol": ["AAPL", "IBM", "AAPL", "IBM"],
    "close": [1.0, -2.0, 3.0, -4.0],
    "volume": [1, 2, 3, 4],
}


class FakeStore:
    """Two ranges of four rows; each read is told to `watch`."""

    def __init__(self) -> None:
        self.reads: list[tuple[int, bool]] = []
        self.broken: Exception | None = None

    def ranges(self, node: Node, since: int, until: int) -> Sequence[tuple[int, int]]:
        return [(since, since + 59), (since + 60, until)]

    def tables(
        self, node: Node, frame: Frame, start: int, end: int, *, untimed: bool
    ) -> Iterator[pa.Table]:
        self.reads.append((start, untimed))
        if self.broken is not None:
            raise self.broken
        yield pa.table(ROWS)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    fake = FakeStore()
    monkeypatch.setattr(replay, "_stored", fake)
    return fake


def candidate(cast: Cast, **settings: Any) -> Proposal:
    subject(cast, **settings)
    Node.objects.create(
        node_id="ohlc:x", subject=Subject.objects.get(), interval=60, series=[], store={}, source={}
    )
    return drafted(cast)


def started(cast: Cast, proposal: Proposal) -> Any:
    return replays.start_replay(actor=cast.olive, proposal_id=proposal.pk, now=NOW)


def run_all(now: Any = NOW) -> list[replays.Progress]:
    return list(replays.run_replays(clock=lambda: now, seconds=60))


def test_a_replay_counts_and_shows_what_the_candidate_refuses(cast: Cast, store: FakeStore) -> None:
    proposal = candidate(cast)
    run = started(cast, proposal)
    progress = run_all()
    assert [one.shards_done for one in progress] == [1, 2, 3]
    report = replays.report_of(run)
    assert (report["state"], report["rows"], report["invalid"]) == ("done", 8, 4)
    (failure,) = report["failures"]
    assert (failure["column"], failure["keyword"], failure["count"]) == (
        "close",
        "exclusiveMinimum",
        4,
    )
    assert failure["places"][0] == {
        "key": {"symbol": '"IBM"'},
        "time": '"2026-03-02T00:00:00Z"',
        "value": "-2.0",
    }
    assert [untimed for _, untimed in store.reads] == [True, False]
    assert AuditEvent.objects.filter(action="replay.finish", outcome="ok").count() == 1


def test_a_shard_of_a_dead_worker_is_run_again_and_counted_once(
    cast: Cast, store: FakeStore
) -> None:
    run = started(cast, candidate(cast))
    lost = replays._claimed(NOW, None)
    assert lost is not None
    run_all(NOW)
    assert replays.progress_of(run).state == "running", "the lost shard is still held"
    run_all(NOW + replays.HOLD)
    assert replays.report_of(run)["rows"] == 8
    assert replays.progress_of(run).state == "done"
    replays._run(lost, lambda: NOW)  # the dead worker was only slow
    assert replays.report_of(run)["rows"] == 8


def test_a_late_holder_of_a_running_shard_writes_nothing(cast: Cast, store: FakeStore) -> None:
    run = started(cast, candidate(cast))
    late = replays._claimed(NOW, None)
    again = replays._claimed(NOW + replays.HOLD, None)
    assert late is not None
    assert again is not None
    assert (late.pk, late.attempt, again.attempt) == (again.pk, 1, 2)
    replays._finish(late, NOW, error="I was late")
    assert replays.report_of(run)["errors"] == []


def test_a_shard_whose_workers_keep_dying_ends(cast: Cast, store: FakeStore) -> None:
    run = started(cast, candidate(cast))
    ReplayShard.objects.filter(run=run).update(attempt=replays.MOST_ATTEMPTS)
    run_all()
    report = replays.report_of(run)
    assert report["state"] == "failed"
    assert "attempts that died" in report["errors"][0]


@pytest.mark.parametrize("broken", [Unavailable("the disk is away"), RuntimeError("secret")])
def test_a_store_that_fails_fails_the_replay_and_says_why(
    cast: Cast, store: FakeStore, broken: Exception
) -> None:
    store.broken = broken
    run = started(cast, candidate(cast))
    run_all()
    report = replays.report_of(run)
    assert report["state"] == "failed"
    assert report["errors"][0].endswith(("the disk is away", "crashed: RuntimeError"))


def test_a_cancelled_replay_stops(cast: Cast, store: FakeStore) -> None:
    proposal = candidate(cast)
    run = started(cast, proposal)
    next(replays.run_replays(clock=lambda: NOW, seconds=60))
    held = replays._claimed(NOW, None)
    assert held is not None
    replays.cancel_replay(actor=cast.olive, proposal_id=proposal.pk, now=NOW)
    replays._run(held, lambda: NOW)
    assert run_all() == []
    assert (replays.report_of(run)["state"], replays.report_of(run)["rows"]) == ("cancelled", 4)
    with pytest.raises(replays.ReplayEnded):
        replays.cancel_replay(actor=cast.olive, proposal_id=proposal.pk, now=NOW)
    with pytest.raises(IntegrityError, match="finished replay"), transaction.atomic():
        ReplayShard.objects.filter(run=run).update(rows=0)


def test_one_replay_at_a_time_and_another_content_ends_it(cast: Cast, store: FakeStore) -> None:
    proposal = candidate(cast)
    first = started(cast, proposal)
    with pytest.raises(replays.ReplayRunning):
        started(cast, proposal)
    edited(cast, proposal, LOW)
    started(cast, proposal)
    assert replays.progress_of(first).state == "cancelled"


@pytest.mark.parametrize("days", [0, 367])
def test_a_replay_goes_back_a_year_at_most(cast: Cast, store: FakeStore, days: int) -> None:
    proposal = candidate(cast)
    with pytest.raises(InvalidInput, match="1 to 366 days"):
        replays.start_replay(actor=cast.olive, proposal_id=proposal.pk, now=NOW, days=days)
    with pytest.raises(NotAllowed):
        replays.start_replay(actor=cast.sofia, proposal_id=proposal.pk, now=NOW)


def in_review(cast: Cast, proposal: Proposal) -> None:
    proposals.submit_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)


def test_a_policy_may_ask_for_a_replay_before_an_approval(cast: Cast, store: FakeStore) -> None:
    proposal = candidate(cast, replay="required")
    in_review(cast, proposal)
    with pytest.raises(ReplayMissing, match="run one"):
        approve(cast.ravi, proposal)
    started(cast, proposal)
    with pytest.raises(ReplayMissing):
        approve(cast.ravi, proposal)
    run_all()
    assert approve(cast.ravi, proposal) is not None


def test_a_clean_policy_refuses_a_replay_with_failures_unless_waived(
    cast: Cast, store: FakeStore
) -> None:
    proposal = candidate(cast, replay="clean")
    in_review(cast, proposal)
    started(cast, proposal)
    run_all()
    with pytest.raises(ReplayMissing, match="refused 4 rows"):
        approve(cast.ravi, proposal)
    waiver = waivers.request_waiver(
        actor=cast.ravi,
        proposal_id=proposal.pk,
        rule="replay",
        reason="bad prints, being corrected",
        expires_at=NOW + timedelta(days=1),
        now=NOW,
    )
    waivers.grant_waiver(actor=cast.sofia, waiver_id=waiver.pk, now=NOW)
    assert approve(cast.ravi, proposal) is not None


def test_the_replay_of_an_earlier_content_counts_for_nothing(cast: Cast, store: FakeStore) -> None:
    proposal = candidate(cast, replay="required")
    started(cast, proposal)
    run_all()
    edited(cast, proposal, LOW)
    in_review(cast, proposal)
    with pytest.raises(Conflict, match="run one"):
        approve(cast.ravi, proposal)


# --- what is counted and shown -------------------------------------------------------------------

SECRET = OHLC | {"x-seamless": {"time": "session", "key": ["symbol"], "sensitive": ["close"]}}


def test_nothing_of_a_sensitive_column_is_shown() -> None:
    check = ReplayCheck(SECRET)
    check.add_table(pa.table(ROWS))
    check.add_rows([{"close": -987.5}])
    assert "987" not in str(check.failures)
    assert "2.0" not in str([one["places"] for one in check.failures])


def test_ten_places_of_a_hundred_characters_at_most() -> None:
    check = ReplayCheck({"type": "object", "properties": {"a": {"maxLength": 1}}})
    for _ in range(3):
        check.add_table(pa.table({"a": ["x" * 500] * 8}))
    (failure,) = check.failures
    assert (failure["count"], len(failure["places"])) == (24, 10)
    assert {len(place["value"]) for place in failure["places"]} == {100}


def test_withheld_columns_of_a_sample_are_not_judged() -> None:
    check = ReplayCheck(OHLC)
    row = {"session": "2026-03-02T00:00:00Z", "symbol": "AAPL", "volume": -1}
    check.add_rows([row], frozenset({"close"}))
    assert [one["column"] for one in check.failures] == ["volume"]
    assert check.invalid == 1


def test_tables_and_rows_are_counted_alike() -> None:
    tables, rows = ReplayCheck(OHLC), ReplayCheck(OHLC)
    table = pa.table(ROWS)
    tables.add_table(table)
    rows.add_rows(table.to_pylist())
    assert (tables.rows, tables.invalid) == (rows.rows, rows.invalid) == (4, 2)
    assert merged([tables.failures, rows.failures])[0]["count"] == 4


def test_approved_subjects_need_no_replay_by_default(cast: Cast) -> None:
    subject(cast)
    assert approved(cast).number == 1
