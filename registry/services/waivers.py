"""A rule suspended for one change: asked for by one person, granted by another, for a time."""

from datetime import datetime, timedelta

from registry.actors import Actor
from registry.errors import Conflict, InvalidInput, NotAllowed, NotFound
from registry.models import Role, WaivedRule, Waiver
from registry.services.access import require_any_team, require_person, require_role
from registry.services.actions import audited_action
from registry.services.open_proposals import locked_proposal, require_open

LONGEST = timedelta(days=90)


class CannotBeWaived(Conflict):
    code = "cannot_be_waived"
    title = "Cannot be waived"


class NotYourWaiver(NotAllowed):
    code = "not_your_waiver"
    title = "Two other people waive a rule"


class WaiverEnded(Conflict):
    code = "waiver_ended"
    title = "Waiver granted or ended already"


def request_waiver(
    *, actor: Actor, proposal_id: int, rule: str, reason: str, expires_at: datetime, now: datetime
) -> Waiver:
    """Ask that a rule be suspended for the proposal as it is now. Not for its author to ask.

    Raises CannotBeWaived, NotYourWaiver, InvalidInput, NotFound and WrongState.
    """
    with audited_action(
        "waiver.request",
        actor=actor,
        object_type="proposal",
        object_id=proposal_id,
        now=now,
        reason=reason,
    ) as entry:
        proposal = locked_proposal(proposal_id)
        require_role(actor, proposal.subject.owner_team, Role.OWNER, Role.REVIEWER)
        person = _not_the_author(actor, proposal.author_id)
        require_open(proposal)
        _check(rule, reason, expires_at, now)
        waiver = Waiver.objects.create(
            proposal=proposal,
            revision=proposal.revision,
            rule=rule,
            reason=reason.strip(),
            requested_by_id=person,
            requested_at=now,
            expires_at=expires_at,
        )
        entry.after = _facts(waiver)
    return waiver


def grant_waiver(*, actor: Actor, waiver_id: int, now: datetime, comment: str = "") -> Waiver:
    """The second person's word: the rule is suspended from now on.

    Raises NotYourWaiver (the author, or who asked), WaiverEnded, NotFound and NotAllowed.
    """
    with audited_action(
        "waiver.grant",
        actor=actor,
        object_type="waiver",
        object_id=waiver_id,
        now=now,
        reason=comment,
    ) as entry:
        require_any_team(actor, Role.REVIEWER)
        waiver = _locked(waiver_id)
        person = _not_the_author(actor, waiver.proposal.author_id)
        if waiver.requested_by_id == person:
            raise NotYourWaiver(f"{actor.name} asked for waiver {waiver_id}; someone else grants.")
        if waiver.revision != waiver.proposal.revision:
            raise WaiverEnded(f"Waiver {waiver_id} was for an earlier content of its proposal.")
        require_open(waiver.proposal)
        if waiver.granted_at or waiver.ended_at or waiver.expires_at <= now:
            raise WaiverEnded(f"Waiver {waiver_id} is {state_of(waiver, now)}.")
        waiver.granted_by_id, waiver.granted_at = person, now
        waiver.save(update_fields=["granted_by", "granted_at"])
        entry.after = _facts(waiver)
    return waiver


def end_waiver(*, actor: Actor, waiver_id: int, reason: str, now: datetime) -> Waiver:
    """End a waiver before its time; whoever may ask for one may."""
    with audited_action(
        "waiver.end",
        actor=actor,
        object_type="waiver",
        object_id=waiver_id,
        now=now,
        reason=reason,
    ) as entry:
        waiver = _locked(waiver_id)
        require_role(actor, waiver.proposal.subject.owner_team, Role.OWNER, Role.REVIEWER)
        if waiver.ended_at:
            raise WaiverEnded(f"Waiver {waiver_id} is {state_of(waiver, now)}.")
        entry.before = _facts(waiver)
        waiver.ended_at = now
        waiver.save(update_fields=["ended_at"])
    return waiver


def state_of(waiver: Waiver, now: datetime) -> str:
    """requested, granted, ended, or expired (by time, or with the content it was for)."""
    if waiver.ended_at:
        return "ended"
    if waiver.expires_at <= now or waiver.revision != waiver.proposal.revision:
        return "expired"
    return "granted" if waiver.granted_at else "requested"


def _check(rule: str, reason: str, expires_at: datetime, now: datetime) -> None:
    if rule == "frame":
        raise CannotBeWaived(
            "Another time, unit or key makes rows mean something else; open a new subject. "
            "This rule is never waived."
        )
    if rule not in WaivedRule.values:
        raise InvalidInput(f"{rule!r} cannot be waived; {', '.join(WaivedRule.values)} can.")
    if not reason.strip():
        raise InvalidInput("A waiver needs a reason.")
    if expires_at.utcoffset() is None:
        raise InvalidInput("The expiry needs a time zone, as in 2026-03-09T12:00:00Z.")
    if not now < expires_at <= now + LONGEST:
        raise InvalidInput(f"A waiver ends in the future, at most {LONGEST.days} days ahead.")


def _not_the_author(actor: Actor, author: int) -> int:
    person = require_person(actor)
    if person == author:
        raise NotYourWaiver(f"{actor.name} wrote the proposal; two other people waive its rules.")
    return person


def _locked(waiver_id: int) -> Waiver:
    found = Waiver.objects.filter(pk=waiver_id).values_list("proposal_id", flat=True).first()
    if found is None:
        raise NotFound(f"There is no waiver {waiver_id}.")
    proposal = locked_proposal(found)
    waiver = Waiver.objects.select_for_update().get(pk=waiver_id)
    waiver.proposal = proposal
    return waiver


def _facts(waiver: Waiver) -> dict[str, object]:
    return {
        "waiver": waiver.pk,
        "rule": waiver.rule,
        "fingerprint": waiver.proposal.content.fingerprint,
        "requested_by": waiver.requested_by_id,
        "granted_by": waiver.granted_by_id,
        "expires_at": waiver.expires_at.isoformat(),
    }
