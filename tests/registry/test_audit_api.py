"""The audit log over HTTP: found, proven, exported; by auditors and nobody else."""

import hashlib
import json
import zipfile
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pymerkle import InmemoryTree
from pytest_django import DjangoAssertNumQueries, Settings

from registry.actors import Actor
from registry.audit.merkle import verify_consistency, verify_inclusion
from registry.audit.verify import OK, read_key, read_note
from registry.models import AuditEvent, AuditExport
from registry.services.audit import export_jobs, latest_checkpoint, seal
from registry.services.audit.export_jobs import run_next_export
from tests.cast import Cast
from tests.registry.audit_world import NOW, judged, record_many, recorded
from tests.registry.test_governance_api import Person, code_of

SOMEONE = Actor("user", "8", "someone")
READS = [
    "audit/records",
    "audit/records/1",
    "audit/proof/inclusion?event=1",
    "audit/proof/consistency?from=1&to=2",
    "audit/checkpoint",
    "audit/checkpoints",
    "audit/keys",
    "audit/export",
    "audit/exports",
    "audit/exports/1",
    "audit/exports/1/file",
]


@pytest.fixture(autouse=True)
def _exports(settings: Settings, tmp_path: Path) -> None:
    settings.SEAMLESS_EXPORT_DIR = tmp_path / "exports"


@pytest.fixture
def ada(cast: Cast) -> Person:
    """An auditor of a log with a few sealed records and one that waits."""
    record_many(5)
    person = Person(cast, "ada")
    seal(now=NOW)
    recorded(99, action="x.late")
    return person


def body(answer: HttpResponse) -> Any:
    assert answer.status_code == 200, answer.content
    return json.loads(answer.content)


def content(answer: Any) -> bytes:
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content)


def hashes(document: dict[str, Any]) -> tuple[bytes, ...]:
    return tuple(map(bytes.fromhex, document["hashes"]))


# --- who -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("name", ["olive", "oscar", "carl", "stan"])
def test_only_auditors_are_answered(cast: Cast, ada: Person, name: str, path: str) -> None:
    answer = Person(cast, name).get(path)
    assert (answer.status_code, code_of(answer)) == (403, "not_allowed")


@pytest.mark.parametrize("path", READS)
def test_nobody_is_answered_without_a_token_or_with_another_scope(
    cast: Cast, ada: Person, path: str
) -> None:
    assert Client().get(f"/api/v1/{path}").status_code == 401
    assert Person(cast, "ada", ("read",)).get(path).status_code == 403


def test_a_refused_export_is_recorded(cast: Cast, ada: Person) -> None:
    olive = Person(cast, "olive")
    for answer in (olive.get("audit/export"), olive.post("audit/exports")):
        assert answer.status_code == 403
    refused = AuditEvent.objects.filter(action="audit.export").order_by("pk")
    assert [(event.actor_name, event.outcome) for event in refused] == [("olive", "denied")] * 2


# --- searching -----------------------------------------------------------------------------------


def test_records_come_newest_first_and_say_how_far_they_are_sealed(ada: Person) -> None:
    late, newest, *_ = body(ada.get("audit/records"))["records"]
    assert (late["action"], late["state"], late["seq"], late["checkpoint"]) == (
        *("x.late", "recorded", None, None),
    )
    size = latest_checkpoint().size
    assert (newest["state"], newest["seq"], newest["checkpoint"]) == ("sealed", size - 1, size)
    assert late["actor"] == {"kind": "user", "id": "7", "name": "Ada", "roles": []}
    assert late["object"] == {"type": "proposal", "id": "99"}


def test_pages_hold_every_record_once_in_few_queries(
    ada: Person, django_assert_max_num_queries: Any
) -> None:
    seen: list[int] = []
    path = "audit/records?limit=4"
    ada.get(path)  # the registry's snapshot is loaded once
    while path:
        with django_assert_max_num_queries(8):  # token, role, one page
            page = body(ada.get(path))
        seen += [record["id"] for record in page["records"]]
        path = (page["next"] or "").removeprefix("/api/v1/")
    ids = list(AuditEvent.objects.order_by("-pk").values_list("pk", flat=True))
    assert seen == ids


