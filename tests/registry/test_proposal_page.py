"""What a reviewer sees on a proposal's page, and the decisions it offers."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from registry import replay
from registry.models import Node, Proposal, Subject
from registry.services import replays
from tests.cast import Cast, approved, subject
from tests.registry.test_lifecycle import NARROWED, drafted
from tests.registry.test_replays import FakeStore

SUBMITTED = {"_form_submitted": "True"}


@pytest.fixture
def proposal(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Proposal:
    monkeypatch.setattr(replay, "_stored", FakeStore())
    subject(cast)
    approved(cast)
    Node.objects.create(
        node_id="ohlc:x", subject=Subject.objects.get(), interval=60, series=[], store={}, source={}
    )
    return drafted(cast, NARROWED)


def page(cast: Cast, who: str) -> Client:
    client = Client()
    client.force_login(cast.user(who))
    return client


def text_of(client: Client, proposal: Proposal) -> str:
    answer = client.get(f"/admin/registry/proposal/{proposal.pk}/change/")
    assert answer.status_code == 200
    return answer.content.decode()


def decide(client: Client, proposal: Proposal, name: str, **fields: object) -> None:
    answer = client.post(
        f"/admin/registry/proposal/{proposal.pk}/{name}/", SUBMITTED | fields, follow=True
    )
    assert answer.status_code == 200


def test_the_page_shows_difference_impact_replay_and_waivers(
    cast: Cast, proposal: Proposal
) -> None:
    ravi, sofia = page(cast, "ravi"), page(cast, "sofia")
    before = text_of(ravi, proposal)
    assert "None of this content yet" in before
    assert "/properties/close/exclusiveMinimum" in before
    decide(ravi, proposal, "replay", days=3)
    assert "Cancel the replay" in text_of(ravi, proposal)
    list(replays.run_replays(clock=timezone.now, seconds=60))
    decide(ravi, proposal, "waive", rule="compatibility", reason="none below ten", days=7)
    decide(sofia, proposal, "grant_waiver")
    after = text_of(ravi, proposal)
    assert "Refused in the replay" in after
    assert "none below ten" in after
    (waiver,) = proposal.waivers.all()
    assert (waiver.requested_by, waiver.granted_by) == (cast.user("ravi"), cast.user("sofia"))
    assert waiver.expires_at - waiver.requested_at == timedelta(days=7)


def test_the_author_is_offered_no_way_around(cast: Cast, proposal: Proposal) -> None:
    olive = page(cast, "olive")
    decide(olive, proposal, "waive", rule="compatibility", reason="mine", days=7)
    assert not proposal.waivers.exists()
    decide(olive, proposal, "submit")
    proposal.refresh_from_db()
    assert proposal.state == "draft"
