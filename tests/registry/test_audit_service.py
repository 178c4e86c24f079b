"""Recording, sealing and exporting the audit log on a real database."""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Signal
from typing import Any

import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    ProgrammingError,
    connection,
    transaction,
)
from django.db.transaction import TransactionManagementError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase as HypothesisTestCase
from pytest_django import DjangoAssertNumQueries, Settings
from structlog.contextvars import bound_contextvars

from registry.actors import Actor
from registry.audit.checkpoint import Checkpoint
from registry.audit.events import commitment, leaf_hash
from registry.audit.merkle import (
    Edge,
    consistency_proof,
    extend,
    inclusion_proof,
    verify_consistency,
    verify_inclusion,
)
from registry.audit.verify import (
    CHANGED,
    MISSING,
    OK,
    read_key,
    read_note,
    verify_export,
)
from registry.models import (
    AuditCheckpoint,
    AuditEvent,
    AuditKey,
    AuditLeaf,
    AuditNode,
    AuditPayload,
    AuditPending,
    AuditPersonal,
    Membership,
)
from registry.services.audit import (
    AuditLogForked,
    CheckpointsUnavailable,
    exporting,
    latest_checkpoint,
    publishing,
    record,
    seal,
    sealing,
)
from registry.services.audit.exporting import NoSuchCheckpoint
from registry.triggers import remove_triggers
from tests.cast import Cast
from tests.databases import CommittedDatabase, as_owner
from tests.registry.audit_world import (
    NOW,
    OWNER,
    PROGRAM,
    exported,
    record_many,
    recorded,
    verified,
)

on_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="one writer only")


@pytest.fixture(autouse=True)
def checkpoints(settings: Settings, tmp_path: Path) -> Path:
    settings.SEAMLESS_CHECKPOINT_DIR = tmp_path / "checkpoints"
    return tmp_path / "checkpoints"


def published(folder: Path) -> Checkpoint:
    return Checkpoint.parse((folder / "checkpoint").read_text())


def stored_node(level: int, idx: int) -> bytes:
    if level == 0:
        return bytes(AuditLeaf.objects.get(seq=idx).leaf)
    return bytes(AuditNode.objects.get(level=level, idx=idx).hash)


@contextmanager
def as_the_database_owner() -> Iterator[None]:
    """Without triggers: what somebody can do who may do anything in the database."""
    with as_owner():
        remove_triggers(sender=None, using="default", plan=["something"])
        yield


# --- recording ---------------------------------------------------------------------------------


def test_a_record_outside_a_transaction_is_a_programming_error(
    committed_db: CommittedDatabase,
) -> None:
    with pytest.raises(TransactionManagementError, match="outside a transaction"):
        record(actor=OWNER, action="x.y", object_type="x", object_id="1", now=NOW)
    assert not AuditEvent.objects.exists()


def test_a_record_shares_the_fate_of_its_action(committed_db: CommittedDatabase) -> None:
    with transaction.atomic():
        recorded()
        transaction.set_rollback(True)
    assert not AuditEvent.objects.exists()
    assert not AuditPending.objects.exists()


