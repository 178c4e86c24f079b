"""What every decision about a proposal shares: its lock, its state, the rules it must keep."""

from datetime import datetime
from typing import Any

from registry.errors import Conflict, NotFound
from registry.models import (
    Proposal,
    ProposalState,
    SchemaContent,
    Subject,
    WaivedRule,
    Waiver,
)
from registry.services.candidates import (
    advice_on,
    compatibility_of,
    is_current,
    refuse_new_frame,
)
from registry.services.subjects import locked_subject

OPEN_STATES = (ProposalState.DRAFT, ProposalState.IN_REVIEW)


class Incompatible(Conflict):
    code = "incompatible"
    title = "Incompatible with the subject's compatibility level"


class WrongState(Conflict):
    code = "wrong_state"
    title = "Not possible in this state"


class AlreadyAVersion(Conflict):
    code = "already_a_version"
    title = "Already a version"


def proposal_numbered(proposal_id: int) -> Proposal:
    proposals = Proposal.objects.select_related("subject__owner_team", "content", "author")
    found = proposals.filter(pk=proposal_id).first()
    if found is None:
        raise NotFound(f"There is no proposal {proposal_id}.")
    return found


def refuse_breach(proposal: Proposal, now: datetime) -> int | None:
    """Raise Incompatible unless compatible, or waived by two people: then their waiver.

    `not_proven` counts as a breach.
    """
    report = proposal.compatibility_report
    if proposal.verdict == "compatible":
        return None
    waiver = waiver_in_force(proposal, WaivedRule.COMPATIBILITY, now)
    if waiver is None:
        raise Incompatible(
            f"Against {proposal.subject} at level {report['level']} the verdict is "
            f"{report['verdict']}. See `changes` for what breaks and how to mend it, or have two "
            "other people waive the rule for this change.",
            **report,
        )
    return waiver.pk


def waiver_in_force(proposal: Proposal, rule: WaivedRule, now: datetime) -> Waiver | None:
    """The granted waiver of the rule for the proposal as it is now, if it has not ended."""
    return proposal.waivers.filter(
        rule=rule,
        revision=proposal.revision,
        granted_at__isnull=False,
        ended_at__isnull=True,
        expires_at__gt=now,
    ).first()


def locked_proposal(proposal_id: int) -> Proposal:
    """The proposal with its subject locked first: decisions about one subject come one by one."""
    subject_id = Proposal.objects.filter(pk=proposal_id).values_list("subject_id", flat=True)
    if not subject_id:
        raise NotFound(f"There is no proposal {proposal_id}.")
    locked_subject(subject_id[0])
    return (
        Proposal.objects.select_for_update(of=("self",))
        .select_related("subject__owner_team", "content", "author")
        .get(pk=proposal_id)
    )


def move(proposal: Proposal, source: str, target: ProposalState, **fields: Any) -> None:
    """One conditional write; zero rows mean that someone else decided first."""
    moved = Proposal.objects.filter(pk=proposal.pk, state=source, state__in=OPEN_STATES).update(
        state=target, **fields
    )
    if not moved:
        raise WrongState(f"Proposal {proposal.pk} is {proposal.state}; it cannot become {target}.")
    proposal.state = target


def require_open(proposal: Proposal) -> None:
    if proposal.state not in OPEN_STATES:
        raise WrongState(f"Proposal {proposal.pk} is {proposal.state}: it stays as it is.")


def refuse_version_again(subject: Subject, content: SchemaContent) -> None:
    version = subject.versions.filter(content=content).first()
    if version is not None:
        raise AlreadyAVersion(f"{version} has this very content; propose another change.")


def recheck(proposal: Proposal) -> None:
    """Judge the content anew where versions or level changed; refuse what cannot be waived."""
    refuse_new_frame(proposal.subject, proposal.content.document)
    refuse_version_again(proposal.subject, proposal.content)
    if is_current(proposal.subject, proposal.compatibility_report):
        return
    update(proposal, **judged(proposal.subject, proposal.content, proposal.resolved_fingerprint))


def judged(subject: Subject, content: SchemaContent, resolved_fingerprint: str) -> dict[str, Any]:
    document = content.document
    report = compatibility_of(subject, document, content.canonical)
    return {
        "content": content,
        "resolved_fingerprint": resolved_fingerprint,
        "compatibility_report": report,
        "verdict": report["verdict"],
        "lint": advice_on(document),
    }


def update(proposal: Proposal, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(proposal, name, value)
    proposal.save(update_fields=sorted(fields))


def facts(proposal: Proposal) -> dict[str, Any]:
    return {
        "state": proposal.state,
        "revision": proposal.revision,
        "fingerprint": proposal.content.fingerprint,
        "verdict": proposal.verdict,
    }
