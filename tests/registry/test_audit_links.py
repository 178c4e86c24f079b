"""Links to exports: whoever holds the secret, one file, until it ends; each use recorded."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from config.redaction import clean_text
from registry.models import AuditEvent, AuditExport, AuditExportLink
from registry.services.audit import seal
from registry.services.audit.export_jobs import run_next_export
from registry.services.audit.export_links import make_export_link
from registry.services.audit.refusing import summarise_refusals
from registry.tokens import digest_of
from tests.cast import Cast
from tests.registry.audit_world import NOW, record_many
from tests.registry.test_governance_api import Person, code_of


@pytest.fixture(autouse=True)
def _exports(settings: Settings, tmp_path: Path) -> None:
    settings.SEAMLESS_EXPORT_DIR = tmp_path / "exports"


@pytest.fixture
def ada(cast: Cast) -> Person:
    """An auditor who has asked for an export, which is written."""
    record_many(3)
    seal(now=NOW)
    person = Person(cast, "ada")
    assert person.post("audit/exports").status_code == 202
    run_next_export(clock=timezone.now)
    return person


def newest() -> str:
    """Where the newest export is."""
    return f"audit/exports/{AuditExport.objects.latest('pk').pk}"


def link_of(person: Person, **body: Any) -> dict[str, Any]:
    answer = person.post(f"{newest()}/links", body)
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def opened(url: str) -> Any:
    """As curl asks, with nobody's cookies and no token; `.file` is what it gets."""
    answer: Any = Client(headers={"X-Request-ID": "request-9"}).get(url)
    if answer.streaming:
        answer.file = b"".join(answer.streaming_content)  # to its end, which closes it
    return answer


def downloads() -> list[AuditEvent]:
    found = AuditEvent.objects.filter(action="audit.export.download").order_by("pk")
    return list(found.select_related("payload", "personal"))


def test_whoever_holds_the_link_gets_the_file_and_the_log_says_by_which(ada: Person) -> None:
    made = link_of(ada, hours=2)
    signed_in = ada.get(f"{newest()}/file")
    answer = opened(made["url"])
    assert (answer.status_code, answer.file) == (200, b"".join(signed_in.streaming_content))
    assert answer["Content-Digest"] == signed_in["Content-Digest"]
    assert (answer["Cache-Control"], answer["Referrer-Policy"]) == ("no-store", "no-referrer")
    _, by_link = downloads()
    assert (by_link.outcome, by_link.object_type, by_link.object_id) == (
        "ok",
        "audit_export",
        newest().rpartition("/")[2],
    )
    assert (by_link.actor_kind, by_link.actor_name) == ("unknown", f"link {made['link']}")
    assert (by_link.request_id, by_link.source) == ("request-9", "127.0.0.1")
    assert by_link.after["link"] == made["link"]
    (making,) = AuditEvent.objects.filter(action="audit.export.link")
    assert (making.actor_name, making.after["link"]) == ("ada", made["link"])


def test_the_secret_is_kept_as_a_digest_and_redacted_in_logs(ada: Person) -> None:
    made = link_of(ada)
    secret = made["url"].rpartition("/")[2]
    assert AuditExportLink.objects.get().digest == digest_of(secret)
    stored = str(list(AuditExportLink.objects.values())) + "".join(
        event.payload_canonical for event in AuditEvent.objects.all()
    )
    assert secret not in stored
    assert secret[-20:] not in clean_text(made["url"])
    (listed,) = ada.get(f"{newest()}/links").json()["links"]
    assert secret not in str(listed)
    assert listed["link"] == made["link"]


def test_an_expired_link_is_gone(cast: Cast, ada: Person) -> None:
    earlier = timezone.now() - timedelta(hours=2)
    made, secret = make_export_link(
        actor=cast.ada,
        export_id=AuditExport.objects.get().pk,
        lifetime=timedelta(hours=2),
        now=earlier,
    )
    assert made.expires_at == earlier + timedelta(hours=2)
    answer = opened(f"/api/v1/audit/links/{secret}")
    assert (answer.status_code, code_of(answer)) == (410, "export_link_ended")
    (refused,) = downloads()
    assert (refused.outcome, refused.reason) == ("denied", "expired")
    assert refused.actor_name == f"link {made.prefix}"