def test_a_cursor_carries_its_filter(ada: Person) -> None:
    page = body(ada.get("audit/records?action=proposal.approve&limit=2"))
    later = body(ada.get(page["next"].removeprefix("/api/v1/")))
    shown = [record["object"]["id"] for record in [*page["records"], *later["records"]]]
    assert shown == ["4", "3", "2", "1"]
    assert code_of(ada.get(f"{page['next'].removeprefix('/api/v1/')}&action=x")) == "invalid_input"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("actor=Ada&action=x.late", 1),
        ("object=proposal:3", 1),
        ("object=proposal", 7),
        ("object=user:stan", 1),
        ("outcome=denied", 0),
        ("request_id=r1", 6),
        ("correlation_id=c1&action=proposal.approve", 5),
        ("consumer=pricing", 1),
        ("since=2026-01-02T00:00:00Z&until=2026-01-03T00:00:00Z", 6),
        ("until=2026-01-02T00:00:00Z", 0),
    ],
)
def test_records_are_selected(ada: Person, query: str, found: int) -> None:
    later = NOW + timedelta(days=9)
    recorded(1, action="x.y", after={"consumer": "pricing"}, now=later, actor=SOMEONE)
    assert len(body(ada.get(f"audit/records?{query}"))["records"]) == found


@pytest.mark.parametrize(
    "query",
    [
        "records?limit=0",
        "records?limit=501",
        "records?limit=x",
        "records?sort=up",
        "records?actor=a&actor=b",
        "records?since=yesterday",
        "records?outcome=fine",
        "records?cursor=nonsense",
        "records?cursor=",
        "records/1?size=0",
        "records/1?depth=1",
        "proof/inclusion",
        "proof/inclusion?event=x",
        "proof/consistency?from=1",
        "proof/consistency?from=3&to=2",
        "proof/consistency?from=-1&to=2",
        "checkpoints?before=0",
        "export?format=xlsx",
        "export?earlier=a",
        "export?from=2",
    ],
)
def test_what_is_asked_wrongly_is_told(ada: Person, query: str) -> None:
    answer = ada.get(f"audit/{query}")
    assert (answer.status_code, code_of(answer)) == (400, "invalid_input")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("records/999999", "not_found"),
        (f"records/{10**30}", "not_found"),
        ("proof/inclusion?event=999999", "not_found"),
        ("proof/consistency?from=1&to=999999", "no_such_checkpoint"),
        ("exports/7", "not_found"),
        ("exports/7/file", "not_found"),
        ("export?to_size=999999", "no_such_checkpoint"),
        ("export?earlier=999999", "no_such_checkpoint"),
    ],
)
def test_what_is_not_there_is_told(ada: Person, path: str, code: str) -> None:
    answer = ada.get(f"audit/{path}")
    assert (answer.status_code, code_of(answer)) == (404, code)


# --- proofs --------------------------------------------------------------------------------------


def test_a_record_comes_with_the_bytes_that_were_hashed_and_its_proof(ada: Person) -> None:
    event = AuditEvent.objects.get(action="proposal.approve", object_id="3")
    record = body(ada.get(f"audit/records/{event.pk}"))
    hashed, proof = record["hashed"], record["proof"]
    leaf = hashlib.sha256(b"\0" + bytes([hashed["format"]]) + hashed["payload"].encode()).digest()
    assert leaf.hex() == hashed["leaf"]
    root = bytes.fromhex(proof["root"])
    assert verify_inclusion(leaf, record["seq"], proof["size"], hashes(proof), root)
    # pymerkle builds its tree from the same bytes, by code of its own
    tree = InmemoryTree(algorithm="sha256")
    payloads = AuditEvent.objects.filter(sealed__isnull=False).order_by("sealed__seq")
    for text in payloads.values_list("payload__text", flat=True):
        tree.append_entry(bytes([hashed["format"]]) + text.encode())
    assert tree.get_root() == root
    assert tuple(tree.prove_inclusion(record["seq"] + 1).path[1:]) == hashes(proof)
    (key,) = body(ada.get("audit/keys"))["keys"]
    note = read_note(proof["checkpoint"])
    assert note.signed_by(read_key(key))
    assert (note.head.size, note.head.root) == (proof["size"], root)
    same = body(ada.get(f"audit/proof/inclusion?event={event.pk}&size={proof['size']}"))
    assert same == {"proof": proof}