@pytest.mark.django_db
def test_a_record_is_inserts_alone(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """On PostgreSQL in one statement: what a record costs there is the way to the server.

    On SQLite the fifth settles the safety net (`registry.safety_net`).
    """
    statements = 1 if connection.vendor == "postgresql" else 5
    with transaction.atomic(), django_assert_num_queries(statements) as captured:
        record(actor=PROGRAM, action="x.y", object_type="x", object_id="1", now=NOW)
    settling = 'DELETE FROM "registry_unrecordedchange"'
    appending = ("INSERT", "WITH event AS (INSERT", settling)
    assert all(query["sql"].startswith(appending) for query in captured)


@pytest.mark.django_db
def test_what_a_task_does_for_a_request_carries_its_ids() -> None:
    given = Actor.system("reconciler")
    named = Actor("user", "7", "olive", request_id="own", correlation_id="own-too")
    with bound_contextvars(request_id="r-1", correlation_id="c-1"), transaction.atomic():
        record(actor=given, action="x.y", object_type="x", object_id="1", now=NOW)
        record(actor=named, action="x.y", object_type="x", object_id="2", now=NOW)
    ids = AuditEvent.objects.order_by("pk").values_list("request_id", "correlation_id")
    assert list(ids) == [("r-1", "c-1"), ("own", "own-too")]


@pytest.mark.django_db
def test_a_person_acts_with_the_roles_of_the_moment(cast: Cast) -> None:
    ada = cast.ada
    held = list(Membership.objects.filter(user_id=ada.id).values_list("role", "team__name"))
    event = recorded(actor=ada)
    assert held
    assert event.actor_roles == sorted(f"{role}:{team}" for role, team in held)
    assert json.loads(event.payload_canonical)["actor"]["roles"] == event.actor_roles


def stored(pk: int) -> AuditEvent:
    return AuditEvent.objects.select_related("personal", "payload").get(pk=pk)


@pytest.mark.django_db
def test_the_columns_repeat_the_payload_and_the_personal_fields() -> None:
    made = recorded(12, before={"a": 1}, after=["b"], reason="because", outcome="refused")
    event = stored(made.pk)
    assert json.loads(event.payload_canonical) == {
        "at": "2026-01-02T03:04:05.000006Z",
        "actor": {"kind": event.actor_kind, "roles": event.actor_roles},
        "action": event.action,
        "object": {"type": event.object_type, "id": event.object_id},
        "outcome": event.outcome,
        "reason": event.reason,
        "before": event.before,
        "after": event.after,
        "request_id": event.request_id,
        "correlation_id": event.correlation_id,
        "personal": commitment(event.personal.text.encode()),
    }
    personal = json.loads(event.personal.text)
    assert personal["actor"] == {"id": event.actor_id, "name": event.actor_name}
    assert (personal["source"], len(bytes.fromhex(personal["salt"]))) == (event.source, 16)
    assert (event.at, event.object_id, event.before) == (NOW, "12", {"a": 1})
    assert bytes(event.leaf) == leaf_hash(event.payload_canonical.encode())
    assert (made.actor_name, made.reason) == (event.actor_name, event.reason)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "consumer"),
    [
        ({}, ""),
        ({"actor": PROGRAM}, "pricing"),
        ({"object_type": "consumer", "object_id": "risk"}, "risk"),
        ({"after": {"consumer": "risk"}}, "risk"),
        ({"before": {"consumer": "risk"}, "after": ["x"]}, "risk"),
        ({"after": {"consumer": 7}}, ""),
    ],
)
def test_a_record_names_the_consumer_it_is_about(changes: dict[str, Any], consumer: str) -> None:
    assert stored(recorded(**{"object_id": "1", **changes}).pk).consumer == consumer


@pytest.mark.django_db
def test_no_personal_field_is_hashed_but_as_a_salted_commitment() -> None:
    one, other = (recorded(object_type="user", object_id="ada.l") for _ in range(2))
    for text in ("Ada", "ada.l", OWNER.source):
        assert text not in one.payload_canonical
    assert (one.object_id, one.object_name) == ("", "ada.l")
    stated = [json.loads(event.payload_canonical)["personal"] for event in (one, other)]
    assert stated[0] != stated[1]


class AnyText(HypothesisTestCase):
    @given(st.text(), st.text())
    def test_whatever_text_was_sent_is_recorded_and_read_back_the_same(
        self, text: str, key: str
    ) -> None:
        event = stored(recorded(object_id=text, reason=text, after={key: text}).pk)
        payload = json.loads(event.payload_canonical)
        assert (event.object_id, event.reason) == (payload["object"]["id"], payload["reason"])
        assert event.after == payload["after"]
        assert bytes(event.leaf) == leaf_hash(event.payload_canonical.encode())


