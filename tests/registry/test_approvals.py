"""Enough people of the right teams, and nobody twice."""

from hypothesis import given
from hypothesis import strategies as st

from registry.approvals import ApprovalRule, standing

HOUSE = ApprovalRule(total=2, teams={"data-platform": 1, "strategy": 1})


def test_each_named_team_must_have_approved() -> None:
    assert standing(HOUSE, ["data-platform", "strategy"]).enough
    same = standing(HOUSE, ["strategy", "strategy"])
    assert not same.enough
    assert same.sentence == "2 of 2 approvals; missing: 1 of data-platform"


@given(st.lists(st.sampled_from(["data-platform", "strategy", "risk"]), max_size=6))
def test_a_rule_is_met_iff_total_and_each_team_are(teams: list[str]) -> None:
    expected = len(teams) >= 2 and "data-platform" in teams and "strategy" in teams
    assert standing(HOUSE, teams).enough is expected
