"""`manage.py audit`: what an auditor and an operator type."""

import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.utils import timezone

from registry.audit.checkpoint import Checkpoint
from registry.audit.signed_notes import Signer
from registry.audit.verify import CHANGED, INCONSISTENT, OK, SIGNATURE, USAGE
from registry.audit.verify.command import check_file
from registry.models import AuditEvent, AuditKey
from registry.services import tokens
from registry.services.audit import latest_checkpoint, seal
from tests.cast import SYSTEM, Cast
from tests.registry.audit_world import NOW, exported, record_many, recorded

STRANGER = str(Signer("stranger", Ed25519PrivateKey.generate()).public)


@pytest.fixture
def acts_as(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Any:
    def act(name: str) -> None:
        made = tokens.issue_personal_token(
            actor=SYSTEM,
            user=cast.user(name),
            scopes=("govern",),
            lifetime=timedelta(days=1),
            now=timezone.now(),
        )
        monkeypatch.setenv("SEAMLESS_TOKEN", made.secret)
        seal(now=NOW)

    return act


def test_the_command_seals_exports_and_verifies(
    acts_as: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_many(3)
    acts_as("ada")
    file = tmp_path / "audit.jsonl"
    checkpoint = tmp_path / "checkpoints" / "checkpoint"
    call_command("audit", "seal")
    call_command("audit", "export", "--output", str(file))
    call_command("audit", "verify", str(file), "--checkpoint", str(checkpoint))
    head = latest_checkpoint()
    assert capsys.readouterr().out.splitlines() == [
        f"sealed up to {head.size} records, root {head.root.hex()}",
        f"{head.size} records, sealed up to {head.size}, in {file}",
        f"ok: records 0 to {head.size - 1} of 'seamless.local/audit' hold",
        f"size {head.size}, root {head.root.hex()}",
        f"continues the checkpoint of {head.size} records",
        f"signed by {'+'.join(AuditKey.objects.get().key.split('+')[:2])};"
        " compare this key with one you trust (--key)",
    ]
    event = AuditEvent.objects.get(action="audit.export")
    assert (event.actor_name, event.source) == ("ada", "cli")
    assert event.after == {
        "format": "jsonl",
        "size": head.size,
        "filter": {},
        "from_seq": 0,
        "earlier": [],
    }


def test_the_command_exports_to_standard_output(acts_as: Any, capfdbinary: Any) -> None:
    record_many(2)
    acts_as("ada")
    call_command("audit", "export", "--from", "1")
    first = capfdbinary.readouterr().out.splitlines()[:2]
    assert first == exported(from_seq=1).splitlines()[:2]


def test_a_bundle_of_selected_records_is_made_with_a_progress_bar(
    acts_as: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(1, action="x.y")
    recorded(2, action="x.z")
    acts_as("ada")
    file = tmp_path / "bundle.zip"
    call_command(
        *("audit", "export", "--format", "bundle", "--action", "x.y", "--actor", "Ada"),
        *("--since", "2026-01-02", "--until", "2026-01-03T00:00:00Z", "--object", "proposal:1"),
        *("--earlier", str(latest_checkpoint().size), "--output", str(file), "--progress"),
    )
    shown = capsys.readouterr()
    assert shown.out.startswith("1 records, sealed up to")
    assert "1/1 records" in shown.err
    assert "verify.py" in zipfile.ZipFile(file).namelist()
    code, text = check_file(file)
    assert (code, text.splitlines()[0]) == (
        OK,
        "ok: 1 selected records of 'seamless.local/audit' hold (others were left out)",
    )


@pytest.mark.parametrize("name", ["olive", "oscar", "stan"])
def test_only_auditors_export(acts_as: Any, tmp_path: Path, name: str) -> None:
    acts_as(name)
    file = tmp_path / "audit.jsonl"
    with pytest.raises(CommandError, match=r"not_allowed: .* needs the role auditor"):
        call_command("audit", "export", "--output", str(file))
    assert list(tmp_path.glob("audit*")) == []
    event = AuditEvent.objects.get(action="audit.export")
    assert (event.actor_name, event.outcome) == (name, "denied")


def test_nobody_exports_without_a_token(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEAMLESS_TOKEN", raising=False)
    for arguments in (
        ["export"],
        ["rotate-key", "--reason", "x"],
        ["erase", "eve", "--reason", "x"],
        ["drop-payloads", "--before", "2020-01-01", "--reason", "x"],
    ):
        with pytest.raises(CommandError, match="Set SEAMLESS_TOKEN"):
            call_command("audit", *arguments)


@pytest.mark.django_db
def test_the_command_passes_the_verifiers_exit_code_through(tmp_path: Path) -> None:
    record_many(3)
    seal(now=NOW)
    good, bad, other = (tmp_path / name for name in ("good", "bad", "other"))
    good.write_bytes(exported())
    bad.write_bytes(exported().replace(b"proposal.approve", b"proposal.approvE", 1))
    other.write_text(Checkpoint(latest_checkpoint().origin, 3, bytes(32)).body())
    key = AuditKey.objects.get().key
    call_command("audit", "verify", str(good), "--key", key)
    for code, arguments in (
        (CHANGED, [str(bad)]),
        (SIGNATURE, [str(good), "--key", STRANGER]),
        (INCONSISTENT, [str(good), "--checkpoint", str(other)]),
        (USAGE, []),
    ):
        with pytest.raises(CommandError) as refusal:
            call_command("audit", "verify", *arguments)
        assert refusal.value.returncode == code


def test_the_command_says_what_it_cannot_do(acts_as: Any, tmp_path: Path) -> None:
    acts_as("ada")
    with pytest.raises(CommandError, match="no_such_checkpoint: no checkpoint has 9999 records"):
        call_command("audit", "export", "--to-size", "9999")
    with pytest.raises(CommandError, match=r"cannot write .*: No such file or directory"):
        call_command("audit", "export", "--output", str(tmp_path / "nowhere" / "file"))
    with pytest.raises(CommandError, match="not a time: 'yesterday'"):
        call_command("audit", "export", "--since", "yesterday")


def test_an_operator_rotates_erases_and_drops(
    acts_as: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded()
    acts_as("oscar")
    call_command("audit", "rotate-key", "--reason", "yearly")
    call_command("audit", "keys")
    call_command("audit", "erase", "Ada", "--reason", "asked by letter")
    call_command("audit", "drop-payloads", "--before", "2020-01-01", "--reason", "policy")
    rotated, first, second, erased, dropped = capsys.readouterr().out.splitlines()
    assert rotated == f"checkpoints are signed with {second} from now on"
    assert [first, second] == list(AuditKey.objects.order_by("pk").values_list("key", flat=True))
    assert erased == "1 records lost their personal fields"
    assert dropped == "0 records lost their payloads"