def test_a_record_that_waits_has_no_proof_yet(ada: Person) -> None:
    event = AuditEvent.objects.get(action="x.late")
    record = body(ada.get(f"audit/records/{event.pk}"))
    assert (record["state"], record["proof"]) == ("recorded", None)
    assert body(ada.get(f"audit/proof/inclusion?event={event.pk}")) == {"proof": None}


def test_a_proof_is_made_for_any_size_that_holds_the_record(ada: Person) -> None:
    first = AuditEvent.objects.order_by("pk").first()
    assert first is not None
    size = latest_checkpoint().size
    for of in range(1, size + 1):
        proof = body(ada.get(f"audit/proof/inclusion?event={first.pk}&size={of}"))["proof"]
        root = bytes.fromhex(proof["root"])
        assert verify_inclusion(bytes(first.leaf), 0, of, hashes(proof), root)
        assert (proof["checkpoint"] is not None) == (of == size)
    last = AuditEvent.objects.get(object_id="4", action="proposal.approve")
    answer = ada.get(f"audit/records/{last.pk}?size=1")
    assert (answer.status_code, code_of(answer)) == (404, "no_such_checkpoint")


def test_two_sizes_are_proven_consistent(ada: Person) -> None:
    size = latest_checkpoint().size
    for old in range(size + 1):
        proof = body(ada.get(f"audit/proof/consistency?from={old}&to={size}"))
        old_root, root = (bytes.fromhex(proof[end]["root"]) for end in ("from", "to"))
        assert verify_consistency(old, old_root, size, root, hashes(proof))


def test_checkpoints_are_listed_and_the_last_one_is_a_signed_note(ada: Person) -> None:
    record_many(2)
    seal(now=NOW)
    page = body(ada.get("audit/checkpoints?limit=1"))
    (last,) = page["checkpoints"]
    (before,) = body(ada.get(page["next"].removeprefix("/api/v1/")))["checkpoints"]
    assert (last["size"], last["previous_size"]) == (latest_checkpoint().size, before["size"])
    answer = ada.get("audit/checkpoint")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content.decode() == last["note"]


def test_before_the_first_sealing_there_is_no_checkpoint(cast: Cast) -> None:
    person = Person(cast, "ada")
    assert code_of(person.get("audit/checkpoint")) == "no_such_checkpoint"
    assert body(person.get("audit/checkpoints")) == {"checkpoints": [], "next": None}


# --- exports -------------------------------------------------------------------------------------


def test_an_export_is_streamed_and_recorded_first(ada: Person) -> None:
    answer = ada.get("audit/export?action=proposal.approve&earlier=1,2")
    assert answer["Content-Disposition"].startswith('attachment; filename="audit-')
    report = judged(content(answer))
    assert (report.code, report.rows, report.complete) == (OK, 5, False)
    event = AuditEvent.objects.get(action="audit.export")
    assert (event.actor_name, event.after) == (
        "ada",
        {
            "format": "jsonl",
            "size": latest_checkpoint().size,
            "filter": {"action": "proposal.approve"},
            "from_seq": 0,
            "earlier": [1, 2],
        },
    )


@pytest.mark.parametrize(
    ("format", "type_"),
    [
        ("jsonl", "application/x-ndjson"),
        ("bundle", "application/zip"),
        ("csv", "text/csv; charset=utf-8; header=present"),
        ("parquet", "application/vnd.apache.parquet"),
        ("ocsf", "application/x-ndjson"),
    ],
)
def test_every_format_is_streamed_whatever_accept_says(
    ada: Person, format: str, type_: str
) -> None:
    ada.headers["Accept"] = "text/csv"
    answer = ada.get(f"audit/export?format={format}")
    assert answer["Content-Type"] == type_
    assert len(content(answer)) > 500