def test_a_link_outlives_no_file(ada: Person) -> None:
    url = link_of(ada, hours=168)["url"]
    AuditExport.objects.update(expires_at=timezone.now())
    answer = opened(url)
    assert (answer.status_code, code_of(answer)) == (410, "export_expired")
    assert [event.outcome for event in downloads()] == ["refused"]


@pytest.mark.parametrize(
    "change", [lambda url: url[:-1] + ("A" if url[-1] != "A" else "B"), lambda url: url[:-1]]
)
def test_a_link_that_was_tampered_with_is_none(ada: Person, change: Callable[[str], str]) -> None:
    url = link_of(ada)["url"]
    for _ in range(3):
        answer = opened(change(url))
        assert (answer.status_code, code_of(answer)) == (404, "not_found")
    summarise_refusals(now=timezone.now() + timedelta(minutes=2))
    first, rest = downloads()
    assert (first.outcome, first.reason, first.object_type) == (
        *("denied", "no such link", "audit_export_link"),
    )
    assert rest.after["repeated"] == 2
    assert opened(url).status_code == 200


def test_a_revoked_link_opens_nothing_from_then_on(ada: Person) -> None:
    first, second = link_of(ada), link_of(ada)
    path = f"{newest()}/links/{first['link']}/revoke"
    assert ada.post(path, {"reason": "sent to the wrong address"}).status_code == 200
    answer = opened(first["url"])
    assert (answer.status_code, code_of(answer)) == (410, "export_link_ended")
    assert opened(second["url"]).status_code == 200
    again = ada.post(path, {"reason": "once more"})
    assert (again.status_code, code_of(again)) == (409, "export_link_revoked")
    event, refused = AuditEvent.objects.filter(action="audit.export.unlink").order_by("pk")
    assert (event.reason, event.before["link"]) == ("sent to the wrong address", first["link"])
    assert (event.outcome, refused.outcome) == ("ok", "refused")
    with pytest.raises(IntegrityError, match="stays revoked"), transaction.atomic():
        AuditExportLink.objects.filter(prefix=first["link"]).update(revoked_at=None)


def test_a_link_opens_one_export_only(ada: Person) -> None:
    first = link_of(ada)
    ada.post("audit/exports", {"format": "csv"})
    run_next_export(clock=timezone.now)
    second = link_of(ada)
    assert opened(first["url"])["Content-Disposition"].endswith('.jsonl"')
    assert opened(second["url"])["Content-Disposition"].endswith('.csv"')
    path = f"{newest()}/links/{first['link']}/revoke"
    assert ada.post(path, {"reason": "x"}).status_code == 404


def test_a_link_waits_for_its_file(ada: Person) -> None:
    ada.post("audit/exports")
    url = link_of(ada)["url"]
    answer = opened(url)
    assert (answer.status_code, code_of(answer)) == (409, "export_not_ready")
    run_next_export(clock=timezone.now)
    assert opened(url).status_code == 200


@pytest.mark.parametrize("name", ["olive", "oscar", "carl"])
def test_only_auditors_make_see_and_revoke_links(cast: Cast, ada: Person, name: str) -> None:
    other, made = Person(cast, name), link_of(ada)
    revoking = f"{newest()}/links/{made['link']}/revoke"
    for answer in (
        other.post(f"{newest()}/links"),
        other.get(f"{newest()}/links"),
        other.post(revoking, {"reason": "mine"}),
    ):
        assert (answer.status_code, code_of(answer)) == (403, "not_allowed")
    assert opened(made["url"]).status_code == 200


@pytest.mark.parametrize("hours", [0, 169, "soon"])
def test_a_link_lives_for_a_week_at_most(ada: Person, hours: Any) -> None:
    answer = ada.post(f"{newest()}/links", {"hours": hours})
    assert (answer.status_code, code_of(answer)) == (400, "invalid_input")
