"""Bundles, consumers and rollouts over HTTP and in the shell: every action, and every refusal."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from registry.models import GateOverride, Incident, Node, Rollout
from tests.cast import Cast, approved, assemble, bundle, subject, with_property
from tests.databases import CommittedDatabase
from tests.registry.test_governance_api import Person, code_of
from tests.registry.test_rollouts import node, observe

VWAP = with_property("vwap", {"type": ["number", "null"]})


def build(cast: Cast) -> Cast:
    subject(cast)
    bundle(cast)
    approved(cast)
    node(cast)
    return cast


@pytest.fixture
def market(cast: Cast) -> Cast:
    return build(cast)


def test_a_release_goes_to_strict_and_back_over_http(market: Cast) -> None:
    carl, ravi, sofia = (Person(market, name) for name in ("carl", "ravi", "sofia"))
    assert carl.post("consumers", {"name": "pricing", "owner_team": "trading"}).status_code == 201
    first = carl.post("consumers/pricing/subscriptions", {"bundle": "market"}).json()["rollout"]
    here = f"rollouts/{first['id']}"
    observe(Rollout.objects.get())
    for person in (ravi, sofia):
        assert person.post(f"{here}/approve").status_code == 200
    assert carl.get(here).json()["open"] is True
    assert carl.post(f"{here}/ramp", {"percent": 20}).json()["ramp_percent"] == 20
    strict = carl.post(f"{here}/promote").json()
    assert strict["mode"] == "strict"
    there = f"rollouts/{strict['id']}"
    assert code_of(carl.post(f"{there}/roll-back", {"reason": "x"})) == "nothing_to_restore"
    shown = carl.get("consumers/pricing").json()
    assert shown["nodes"] == [
        {
            "node_id": "ohlc:us:1d",
            "governed": True,
            "strict": "market.ohlc/1 (market/1)",
            "canary": None,
        }
    ]
    assert carl.post(f"{there}/demote", {"reason": "too early"}).json()["mode"] == "canary"
    live = carl.get("rollouts?consumer=pricing").json()["rollouts"]
    assert [rollout["mode"] for rollout in live] == ["canary"]
    assert len(carl.get("rollouts?ended=true").json()["rollouts"]) == 3


def test_an_override_and_an_incident_over_http(market: Cast) -> None:
    carl, ravi, sofia = (Person(market, name) for name in ("carl", "ravi", "sofia"))
    carl.post("consumers", {"name": "pricing", "owner_team": "trading"})
    first = carl.post("consumers/pricing/subscriptions", {"bundle": "market"}).json()["rollout"]
    asked = ravi.post(f"rollouts/{first['id']}/overrides", {"reason": "tonight", "hours": 2})
    assert asked.status_code == 201
    here = f"overrides/{asked.json()['id']}/confirm"
    assert code_of(ravi.post(here)) == "own_override"
    assert sofia.post(here).json()["confirmed_by"] == "sofia"
    body = {"consumer": "pricing", "bundle": "market", "reason": "odd"}
    incident = carl.post("incidents", body).json()
    assert [one["id"] for one in carl.get("incidents").json()["incidents"]] == [incident["id"]]
    closed = carl.post(f"incidents/{incident['id']}/close", {"reason": "the clock"}).json()
    assert closed["closing"] == "the clock"
    assert carl.get("incidents").json()["incidents"] == []
    assert carl.post(f"rollouts/{first['id']}/promote").json()["mode"] == "strict"


def test_bundles_over_http_change_cut_compare_plan_and_apply(market: Cast) -> None:
    olive = Person(market, "olive")
    subject(market, "market.trades")
    approved(market, name="market.trades")
    approved(market, VWAP)
    changed = olive.post("bundles/market/change", {"add": ["market.trades"]}).json()
    assert changed["latest_release"]["release"] == 3
    assert olive.post("bundles/market/cut").json()["release"] == 3
    assert len(olive.get("bundles/market/releases").json()["releases"]) == 3
    found = olive.get("bundles/market/releases/3/comparison?with=1").json()
    assert found["added"] == {"market.trades": 1}
    assert found["changed"][0]["changes"][0]["new_pointer"] == "/properties/vwap"
    file = olive.get("bundle-file?bundle=market").json()["file"]
    assert olive.post("bundle-file/plan", {"file": file}).json()["drift"] is False
    other = file.replace("gate_policy: demo", "gate_policy: house")
    plan = olive.post("bundle-file/plan", {"file": other}).json()
    assert [step["action"] for step in plan["steps"]] == ["change_gate_policy"]
    stale = olive.post("bundle-file/apply", {"file": other, "plan": "sha256:0"})
    assert (stale.status_code, code_of(stale)) == (409, "plan_changed")
    done = olive.post("bundle-file/apply", {"file": other, "plan": plan["plan"]})
    assert done.json() == plan
    assert olive.get("bundles/market").json()["gate_policy"] == "house"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("bundle-file/plan", {"file": "a: ["}, 400, "wrong_bundle_file"),
        ("bundle-file/plan", {}, 400, "invalid_input"),
        ("rollouts/77/ramp", {"percent": 5}, 404, "not_found"),
        ("rollouts/77/ramp", {"percent": "many"}, 404, "not_found"),
        ("incidents", {"consumer": "pricing"}, 400, "invalid_input"),
        ("rollouts/77/overrides", {"reason": "x", "hours": 1}, 404, "not_found"),
        ("overrides/77/confirm", {}, 404, "not_found"),
        ("incidents/77/close", {"reason": "x"}, 404, "not_found"),
        ("bundles/nowhere/cut", {}, 404, "not_found"),
        ("bundles/market/change", {}, 403, "not_allowed"),
        ("consumers/nobody/switch", {"active": False, "reason": "x"}, 404, "not_found"),
        ("consumers/nobody/grants/revoke", {"node": "x", "reason": "x"}, 404, "not_found"),
    ],
)
def test_what_is_wrong_or_not_there_is_said(
    market: Cast, path: str, body: Any, status: int, code: str
) -> None:
    answer = Person(market, "ravi").post(path, body)
    assert (answer.status_code, code_of(answer)) == (status, code)


def test_proposals_that_are_approved_together_are_one_release(market: Cast) -> None:
    olive, ravi = Person(market, "olive"), Person(market, "ravi")
    subject(market, "market.trades")
    olive.post("bundles/market/change", {"add": ["market.trades"]})
    made = []
    for name in ("market.ohlc", "market.trades"):
        made.append(olive.post(f"subjects/{name}/proposals", {"schema": VWAP}).json()["id"])
        olive.post(f"proposals/{made[-1]}/submit")
    refused = ravi.post("proposals/approve", {"proposals": [*made, 77]})
    assert code_of(refused) == "not_found"
    assert len(olive.get("bundles/market/releases").json()["releases"]) == 1
    approved_now = ravi.post("proposals/approve", {"proposals": made}).json()["versions"]
    assert [(one["subject"], one["version"]) for one in approved_now] == [
        ("market.ohlc", 2),
        ("market.trades", 1),
    ]
    [newest, _] = olive.get("bundles/market/releases").json()["releases"]
    members = olive.get(f"bundles/market/releases/{newest['release']}").json()["members"]
    assert [(one["subject"], one["version"]) for one in members] == [
        ("market.ohlc", 2),
        ("market.trades", 1),
    ]


def test_a_comparison_names_its_other_release(market: Cast) -> None:
    olive = Person(market, "olive")
    assert code_of(olive.get("bundles/market/releases/1/comparison")) == "invalid_input"
    assert code_of(olive.get("bundles/market/releases/1/comparison?with=9")) == "not_found"


def test_gate_policies_are_saved_by_operators(market: Cast) -> None:
    body = {"name": "fast", "observation": 3_600, "maximum_violation_rate": "0.001"}
    assert code_of(Person(market, "olive").post("gate-policies", body)) == "not_allowed"
    saved = Person(market, "oscar").post("gate-policies", body).json()
    assert (saved["observation"], saved["maximum_violation_rate"]) == (3_600.0, "0.001")
    assert len(Person(market, "olive").get("gate-policies").json()["gate_policies"]) == 3


def test_a_node_granted_by_name_is_shown_as_ungoverned(market: Cast) -> None:
    carl, olive = Person(market, "carl"), Person(market, "olive")
    carl.post("consumers", {"name": "pricing", "owner_team": "trading"})
    olive.post("consumers/pricing/grants", {"node": "ohlc:us:1d"})
    [shown] = carl.get("consumers/pricing").json()["nodes"]
    assert (shown["governed"], shown["canary"]) == (False, "market.ohlc/1")
    body = {"node": "ohlc:us:1d", "reason": "over"}
    assert olive.post("consumers/pricing/grants/revoke", body).json()["granted"] is False
    assert carl.get("consumers/pricing").json()["nodes"] == []


# --- the shell -----------------------------------------------------------------------------------


class Shell:
    """Commands by different people, on a database that keeps what they do."""

    def __init__(self, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        names = ("olive", "ravi", "sofia", "carl", "oscar")
        self._tokens = {
            name: Person(cast, name).headers["Authorization"].removeprefix("Bearer ")
            for name in names
        }

    def __call__(self, who: str, *words: str) -> str:
        self._monkeypatch.setenv("SEAMLESS_TOKEN", self._tokens[who])
        out = io.StringIO()
        call_command(*words, stdout=out)
        return out.getvalue()


@pytest.fixture
def shell(committed_db: CommittedDatabase, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(build(assemble()), monkeypatch)


def newest() -> str:
    return str(Rollout.objects.latest("pk").pk)


def test_each_action_is_a_verb(shell: Shell, tmp_path: Path) -> None:
    shell("carl", "consumer", "create", "pricing", "--team", "trading")
    begun = shell("carl", "consumer", "subscribe", "pricing", "market")
    assert f"canary rollout {newest()} has begun" in begun
    canary = newest()
    assert "closed" in shell("carl", "rollout", "show", canary)
    observe(Rollout.objects.get())
    for person in ("ravi", "sofia"):
        shell(person, "rollout", "approve", canary, "--comment", "fine")
    assert "10%" in shell("carl", "rollout", "ramp", canary, "10")
    strict = json.loads(shell("carl", "rollout", "promote", canary, "--json"))
    assert (str(strict["id"]), strict["mode"]) == (newest(), "strict")
    assert "strict" in shell("carl", "consumer", "show", "pricing").lower()
    shell("carl", "rollout", "demote", newest(), "--reason", "too early")
    asked = ("override", newest(), "--reason", "tonight", "--hours", "2")
    told = shell("ravi", "rollout", *asked)
    override = str(GateOverride.objects.get().pk)
    assert f"confirm-override {override}" in told
    shell("sofia", "rollout", "confirm-override", override)
    words = ("--consumer", "pricing", "--bundle", "market", "--reason", "odd")
    shell("carl", "rollout", "open-incident", *words)
    assert "odd" in shell("carl", "rollout", "incidents")
    shell("carl", "rollout", "close-incident", str(Incident.objects.get().pk), "--reason", "ok")
    shell("carl", "rollout", "promote", newest())
    assert "market release 1" in shell("carl", "rollout", "list")
    assert "saved" in shell("oscar", "rollout", "policy", "fast", "--hours", "0.5")
    file = tmp_path / "bundles.yaml"
    file.write_text(shell("olive", "bundle", "export", "market"))
    assert "agree" in shell("olive", "bundle", "plan", str(file))
    file.write_text(file.read_text().replace("gate_policy: demo", "gate_policy: fast"))
    with pytest.raises(SystemExit) as left:
        shell("olive", "bundle", "plan", str(file))
    assert left.value.code == 3
    shell("olive", "bundle", "cut", "market")
    assert "equal" in shell("olive", "bundle", "compare", "market", "1", "1")
    assert "release 1" in shell("olive", "bundle", "show", "market")
    assert "changed" in shell("olive", "bundle", "change", "market", "--description", "Bars")
    prefix = json.loads(shell("carl", "consumer", "token", "pricing", "--json"))["prefix"]
    shell("carl", "consumer", "revoke-token", prefix, "--reason", "leaked")
    shell("olive", "consumer", "grant", "pricing", Node.objects.get().node_id)
    shell("olive", "consumer", "revoke-grant", "pricing", "ohlc:us:1d", "--reason", "over")
    shell("carl", "consumer", "switch", "pricing", "off", "--reason", "retired")
    assert "off" in shell("carl", "consumer", "list")
    shell("carl", "consumer", "unsubscribe", "pricing", "market", "--reason", "retired")


@pytest.mark.parametrize(
    "words",
    [
        ("rollout", "promote", "77"),
        ("rollout", "ramp", "77", "500"),
        ("bundle", "plan", "/nowhere/bundles.yaml"),
        ("consumer", "subscribe", "nobody", "market"),
    ],
)
def test_a_refusal_ends_the_command_with_its_sentence(shell: Shell, words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError) as refused:
        shell("carl", *words)
    assert refused.value.returncode in (1, 2)
    assert str(refused.value)


def test_nobody_acts_without_a_token(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEAMLESS_TOKEN", raising=False)
    for words in (("rollout", "list"), ("bundle", "export"), ("consumer", "list")):
        with pytest.raises(CommandError, match="SEAMLESS_TOKEN"):
            call_command(*words)
