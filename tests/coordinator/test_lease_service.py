"""The lease service over HTTP: existing clients work unmodified, nobody else gets in."""

import threading
from base64 import b64encode
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from structlog.testing import capture_logs

from coordinator import counters
from coordinator.models import ServiceLease
from coordinator.services.service_leases import (
    LeaseHeldElsewhere,
    LeaseLost,
    NoSuchLease,
    claim_service_lease,
    complete_service_lease,
    fail_service_lease,
    renew_service_lease,
)
from registry.actors import Actor
from registry.models import AccessToken, AuditEvent, Consumer, Team
from registry.tokens import new_token
from tests.coordinator.backfills import NOW

KEY = "ohlcv:x:BTC/USDT:1m:60:0:600::2025-01-01T00:00:00Z"
DESK = Actor(kind="consumer", id="1", name="desk")
MINUTE = 60_000


def take(now=NOW, key=KEY, actor=DESK):
    return claim_service_lease(actor=actor, key=key, lease_ms=MINUTE, now=now)


@pytest.fixture
def token(db):
    return issue(["leases"])


def issue(scopes):
    secret, now = new_token(), timezone.now()
    team, _ = Team.objects.get_or_create(name="trading")
    consumer, _ = Consumer.objects.get_or_create(name="desk", defaults={"owner_team": team})
    creator, _ = User.objects.get_or_create(username="carl")
    AccessToken.objects.create(
        prefix=secret.prefix,
        digest=secret.digest,
        consumer=consumer,
        scopes=scopes,
        created_by=creator,
        created_at=now,
        expires_at=now + timedelta(days=1),
    )
    return secret.secret


def post(verb, body, token=None, scheme="Basic"):
    credentials = b64encode(f"desk:{token}".encode()).decode() if scheme == "Basic" else token
    headers = {"Authorization": f"{scheme} {credentials}"} if token else {}
    return Client(headers=headers).post(f"/v1/leases/{verb}", body, content_type="application/json")


def test_a_key_has_one_holder_until_it_expires(db):
    first = take()
    with pytest.raises(LeaseHeldElsewhere):
        take(NOW + timedelta(milliseconds=MINUTE - 1))
    second = take(NOW + timedelta(milliseconds=MINUTE))
    assert (first.epoch, second.epoch) == (1, 2)
    assert first.token != second.token
    assert len(second.token) >= 32


def test_a_token_is_kept_as_a_hash_and_shown_in_no_text(db):
    lease = take()
    assert lease.token not in str(ServiceLease.objects.values().get())
    assert lease.token not in repr(lease)
    assert lease.token not in str(list(AuditEvent.objects.values()))


def test_completing_needs_the_current_token_and_ends_the_lease(db):
    first = take()
    late = NOW + timedelta(minutes=2)
    second = take(late)
    for token in (first.token, "guess", ""):
        with pytest.raises(LeaseLost):
            complete_service_lease(actor=DESK, key=KEY, token=token, now=late)
    assert complete_service_lease(actor=DESK, key=KEY, token=second.token, now=late) == 1.0
    with pytest.raises(LeaseLost):
        complete_service_lease(actor=DESK, key=KEY, token=second.token, now=late)


def test_an_expired_lease_that_nobody_took_over_still_completes(db):
    lease = take()
    late = NOW + timedelta(minutes=5)
    assert complete_service_lease(actor=DESK, key=KEY, token=lease.token, now=late) == 1.0


def test_a_failed_lease_is_free_again_at_once_with_its_reason_kept(db):
    lease = take()
    options = {"actor": DESK, "key": KEY, "token": lease.token, "now": NOW}
    assert fail_service_lease(reason="no_backfiller", **options) == 0.0
    stored = ServiceLease.objects.get()
    assert (stored.state, stored.reason) == ("failed", "no_backfiller")
    assert take().epoch == 2


def test_renewing_moves_the_end_on_and_revives_what_nobody_took_over(db):
    lease = take()
    late = NOW + timedelta(minutes=5)
    renewed = renew_service_lease(key=KEY, token=lease.token, lease_ms=MINUTE, now=late)
    assert (renewed.expires_at, renewed.epoch) == (late + timedelta(minutes=1), lease.epoch)
    with pytest.raises(LeaseHeldElsewhere):
        take(late)


def test_x21_a_lease_taken_over_cannot_be_renewed_or_completed_by_its_old_holder(db):
    old = take()
    late = NOW + timedelta(minutes=2)
    new = take(late)
    with pytest.raises(LeaseLost):
        renew_service_lease(key=KEY, token=old.token, lease_ms=MINUTE, now=late)
    with pytest.raises(LeaseLost):
        complete_service_lease(actor=DESK, key=KEY, token=old.token, now=late)
    stored = ServiceLease.objects.get()
    assert (stored.epoch, stored.state, stored.completion_ratio) == (new.epoch, "held", 0.0)


def test_a_takeover_is_counted(db):
    expired = counters.LEASE_EXPIRED.labels("taken_over")._value
    take()
    before = expired.get()
    take(NOW + timedelta(minutes=2))
    assert expired.get() == before + 1


def test_the_events_of_the_service_name_the_lease_and_never_its_token(db):
    with capture_logs() as events:
        lease = take()
        complete_service_lease(actor=DESK, key=KEY, token=lease.token, now=NOW)
        again = take()
        fail_service_lease(actor=DESK, key=KEY, token=again.token, reason="no_backfiller", now=NOW)
    names = [event["event"].removeprefix("seamless.backfill.coordinator_") for event in events]
    assert names == ["claimed", "completed", "claimed", "failed"]
    assert [event["completion_ratio"] for event in events] == [0.0, 1.0, 0.0, 0.0]
    for event in events:
        assert set(event) >= {"coordinator_id", "lease_key", "node_id", "interval", "worker"}
    assert lease.token not in str(events)
    assert again.token not in str(events)


