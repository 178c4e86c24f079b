"""Revisions, approvals of teams, waivers and the end of versions, and what the database refuses."""

import json
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from registry.errors import InvalidInput, NotAllowed
from registry.models import (
    AuditEvent,
    Node,
    Proposal,
    Review,
    Role,
    SchemaVersion,
    Team,
    Waiver,
)
from registry.services import consumers, people, proposals, subjects, versions, waivers
from tests.cast import (
    NOW,
    OHLC,
    SYSTEM,
    Cast,
    approved,
    bundle,
    consumer,
    gate_policy,
    made_strict,
    subject,
    with_property,
)

VWAP = with_property("vwap", {"type": "number"})
NARROWED = with_property("close", {"type": "number", "exclusiveMinimum": 10})
LATER = NOW + timedelta(days=7)


def drafted(cast: Cast, document: object = OHLC) -> Proposal:
    outcome = proposals.propose_schema(
        actor=cast.olive, subject="market.ohlc", document=json.dumps(document), now=NOW
    )
    assert outcome.proposal is not None
    return outcome.proposal


def in_review(cast: Cast, document: object = OHLC) -> Proposal:
    proposal = drafted(cast, document)
    return proposals.submit_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)


def approve(who: object, proposal: Proposal, team: str = "") -> SchemaVersion | None:
    return proposals.approve_proposal(
        actor=who,  # type: ignore[arg-type]
        proposal_id=proposal.pk,
        now=NOW,
        team=team,
    )


def edited(cast: Cast, proposal: Proposal, document: object) -> Proposal:
    return proposals.edit_proposal(
        actor=cast.olive, proposal_id=proposal.pk, document=json.dumps(document), now=NOW
    )


# --- revisions -----------------------------------------------------------------------------------


def test_another_content_is_a_draft_again_and_its_approvals_have_expired(cast: Cast) -> None:
    subject(cast, required_approvals=2)
    proposal = in_review(cast)
    assert approve(cast.ravi, proposal) is None
    changed = edited(cast, proposal, VWAP)
    assert (changed.state, changed.revision) == ("draft", 2)
    proposals.submit_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)
    assert approve(cast.sofia, proposal) is None, "ravi's word was for another content"
    assert approve(cast.ravi, proposal) is not None


def test_approvals_stay_expired_when_the_first_content_comes_back(cast: Cast) -> None:
    subject(cast, required_approvals=2)
    proposal = in_review(cast)
    approve(cast.ravi, proposal)
    edited(cast, proposal, VWAP)
    edited(cast, proposal, OHLC)
    proposals.submit_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)
    assert approve(cast.sofia, proposal) is None


def test_the_same_content_again_changes_nothing(cast: Cast) -> None:
    subject(cast)
    proposal = in_review(cast)
    same = edited(cast, proposal, dict(reversed(list(OHLC.items()))))
    assert (same.state, same.revision) == ("in_review", 1)


def test_the_database_keeps_content_and_revision_together(cast: Cast) -> None:
    subject(cast)
    proposal, other = in_review(cast), drafted(cast, VWAP)
    with pytest.raises(IntegrityError, match="another revision"), transaction.atomic():
        Proposal.objects.filter(pk=proposal.pk).update(content=other.content)
    with pytest.raises(IntegrityError, match="becoming a version"), transaction.atomic():
        Proposal.objects.filter(pk=proposal.pk).update(state="approved", decided_at=NOW)
    with pytest.raises(IntegrityError, match="in review now"), transaction.atomic():
        Review.objects.create(
            proposal=proposal,
            reviewer=cast.user("ravi"),
            content=other.content,
            team=proposal.subject.owner_team,
            decision="approve",
            created_at=NOW,
        )
    with pytest.raises(IntegrityError, match="in review only"), transaction.atomic():
        Proposal.objects.filter(pk=other.pk).update(state="rejected", decided_at=NOW)


def test_a_rejection_needs_a_reason(cast: Cast) -> None:
    subject(cast)
    proposal = in_review(cast)
    with pytest.raises(InvalidInput, match="reason"):
        proposals.reject_proposal(actor=cast.ravi, proposal_id=proposal.pk, now=NOW, comment=" ")


# --- approvals of teams --------------------------------------------------------------------------


def house_rule(cast: Cast) -> None:
    subject(cast, required_approvals=2, approval_teams={"market-data": 1, "trading": 1})


def test_two_people_of_two_teams_where_the_policy_names_them(cast: Cast) -> None:
    house_rule(cast)
    proposal = in_review(cast)
    assert approve(cast.ravi, proposal) is None
    assert proposals.approval_standing(proposal).missing_teams == {"trading": 1}
    assert approve(cast.sofia, proposal) is not None


