"""Keys that sign the log: made once, rotated by a record, verifiable across it."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import DatabaseError
from pytest_django import Settings

from registry.actors import Actor
from registry.audit.signed_notes import Signer
from registry.audit.verify import OK, SIGNATURE, Demands, Report, read_key, read_note, verify_export
from registry.errors import InvalidInput, NotAllowed
from registry.models import AuditCheckpoint, AuditEvent, AuditKey, AuditPending
from registry.services.audit import AuditKeyUnavailable, latest_checkpoint, seal, sealing
from registry.services.audit.rotating import RotationPending, rotate_key
from registry.services.audit.signing import key_file, next_key_file
from tests.cast import Cast
from tests.registry.audit_world import NOW, exported, record_many, recorded

BY_ENV = [base64.b64encode(bytes([number] * 32)).decode() for number in (1, 2, 3)]


@pytest.fixture(autouse=True)
def _own_key(settings: Settings, tmp_path: Path) -> None:
    settings.SEAMLESS_AUDIT_KEY_FILE = str(tmp_path / "key.pem")


def rotate(actor: Actor, reason: str = "yearly") -> str:
    return str(rotate_key(actor=actor, now=NOW, reason=reason))


def judged(*trusted: str, notes: tuple[str, ...] = ()) -> Report:
    keys = tuple(read_key(key) for key in trusted)
    earlier = tuple(read_note(note) for note in notes)
    return verify_export(exported().splitlines(keepends=True), Demands(earlier, keys))


def stored_keys() -> list[str]:
    return list(AuditKey.objects.order_by("pk").values_list("key", flat=True))


@pytest.mark.django_db
def test_the_first_sealing_makes_a_key_for_this_account_alone_and_warns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorded()
    seal(now=NOW)
    assert key_file().stat().st_mode & 0o777 == 0o600
    (warning,) = [entry for entry in caplog.records if entry.levelname == "WARNING"]
    assert "audit_key_made" in str(warning.msg)
    assert "PRIVATE" not in str(warning.msg)
    before = key_file().read_bytes()
    recorded()
    seal(now=NOW)
    assert key_file().read_bytes() == before


@pytest.mark.django_db
def test_a_named_file_that_is_missing_is_not_made(settings: Settings) -> None:
    settings.SEAMLESS_AUDIT_KEY_GENERATE = False
    recorded()
    with pytest.raises(AuditKeyUnavailable, match="cannot be read"):
        seal(now=NOW)
    assert AuditPending.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["nonsense", base64.b64encode(b"short").decode()])
def test_what_is_no_key_is_refused_without_showing_it(settings: Settings, text: str) -> None:
    settings.SEAMLESS_AUDIT_KEY = text
    recorded()
    with pytest.raises(AuditKeyUnavailable, match="holds no Ed25519") as refusal:
        seal(now=NOW)
    assert text not in refusal.value.detail


@pytest.mark.django_db
def test_another_key_than_the_logs_signs_nothing(settings: Settings) -> None:
    recorded()
    seal(now=NOW)
    settings.SEAMLESS_AUDIT_KEY = BY_ENV[0]
    recorded()
    with pytest.raises(AuditKeyUnavailable, match="the log is signed with"):
        seal(now=NOW)
    assert AuditPending.objects.count() == 1


@pytest.mark.parametrize("source", ["file", "environment"])
def test_a_log_holds_across_rotations_from_each_of_its_keys(
    cast: Cast, settings: Settings, source: str
) -> None:
    if source == "environment":
        settings.SEAMLESS_AUDIT_KEY = BY_ENV[0]
    record_many(2)
    seal(now=NOW)
    for number in (1, 2):
        if source == "environment":
            settings.SEAMLESS_AUDIT_NEXT_KEY = BY_ENV[number]
        assert rotate(cast.oscar) == stored_keys()[-1]
        if source == "environment":  # the operator's last step, whenever they get to it
            settings.SEAMLESS_AUDIT_KEY, settings.SEAMLESS_AUDIT_NEXT_KEY = BY_ENV[number], ""
        record_many(2)
        seal(now=NOW)
    keys = stored_keys()
    assert len(set(keys)) == 3
    notes = tuple(AuditCheckpoint.objects.values_list("note", flat=True))
    for key in keys:
        report = judged(key, notes=notes)
        assert (report.code, str(report.signer), report.anchored) == (OK, keys[-1], True)
    stranger = Signer("seamless.local/audit", Ed25519PrivateKey.generate())
    assert judged(str(stranger.public)).code == SIGNATURE
    assert not next_key_file().exists()


def test_a_rotation_is_a_record_signed_by_the_key_before(cast: Cast) -> None:
    recorded()
    seal(now=NOW)
    rotate(cast.oscar, "the old one left the house")
    event = AuditEvent.objects.get(action="audit.rotate_key")
    assert (event.actor_name, event.reason) == ("oscar", "the old one left the house")
    assert [event.after["old_key"], event.after["new_key"]] == stored_keys()
    assert "PRIVATE" not in json.dumps(event.stated)


def test_portions_before_the_rotation_are_still_signed_with_the_old_key(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_many(3)
    with monkeypatch.context() as patch:
        patch.setattr("registry.services.audit.rotating.seal_all", lambda now: None)
        rotate(cast.oscar)
    with pytest.raises(RotationPending):
        rotate(cast.oscar)
    while seal(now=NOW, limit=2):
        pass
    old, new = map(read_key, stored_keys())
    place = AuditEvent.objects.get(action="audit.rotate_key", outcome="ok").sealed.seq
    notes = {c.size: read_note(c.note) for c in AuditCheckpoint.objects.all()}
    assert len(notes) > 2
    for size, note in notes.items():
        assert note.signed_by(new if size > place else old), size
    assert judged(stored_keys()[0]).code == OK


def test_a_sealing_that_breaks_on_the_rotation_keeps_the_old_key(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_many(1)
    seal(now=NOW)
    before = key_file().read_bytes()

    def broken(**values: Any) -> None:
        raise DatabaseError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(AuditCheckpoint.objects, "create", broken)
        with pytest.raises(DatabaseError):
            rotate(cast.oscar)
    assert key_file().read_bytes() == before
    seal(now=NOW)
    assert key_file().read_bytes() != before
    assert judged(*stored_keys()[:1]).code == OK


def test_a_key_is_never_used_twice(cast: Cast, settings: Settings) -> None:
    settings.SEAMLESS_AUDIT_KEY, settings.SEAMLESS_AUDIT_NEXT_KEY = BY_ENV[:2]
    recorded()
    rotate(cast.oscar)
    settings.SEAMLESS_AUDIT_KEY, settings.SEAMLESS_AUDIT_NEXT_KEY = BY_ENV[1], BY_ENV[0]
    with pytest.raises(InvalidInput, match="needs a new key"):
        rotate(cast.oscar)
    settings.SEAMLESS_AUDIT_NEXT_KEY = ""
    with pytest.raises(AuditKeyUnavailable, match="SEAMLESS_AUDIT_NEXT_KEY"):
        rotate(cast.oscar)


@pytest.mark.parametrize("name", ["ada", "olive", "stan"])
def test_only_operators_rotate(cast: Cast, name: str) -> None:
    recorded()
    seal(now=NOW)
    with pytest.raises(NotAllowed, match="operator"):
        rotate(getattr(cast, name))
    assert AuditEvent.objects.latest("pk").outcome == "denied"
    assert not next_key_file().exists()
    assert len(stored_keys()) == 1


def test_a_rotation_waits_for_a_sealing_that_runs(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = sealing.take_sealer_lock

    def noted(*, wait: bool = False) -> bool:
        asked.append(wait)
        return real(wait=wait)

    monkeypatch.setattr("registry.services.audit.rotating.take_sealer_lock", noted)
    rotate(cast.oscar)
    assert asked == [True]
    assert latest_checkpoint().size == AuditEvent.objects.count()