def test_an_unknown_key_is_told_from_a_lost_lease(db):
    with pytest.raises(NoSuchLease):
        complete_service_lease(actor=DESK, key="never", token="t", now=NOW)


def test_every_step_is_audited_and_a_refused_one_changes_nothing(db):
    lease = take()
    complete_service_lease(actor=DESK, key=KEY, token=lease.token, now=NOW)
    events = AuditEvent.objects.filter(object_type="service_lease").order_by("pk")
    assert [event.action for event in events] == ["lease.claim", "lease.complete"]
    assert {event.object_id for event in events} == {KEY}


def test_of_many_programs_at_once_one_gets_a_new_key(committed_db):
    start, won, lost, errors = threading.Barrier(6), [], [], []

    def race():
        try:
            start.wait()
            won.append(take())
        except LeaseHeldElsewhere:
            lost.append(1)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost), errors) == (1, 5, [])


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_the_protocol_of_existing_clients(token, scheme):
    def ask(verb, body):
        return post(verb, body, token, scheme)

    claimed = ask("claim", {"key": KEY, "lease_ms": MINUTE})
    assert claimed.status_code == 200
    lease = claimed.json()["lease"]
    assert lease["lease_until_ms"] > timezone.now().timestamp() * 1000
    assert claimed.json()["completion_ratio"] == 0.0
    assert ask("claim", {"key": KEY, "lease_ms": MINUTE}).status_code == 409
    wrong = ask("complete", {"key": KEY, "token": "wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "lease_lost")
    assert ask("complete", {"key": "other", "token": "x"}).status_code == 404
    completed = ask("complete", {"key": KEY, "token": lease["token"]})
    assert (completed.status_code, completed.json()) == (200, {"completion_ratio": 1.0})
    again = ask("claim", {"key": KEY, "lease_ms": MINUTE}).json()["lease"]
    failed = ask("fail", {"key": KEY, "token": again["token"], "reason": "no_backfiller"})
    assert failed.json() == {"completion_ratio": 0.0}


def test_a_lease_is_renewed_over_http_with_the_same_token(token):
    lease = post("claim", {"key": KEY, "lease_ms": MINUTE}, token).json()["lease"]
    held = {"key": KEY, "token": lease["token"], "lease_ms": 2 * MINUTE}
    renewed = post("renew", held | {"completion_ratio": 0.5}, token)
    assert renewed.status_code == 200
    assert renewed.json()["completion_ratio"] == 0.5
    assert renewed.json()["lease"]["token"] == lease["token"]
    assert renewed.json()["lease"]["lease_until_ms"] > lease["lease_until_ms"]
    assert post("renew", held | {"token": "guess"}, token).status_code == 409
    assert post("renew", held | {"key": "other"}, token).status_code == 404
    for ratio in (True, "half", 1.5, -1):
        assert post("renew", held | {"completion_ratio": ratio}, token).status_code == 400


def list_leases(token, query=""):
    client = Client(headers={"Authorization": f"Bearer {token}"})
    return client.get(f"/v1/leases{query}")


def test_a_program_sees_its_own_leases_and_no_token(token, django_assert_max_num_queries):
    held = post("claim", {"key": KEY, "lease_ms": MINUTE}, token).json()["lease"]
    for number in range(5):
        take(key=f"k{number}", actor=Actor(kind="consumer", id="2", name="somebody else"))
    with django_assert_max_num_queries(6):
        answer = list_leases(token)
    (lease,) = answer.json()["leases"]
    assert (lease["key"], lease["state"], lease["epoch"]) == (KEY, "held", held["epoch"])
    assert held["token"] not in answer.content.decode()
    assert list_leases(token, "?state=completed").json() == {"leases": []}
    assert list_leases(token, "?state=odd").status_code == 400
    assert Client().get("/v1/leases").status_code == 401
    assert list_leases(issue(["read"])).status_code == 403


@pytest.mark.parametrize("verb", ["claim", "renew", "complete", "fail"])
def test_without_a_token_or_its_scope_nobody_gets_in(db, verb):
    body = {"key": KEY, "lease_ms": MINUTE, "token": "t"}
    assert post(verb, body).status_code == 401
    assert post(verb, body, "smls_wrong").status_code == 401
    assert post(verb, body, issue(["read"])).status_code == 403
    assert not ServiceLease.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"key": "", "lease_ms": 1},
        {"key": "k" * 501, "lease_ms": 1},
        {"key": 7, "lease_ms": 1},
        {"key": "a\x00b", "lease_ms": 1},
        {"key": "k"},
        {"key": "k", "lease_ms": 0},
        {"key": "k", "lease_ms": True},
        {"key": "k", "lease_ms": 1.5},
        {"key": "k", "lease_ms": 10**12},
    ],
)
def test_a_claim_that_makes_no_sense_is_refused_with_a_reason(token, body):
    answer = post("claim", body, token)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert not ServiceLease.objects.exists()


def test_health_is_open_and_says_the_mode(db):
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "mode": "full"})


def test_health_fails_without_the_database(db, monkeypatch):
    from coordinator import mode

    monkeypatch.setattr(mode, "_database_answers", lambda: False)
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()["mode"]) == (503, "local")