def test_two_approvals_of_one_team_are_not_enough(cast: Cast) -> None:
    house_rule(cast)
    people.add_member(
        actor=SYSTEM, team="market-data", username="stan", role=Role.REVIEWER, now=NOW
    )
    proposal = in_review(cast)
    assert approve(cast.ravi, proposal) is None
    assert approve(cast.stan, proposal) is None
    assert approve(cast.sofia, proposal) is not None


def test_a_member_of_both_teams_says_for_which_one_and_never_speaks_for_two(cast: Cast) -> None:
    house_rule(cast)
    people.add_member(actor=SYSTEM, team="trading", username="ravi", role=Role.REVIEWER, now=NOW)
    proposal = in_review(cast)
    with pytest.raises(InvalidInput, match="which one you speak"):
        approve(cast.ravi, proposal)
    with pytest.raises(NotAllowed, match="do not review for the team 'risk'"):
        approve(cast.ravi, proposal, "risk")
    assert approve(cast.ravi, proposal, "trading") is None
    with pytest.raises(proposals.AlreadyReviewed):
        approve(cast.ravi, proposal, "market-data")
    assert proposals.approval_standing(proposal).missing_teams == {"market-data": 1}


def test_the_database_refuses_a_version_without_a_teams_word(cast: Cast) -> None:
    subject(cast)
    proposal = in_review(cast)
    people.add_member(
        actor=SYSTEM, team="market-data", username="stan", role=Role.REVIEWER, now=NOW
    )
    subjects.change_subject(
        actor=cast.olive,
        name="market.ohlc",
        reason="four eyes",
        now=NOW,
        required_approvals=2,
        approval_teams={"market-data": 1, "trading": 1},
    )
    approve(cast.ravi, proposal)
    approve(cast.stan, proposal)
    with pytest.raises(IntegrityError, match="each team"), transaction.atomic():
        SchemaVersion.objects.create(
            subject=proposal.subject,
            number=1,
            content=proposal.content,
            resolved_fingerprint=proposal.resolved_fingerprint,
            proposal=proposal,
            created_at=NOW,
        )


def test_the_database_refuses_a_review_for_a_team_that_is_not_theirs(cast: Cast) -> None:
    subject(cast)
    proposal = in_review(cast)
    with pytest.raises(IntegrityError, match="in which they review"), transaction.atomic():
        Review.objects.create(
            proposal=proposal,
            reviewer=cast.user("ravi"),
            content=proposal.content,
            team=Team.objects.get(name="trading"),
            decision="approve",
            created_at=NOW,
        )


# --- subjects ------------------------------------------------------------------------------------


def test_a_change_of_a_subject_is_recorded_before_and_after_with_its_reason(cast: Cast) -> None:
    subject(cast, tags=["equities"], contact="md@example.com")
    subjects.change_subject(
        actor=cast.olive,
        name="market.ohlc",
        reason="owners of the downstream asked",
        now=NOW,
        compatibility="FULL_TRANSITIVE",
        tags=["equities", "daily"],
    )
    event = AuditEvent.objects.latest("pk")
    payload = json.loads(event.payload.text)
    assert (event.action, payload["reason"]) == ("subject.change", "owners of the downstream asked")
    assert payload["before"] == {"compatibility": "BACKWARD", "tags": ["equities"]}
    assert payload["after"] == {
        "compatibility": "FULL_TRANSITIVE",
        "tags": ["equities", "daily"],
    }


