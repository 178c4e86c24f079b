"""From draft to version: who may, in which state, and what the database refuses by itself."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction

from registry.admission import SchemaNotAdmitted
from registry.errors import NotAllowed, NotFound
from registry.models import AuditEvent, Proposal, Review, SchemaVersion, Subject
from registry.services import proposals
from tests.cast import NOW, OHLC, Cast, approved, assemble, subject, with_property
from tests.databases import as_owner


def propose(cast: Cast, document: object = OHLC) -> Proposal:
    outcome = proposals.propose_schema(
        actor=cast.olive, subject="market.ohlc", document=json.dumps(document), now=NOW
    )
    assert outcome.proposal is not None
    return outcome.proposal


def submitted(cast: Cast, document: object = OHLC) -> Proposal:
    proposal = propose(cast, document)
    return proposals.submit_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)


def test_an_approved_proposal_becomes_version_1_with_both_fingerprints(cast: Cast) -> None:
    subject(cast)
    version = approved(cast)
    assert version.number == 1
    assert version.content.fingerprint.startswith("sha256:")
    assert version.resolved_fingerprint == version.content.fingerprint
    assert version.content.document == OHLC


def test_nobody_approves_their_own_proposal_and_the_refusal_is_recorded(cast: Cast) -> None:
    subject(cast)
    proposal = submitted(cast)
    with pytest.raises(proposals.OwnProposal, match="olive wrote proposal"):
        proposals.approve_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)
    event = AuditEvent.objects.latest("pk")
    assert (event.action, event.outcome, event.actor_name) == (
        "proposal.approve",
        "denied",
        "olive",
    )
    assert event.reason.startswith("own_proposal:")
    assert not SchemaVersion.objects.exists()


def test_the_database_refuses_the_authors_review_by_itself(cast: Cast) -> None:
    subject(cast)
    proposal = submitted(cast)
    with pytest.raises(IntegrityError, match="an author never reviews"), transaction.atomic():
        Review.objects.create(
            proposal=proposal,
            reviewer_id=proposal.author_id,
            content=proposal.content,
            team=proposal.subject.owner_team,
            decision="approve",
            created_at=NOW,
        )


def test_the_database_refuses_a_version_without_its_approvals(cast: Cast) -> None:
    subject(cast)
    proposal = submitted(cast)
    with pytest.raises(IntegrityError, match="approvals"), transaction.atomic():
        SchemaVersion.objects.create(
            subject=proposal.subject,
            number=1,
            content=proposal.content,
            resolved_fingerprint=proposal.resolved_fingerprint,
            proposal=proposal,
            created_at=NOW,
        )


def test_the_database_refuses_a_hole_in_the_numbers(cast: Cast) -> None:
    subject(cast)
    proposal = submitted(cast)
    Review.objects.create(
        proposal=proposal,
        reviewer=cast.user("ravi"),
        content=proposal.content,
        team=proposal.subject.owner_team,
        decision="approve",
        created_at=NOW,
    )
    with pytest.raises(IntegrityError, match="without holes"), transaction.atomic():
        SchemaVersion.objects.create(
            subject=proposal.subject,
            number=2,
            content=proposal.content,
            resolved_fingerprint=proposal.resolved_fingerprint,
            proposal=proposal,
            created_at=NOW,
        )


def test_a_version_never_changes_its_content_and_is_never_deleted(cast: Cast) -> None:
    subject(cast)
    first, second = approved(cast), approved(cast, with_property("vwap", {"type": "number"}))
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        SchemaVersion.objects.filter(pk=first.pk).update(content=second.content)
    with as_owner(), pytest.raises(IntegrityError, match="never deleted"), transaction.atomic():
        SchemaVersion.objects.filter(pk=first.pk)._raw_delete("default")


def test_two_approvals_of_two_people_where_the_subject_needs_two(cast: Cast) -> None:
    subject(cast, required_approvals=2)
    proposal = submitted(cast)
    assert proposals.approve_proposal(actor=cast.ravi, proposal_id=proposal.pk, now=NOW) is None
    with pytest.raises(proposals.AlreadyReviewed):
        proposals.approve_proposal(actor=cast.ravi, proposal_id=proposal.pk, now=NOW)
    version = proposals.approve_proposal(actor=cast.sofia, proposal_id=proposal.pk, now=NOW)
    assert version is not None
    assert version.number == 1


def test_identical_content_brings_the_approved_version_back(cast: Cast) -> None:
    subject(cast)
    version = approved(cast)
    shuffled = json.dumps(dict(reversed(list(OHLC.items()))), indent=3)
    again = proposals.propose_schema(
        actor=cast.olive, subject="market.ohlc", document=shuffled, now=NOW
    )
    assert (again.proposal, again.version) == (None, version)


def test_an_incompatible_draft_shows_a_witness_and_cannot_be_submitted(cast: Cast) -> None:
    subject(cast)
    approved(cast)
    changed = with_property("close", {"type": "number", "exclusiveMinimum": 10})
    proposal = propose(cast, changed)
    report = proposal.compatibility_report
    assert report["verdict"] == "incompatible"
    assert report["witness"]["document"]["close"] <= 10
    with pytest.raises(proposals.Incompatible):
        proposals.submit_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)


def test_another_time_or_key_is_refused_as_another_subject(cast: Cast) -> None:
    subject(cast)
    approved(cast)
    with pytest.raises(proposals.FrameChanged, match=r"x-seamless\.key"):
        propose(cast, OHLC | {"x-seamless": {"time": "session", "key": []}})


@pytest.mark.parametrize("who", ["ravi", "carl", "ada", "stan"])
def test_only_an_owner_of_the_team_proposes(cast: Cast, who: str) -> None:
    subject(cast)
    with pytest.raises(NotAllowed, match="owner"):
        proposals.propose_schema(
            actor=getattr(cast, who), subject="market.ohlc", document=json.dumps(OHLC), now=NOW
        )


@pytest.mark.parametrize("who", ["carl", "ada", "stan", "oscar"])
def test_only_a_reviewer_approves(cast: Cast, who: str) -> None:
    subject(cast)
    proposal = submitted(cast)
    with pytest.raises(NotAllowed, match="reviewer"):
        proposals.approve_proposal(actor=getattr(cast, who), proposal_id=proposal.pk, now=NOW)


def test_a_decided_proposal_stays_decided(cast: Cast) -> None:
    subject(cast)
    proposal = submitted(cast)
    proposals.reject_proposal(
        actor=cast.ravi, proposal_id=proposal.pk, now=NOW, comment="no unit on close"
    )
    with pytest.raises(proposals.WrongState):
        proposals.approve_proposal(actor=cast.sofia, proposal_id=proposal.pk, now=NOW)
    with pytest.raises(IntegrityError, match="stays as it is"), transaction.atomic():
        Proposal.objects.filter(pk=proposal.pk).update(state="approved")


def test_a_draft_that_nobody_submitted_is_not_approved(cast: Cast) -> None:
    subject(cast)
    proposal = propose(cast)
    with pytest.raises(proposals.WrongState, match="not in review"):
        proposals.approve_proposal(actor=cast.ravi, proposal_id=proposal.pk, now=NOW)


def test_a_withdrawn_proposal_ends(cast: Cast) -> None:
    subject(cast)
    proposal = submitted(cast)
    done = proposals.withdraw_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)
    assert done.state == "withdrawn"
    with pytest.raises(proposals.WrongState):
        proposals.submit_proposal(actor=cast.olive, proposal_id=proposal.pk, now=NOW)


def test_an_unknown_proposal_and_an_unknown_subject_are_not_found(cast: Cast) -> None:
    with pytest.raises(NotFound, match="no proposal 77"):
        proposals.approve_proposal(actor=cast.ravi, proposal_id=77, now=NOW)
    with pytest.raises(NotFound, match=r"no subject 'market\.ohlc'"):
        propose(cast)


HOSTILE = {
    "duplicate key": ('{"type": "object", "type": "object"}', ""),
    "NaN": ('{"type": "object", "properties": {"a": {"minimum": NaN}}}', "/properties/a/minimum"),
    "not an object root": ('{"type": "array"}', "/type"),
    "network reference": (
        '{"type": "object", "properties": {"a": {"$ref": "https://example.com/s.json"}}}',
        "/properties/a/$ref",
    ),
    "unknown version": (
        '{"type": "object", "properties": {"a": {"$ref": "seamless:///subjects/x/versions/9"}}}',
        "/properties/a/$ref",
    ),
    "look-ahead": (
        '{"type": "object", "properties": {"a": {"pattern": "a(?=b)"}}}',
        "/properties/a/pattern",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_schema_is_refused_with_the_pointer(cast: Cast, name: str) -> None:
    text, pointer = HOSTILE[name]
    subject(cast)
    with pytest.raises(SchemaNotAdmitted) as refusal:
        proposals.propose_schema(actor=cast.olive, subject="market.ohlc", document=text, now=NOW)
    pointers = [problem["pointer"] for problem in refusal.value.extra["errors"]]
    assert any(found.startswith(pointer) for found in pointers), pointers
    assert not Proposal.objects.exists()


def test_too_deep_and_too_large_schemas_are_refused_in_bounded_time(cast: Cast) -> None:
    subject(cast)
    deep = '{"type":"object","not":' * 5_000 + "{}" + "}" * 5_000
    large = json.dumps(OHLC | {"description": "x" * 10_000_000})
    for text in (deep, large):
        with pytest.raises(SchemaNotAdmitted):
            proposals.propose_schema(
                actor=cast.olive, subject="market.ohlc", document=text, now=NOW
            )


def test_a_version_may_refer_to_another_subjects_version(cast: Cast) -> None:
    subject(cast, "market.money")
    price = approved(
        cast,
        {
            "type": "object",
            "properties": {"v": {"type": "number"}},
            "$defs": {"price": {"type": "number", "exclusiveMinimum": 0}},
        },
        "market.money",
    )
    subject(cast)
    uri = "seamless:///subjects/market.money/versions/1#/$defs/price"
    version = approved(cast, with_property("vwap", {"$ref": uri}))
    assert version.resolved_fingerprint not in {
        version.content.fingerprint,
        price.resolved_fingerprint,
    }


def test_racing_approvals_number_the_versions_without_a_hole(committed_db: object) -> None:
    cast = assemble()
    subject(cast, compatibility="NONE")
    drafts = [submitted(cast, with_property(f"c{n}", {"type": "number"})).pk for n in range(6)]

    def approve(proposal_id: int) -> int:
        try:
            version = proposals.approve_proposal(actor=cast.ravi, proposal_id=proposal_id, now=NOW)
            assert version is not None
            return version.number
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        numbers = list(pool.map(approve, drafts))
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
    assert Subject.objects.get().versions.count() == 6


def test_one_decision_wins_when_two_people_decide_at_once(committed_db: object) -> None:
    cast = assemble()
    subject(cast)
    proposal_id = submitted(cast).pk

    def decide(actor: object) -> str:
        try:
            proposals.approve_proposal(actor=actor, proposal_id=proposal_id, now=NOW)  # type: ignore[arg-type]
        except proposals.WrongState:
            return "too late"
        finally:
            connection.close()
        return "decided"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(decide, [cast.ravi, cast.sofia]))
    assert outcomes == ["decided", "too late"]
    assert SchemaVersion.objects.count() == 1
