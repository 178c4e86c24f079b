"""From a draft to an immutable version: propose, submit, review, approve.

The author never counts as a reviewer (checked here for a kind message, and by a trigger), and a
version gets its number inside the approving transaction, under the subject's row lock, so numbers
have no holes.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Max

from registry.actors import Actor
from registry.admission import Admitted, admit
from registry.audit.events import recordable
from registry.compatibility import CompatibilityReport, check_compatibility
from registry.errors import Conflict, NotAllowed, NotFound, Unprocessable
from registry.frame import frame_of
from registry.lint import lint
from registry.models import (
    Compatibility,
    Proposal,
    ProposalState,
    Review,
    Role,
    SchemaContent,
    SchemaVersion,
    Subject,
    VersionState,
)
from registry.services.access import require_any_team, require_person, require_role
from registry.services.actions import audited_action
from registry.services.references import stored_references
from registry.services.releases import cut_releases_for
from registry.services.subjects import subject_named


class FrameChanged(Unprocessable):
    code = "frame_changed"
    title = "Time, unit or key changed"


class Incompatible(Conflict):
    code = "incompatible"
    title = "Incompatible with the subject's compatibility level"


class OwnProposal(NotAllowed):
    code = "own_proposal"
    title = "Own proposal"


class WrongState(Conflict):
    code = "wrong_state"
    title = "Not possible in this state"


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
        _refuse_new_frame(line, admitted)
        proposal = Proposal.objects.create(
            subject=line,
            author_id=require_person(actor),
            content=content,
            resolved_fingerprint=admitted.resolved_fingerprint,
            reason=reason,
            compatibility_report=_report(line, admitted),
            lint=recordable([asdict(finding) for finding in lint(admitted.document)]),
            created_at=now,
        )
        entry.after = {"proposal": proposal.pk, "fingerprint": content.fingerprint}
        return Proposed(proposal=proposal, version=None)


def submit_proposal(*, actor: Actor, proposal_id: int, now: datetime) -> Proposal:
    """Hand a draft to the reviewers. Refused while the subject's compatibility level is broken."""
    with audited_action(
        "proposal.submit", actor=actor, object_type="proposal", object_id=proposal_id, now=now
    ):
        proposal = _locked(proposal_id)
        require_role(actor, proposal.subject.owner_team, Role.OWNER)
        report = proposal.compatibility_report
        if report["verdict"] != "compatible":
            raise Incompatible(
                f"Against {proposal.subject} at level {report['level']} the verdict is "
                f"{report['verdict']}. See `changes` for what breaks and how to mend it.",
                **report,
            )
        _move(proposal, ProposalState.DRAFT, ProposalState.IN_REVIEW)
    return proposal


def approve_proposal(
    *, actor: Actor, proposal_id: int, now: datetime, comment: str = ""
) -> SchemaVersion | None:
    """Count one approval; the last one needed makes the version and cuts the releases."""
    with audited_action(
        "proposal.approve",
        actor=actor,
        object_type="proposal",
        object_id=proposal_id,
        now=now,
        reason=comment,
    ) as entry:
        proposal = _reviewed(actor, proposal_id, Review.Decision.APPROVE, comment, now)
        approvals = proposal.reviews.filter(
            decision=Review.Decision.APPROVE, content_id=proposal.content_id
        ).exclude(reviewer_id=F("proposal__author_id"))
        needed = proposal.subject.required_approvals
        given = approvals.count()
        entry.after = {"approvals": given, "needed": needed}
        if given < needed:
            return None
        version = _make_version(proposal, now)
        entry.after |= {"version": version.number, "fingerprint": proposal.content.fingerprint}
        cut_releases_for(actor=actor, subject=proposal.subject, now=now)
        return version


def reject_proposal(*, actor: Actor, proposal_id: int, now: datetime, comment: str) -> Proposal:
    """End the proposal with a reason its author can read."""
    with audited_action(
        "proposal.reject",
        actor=actor,
        object_type="proposal",
        object_id=proposal_id,
        now=now,
        reason=comment,
    ):
        proposal = _reviewed(actor, proposal_id, Review.Decision.REJECT, comment, now)
        _move(proposal, ProposalState.IN_REVIEW, ProposalState.REJECTED, decided_at=now)
    return proposal


def withdraw_proposal(*, actor: Actor, proposal_id: int, now: datetime) -> Proposal:
    with audited_action(
        "proposal.withdraw", actor=actor, object_type="proposal", object_id=proposal_id, now=now
    ):
        proposal = _locked(proposal_id)
        require_role(actor, proposal.subject.owner_team, Role.OWNER)
        _move(proposal, proposal.state, ProposalState.WITHDRAWN, decided_at=now)
    return proposal