BAD_SETTINGS = [
    ({"compatibility": "SIDEWAYS"}, "not a compatibility level"),
    ({"required_approvals": 0}, "between 1 and 10"),
    ({"replay": "maybe"}, "not a rule for replays"),
    ({"tags": ["two words"]}, "not a tag"),
    ({"tags": ["a", "a"]}, "different words"),
    ({"approval_teams": {"trading": 2}}, "nobody counts twice"),
    ({"approval_teams": {"trading": 0}}, "once or more"),
    ({"approval_teams": {"nobody": 1}}, "no team 'nobody'"),
    ({"colour": "red"}, "no setting of a subject"),
    ({}, "Nothing to change"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_SETTINGS)
def test_bad_settings_of_a_subject_are_refused(cast: Cast, changes: dict, message: str) -> None:  # type: ignore[type-arg]
    subject(cast)
    with pytest.raises(Exception, match=message):
        subjects.change_subject(
            actor=cast.olive, name="market.ohlc", reason="r", now=NOW, **changes
        )


# --- waivers -------------------------------------------------------------------------------------


def breach(cast: Cast) -> Proposal:
    subject(cast)
    approved(cast)
    return drafted(cast, NARROWED)


def asked(cast: Cast, proposal: Proposal, **fields: object) -> Waiver:
    told = {"rule": "compatibility", "reason": "no reader below 10", "expires_at": LATER}
    return waivers.request_waiver(
        actor=cast.ravi,
        proposal_id=proposal.pk,
        now=NOW,
        **told | fields,  # type: ignore[arg-type]
    )


def test_a_breach_is_approved_under_a_waiver_of_two_others_and_the_record_says_so(
    cast: Cast,
) -> None:
    proposal = breach(cast)
    waiver = asked(cast, proposal)
    with pytest.raises(proposals.Incompatible):
        proposals.submit_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)
    waivers.grant_waiver(actor=cast.sofia, waiver_id=waiver.pk, now=NOW)
    proposals.submit_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)
    version = approve(cast.ravi, proposal)
    assert version is not None
    assert version.number == 2
    record = AuditEvent.objects.filter(action="proposal.approve").latest("pk")
    assert json.loads(record.payload.text)["after"]["waivers"] == {"compatibility": waiver.pk}


def test_a_waiver_ends_by_itself(cast: Cast) -> None:
    proposal = breach(cast)
    waiver = asked(cast, proposal, expires_at=NOW + timedelta(hours=1))
    waivers.grant_waiver(actor=cast.sofia, waiver_id=waiver.pk, now=NOW)
    proposals.submit_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)
    with pytest.raises(proposals.Incompatible):
        proposals.approve_proposal(
            actor=cast.ravi, proposal_id=proposal.pk, now=NOW + timedelta(hours=1)
        )


def test_a_waiver_ends_with_the_content_it_was_for(cast: Cast) -> None:
    proposal = breach(cast)
    waiver = asked(cast, proposal)
    waivers.grant_waiver(actor=cast.sofia, waiver_id=waiver.pk, now=NOW)
    edited(cast, proposal, with_property("close", {"type": "number", "exclusiveMinimum": 11}))
    assert waivers.state_of(Waiver.objects.get(pk=waiver.pk), NOW) == "expired"
    with pytest.raises(proposals.Incompatible):
        proposals.submit_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)


def test_a_waiver_ended_by_a_person_says_nothing_any_more(cast: Cast) -> None:
    proposal = breach(cast)
    waiver = asked(cast, proposal)
    waivers.grant_waiver(actor=cast.sofia, waiver_id=waiver.pk, now=NOW)
    waivers.end_waiver(actor=cast.ravi, waiver_id=waiver.pk, reason="found a reader", now=NOW)
    with pytest.raises(proposals.Incompatible):
        proposals.submit_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)
    with pytest.raises(waivers.WaiverEnded):
        waivers.grant_waiver(actor=cast.sofia, waiver_id=waiver.pk, now=NOW)


def test_neither_the_author_nor_one_person_alone_waives(cast: Cast) -> None:
    proposal = breach(cast)
    with pytest.raises(waivers.NotYourWaiver, match="wrote the proposal"):
        waivers.request_waiver(
            actor=cast.olive,
            proposal_id=proposal.pk,
            rule="compatibility",
            reason="mine",
            expires_at=LATER,
            now=NOW,
        )
    waiver = asked(cast, proposal)
    for person in (cast.olive, cast.ravi):
        with pytest.raises(waivers.NotYourWaiver):
            waivers.grant_waiver(actor=person, waiver_id=waiver.pk, now=NOW)
    with pytest.raises(IntegrityError, match="author never waives"), transaction.atomic():
        Waiver.objects.filter(pk=waiver.pk).update(granted_by=cast.user("olive"), granted_at=NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        Waiver.objects.filter(pk=waiver.pk).update(granted_by=cast.user("ravi"), granted_at=NOW)
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        Waiver.objects.filter(pk=waiver.pk).update(expires_at=LATER + timedelta(days=1))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rule": "frame"}, "never waived"),
        ({"rule": "approvals"}, "cannot be waived"),
        ({"reason": " "}, "needs a reason"),
        ({"expires_at": NOW}, "in the future"),
        ({"expires_at": NOW + timedelta(days=91)}, "90 days"),
        ({"expires_at": LATER.replace(tzinfo=None)}, "time zone"),
    ],
)
def test_a_bad_waiver_is_refused(cast: Cast, fields: dict, message: str) -> None:  # type: ignore[type-arg]
    proposal = breach(cast)
    with pytest.raises(Exception, match=message):
        asked(cast, proposal, **fields)


