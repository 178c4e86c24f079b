"""Whether a proposal has been replayed as its subject's policy asks."""

from datetime import datetime

from django.db.models import Sum

from registry.errors import Conflict
from registry.models import Proposal, ReplayRule, ReplayRun, ReplayState, WaivedRule
from registry.services.open_proposals import waiver_in_force


class ReplayMissing(Conflict):
    code = "replay_missing"
    title = "Shadow replay missing"


def refuse_without_replay(proposal: Proposal, now: datetime) -> int | None:
    """Raise ReplayMissing unless the policy is met, or two people waived it: their waiver."""
    wanted = _wanted(proposal)
    if not wanted:
        return None
    waiver = waiver_in_force(proposal, WaivedRule.REPLAY, now)
    if waiver is None:
        raise ReplayMissing(wanted)
    return waiver.pk


def last_replay(proposal: Proposal) -> ReplayRun | None:
    """The newest replay of the proposal as it is now, whatever its state."""
    return proposal.replays.filter(revision=proposal.revision).order_by("-pk").first()


def _wanted(proposal: Proposal) -> str:
    """What is still wanted, as a sentence; empty where the policy is met."""
    rule = proposal.subject.replay
    if rule == ReplayRule.OPTIONAL:
        return ""
    done = proposal.replays.filter(revision=proposal.revision, state=ReplayState.DONE)
    newest = done.order_by("-pk").first()
    if newest is None:
        return (
            f"{proposal.subject} asks for a shadow replay before an approval: run one of proposal "
            f"{proposal.pk} as it is now, to its end."
        )
    invalid = newest.shards.aggregate(sum=Sum("invalid"))["sum"] or 0
    if rule == ReplayRule.CLEAN and invalid:
        return (
            f"{proposal.subject} asks for a clean shadow replay before an approval; the newest one "
            f"of proposal {proposal.pk} refused {invalid} rows. See its report."
        )
    return ""