def test_a_long_export_is_a_job(ada: Person, settings: Settings) -> None:
    settings.SEAMLESS_EXPORT_STREAM_RECORDS = 3
    answer = ada.get("audit/export")
    assert (answer.status_code, code_of(answer)) == (413, "export_too_large")
    assert json.loads(answer.content)["limit"] == 3
    assert len(content(ada.get("audit/export?object=proposal:1"))) > 500
    answer = ada.post("audit/exports", {"format": "bundle", "filter": {"actor": "Ada"}})
    assert (answer.status_code, answer["Location"]) == (202, answer.json()["link"])
    queued = answer.json()
    assert (queued["state"], queued["progress"]) == (
        "queued",
        {"done": 0, "total": 5, "percent": 0},
    )
    path = queued["link"].removeprefix("/api/v1/")
    assert code_of(ada.get(f"{path}/file")) == "export_not_ready"
    run_next_export(clock=timezone.now)
    done = body(ada.get(path))
    assert (done["state"], done["progress"]["percent"], done["error"]) == ("done", 100, "")
    file = ada.get(done["file"].removeprefix("/api/v1/"))
    data = content(file)
    assert hashlib.sha256(data).hexdigest() == done["sha256"]
    assert len(data) == done["bytes"] == int(file["Content-Length"])
    assert file["Content-Digest"].startswith("sha-256=:")
    assert "verify.py" in zipfile.ZipFile(BytesIO(data)).namelist()
    assert body(ada.get("audit/exports"))["exports"] == [done]


def test_a_link_expires_and_every_download_is_recorded(ada: Person) -> None:
    export_id = ada.post("audit/exports").json()["id"]
    run_next_export(clock=timezone.now)
    file = export_jobs.file_of(AuditExport.objects.get())
    assert content(ada.get(f"audit/exports/{export_id}/file"))
    assert file.exists()
    AuditExport.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for _ in range(2):  # past its time, whether or not it is deleted yet
        answer = ada.get(f"audit/exports/{export_id}/file")
        assert (answer.status_code, code_of(answer)) == (410, "export_expired")
        export_jobs.expire_exports(now=timezone.now())
    assert not file.exists()
    downloads = AuditEvent.objects.filter(action="audit.export.download").order_by("pk")
    assert [event.outcome for event in downloads] == ["ok", "refused", "refused"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": "xlsx"},
        {"filter": {"who": "Ada"}},
        {"filter": []},
        {"earlier": "4"},
        {"from_seq": -1},
        {"upto": 3},
        [],
    ],
)
def test_a_job_that_is_asked_for_wrongly_is_told(ada: Person, wrong: Any) -> None:
    answer = ada.post("audit/exports", json.dumps(wrong).encode())
    assert (answer.status_code, code_of(answer)) == (400, "invalid_input")
    assert not AuditExport.objects.exists()


# --- recorded, sealed ----------------------------------------------------------------------------


def test_an_answer_says_recorded_or_sealed_where_it_was_waited_for(
    cast: Cast, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    olive = Person(cast, "olive")
    subject = {"name": "market.a", "owner_team": "market-data"}
    answer = olive.post("subjects", subject)
    event = AuditEvent.objects.latest("pk")
    assert answer["Seamless-Audit"] == f"recorded; record={event.pk}"
    assert "Preference-Applied" not in answer
    olive.headers["Prefer"] = "respond-async, wait=2"
    answer = olive.post("subjects", {**subject, "name": "market.b"})
    event = AuditEvent.objects.latest("pk")
    size = latest_checkpoint().size
    assert answer["Seamless-Audit"] == f"sealed; checkpoint={size}; record={event.pk}"
    assert (answer["Preference-Applied"], event.sealed.seq < size) == ("wait", True)
    refused = olive.post("subjects", {**subject, "name": "market.b"})
    assert refused.status_code >= 400
    assert refused["Seamless-Audit"].startswith("sealed; checkpoint=")
    assert "Seamless-Audit" not in olive.get("subjects")


def test_a_sealer_that_cannot_seal_costs_no_waiting(cast: Cast, settings: Settings) -> None:
    settings.SEAMLESS_AUDIT_KEY = "nonsense"
    olive = Person(cast, "olive")
    olive.headers["Prefer"] = "wait=60"
    answer = olive.post("subjects", {"name": "market.a", "owner_team": "market-data"})
    assert (answer.status_code, answer["Seamless-Audit"][:9]) == (201, "recorded;")