def test_the_database_refuses_a_breach_without_a_waiver(cast: Cast) -> None:
    proposal = breach(cast)
    waiver = asked(cast, proposal)
    waivers.grant_waiver(actor=cast.sofia, waiver_id=waiver.pk, now=NOW)
    proposals.submit_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)
    Review.objects.create(
        proposal=proposal,
        reviewer=cast.user("ravi"),
        content=proposal.content,
        team=proposal.subject.owner_team,
        decision="approve",
        created_at=NOW,
    )
    with pytest.raises(IntegrityError, match="two people waived"), transaction.atomic():
        SchemaVersion.objects.create(
            subject=proposal.subject,
            number=2,
            content=proposal.content,
            resolved_fingerprint=proposal.resolved_fingerprint,
            proposal=proposal,
            created_at=LATER,  # the waiver has ended
        )


def test_compatibility_is_judged_again_when_another_version_came_first(cast: Cast) -> None:
    subject(cast)
    approved(cast)
    first = in_review(cast, with_property("vwap", {"type": "number"}))
    second = in_review(cast, with_property("vwap", {"type": "string"}))
    assert approve(cast.ravi, first) is not None
    with pytest.raises(proposals.Incompatible):
        approve(cast.ravi, second)
    proposals.recheck_proposal(actor=cast.olive, proposal_id=second.pk, now=NOW)
    second.refresh_from_db()
    assert (second.verdict, second.compatibility_report["against"]) == ("incompatible", [1, 2])


# --- the end of versions -------------------------------------------------------------------------


def deprecated(cast: Cast, number: int = 1) -> SchemaVersion:
    return versions.deprecate_version(
        actor=cast.olive,
        subject="market.ohlc",
        number=number,
        sunset_at=LATER,
        reason="vwap is here",
        now=NOW,
    )


def retired(cast: Cast, now: object = LATER) -> SchemaVersion:
    return versions.retire_version(
        actor=cast.olive,
        subject="market.ohlc",
        number=1,
        reason="nobody left",
        now=now,  # type: ignore[arg-type]
    )


def test_a_version_is_retired_after_its_sunset_when_nobody_uses_it(cast: Cast) -> None:
    subject(cast)
    approved(cast), approved(cast, VWAP)
    deprecated(cast)
    with pytest.raises(versions.VersionInUse, match="sunset"):
        retired(cast, NOW)
    assert retired(cast).state == "retired"


def test_retire_is_refused_while_a_live_rollout_uses_the_version(cast: Cast) -> None:
    subject(cast)
    version = approved(cast)
    gate_policy("at-once", observation=timedelta(0), minimum_reads=0)
    bundle(cast, gate="at-once")
    consumer(cast)
    canary = consumers.subscribe(actor=cast.carl, consumer="pricing", bundle="market", now=NOW)
    assert canary is not None
    strict = made_strict(cast, canary)
    approved(cast, VWAP)  # offered as a canary beside it
    deprecated(cast)
    with pytest.raises(versions.VersionInUse, match="1 live rollouts") as refusal:
        retired(cast)
    assert refusal.value.extra["rollouts"] == [strict.pk]
    with pytest.raises(IntegrityError, match="live rollout"), transaction.atomic():
        SchemaVersion.objects.filter(pk=version.pk).update(state="retired", retired_at=LATER)


def test_a_version_goes_forward_only(cast: Cast) -> None:
    subject(cast)
    version = approved(cast)
    approved(cast, VWAP)
    with pytest.raises(IntegrityError), transaction.atomic():
        SchemaVersion.objects.filter(pk=version.pk).update(state="deprecated")
    deprecated(cast)
    with pytest.raises(IntegrityError, match="never back"), transaction.atomic():
        SchemaVersion.objects.filter(pk=version.pk).update(
            state="approved", deprecated_at=None, sunset_at=None
        )
    with pytest.raises(proposals.WrongState):
        deprecated(cast)


def test_the_bound_version_is_not_deprecated_under_its_nodes(cast: Cast) -> None:
    subject(cast)
    approved(cast)
    Node.objects.create(
        node_id="ohlc:x",
        subject=Proposal.objects.get().subject,
        interval=60,
        series=[],
        store={},
        source={},
    )
    with pytest.raises(versions.VersionInUse, match="approve its successor"):
        deprecated(cast)


def test_only_an_owner_ends_a_version(cast: Cast) -> None:
    subject(cast)
    approved(cast)
    with pytest.raises(NotAllowed):
        versions.deprecate_version(
            actor=cast.ravi,
            subject="market.ohlc",
            number=1,
            sunset_at=LATER,
            reason="x",
            now=NOW,
        )
