"""Whether enough people of the right teams have approved: a pure judgement.

Each approval is one person's word for one team, so nobody counts twice, not even a member of two
teams that both must agree.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """`total` approvals, among them so many from each of `teams`."""

    total: int
    teams: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """What was given, and what is missing: approvals of anyone, and of each team."""

    given: int
    needed: int
    missing_teams: Mapping[str, int]

    @property
    def enough(self) -> bool:
        return self.given >= self.needed and not self.missing_teams

    @property
    def sentence(self) -> str:
        said = f"{self.given} of {self.needed} approvals"
        if not self.missing_teams:
            return said
        teams = ", ".join(f"{count} of {team}" for team, count in self.missing_teams.items())
        return f"{said}; missing: {teams}"


def standing(rule: ApprovalRule, approving_teams: Sequence[str]) -> Standing:
    """`approving_teams` has the team of each approval, one per person."""
    spoken = Counter(approving_teams)
    missing = {
        team: count - spoken[team]
        for team, count in sorted(rule.teams.items())
        if spoken[team] < count
    }
    return Standing(given=len(approving_teams), needed=rule.total, missing_teams=missing)
