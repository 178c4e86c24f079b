"""Who sees what over REST: every list and every page as data; the rest answers as if not there."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from registry.models import AuditEvent, Mode, Node, Role, Subject
from registry.services import (
    bundle_plans,
    consumers,
    evidence,
    nodes,
    people,
    subjects,
    tokens,
)
from registry.services.resolution import resolve
from registry.services.visibility import visible
from tests.cast import NOW, SYSTEM
from tests.config.test_access import api_views
from tests.registry.permission_house import OTHER, OWN, PEOPLE, House, build_house

pytestmark = pytest.mark.django_db

MEMBERS = {f"{role}-{OWN}" for role in Role.values} | {f"auditor-{OTHER}"}
REVIEWERS = MEMBERS | {f"reviewer-{OTHER}"}
EVERYBODY = set(PEOPLE) - {"nobody"}

# address -> who sees what OWN has there. A list that is empty shows nothing.
SEEN: dict[str, set[str]] = {
    "subjects": REVIEWERS,
    "subjects/market": REVIEWERS,
    "subjects/other/versions/1": REVIEWERS,
    "proposals": REVIEWERS,
    "proposals/{proposal}": REVIEWERS,
    "proposals/{proposal}/diff": REVIEWERS,
    "proposals/{proposal}/impact": REVIEWERS,
    "proposals/{proposal}/waivers": REVIEWERS,
    "bundles": REVIEWERS,
    "bundles/others": REVIEWERS,
    "bundles/others/releases": REVIEWERS,
    "bundles/others/releases/1": REVIEWERS,
    "bundles/others/releases/1/comparison?with=1": REVIEWERS,
    "bundle-file?bundle=others": REVIEWERS,
    "consumers": MEMBERS,
    "consumers/reader": MEMBERS,
    "rollouts": REVIEWERS,
    "rollouts/{rollout}": REVIEWERS,
    "incidents": REVIEWERS,
    "diagnostics": MEMBERS,
    "nodes": MEMBERS,
    "nodes/bars": MEMBERS,
    "gate-policies": EVERYBODY,
    "sla-policies": EVERYBODY,
}


@pytest.fixture
def house() -> House:
    """With something in every list."""
    made = build_house()
    owner = made.actors[f"owner-{OWN}"]
    consumers.grant_node(actor=owner, consumer="reader", node_id="bars", now=NOW)
    Node.objects.update(subject=Subject.objects.get(name="other"))
    node = Node.objects.select_related("subject").get()
    reader = consumers.consumer_named("reader")
    bound = resolve(reader, node).bound
    evidence.record_check(
        consumer=reader,
        node=node,
        version=bound,
        mode=Mode.CANARY,
        rows=1,
        findings=[evidence.SchemaFinding("close", "type", 1, [{"value": "n/a"}])],
        now=NOW,
    )
    return made


class Signed:
    def __init__(self, name: str) -> None:
        made = tokens.issue_personal_token(
            actor=SYSTEM,
            user=people.User.objects.get(username=name),
            scopes=["govern", "read"],
            lifetime=timedelta(days=1),
            now=timezone.now(),
        )
        self.headers = {"Authorization": f"Bearer {made.secret}"}

    def get(self, path: str) -> HttpResponse:
        return Client().get(f"/api/v1/{path}", headers=self.headers)

    def post(self, path: str, body: Any) -> HttpResponse:
        return Client().post(
            f"/api/v1/{path}",
            json.dumps(body),
            content_type="application/json",
            headers=self.headers,
        )


def shows(path: str, answer: HttpResponse) -> bool:
    """A page that is there, or a list with something in it."""
    if answer.status_code in {403, 404}:
        return False
    assert answer.status_code == 200, answer.content
    if "/" in path and not path.endswith(("/waivers", "/releases")):
        return True
    return any(answer.json().values())


def test_the_table_has_every_address_of_the_registry_that_is_read() -> None:
    read = {
        pattern.removeprefix("api/v1/")
        for pattern, view in api_views()
        if pattern.startswith("api/v1/")
        and hasattr(view, "get")
        and view.__module__.startswith("registry.api")
        and "audit/" not in pattern
    }
    assert len(read) == len(SEEN) + 1  # and the report of a replay, which none of these has


@pytest.mark.parametrize("path", SEEN)
def test_each_address_is_seen_by_those_of_the_table(house: House, path: str) -> None:
    nodes.save_sla_policy(actor=SYSTEM, name="slow", document={}, now=NOW)
    saw = {name for name in PEOPLE if shows(path, Signed(name).get(path.format(**house.ids)))}
    assert saw == SEEN[path]


@pytest.mark.parametrize(
    ("hidden", "absent"),
    [
        ("subjects/market", "subjects/absent"),
        ("proposals/{proposal}", "proposals/987654"),
        ("bundles/others", "bundles/absent"),
        ("bundles/others/releases/1", "bundles/absent/releases/1"),
        ("consumers/reader", "consumers/absent"),
        ("rollouts/{rollout}", "rollouts/987654"),
        ("nodes/bars", "nodes/absent"),
        ("bundle-file?bundle=others", "bundle-file?bundle=absent"),
    ],
)
def test_what_is_hidden_and_what_is_absent_answer_alike(
    house: House, hidden: str, absent: str
) -> None:
    person = Signed(f"owner-{OTHER}")
    one, two = (person.get(path.format(**house.ids)) for path in (hidden, absent))
    assert set(one.headers) == set(two.headers)
    shown = [json.loads(answer.content) for answer in (one, two)]
    assert [said["code"] for said in shown] == ["not_found", "not_found"]
    names = [path.partition("/")[2].partition("/")[0] for path in (hidden, absent)]
    if "?" in hidden:
        names = ["others", "absent"]
    details = [
        said["detail"].replace(name.format(**house.ids), "X")
        for said, name in zip(shown, names, strict=True)
    ]
    assert details[0] == details[1]


def test_a_decision_about_what_is_hidden_says_as_little_and_is_recorded(house: House) -> None:
    person = Signed(f"owner-{OTHER}")
    before = AuditEvent.objects.count()
    answers = [
        person.post(f"proposals/{number}/withdraw", {}) for number in (house.proposal, 987654)
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert set(answers[0].headers) == set(answers[1].headers)
    (event,) = AuditEvent.objects.order_by("pk")[before:]
    assert (event.action, event.outcome) == ("request.deny", "denied")


def test_whose_consumer_reads_a_bundle_sees_it_and_no_other_reader(house: House) -> None:
    admin = house.actors[f"consumer_admin-{OTHER}"]
    consumers.create_consumer(actor=admin, name="guest", owner_team=OTHER, now=NOW)
    consumers.subscribe(actor=admin, consumer="guest", bundle="others", now=NOW)
    person = Signed(f"read_only-{OTHER}")
    assert person.get("subjects/other/versions/1").status_code == 200
    assert person.get("subjects/market").status_code == 404
    assert [one["name"] for one in person.get("bundles").json()["bundles"]] == ["others"]
    assert [one["name"] for one in person.get("consumers").json()["consumers"]] == ["guest"]
    assert [r["consumer"] for r in person.get("rollouts").json()["rollouts"]] == ["guest"]
    assert person.get("diagnostics").json()["diagnostics"] == []
    # The file of the bundle would name its other subscriber.
    assert person.get("bundle-file?bundle=others").status_code == 404
    file = Signed(f"owner-{OWN}").get("bundle-file?bundle=others").json()["file"]
    assert person.post("bundle-file/plan", {"file": file}).status_code == 404


def test_a_team_that_must_approve_sees_the_subject(house: House) -> None:
    subjects.change_subject(
        actor=house.actors[f"owner-{OWN}"],
        name="market",
        reason="they know it best",
        approval_teams={OTHER: 1},
        now=NOW,
    )
    assert Signed(f"read_only-{OTHER}").get(f"proposals/{house.proposal}").status_code == 200


def test_nobody_puts_a_subject_they_may_not_know_into_a_bundle(house: House) -> None:
    body = {"name": "mine", "owner_team": OTHER, "subjects": ["other"], "gate_policy": "demo"}
    assert Signed(f"owner-{OTHER}").post("bundles", body).status_code == 404
    body |= {"owner_team": OWN}
    assert Signed(f"owner-{OWN}").post("bundles", body).status_code == 201


def test_a_consumers_token_sees_its_own_nodes_and_nothing_of_governance(house: House) -> None:
    admin = house.actors[f"consumer_admin-{OWN}"]
    consumers.create_consumer(actor=admin, name="blind", owner_team=OWN, now=NOW)
    for name, readable in (("reader", ["bars"]), ("blind", [])):
        made = tokens.issue_consumer_token(
            actor=admin,
            consumer=consumers.consumer_named(name),
            scopes=["read", "govern"],
            lifetime=timedelta(days=1),
            now=timezone.now(),
        )
        headers = {"Authorization": f"Bearer {made.secret}"}
        listed = Client().get("/api/v1/nodes", headers=headers).json()["nodes"]
        assert [node["node_id"] for node in listed] == readable
        status = Client().get("/api/v1/nodes/bars", headers=headers).status_code
        assert status == (200 if readable else 404)
        assert Client().get("/api/v1/rollouts", headers=headers).status_code == 403


def test_a_number_that_no_database_holds_is_not_there(house: House) -> None:
    assert Signed(f"auditor-{OWN}").get(f"proposals/{10**30}").status_code == 404


def test_the_system_sees_everything(house: House) -> None:
    assert visible(SYSTEM, Node.objects.all()).count() == 1
    assert {one.name for one in bundle_plans.export_bundles(SYSTEM)} == {"market", "others"}


PAGES = [
    *("subject", "schemaversion", "proposal", "bundle", "release", "consumer", "rollout"),
    *("gateoverride", "incident", "node", "diagnostic"),
]


@pytest.mark.parametrize("page", PAGES)
def test_the_admin_lists_what_rest_shows(house: House, page: str) -> None:
    for name, sees in ((f"read_only-{OWN}", True), (f"read_only-{OTHER}", False)):
        client = Client()
        client.force_login(people.User.objects.get(username=name))
        listed = client.get(f"/admin/registry/{page}/").context["cl"]
        assert (listed.queryset.count() > 0) is sees