@pytest.mark.django_db
@pytest.mark.parametrize("model", [AuditEvent, AuditLeaf, AuditNode, AuditCheckpoint, AuditKey])
@pytest.mark.parametrize("statement", ['DELETE FROM "{}"', 'UPDATE "{}" SET "{}" = 7'])
def test_no_audit_table_can_be_changed(model: Any, statement: str) -> None:
    record_many(2)
    seal(now=NOW)
    table, column = model._meta.db_table, model._meta.pk_fields[0].column
    with (
        as_owner(),
        pytest.raises(IntegrityError, match=f"seamless: {table} (is append-only|is never|never)"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(table, column))


AUDIT_TABLES = (
    *(AuditEvent, AuditLeaf, AuditNode, AuditCheckpoint, AuditKey),
    *(AuditPersonal, AuditPayload, AuditPending),
)


@on_postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("model", AUDIT_TABLES)
@pytest.mark.parametrize("statement", ['TRUNCATE "{}" CASCADE', 'UPDATE "{}" SET "{}" = 7'])
def test_the_application_has_no_right_to_change_an_audit_table(model: Any, statement: str) -> None:
    """Before any trigger: what the application cannot ask for, no mistake of ours can."""
    table, column = model._meta.db_table, model._meta.pk_fields[0].column
    with (
        pytest.raises(ProgrammingError, match=f"permission denied for table {table}"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(table, column))


@on_postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("model", AUDIT_TABLES)
def test_truncate_and_a_replica_session_do_not_get_past_the_triggers(model: Any) -> None:
    """Even as a superuser, who alone may set session_replication_role."""
    record_many(2)
    if model is not AuditPending:
        seal(now=NOW)
    table = model._meta.db_table
    leaves = model in (AuditPersonal, AuditPayload)  # whole, once it is sealed
    change = f'UPDATE "{table}" SET text = text' if leaves else f'DELETE FROM "{table}"'
    for statement in (f'TRUNCATE "{table}" CASCADE', change):
        with as_owner(), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET LOCAL session_replication_role = replica")
            with (
                pytest.raises(IntegrityError, match="seamless: registry_audit"),
                transaction.atomic(),
            ):
                cursor.execute(statement)


@pytest.mark.django_db
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite's own trap")
@pytest.mark.parametrize("model", AUDIT_TABLES)
def test_replace_does_not_get_past_the_triggers(model: Any) -> None:
    record_many(2)
    if model is not AuditPending:
        seal(now=NOW)
    table = model._meta.db_table
    with (
        pytest.raises(IntegrityError, match=f"seamless: {table}"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f'REPLACE INTO "{table}" SELECT * FROM "{table}"')


@pytest.mark.django_db
@pytest.mark.parametrize("model", [AuditPersonal, AuditPayload])
def test_what_may_leave_the_log_leaves_whole_and_only_once_sealed(model: Any) -> None:
    event = recorded()
    with (
        as_owner(),
        pytest.raises(IntegrityError, match="stays whole until it is sealed"),
        transaction.atomic(),
    ):
        model.objects.all().delete()
    seal(now=NOW)
    for text in ("forged", ""):
        with (
            as_owner(),
            pytest.raises(IntegrityError, match="never changes a row"),
            transaction.atomic(),
        ):
            model.objects.filter(pk=event.pk).update(text=text)
    assert model.objects.filter(pk=event.pk).delete()[0] == 1


@pytest.mark.django_db
def test_an_event_stays_pending_until_it_is_sealed() -> None:
    event = recorded()
    with pytest.raises(IntegrityError, match="stays pending until"), transaction.atomic():
        AuditPending.objects.all().delete()
    with (
        as_owner(),
        pytest.raises(IntegrityError, match="never changes a row"),
        transaction.atomic(),
    ):
        AuditPending.objects.update(event_id=event.id)
    seal(now=NOW)
    assert not AuditPending.objects.exists()


# --- sealing -----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_sealing_numbers_events_in_order_without_holes(checkpoints: Path) -> None:
    events = record_many(7)
    head = seal(now=NOW)
    leaves = list(AuditLeaf.objects.order_by("seq").values_list("seq", "event_id"))
    assert leaves == list(enumerate(event.id for event in events))
    assert head == latest_checkpoint() == published(checkpoints)
    assert head is not None
    assert head.size == 7
    assert not AuditPending.objects.exists()


@pytest.mark.django_db
def test_a_checkpoint_row_holds_the_note_and_what_it_continues() -> None:
    for count in (3, 2):
        record_many(count)
        seal(now=NOW)
    last = AuditCheckpoint.objects.get(size=5)
    assert (last.previous_size, last.at) == (3, NOW)
    note = read_note(last.note)
    assert Checkpoint.parse(last.note) == latest_checkpoint()
    assert note.signed_by(read_key(AuditKey.objects.get().key))


@pytest.mark.django_db
def test_a_long_queue_is_sealed_in_portions(checkpoints: Path) -> None:
    record_many(7)
    sizes = []
    while head := seal(now=NOW, limit=3):
        sizes.append(head.size)
        assert published(checkpoints) == head
    assert sizes == [3, 6, 7]
    assert verified(exported()) == OK


@pytest.mark.django_db
def test_sealing_nothing_changes_nothing(checkpoints: Path) -> None:
    assert seal(now=NOW) is None
    assert not (checkpoints / "checkpoint").exists()
    recorded()
    seal(now=NOW)
    before = (checkpoints / "checkpoint").stat()
    assert seal(now=NOW) is None
    assert (checkpoints / "checkpoint").stat() == before
    assert AuditCheckpoint.objects.count() == 1


class AnyPortions(HypothesisTestCase):
    @given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.data())
    def test_every_record_and_every_earlier_head_is_proven_from_the_stored_tree(
        self, counts: list[int], data: st.DataObject
    ) -> None:
        heads = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(publishing, "publish", lambda now: None)
            patch.setattr(publishing, "refuse_fork", lambda: None)
            for count in counts:
                record_many(count)
                heads.append(seal(now=NOW))
        last = latest_checkpoint()
        earlier = data.draw(st.sampled_from(heads))
        assert earlier is not None
        proof = consistency_proof(stored_node, earlier.size, last.size)
        assert verify_consistency(earlier.size, earlier.root, last.size, last.root, proof)
        seq = data.draw(st.integers(0, last.size - 1))
        path = inclusion_proof(stored_node, seq, last.size)
        assert verify_inclusion(stored_node(0, seq), seq, last.size, path, last.root)
        assert verified(exported(), earlier, last) == OK
        assert verified(exported(from_seq=earlier.size), earlier) == OK
        assert verified(exported(to_size=earlier.size), earlier) == OK


@pytest.mark.django_db
def test_a_sealing_that_breaks_leaves_everything_pending(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_many(3)

    def broken(**values: Any) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(AuditCheckpoint.objects, "create", broken)
    with pytest.raises(DatabaseError, match="gone"):
        seal(now=NOW)
    assert (AuditPending.objects.count(), AuditLeaf.objects.count()) == (3, 0)
    assert not (checkpoints / "checkpoint").exists()
    monkeypatch.undo()


@pytest.mark.django_db
def test_a_head_that_was_committed_but_not_published_is_published_next(checkpoints: Path) -> None:
    record_many(3)
    head = seal(now=NOW)
    (checkpoints / "checkpoint").unlink()
    assert seal(now=NOW) is None
    assert published(checkpoints) == head


def test_sealing_inside_a_transaction_is_a_programming_error(
    committed_db: CommittedDatabase, checkpoints: Path
) -> None:
    recorded()
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        seal(now=NOW)
    assert not (checkpoints / "checkpoint").exists()


def test_many_writers_and_sealers_make_one_log(
    committed_db: CommittedDatabase, checkpoints: Path
) -> None:
    def work(thread: int) -> None:
        try:
            for number in range(5):
                recorded(thread * 100 + number)
                seal(now=NOW)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    seal(now=NOW)
    assert list(AuditLeaf.objects.order_by("seq").values_list("seq", flat=True)) == list(range(20))
    assert published(checkpoints) == latest_checkpoint()
    assert verified(exported()) == OK


@on_postgresql
def test_a_transaction_that_commits_during_a_sealing_is_sealed_next(
    committed_db: CommittedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The late event has the lower id: whatever goes by "up to the last id" would lose it."""
    began, may_commit = Signal(), Signal()

    def late() -> int:
        try:
            with transaction.atomic():
                event = recorded(1)
                began.set()
                assert may_commit.wait(30)
            return int(event.id)
        finally:
            connection.close()

    def extend_once_it_is_committed(edge: Edge, leaves: Iterable[bytes]) -> Any:
        may_commit.set()
        running.result(30)
        return extend(edge, leaves)

    monkeypatch.setattr(sealing, "extend", extend_once_it_is_committed)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(late)
        assert began.wait(30)
        early = recorded(2)
        seal(now=NOW)
    assert running.result() < early.id
    assert list(AuditPending.objects.values_list("event_id", flat=True)) == [running.result()]
    seal(now=NOW)
    order = list(AuditLeaf.objects.order_by("seq").values_list("event_id", flat=True))
    assert order == [early.id, running.result()]
    assert verified(exported()) == OK


@on_postgresql
def test_only_one_process_seals_at_a_time(committed_db: CommittedDatabase) -> None:
    holding, may_end = Signal(), Signal()

    def other_sealer() -> bool:
        try:
            with transaction.atomic():
                taken = sealing.take_sealer_lock()
                holding.set()
                assert may_end.wait(30)
            return taken
        finally:
            connection.close()

    recorded()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(other_sealer)
        assert holding.wait(30)
        assert seal(now=NOW) is None
        may_end.set()
        assert running.result(30)
    assert seal(now=NOW) is not None


# --- forks -------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    "claim",
    [
        lambda head: Checkpoint(head.origin, head.size + 1, head.root),
        lambda head: Checkpoint(head.origin, head.size, bytes(32)),
        lambda head: Checkpoint(head.origin, head.size - 1, bytes(32)),
        lambda head: Checkpoint("other.test/audit", head.size, head.root),
    ],
    ids=["shorter", "other root", "other root earlier", "other log"],
)
def test_a_log_that_does_not_continue_what_was_published_is_not_sealed(
    checkpoints: Path, claim: Any
) -> None:
    record_many(3)
    seal(now=NOW)
    claimed = claim(published(checkpoints))
    (checkpoints / "checkpoint").write_text(claimed.body())
    recorded()
    with pytest.raises(AuditLogForked, match="does not continue") as refusal:
        seal(now=NOW)
    assert refusal.value.extra == {"published": claimed.size, "held": 3}
    assert AuditPending.objects.count() == 1
    assert published(checkpoints) == claimed


@pytest.mark.django_db
def test_what_was_published_meanwhile_by_another_log_is_not_overwritten(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_many(3)
    checkpoints.mkdir()
    other = Checkpoint(latest_checkpoint().origin, 2, bytes(32))
    (checkpoints / "checkpoint").write_text(other.body())
    monkeypatch.setattr(publishing, "refuse_fork", lambda: None)  # as if it had come just after
    with pytest.raises(AuditLogForked):
        seal(now=NOW)
    assert published(checkpoints) == other


@pytest.mark.django_db
def test_a_restored_database_is_a_fork_even_after_it_outgrew_the_published_log(
    checkpoints: Path,
) -> None:
    record_many(2)
    seal(now=NOW)
    backup = transaction.savepoint()
    recorded(100)
    seal(now=NOW)
    transaction.savepoint_rollback(backup)  # what was published does not go back with it
    assert published(checkpoints).size == 3
    record_many(5)
    with pytest.raises(AuditLogForked, match=r"3 records .* \(2 records"):
        seal(now=NOW)


@pytest.mark.django_db
def test_a_tree_changed_in_the_database_is_not_extended(checkpoints: Path) -> None:
    record_many(4)
    seal(now=NOW)
    (checkpoints / "checkpoint").unlink()
    recorded()
    with as_the_database_owner():
        AuditNode.objects.filter(level=2, idx=0).update(hash=bytes(32))
    with pytest.raises(AuditLogForked, match="no longer has the root of checkpoint 4"):
        seal(now=NOW)
    assert AuditPending.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("damage", ["not a checkpoint", ""])
def test_nothing_is_sealed_while_the_published_checkpoint_cannot_be_read(
    checkpoints: Path, damage: str
) -> None:
    checkpoints.mkdir()
    (checkpoints / "checkpoint").write_text(damage)
    recorded()
    with pytest.raises(CheckpointsUnavailable, match="SEAMLESS_CHECKPOINT_DIR"):
        seal(now=NOW)
    assert AuditPending.objects.count() == 1


@pytest.mark.django_db
def test_a_folder_that_cannot_be_used_is_a_refusal_that_names_it(checkpoints: Path) -> None:
    checkpoints.write_text("a file, no folder")
    recorded()
    with pytest.raises(CheckpointsUnavailable, match=str(checkpoints)):
        seal(now=NOW)


# --- exporting ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_an_export_holds_the_hashed_bytes_of_what_is_sealed() -> None:
    events = record_many(3)
    seal(now=NOW)
    recorded(99)
    header, *rows, trailer, _digest = map(json.loads, exported().splitlines())
    assert (header["origin"], header["first"]) == (latest_checkpoint().origin, 0)
    assert [row["payload"] for row in rows] == [event.payload_canonical for event in events]
    assert Checkpoint.parse(trailer["checkpoint"]) == latest_checkpoint()
    assert verified(exported()) == OK


@pytest.mark.django_db
def test_the_export_of_an_empty_log_holds() -> None:
    assert verified(exported()) == OK


@pytest.mark.django_db
def test_an_export_reads_a_few_rows_at_a_time(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(exporting, "EXPORT_PAGE", 3)
    record_many(8)
    seal(now=NOW)
    # checkpoint, key, removals, pages, what is unsealed
    with django_assert_num_queries(1 + 1 + 1 + 4 + 2):
        data = exported()
    assert verified(data) == OK


@pytest.mark.django_db
@pytest.mark.parametrize("options", [{"to_size": 2}, {"from_seq": 4}, {"from_seq": -1}])
def test_what_was_never_sealed_cannot_be_exported(options: dict[str, int]) -> None:
    record_many(3)
    seal(now=NOW)
    with pytest.raises(NoSuchCheckpoint, match="3"):
        exported(**options)


@pytest.mark.django_db
def test_the_database_owner_cannot_change_a_sealed_record_unseen() -> None:
    record_many(5)
    head = seal(now=NOW)
    assert head is not None
    with as_the_database_owner():
        AuditPayload.objects.filter(event__sealed__seq=2).update(text="{}")
        AuditEvent.objects.filter(sealed__seq=2).update(leaf=b"x" * 32)
    report = verify_export(exported().splitlines(keepends=True))
    assert [(finding.code, finding.seq) for finding in report.findings] == [(CHANGED, 2)]


@pytest.mark.django_db
@pytest.mark.parametrize("seq", [0, 2, 4])
def test_the_database_owner_cannot_remove_a_sealed_record_unseen(seq: int) -> None:
    record_many(5)
    seal(now=NOW)
    with as_the_database_owner():
        AuditLeaf.objects.filter(seq=seq).delete()
    assert verified(exported()) == MISSING