def latest_version(subject: Subject) -> SchemaVersion | None:
    """The newest approved version: what backfills are bound to."""
    return (
        subject.versions.filter(state=VersionState.APPROVED)
        .select_related("content", "subject")
        .order_by("-number")
        .first()
    )


def _content(admitted: Admitted) -> SchemaContent:
    return SchemaContent.objects.get_or_create(
        fingerprint=admitted.fingerprint, defaults={"canonical": admitted.canonical.decode()}
    )[0]


def _refuse_new_frame(subject: Subject, admitted: Admitted) -> None:
    """Time, unit and key say what a row is; another frame is another subject."""
    last = latest_version(subject)
    if last is None:
        return
    before = frame_of(last.content.document)
    after = admitted.frame
    for name in ("time", "unit", "key"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            raise FrameChanged(
                f"x-seamless.{name} changes from {old!r} to {new!r}; rows would mean something "
                "else. Open a new subject for them.",
                errors=[{"pointer": f"/x-seamless/{name}", "code": "frame_changed"}],
            )


def _report(subject: Subject, admitted: Admitted) -> dict[str, Any]:
    versions = subject.versions.exclude(state=VersionState.RETIRED).select_related("content")
    earlier = [version.content for version in versions.order_by("number")]
    level = subject.compatibility
    if not earlier or level == Compatibility.NONE:
        return {
            "level": level,
            "verdict": "compatible",
            "witness": None,
            "reasons": [],
            "changes": [],
        }
    texts = [admitted.canonical.decode(), *(content.canonical for content in earlier)]
    report = check_compatibility(
        [content.document for content in earlier],
        admitted.document,
        level,
        references=stored_references("\n".join(texts)),
    )
    # A witness may hold a NUL, which PostgreSQL's jsonb does not take.
    return recordable({"level": level, **report_as_json(report)})


def report_as_json(report: CompatibilityReport) -> dict[str, Any]:
    return {
        "verdict": report.verdict,
        "witness": None if report.witness is None else asdict(report.witness),
        "reasons": list(report.reasons),
        "changes": [asdict(change) for change in report.changes],
    }


def _locked(proposal_id: int) -> Proposal:
    try:
        return (
            Proposal.objects.select_for_update(of=("self",))
            .select_related("subject__owner_team", "content", "author")
            .get(pk=proposal_id)
        )
    except Proposal.DoesNotExist:
        raise NotFound(f"There is no proposal {proposal_id}.") from None


def _reviewed(
    actor: Actor, proposal_id: int, decision: Review.Decision, comment: str, now: datetime
) -> Proposal:
    require_any_team(actor, Role.REVIEWER)
    reviewer = require_person(actor)
    proposal = _locked(proposal_id)
    if proposal.author_id == reviewer:
        raise OwnProposal(
            f"{actor.name} wrote proposal {proposal_id} and cannot review it; ask someone else."
        )
    if proposal.state != ProposalState.IN_REVIEW:
        raise WrongState(f"Proposal {proposal_id} is {proposal.state}, not in review.")
    if proposal.reviews.filter(reviewer_id=reviewer, content_id=proposal.content_id).exists():
        raise AlreadyReviewed(f"{actor.name} has reviewed proposal {proposal_id} already.")
    Review.objects.create(
        proposal=proposal,
        reviewer_id=reviewer,
        content_id=proposal.content_id,
        decision=decision,
        comment=comment,
        created_at=now,
    )
    return proposal


def _make_version(proposal: Proposal, now: datetime) -> SchemaVersion:
    subject = Subject.objects.select_for_update().get(pk=proposal.subject_id)
    last = subject.versions.aggregate(last=Max("number"))["last"] or 0
    version = SchemaVersion.objects.create(
        subject=subject,
        number=last + 1,
        content=proposal.content,
        resolved_fingerprint=proposal.resolved_fingerprint,
        proposal=proposal,
        created_at=now,
    )
    _move(proposal, ProposalState.IN_REVIEW, ProposalState.APPROVED, decided_at=now)
    return version


def _move(proposal: Proposal, source: str, target: ProposalState, **fields: Any) -> None:
    """One conditional write; zero rows mean that someone else decided first."""
    open_states = (ProposalState.DRAFT, ProposalState.IN_REVIEW)
    moved = Proposal.objects.filter(pk=proposal.pk, state=source, state__in=open_states).update(
        state=target, **fields
    )
    if not moved:
        raise WrongState(f"Proposal {proposal.pk} is {proposal.state}; it cannot become {target}.")
    proposal.state = target
