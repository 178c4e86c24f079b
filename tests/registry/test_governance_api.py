"""Governance over HTTP: the same services, with people's tokens and clear refusals."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from registry.models import AuditEvent, Consumer
from registry.services import tokens
from tests.cast import OHLC, PASSWORD, SYSTEM, Cast


class Person:
    def __init__(self, cast: Cast, name: str, scopes: tuple[str, ...] = ("govern",)) -> None:
        made = tokens.issue_personal_token(
            actor=SYSTEM,
            user=cast.user(name),
            scopes=scopes,
            lifetime=timedelta(days=1),
            now=timezone.now(),
        )
        self.headers = {"Authorization": f"Bearer {made.secret}"}
        self.client = Client(raise_request_exception=False)

    def post(self, path: str, body: Any = None) -> HttpResponse:
        text = body if isinstance(body, bytes) else json.dumps({} if body is None else body)
        return self.client.post(
            f"/api/v1/{path}", text, content_type="application/json", headers=self.headers
        )

    def get(self, path: str) -> HttpResponse:
        return self.client.get(f"/api/v1/{path}", headers=self.headers)


@pytest.fixture
def olive(cast: Cast) -> Person:
    return Person(cast, "olive")


@pytest.fixture
def ravi(cast: Cast) -> Person:
    return Person(cast, "ravi")


def code_of(answer: HttpResponse) -> str:
    assert answer["Content-Type"] == "application/problem+json", answer.content[:300]
    return str(json.loads(answer.content)["code"])


def new_subject(person: Person) -> HttpResponse:
    return person.post("subjects", {"name": "market.ohlc", "owner_team": "market-data"})


def test_from_subject_to_strict_over_http(cast: Cast, olive: Person, ravi: Person) -> None:
    carl = Person(cast, "carl")
    assert new_subject(olive).status_code == 201
    bundle = {
        "name": "market",
        "owner_team": "market-data",
        "subjects": ["market.ohlc"],
        "gate_policy": "demo",
    }
    assert olive.post("bundles", bundle).json()["latest_release"] is None
    proposal = olive.post("subjects/market.ohlc/proposals", {"schema": OHLC}).json()
    assert proposal["state"] == "draft"
    here = f"proposals/{proposal['id']}"
    assert olive.post(f"{here}/submit").json()["state"] == "in_review"
    assert code_of(olive.post(f"{here}/approve")) == "own_proposal"
    version = ravi.post(f"{here}/approve").json()["version"]
    assert (version["version"], version["schema"]) == (1, OHLC)
    stored = olive.get("subjects/market.ohlc/versions/1")
    assert stored["ETag"] == f'"{version["fingerprint"]}"'
    assert olive.get("bundles/market/releases/1").json()["members"][0]["version"] == 1
    carl.post("consumers", {"name": "pricing", "owner_team": "trading"})
    rollout = carl.post("consumers/pricing/subscriptions", {"bundle": "market"}).json()["rollout"]
    assert (rollout["mode"], [gate["name"] for gate in rollout["gates"]]) == (
        "canary",
        [
            "observation",
            "reads",
            "rows",
            "violations",
            "unchecked",
            "nodes",
            "incidents",
            "approvals",
        ],
    )
    closed = carl.post(f"rollouts/{rollout['id']}/promote")
    assert (closed.status_code, code_of(closed)) == (409, "gates_closed")
    assert json.loads(closed.content)["gates"][1]["ok"] is False


def test_a_consumer_token_is_shown_once_and_governs_nothing(cast: Cast) -> None:
    carl = Person(cast, "carl")
    carl.post("consumers", {"name": "pricing", "owner_team": "trading"})
    made = carl.post("consumers/pricing/tokens", {"scopes": ["read", "govern"]})
    assert made["Cache-Control"] == "no-store"
    headers = {"Authorization": f"Bearer {made.json()['token']}"}
    assert Consumer.objects.get().tokens.get().digest not in made.content.decode()
    refused = Client().get("/api/v1/subjects", headers=headers)
    assert (refused.status_code, code_of(refused)) == (403, "not_allowed")


def test_a_signed_in_stranger_without_a_team_is_refused(cast: Cast) -> None:
    stan = Person(cast, "stan")
    for answer in (stan.get("subjects"), new_subject(stan)):
        assert (answer.status_code, code_of(answer)) == (403, "not_allowed")


def test_a_session_needs_the_csrf_token_to_write(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.login(username="olive", password=PASSWORD)
    assert client.get("/api/v1/subjects").status_code == 200
    body = json.dumps({"name": "x", "owner_team": "market-data"})
    refused = client.post("/api/v1/subjects", body, content_type="application/json")
    assert refused.status_code == 403
    client.get("/admin/")
    token = client.cookies["csrftoken"].value
    accepted = client.post(
        "/api/v1/subjects", body, content_type="application/json", headers={"X-CSRFToken": token}
    )
    assert accepted.status_code == 201


BAD_BODIES: list[tuple[bytes, str]] = [
    (b"{", ""),
    (b'{"name": "a", "name": "b", "owner_team": "market-data"}', ""),
    (b'{"name": NaN}', "/name"),
    (b"[" * 10_000 + b"]" * 10_000, ""),
    (b'{"name": "\\ud800"}', "/name"),
]


@pytest.mark.parametrize(("body", "pointer"), BAD_BODIES)
def test_a_body_that_is_no_strict_json_is_400_with_the_pointer(
    olive: Person, body: bytes, pointer: str
) -> None:
    answer = olive.post("subjects", body)
    assert (answer.status_code, code_of(answer)) == (400, "invalid_input")
    assert json.loads(answer.content)["errors"][0]["pointer"].startswith(pointer)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", "a b", "not a subject name"),
        ("name", "../../etc", "not a subject name"),
        ("compatibility", "SIDEWAYS", "not a compatibility level"),
        ("required_approvals", 0, "between 1 and 10"),
    ],
)
def test_a_wrong_field_is_named(olive: Person, field: str, value: Any, says: str) -> None:
    body = {"name": "market.ohlc", "owner_team": "market-data", field: value}
    answer = olive.post("subjects", body)
    assert (answer.status_code, code_of(answer)) == (400, "invalid_input")
    assert says in json.loads(answer.content)["detail"]


def test_a_missing_field_is_named(olive: Person) -> None:
    answer = olive.post("subjects", {"name": "market.ohlc"})
    assert answer.status_code == 400
    assert "owner_team" in json.loads(answer.content)["errors"]


def test_a_refused_schema_is_422_with_every_pointer(olive: Person) -> None:
    new_subject(olive)
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "https://example.com/x"}, "b": {"pattern": "(?=x)"}},
    }
    answer = olive.post("subjects/market.ohlc/proposals", {"schema": schema})
    assert (answer.status_code, code_of(answer)) == (422, "schema_not_admitted")
    pointers = {error["pointer"] for error in json.loads(answer.content)["errors"]}
    assert {"/properties/a/$ref", "/properties/b/pattern"} <= pointers


def test_the_schema_may_be_text_and_identical_content_comes_back(
    cast: Cast, olive: Person, ravi: Person
) -> None:
    new_subject(olive)
    first = olive.post("subjects/market.ohlc/proposals", {"schema": json.dumps(OHLC, indent=2)})
    assert first.status_code == 201
    here = f"proposals/{first.json()['id']}"
    olive.post(f"{here}/submit")
    ravi.post(f"{here}/approve")
    again = olive.post("subjects/market.ohlc/proposals", {"schema": OHLC})
    assert (again.status_code, again.json()["version"]) == (200, 1)


def test_the_request_id_of_the_caller_reaches_the_audit_record(olive: Person) -> None:
    olive.headers |= {"X-Request-ID": "req-42"}
    answer = new_subject(olive)
    assert answer["X-Request-ID"] == "req-42"
    assert AuditEvent.objects.get(action="subject.create").request_id == "req-42"


def test_a_hostile_request_id_is_replaced(olive: Person) -> None:
    olive.headers |= {"X-Request-ID": "a b<script>"}
    assert new_subject(olive)["X-Request-ID"] != "a b<script>"


@pytest.mark.parametrize(
    "path",
    ["proposals/99", "subjects/x/versions/1", "bundles/x", "bundles/x/releases/1", "rollouts/99"],
)
def test_what_does_not_exist_is_404(olive: Person, path: str) -> None:
    answer = olive.get(path)
    assert (answer.status_code, code_of(answer)) == (404, "not_found")
