"""The gates as a pure judgement, and the ramp's choice of requests."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.gates import Gate, GateRules, Observed, all_open, judge_gates
from registry.ramps import in_ramp
from tests.cast import NOW

RULES = GateRules(
    observation=timedelta(hours=48),
    minimum_reads=100,
    minimum_rows=1_000,
    maximum_violation_rate=Decimal("0.001"),
    maximum_unchecked_share=Decimal("0.05"),
    minimum_node_coverage=Decimal(1),
    required_approvals=2,
)
GREEN: dict[str, Any] = {
    "started_at": NOW - timedelta(hours=48),
    "reads": 100,
    "rows": 1_000,
    "violations": 1,
    "unchecked": 5,
    "usual_nodes": frozenset({"a", "b"}),
    "seen_nodes": frozenset({"a", "b", "c"}),
    "incidents": (),
    "approvals": 2,
}


def judged(**seen: Any) -> dict[str, Gate]:
    return {gate.name: gate for gate in judge_gates(RULES, Observed(**GREEN | seen), NOW)}


def test_all_gates_open_at_their_bounds() -> None:
    assert all_open(tuple(judged().values()))


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("observation", {"started_at": NOW - timedelta(hours=47, minutes=59)}),
        ("reads", {"reads": 99, "unchecked": 0}),
        ("rows", {"rows": 999, "violations": 0}),
        ("violations", {"violations": 2}),
        ("unchecked", {"unchecked": 6}),
        ("nodes", {"seen_nodes": frozenset({"a"})}),
        ("incidents", {"incidents": [NOW - timedelta(hours=23)]}),
        ("approvals", {"approvals": 1}),
    ],
)
def test_each_gate_closes_alone_a_step_beyond_its_bound(name: str, seen: dict[str, Any]) -> None:
    assert [gate.name for gate in judged(**seen).values() if not gate.ok] == [name]


def test_a_gate_says_when_time_opens_it() -> None:
    gates = judged(started_at=NOW, incidents=[NOW - timedelta(hours=1), NOW - timedelta(hours=30)])
    assert gates["observation"].opens_at == NOW + timedelta(hours=48)
    assert gates["incidents"].opens_at == NOW + timedelta(hours=23)
    assert gates["incidents"].observed == "1 open"
    assert gates["reads"].opens_at is None


def test_a_node_that_was_not_seen_is_named() -> None:
    assert judged(seen_nodes=frozenset({"b"}))["nodes"].observed == "1 of 2; not yet a"


REQUESTS = st.tuples(st.text(max_size=20), st.text(max_size=20), st.integers(), st.integers())


@given(request=REQUESTS, low=st.integers(0, 100), high=st.integers(0, 100))
def test_a_request_that_is_in_a_ramp_stays_in_as_it_grows(
    request: tuple[str, str, int, int], low: int, high: int
) -> None:
    consumer, node, start, end = request
    low, high = sorted((low, high))
    if in_ramp(consumer, node, (start, end), low):
        assert in_ramp(consumer, node, (start, end), high)
    assert not in_ramp(consumer, node, (start, end), 0)
    assert in_ramp(consumer, node, (start, end), 100)


def test_a_ramp_takes_about_its_share_of_the_requests_and_the_same_ones_for_ever() -> None:
    taken = [n for n in range(4_000) if in_ramp("pricing", "ohlc:us:1d", (n, n + 60), 25)]
    assert 900 < len(taken) < 1_100
    assert taken[:5] == [n for n in taken if n <= taken[4]]
    assert taken == [n for n in range(4_000) if in_ramp("pricing", "ohlc:us:1d", (n, n + 60), 25)]
