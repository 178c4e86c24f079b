"""From a draft to an immutable version: propose, edit, submit, review, approve, withdraw.

The author never counts as a reviewer (checked here for a kind message, and by a trigger), and a
version gets its number inside the approving transaction, under the subject's row lock, so numbers
have no holes. What the subject's policy asks for is judged again in that transaction: other
versions may have been approved since the proposal was made.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max

from registry.actors import Actor
from registry.admission import Admitted, admit
from registry.approvals import ApprovalRule, Standing, standing
from registry.errors import Conflict, InvalidInput, NotAllowed
from registry.models import (
    Proposal,
    ProposalState,
    Review,
    Role,
    SchemaContent,
    SchemaVersion,
    Subject,
    Team,
)
from registry.services.access import require_any_team, require_person, require_role
from registry.services.actions import audited_action
from registry.services.candidates import FrameChanged, latest_version, refuse_new_frame
from registry.services.open_proposals import (
    AlreadyAVersion,
    Incompatible,
    WrongState,
    facts,
    judged,
    locked_proposal,
    move,
    recheck,
    refuse_breach,
    refuse_version_again,
    require_open,
    update,
)
from registry.services.references import stored_references
from registry.services.releases import cut_releases_for
from registry.services.replay_rules import refuse_without_replay
from registry.services.subjects import subject_named

__all__ = [
    "AlreadyAVersion",
    "AlreadyReviewed",
    "FrameChanged",
    "Incompatible",
    "OwnProposal",
    "Proposed",
    "WrongState",
    "approval_standing",
    "approve_proposal",
    "approve_proposals",
    "edit_proposal",
    "latest_version",
    "propose_schema",
    "recheck_proposal",
    "reject_proposal",
    "submit_proposal",
    "withdraw_proposal",
]


class OwnProposal(NotAllowed):
    code = "own_proposal"
    title = "Own proposal"


class AlreadyReviewed(Conflict):
    code = "already_reviewed"
    title = "Already reviewed"


@dataclass(frozen=True, slots=True)
class Proposed:
    """The new draft, or the version that has this very content already."""

    proposal: Proposal | None
    version: SchemaVersion | None


def propose_schema(
    *, actor: Actor, subject: str, document: str, now: datetime, reason: str = ""
) -> Proposed:
    """Draft the subject's next version from JSON text. Identical approved content comes back.

    Raises SchemaNotAdmitted (with every problem's JSON pointer), FrameChanged, NotFound and
    NotAllowed.
    """
    with audited_action(
        "proposal.create",
        actor=actor,
        object_type="subject",
        object_id=subject,
        now=now,
        reason=reason,
    ) as entry:
        line = subject_named(subject)
        require_role(actor, line.owner_team, Role.OWNER)
        admitted = admit(document, references=stored_references(document))
        content = _content(admitted)
        existing = line.versions.filter(content=content).first()
        if existing is not None:
            entry.after = {"version": existing.number, "fingerprint": content.fingerprint}
            return Proposed(proposal=None, version=existing)
        refuse_new_frame(line, admitted.document)
        proposal = Proposal.objects.create(
            subject=line,
            author_id=require_person(actor),
            reason=reason,
            created_at=now,
            **judged(line, content, admitted.resolved_fingerprint),
        )
        entry.after = {"proposal": proposal.pk, "fingerprint": content.fingerprint}
        return Proposed(proposal=proposal, version=None)


def edit_proposal(
    *, actor: Actor, proposal_id: int, document: str, now: datetime, reason: str = ""
) -> Proposal:
    """Give the proposal another content: a new revision, a draft again, with no approvals.

    The same content changes nothing. Raises AlreadyAVersion, WrongState and what
    `propose_schema` raises.
    """
    with audited_action(
        "proposal.edit",
        actor=actor,
        object_type="proposal",
        object_id=proposal_id,
        now=now,
        reason=reason,
    ) as entry:
        proposal = locked_proposal(proposal_id)
        line = proposal.subject
        require_role(actor, line.owner_team, Role.OWNER)
        require_person(actor)
        require_open(proposal)
        admitted = admit(document, references=stored_references(document))
        content = _content(admitted)
        entry.before = facts(proposal)
        if content.pk != proposal.content_id:
            refuse_version_again(line, content)
            refuse_new_frame(line, admitted.document)
            update(
                proposal,
                state=ProposalState.DRAFT,
                revision=proposal.revision + 1,
                **judged(line, content, admitted.resolved_fingerprint),
                **({"reason": reason} if reason else {}),
            )
        entry.after = facts(proposal)
    return proposal


def submit_proposal(*, actor: Actor, proposal_id: int, now: datetime) -> Proposal:
    """Hand a draft to the reviewers. Refused while the subject's compatibility level is broken."""
    with audited_action(
        "proposal.submit", actor=actor, object_type="proposal", object_id=proposal_id, now=now
    ) as entry:
        proposal = locked_proposal(proposal_id)
        require_role(actor, proposal.subject.owner_team, Role.OWNER)
        recheck(proposal)
        waiver = refuse_breach(proposal, now)
        move(proposal, ProposalState.DRAFT, ProposalState.IN_REVIEW)
        entry.after = facts(proposal) | ({"waiver": waiver} if waiver else {})
    return proposal


def recheck_proposal(*, actor: Actor, proposal_id: int, now: datetime) -> Proposal:
    """Judge the proposal anew: the versions or the level may have changed since."""
    with audited_action(
        "proposal.recheck", actor=actor, object_type="proposal", object_id=proposal_id, now=now
    ) as entry:
        proposal = locked_proposal(proposal_id)
        require_role(actor, proposal.subject.owner_team, Role.OWNER, Role.REVIEWER)
        require_open(proposal)
        entry.before = facts(proposal)
        recheck(proposal)
        entry.after = facts(proposal)
    return proposal


def approve_proposal(
    *, actor: Actor, proposal_id: int, now: datetime, comment: str = "", team: str = ""
) -> SchemaVersion | None:
    """Count one approval; the last one needed makes the version and cuts the releases.

    `team`: whom the reviewer speaks for, where more than one of their teams must approve. Raises
    OwnProposal, AlreadyReviewed, WrongState, NotAllowed; where a rule is broken by now,
    Incompatible, FrameChanged, AlreadyAVersion or ReplayMissing, and the approval is not kept.
    """
    with audited_action(
        "proposal.approve",
        actor=actor,
        object_type="proposal",
        object_id=proposal_id,
        now=now,
        reason=comment,
    ) as entry:
        version, entry.after = _approve(actor, proposal_id, comment, now, team)
        if version is not None:
            cut_releases_for(actor=actor, subjects=[version.subject], now=now)
        return version


def approve_proposals(
    *, actor: Actor, proposal_ids: Collection[int], now: datetime, comment: str = "", team: str = ""
) -> list[SchemaVersion | None]:
    """Count one approval of each, all of them or none, in the order of the ids.

    The versions that come of it stand in one release of each bundle. Raises what
    `approve_proposal` raises.
    """
    ordered = sorted(set(proposal_ids))
    with audited_action(
        "proposal.approve_together",
        actor=actor,
        object_type="proposal",
        object_id=", ".join(map(str, ordered)),
        now=now,
        reason=comment,
    ) as entry:
        if not ordered:
            raise InvalidInput("Name the proposals to approve.")
        approved = [_approve(actor, each, comment, now, team) for each in ordered]
        entry.after = {str(each): facts for each, (_, facts) in zip(ordered, approved, strict=True)}
        versions = [version for version, _ in approved]
        made = [version.subject for version in versions if version is not None]
        cut_releases_for(actor=actor, subjects=made, now=now)
        return versions


def _approve(
    actor: Actor, proposal_id: int, comment: str, now: datetime, team: str
) -> tuple[SchemaVersion | None, dict[str, Any]]:
    """Inside the caller's action: the version, if no approval is missing now; facts for the log."""
    proposal = locked_proposal(proposal_id)
    review = _reviewed(actor, proposal, Review.Decision.APPROVE, comment, now, team)
    recheck(proposal)
    waivers = {
        "compatibility": refuse_breach(proposal, now),
        "replay": refuse_without_replay(proposal, now),
    }
    stands = approval_standing(proposal)
    told = {
        "team": str(review.team),
        "fingerprint": proposal.content.fingerprint,
        "approvals": stands.given,
        "needed": stands.needed,
        "missing_teams": dict(stands.missing_teams),
        "waivers": {rule: pk for rule, pk in waivers.items() if pk is not None},
    }
    if not stands.enough:
        return None, told
    version = _make_version(proposal, now)
    return version, told | {"version": version.number}


def reject_proposal(
    *, actor: Actor, proposal_id: int, now: datetime, comment: str, team: str = ""
) -> Proposal:
    """End the proposal with a reason its author can read."""
    with audited_action(
        "proposal.reject",
        actor=actor,
        object_type="proposal",
        object_id=proposal_id,
        now=now,
        reason=comment,
    ):
        if not comment.strip():
            raise InvalidInput("A rejection needs a reason that its author can read.")
        proposal = locked_proposal(proposal_id)
        _reviewed(actor, proposal, Review.Decision.REJECT, comment, now, team)
        move(proposal, ProposalState.IN_REVIEW, ProposalState.REJECTED, decided_at=now)
    return proposal


def withdraw_proposal(
    *, actor: Actor, proposal_id: int, now: datetime, reason: str = ""
) -> Proposal:
    with audited_action(
        "proposal.withdraw",
        actor=actor,
        object_type="proposal",
        object_id=proposal_id,
        now=now,
        reason=reason,
    ):
        proposal = locked_proposal(proposal_id)
        require_role(actor, proposal.subject.owner_team, Role.OWNER)
        move(proposal, proposal.state, ProposalState.WITHDRAWN, decided_at=now)
    return proposal


def approval_standing(proposal: Proposal) -> Standing:
    """The approvals of the proposal as it is now, against what its subject asks for."""
    approving = proposal.reviews.filter(
        decision=Review.Decision.APPROVE, revision=proposal.revision
    ).exclude(reviewer_id=proposal.author_id)
    return standing(
        _rule_of(proposal.subject), list(approving.values_list("team__name", flat=True))
    )


# --- reviewing -----------------------------------------------------------------------------------


def _reviewed(
    actor: Actor,
    proposal: Proposal,
    decision: Review.Decision,
    comment: str,
    now: datetime,
    team: str,
) -> Review:
    require_any_team(actor, Role.REVIEWER)
    reviewer = require_person(actor)
    if proposal.author_id == reviewer:
        raise OwnProposal(
            f"{actor.name} wrote proposal {proposal.pk} and cannot review it; ask someone else."
        )
    if proposal.state != ProposalState.IN_REVIEW:
        raise WrongState(f"Proposal {proposal.pk} is {proposal.state}, not in review.")
    if proposal.reviews.filter(reviewer_id=reviewer, revision=proposal.revision).exists():
        raise AlreadyReviewed(f"{actor.name} has reviewed proposal {proposal.pk} already.")
    return Review.objects.create(
        proposal=proposal,
        reviewer_id=reviewer,
        content_id=proposal.content_id,
        revision=proposal.revision,
        team=_team_spoken_for(reviewer, team, approval_standing(proposal).missing_teams),
        decision=decision,
        comment=comment,
        created_at=now,
    )


def _team_spoken_for(reviewer: int, wanted: str, missing: Collection[str]) -> Team:
    """One of the reviewer's teams: the one they name, else the one that is still needed."""
    reviewing = Team.objects.filter(memberships__user=reviewer, memberships__role=Role.REVIEWER)
    teams = {team.name: team for team in reviewing.order_by("name")}
    if wanted:
        if wanted not in teams:
            raise NotAllowed(f"You do not review for the team {wanted!r}.")
        return teams[wanted]
    needed = [name for name in teams if name in missing]
    if len(needed) > 1:
        raise InvalidInput(
            f"You review for {' and '.join(needed)}, and each must approve: say with `team` for "
            "which one you speak. Nobody speaks for two."
        )
    return teams[needed[0]] if needed else next(iter(teams.values()))


def _rule_of(subject: Subject) -> ApprovalRule:
    teams = subject.approval_teams.values_list("team__name", "approvals")
    return ApprovalRule(total=subject.required_approvals, teams=dict(teams))


def _make_version(proposal: Proposal, now: datetime) -> SchemaVersion:
    last = proposal.subject.versions.aggregate(last=Max("number"))["last"] or 0
    version = SchemaVersion.objects.create(
        subject=proposal.subject,
        number=last + 1,
        content=proposal.content,
        resolved_fingerprint=proposal.resolved_fingerprint,
        proposal=proposal,
        created_at=now,
    )
    move(proposal, ProposalState.IN_REVIEW, ProposalState.APPROVED, decided_at=now)
    return version


def _content(admitted: Admitted) -> SchemaContent:
    return SchemaContent.objects.get_or_create(
        fingerprint=admitted.fingerprint, defaults={"canonical": admitted.canonical.decode()}
    )[0]
