"""The lifecycle over HTTP, as its users meet it."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from registry import replay
from registry.models import Node, Subject
from tests.cast import OHLC, Cast, with_property
from tests.registry.test_governance_api import Person, code_of
from tests.registry.test_lifecycle import NARROWED, VWAP
from tests.registry.test_replays import FakeStore


class Patching(Person):
    def patch(self, path: str, body: Any) -> Any:
        return self.client.patch(
            f"/api/v1/{path}", body, content_type="application/json", headers=self.headers
        )


@pytest.fixture
def olive(cast: Cast) -> Patching:
    person = Patching(cast, "olive")
    person.post("subjects", {"name": "market.ohlc", "owner_team": "market-data"})
    return person


@pytest.fixture
def ravi(cast: Cast) -> Person:
    return Person(cast, "ravi")


@pytest.fixture
def sofia(cast: Cast) -> Person:
    return Person(cast, "sofia")


def proposed(person: Person, schema: Any = OHLC) -> str:
    made = person.post("subjects/market.ohlc/proposals", {"schema": schema})
    assert made.status_code == 201, made.content
    return f"proposals/{made.json()['id']}"


def released(olive: Person, ravi: Person, schema: Any = OHLC) -> None:
    here = proposed(olive, schema)
    assert olive.post(f"{here}/submit").status_code == 200
    assert ravi.post(f"{here}/approve").json()["version"] is not None


def test_a_subject_is_made_changed_and_shown(olive: Patching) -> None:
    change = {
        "reason": "the house rule",
        "required_approvals": 2,
        "approval_teams": {"market-data": 1, "trading": 1},
        "replay": "required",
        "tags": ["equities"],
    }
    answer = olive.patch("subjects/market.ohlc", change)
    assert answer.status_code == 200, answer.content
    shown = olive.get("subjects/market.ohlc").json()
    assert shown["approval_teams"] == {"market-data": 1, "trading": 1}
    assert (shown["replay"], shown["tags"], shown["versions"]) == ("required", ["equities"], [])
    assert code_of(olive.patch("subjects/market.ohlc", {"tags": []})) == "invalid_input"
    assert code_of(olive.get("subjects/nothing")) == "not_found"


def test_an_edit_is_another_revision_without_its_approvals(
    olive: Patching, ravi: Person, sofia: Person
) -> None:
    olive.patch("subjects/market.ohlc", {"reason": "four eyes", "required_approvals": 2})
    here = proposed(olive)
    olive.post(f"{here}/submit")
    ravi.post(f"{here}/approve", {"comment": "fine", "team": "market-data"})
    assert olive.get(here).json()["approvals"]["given"] == 1
    edited = olive.patch(here, {"schema": VWAP}).json()
    assert (edited["state"], edited["revision"], edited["approvals"]["given"]) == ("draft", 2, 0)
    assert edited["reviews"][0]["comment"] == "fine"
    listed = olive.get("proposals?state=draft").json()["proposals"]
    assert [one["id"] for one in listed] == [edited["id"]]
    assert code_of(olive.get("proposals?state=odd")) == "invalid_input"


def test_diff_and_impact_name_what_changes(cast: Cast, olive: Patching, ravi: Person) -> None:
    released(olive, ravi)
    olive.post(
        "bundles",
        {
            "name": "market",
            "owner_team": "market-data",
            "subjects": ["market.ohlc"],
            "gate_policy": "demo",
        },
    )
    carl = Person(cast, "carl")
    carl.post("consumers", {"name": "pricing", "owner_team": "trading"})
    carl.post("consumers/pricing/subscriptions", {"bundle": "market"})
    here = proposed(olive, with_property("vwap", {"type": "number"}))
    changes = olive.get(f"{here}/diff").json()
    assert changes["compared_to"] == 1
    assert changes["changes"][0]["new_pointer"] == "/properties/vwap"
    found = olive.get(f"{here}/impact").json()
    assert (found["properties"], found["every_property"]) == (["vwap"], False)
    assert (found["bundles"], found["consumers"]) == (["market"], ["pricing"])
    assert (found["usage_days"], found["reads"], found["touching_share"]) == (30, 0, 0.0)


def test_a_breach_goes_through_with_a_waiver_of_two(
    olive: Patching, ravi: Person, sofia: Person
) -> None:
    released(olive, ravi)
    here = proposed(olive, NARROWED)
    assert code_of(olive.post(f"{here}/submit")) == "incompatible"
    asked = {
        "rule": "compatibility",
        "reason": "nothing trades below 10",
        "expires_at": (timezone.now() + timedelta(days=2)).isoformat(),
    }
    assert code_of(olive.post(f"{here}/waivers", asked)) == "not_your_waiver"
    assert code_of(ravi.post(f"{here}/waivers", asked | {"rule": "frame"})) == "cannot_be_waived"
    waiver = ravi.post(f"{here}/waivers", asked).json()
    assert code_of(ravi.post(f"waivers/{waiver['id']}/grant")) == "not_your_waiver"
    assert sofia.post(f"waivers/{waiver['id']}/grant").json()["state"] == "granted"
    assert olive.post(f"{here}/submit").status_code == 200
    assert sofia.post(f"waivers/{waiver['id']}/end", {"reason": "no"}).status_code == 403
    ended = ravi.post(f"waivers/{waiver['id']}/end", {"reason": "a reader was found"})
    assert ended.json()["state"] == "ended"
    assert code_of(ravi.post(f"{here}/approve")) == "incompatible"


def test_a_replay_is_started_run_and_reported(
    olive: Patching, ravi: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "_stored", FakeStore())
    here = proposed(olive)
    assert code_of(olive.get(f"{here}/replay")) == "not_found"
    Node.objects.create(
        node_id="ohlc:x", subject=Subject.objects.get(), interval=60, series=[], store={}, source={}
    )
    waiting = olive.post(f"{here}/replay", {"days": 2})
    assert (waiting.status_code, waiting.json()["shards_done"]) == (202, 0)
    assert code_of(olive.post(f"{here}/replay")) == "replay_running"
    assert olive.post(f"{here}/replay/cancel").json()["state"] == "cancelled"
    done = olive.post(f"{here}/replay", {"days": 2, "wait": 20}).json()
    assert (done["state"], done["rows"], done["invalid"]) == ("done", 8, 4)
    assert olive.get(f"{here}/replay").json() == done


def test_a_version_says_that_it_goes_away(olive: Patching, ravi: Person) -> None:
    released(olive, ravi)
    released(olive, ravi, VWAP)
    here = "subjects/market.ohlc/versions/1"
    assert "Deprecation" not in olive.get(here)
    sunset = timezone.now() + timedelta(days=30)
    told = {"sunset_at": sunset.isoformat(), "reason": "vwap is here"}
    assert olive.post(f"{here}/deprecate", told).json()["state"] == "deprecated"
    answer = olive.get(here)
    assert answer["Deprecation"].startswith("@")
    assert answer["Sunset"].endswith(" GMT")
    assert code_of(olive.post(f"{here}/deprecate", told)) == "wrong_state"
    assert code_of(olive.post(f"{here}/retire", {"reason": "gone"})) == "version_in_use"
    assert code_of(olive.post(f"{here}/deprecate", {"reason": "x"})) == "invalid_input"
