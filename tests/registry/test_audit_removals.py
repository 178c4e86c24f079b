"""Erasure and retention: fields go, leaves and proofs stay, and nothing is taken out unsaid."""

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from registry.actors import Actor
from registry.audit.removal import runs
from registry.audit.verify import CHANGED, OK
from registry.errors import InvalidInput, NotAllowed
from registry.models import AuditEvent, AuditLeaf, AuditPayload, AuditPersonal
from registry.services.audit import removing, seal
from registry.services.audit.removing import drop_payloads, erase_person
from tests.cast import Cast
from tests.registry.audit_world import NOW, exported, judged, recorded

EVE = Actor("user", "77", "eve", source="192.0.2.7")
LATER = NOW + timedelta(days=400)


def written_by_eve(count: int = 3) -> None:
    for number in range(count):
        recorded(number, actor=EVE)
        recorded(number)
    recorded(object_type="user", object_id="eve", action="person.create")
    seal(now=NOW)


def erase(actor: Actor, username: str = "eve") -> int:
    return erase_person(actor=actor, username=username, now=NOW, reason="asked for by letter")


def drop(actor: Actor, **changes: Any) -> int:
    given = {"before": NOW + timedelta(seconds=1), "now": LATER, "reason": "past seven years"}
    return drop_payloads(actor=actor, **{**given, **changes})


def test_an_erased_person_is_nowhere_in_the_log_and_the_log_still_holds(cast: Cast) -> None:
    written_by_eve()
    assert b"eve" in exported()
    assert erase(cast.oscar) == 4
    data = exported()
    for text in (b'"eve"', b"192.0.2.7", b'\\"eve\\"'):
        assert text not in data
    report = judged(data)
    assert (report.code, report.erased, report.dropped) == (OK, 4, 0)
    assert "Ada" in {event.actor_name for event in AuditEvent.objects.all()}
    assert erase(cast.oscar) == 0


def test_an_erasure_names_the_records_it_emptied_and_not_the_person(cast: Cast) -> None:
    written_by_eve(2)
    first = AuditLeaf.objects.get(
        event__action="proposal.approve", event__personal__actor_name="eve", event__object_id="0"
    ).seq
    erase(cast.oscar)
    event = AuditEvent.objects.get(action="audit.erase_person")
    assert (event.actor_name, event.reason) == ("oscar", "asked for by letter")
    assert event.after == {"count": 3, "records": f"{first},{first + 2},{first + 4}"}
    assert "eve" not in event.payload_canonical + event.personal.text


@pytest.mark.parametrize("model", [AuditPersonal, AuditPayload])
def test_what_is_taken_out_without_a_record_of_it_is_found(cast: Cast, model: Any) -> None:
    written_by_eve()
    erase(cast.oscar)
    victim = AuditLeaf.objects.filter(event__action="team.create").latest("pk").seq
    model.objects.filter(event__sealed__seq=victim).delete()
    finding = judged(exported()).findings[0]
    assert (finding.code, finding.seq) == (CHANGED, victim)


def test_retention_drops_payloads_and_never_leaves(cast: Cast) -> None:
    written_by_eve()
    size = AuditLeaf.objects.count()
    old = AuditLeaf.objects.filter(event__at__lte=NOW)
    first, last = old.earliest("pk").seq, old.latest("pk").seq
    count = old.count()
    assert drop(cast.oscar) == count
    report = judged(exported())
    assert (report.code, report.dropped, report.erased) == (OK, count, 0)
    assert AuditLeaf.objects.count() == AuditEvent.objects.count() == size + 1
    assert AuditEvent.objects.get(action="audit.drop_payloads").after == {
        "before": "2026-01-02T03:04:06.000006Z",
        "count": count,
        "records": f"{first}-{last}",
    }


def test_records_that_explain_the_log_are_kept(cast: Cast) -> None:
    written_by_eve()
    erase(cast.oscar)
    drop(cast.oscar, before=LATER - timedelta(days=366))
    assert judged(exported()).code == OK
    kept = AuditPayload.objects.filter(event__at__lte=NOW).values_list("event__action", flat=True)
    assert set(kept) == {"audit.erase_person"}


def test_many_records_are_emptied_in_portions_each_with_its_record(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "REMOVAL_LIMIT", 3)
    monkeypatch.setattr(removing, "_BATCH", 2)
    written_by_eve(6)
    assert erase(cast.oscar) == 7
    events = AuditEvent.objects.filter(action="audit.erase_person").order_by("pk")
    assert [event.after["count"] for event in events] == [3, 3, 1]
    assert judged(exported()).code == OK


def test_young_payloads_stay(cast: Cast, settings: Settings) -> None:
    written_by_eve()
    settings.SEAMLESS_AUDIT_KEEP_DAYS = 401
    with pytest.raises(InvalidInput, match="kept for 401 days"):
        drop(cast.oscar)
    assert AuditEvent.objects.latest("pk").outcome == "refused"
    assert not AuditEvent.objects.filter(payload=None).exists()


@pytest.mark.parametrize("name", ["ada", "olive", "stan"])
@pytest.mark.parametrize("remove", [erase, drop])
def test_only_operators_remove(cast: Cast, name: str, remove: Any) -> None:
    written_by_eve()
    with pytest.raises(NotAllowed, match="operator"):
        remove(getattr(cast, name))
    assert AuditEvent.objects.latest("pk").outcome == "denied"
    assert AuditPersonal.objects.count() == AuditEvent.objects.count()


@pytest.mark.parametrize(
    ("seqs", "text"),
    [([], ""), ([4], "4"), ([0, 1, 2], "0-2"), ([0, 2, 3, 9], "0,2-3,9")],
)
def test_numbers_are_written_as_runs(seqs: list[int], text: str) -> None:
    assert runs(seqs) == text
