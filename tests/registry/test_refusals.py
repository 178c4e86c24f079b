"""Refusals that anybody can cause: all are recorded, and a flood of them does not flood the log."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from registry.actors import Actor
from registry.models import AccessToken, AuditEvent, RefusalTally
from registry.services import tokens
from registry.services.audit import refusing
from registry.services.audit.refusing import record_refusal, summarise_refusals
from registry.services.tokens import TokenRefused, use_token
from registry.tokens import new_token
from tests import cast as house
from tests.cast import NOW, SYSTEM, Cast

MINUTE = timedelta(minutes=1)


@pytest.fixture
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, what the test sends falls into one minute."""
    monkeypatch.setattr(refusing, "minute_of", lambda _: NOW)


def refuse(now: datetime = NOW, request: str = "r1", **changes: Any) -> None:
    given: dict[str, Any] = {
        "actor": Actor("unknown", "", "", request_id=request, source="192.0.2.9"),
        "action": "token.use",
        "object_type": "token",
        "object_id": "",
        "kind": ("192.0.2.9",),
        "reason": "unknown",
    }
    record_refusal(**given | changes, now=now)


def events(action: str = "token.use") -> list[AuditEvent]:
    found = AuditEvent.objects.select_related("payload", "personal").filter(action=action)
    return list(found.order_by("pk"))


@pytest.mark.django_db
def test_the_first_of_a_minute_is_recorded_at_once_and_the_rest_counted() -> None:
    for number in range(500):
        refuse(NOW + timedelta(seconds=number % 60), f"r{number}")
    (first,) = events()
    assert (first.request_id, first.outcome, first.source) == ("r0", "denied", "192.0.2.9")
    assert summarise_refusals(now=NOW + timedelta(seconds=59)) == 0  # the minute is not over
    assert summarise_refusals(now=NOW + MINUTE) == 1
    (_, summary) = events()
    assert (summary.outcome, summary.request_id) == ("denied", "")
    assert summary.after == {
        "first_request_id": "r0",
        "minute": "2026-03-02T12:00:00Z",
        "repeated": 499,
    }
    assert not RefusalTally.objects.exists()
    assert summarise_refusals(now=NOW + MINUTE) == 0


@pytest.mark.django_db
def test_each_minute_and_each_kind_has_its_own_first() -> None:
    refuse()
    refuse(NOW + MINUTE)
    refuse(kind=("192.0.2.10",))
    assert len(events()) == 3
    assert summarise_refusals(now=NOW + 2 * MINUTE) == 0  # none came again


@pytest.mark.django_db
def test_strangers_cannot_flood_the_log_by_varying_what_they_send(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refusing, "KINDS_A_MINUTE", 5)
    for number in range(50):
        refuse(kind=(f"192.0.2.{number}",), limit_kinds=True)
    assert len(events()) == 6
    assert summarise_refusals(now=NOW + MINUTE) == 1
    assert events()[-1].after["repeated"] == 44
    assert events()[-1].source == ""


def bearer(secret: str, path: str = "/api/v1/subjects", method: str = "get") -> Any:
    client = Client(raise_request_exception=False)
    call = getattr(client, method)
    return call(path, headers={"Authorization": f"Bearer {secret}", "X-Request-ID": "req-7"})


def issued(cast: Cast, name: str, *scopes: str) -> str:
    made = tokens.issue_personal_token(
        actor=SYSTEM,
        user=cast.user(name),
        scopes=scopes,
        lifetime=timedelta(days=1),
        now=timezone.now(),
    )
    return made.secret


def expired(cast: Cast) -> str:
    made = tokens.issue_personal_token(
        actor=SYSTEM,
        user=cast.user("olive"),
        scopes=("govern",),
        lifetime=timedelta(days=1),
        now=timezone.now() - timedelta(days=2),
    )
    return made.secret


def revoked(cast: Cast) -> str:
    secret = issued(cast, "olive", "govern")
    prefix = secret.split("_")[1]
    tokens.revoke_token(actor=cast.olive, prefix=prefix, now=timezone.now(), reason="lost")
    return secret


def switched_off(cast: Cast) -> str:
    secret = issued(cast, "olive", "govern")
    user = cast.user("olive")
    user.is_active = False
    user.save()
    return secret


MISUSES: dict[str, tuple[Any, str, str]] = {
    "unknown": (lambda _: new_token().secret, "unknown", ""),
    "malformed": (lambda _: "smls_nothing", "unknown", ""),
    "expired": (expired, "expired at", "olive"),
    "revoked": (revoked, "was revoked at", "olive"),
    "switched off": (switched_off, "switched off", "olive"),
}


@pytest.mark.parametrize("misuse", MISUSES)
@pytest.mark.usefixtures("one_minute")
def test_a_token_that_is_not_live_leaves_a_record(cast: Cast, misuse: str) -> None:
    make, reason, name = MISUSES[misuse]
    secret = make(cast)
    for _ in range(3):
        assert bearer(secret).status_code == 401
    (event,) = events()
    assert (event.outcome, event.object_type, event.request_id) == ("denied", "token", "req-7")
    assert (event.actor_name, event.source) == (name, "127.0.0.1")
    assert reason in event.reason
    kept = "".join(AuditEvent.objects.values_list("payload__text", flat=True))
    assert secret not in kept


def test_a_token_of_the_wrong_scope_leaves_a_record(cast: Cast) -> None:
    assert bearer(issued(cast, "olive", "read")).status_code == 403
    (event,) = events("request.deny")
    assert (event.object_name, event.outcome) == ("GET /api/v1/subjects", "denied")
    assert (event.actor_name, event.request_id) == ("olive", "req-7")
    assert "scope 'govern'" in event.reason
    assert event.after == {"token": AccessToken.objects.get().prefix}


def test_a_person_in_no_team_and_a_program_among_people_leave_a_record(cast: Cast) -> None:
    assert bearer(issued(cast, "stan", "govern")).status_code == 403
    program = house.token(cast, house.consumer(cast), scopes=("govern",), now=timezone.now())
    assert bearer(program).status_code == 403
    assert [event.actor_name for event in events("request.deny")] == ["stan", "pricing"]


def test_a_foreign_token_is_revoked_by_nobody_else_and_that_is_recorded(cast: Cast) -> None:
    secret = issued(cast, "ravi", "govern")
    path = f"/api/v1/tokens/{secret.split('_')[1]}/revoke"
    client = Client()
    answer = client.post(
        path,
        '{"reason": "mine now"}',
        content_type="application/json",
        headers={"Authorization": f"Bearer {issued(cast, 'olive', 'govern')}"},
    )
    assert answer.status_code == 404
    (event,) = events("request.deny")
    assert (event.outcome, event.actor_name) == ("denied", "olive")


def test_an_admin_page_that_is_closed_to_a_person_leaves_a_record(cast: Cast) -> None:
    client = Client()
    client.force_login(cast.user("carl"))
    assert client.get("/admin/auth/user/").status_code == 403
    (event,) = events("request.deny")
    assert event.actor_name == "carl"
    assert event.object_name.startswith("GET /admin/auth/user")


@pytest.mark.usefixtures("one_minute")
def test_failed_sign_ins_are_counted_after_the_first(cast: Cast) -> None:
    client = Client()
    for _ in range(4):
        client.post("/admin/login/", {"username": "olive", "password": "wrong"})
    assert [event.outcome for event in events("person.sign_in")] == ["denied"]
    assert RefusalTally.objects.get().repeats == 3


def test_a_refusal_stands_where_it_cannot_be_recorded(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: Any) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(refusing, "record_refusal", away)
    with pytest.raises(TokenRefused):
        use_token(secret=new_token().secret, now=NOW, source="", request_id="")
