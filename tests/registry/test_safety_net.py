"""Changes past the services are noticed by the database, and reported; recorded ones never are."""

from collections.abc import Callable

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client

from registry.models import AuditEvent, Consumer, Subject, Team, UnrecordedChange
from registry.models.protections import GOVERNED
from registry.services import people
from registry.services.audit import record, seal
from registry.services.audit.reconciling import ACTION, report_unrecorded_changes
from registry.tasks import seal_audit_log
from tests import cast as house
from tests.cast import NOW, PASSWORD, SYSTEM, Cast, assemble
from tests.databases import CommittedDatabase, as_owner

on_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has none")


@pytest.fixture
def people_of_the_house(committed_db: CommittedDatabase) -> Cast:
    return assemble()


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def insert_raw() -> None:
    execute("INSERT INTO registry_team (name, description) VALUES ('raw', '')")


def create_in_bulk() -> None:
    Team.objects.bulk_create([Team(name=f"bulk-{number}") for number in range(5)])


def update_a_queryset() -> None:
    Team.objects.filter(name__in=["market-data", "trading"]).update(description="changed")


def save_a_model() -> None:
    Team.objects.get(name="trading").save()


def delete_a_row() -> None:
    execute("DELETE FROM registry_membership WHERE role = 'auditor'")


def give_an_account_more_rights() -> None:
    User.objects.filter(username="stan").update(is_superuser=True)


PAST_THE_SERVICES: list[tuple[Callable[[], None], str, str, int]] = [
    (insert_raw, "registry_team", "insert", 1),
    (create_in_bulk, "registry_team", "insert", 5),
    (update_a_queryset, "registry_team", "update", 2),
    (save_a_model, "registry_team", "update", 1),
    (delete_a_row, "registry_membership", "delete", 1),
    (give_an_account_more_rights, "auth_user", "update", 1),
]


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize(("change", "table", "operation", "rows"), PAST_THE_SERVICES)
def test_a_change_past_the_services_is_reported_once(
    people_of_the_house: Cast,
    change: Callable[[], None],
    table: str,
    operation: str,
    rows: int,
    atomic: bool,
) -> None:
    if atomic:
        with transaction.atomic():
            change()
    else:
        change()
    people.create_team(actor=SYSTEM, name="later", now=NOW)  # explains its own change alone
    (found,) = report_unrecorded_changes(now=NOW)
    assert (found.table, found.operation, found.rows) == (table, operation, rows)
    event = AuditEvent.objects.select_related("payload").get(action=ACTION)
    assert (event.object_type, event.object_id) == ("table", table)
    assert (event.after["operation"], event.after["rows"]) == (operation, rows)
    assert report_unrecorded_changes(now=NOW) == ()


@on_postgresql
def test_a_role_that_empties_a_table_is_named(people_of_the_house: Cast) -> None:
    with as_owner():
        execute("TRUNCATE registry_subscription CASCADE")
    (found,) = report_unrecorded_changes(now=NOW)
    assert (found.table, found.operation, found.rows) == (
        "registry_subscription",
        "truncate",
        None,
    )
    assert found.role


@on_postgresql
def test_a_replica_session_is_noticed_all_the_same(people_of_the_house: Cast) -> None:
    with as_owner(), transaction.atomic():
        execute("SET LOCAL session_replication_role = replica")
        insert_raw()
    assert [found.rows for found in report_unrecorded_changes(now=NOW)] == [1]


@pytest.mark.parametrize(
    "change", [lambda: None, lambda: Team.objects.filter(name="nobody").update(description="x")]
)
def test_what_changes_no_row_is_no_change(
    people_of_the_house: Cast, change: Callable[[], None]
) -> None:
    change()
    assert report_unrecorded_changes(now=NOW) == ()


def test_services_and_sign_ins_leave_nothing_to_report(people_of_the_house: Cast) -> None:
    cast = people_of_the_house
    house.subject(cast)
    house.approved(cast)
    house.bundle(cast)
    reader = house.consumer(cast)
    house.token(cast, reader)
    client = Client()
    client.post("/admin/login/", {"username": "olive", "password": PASSWORD})
    client.post("/admin/logout/")
    assert User.objects.get(username="olive").last_login is not None
    assert Consumer.objects.exists()
    assert Subject.objects.exists()
    assert not UnrecordedChange.objects.exists()


def test_what_a_rolled_back_transaction_did_is_no_change(people_of_the_house: Cast) -> None:
    with transaction.atomic():
        insert_raw()
        transaction.set_rollback(True)
    assert report_unrecorded_changes(now=NOW) == ()


def test_a_record_explains_the_changes_of_its_own_transaction(people_of_the_house: Cast) -> None:
    with transaction.atomic():
        insert_raw()
        with transaction.atomic():
            create_in_bulk()
            record(actor=SYSTEM, action="team.load", object_type="team", object_id="*", now=NOW)
    assert report_unrecorded_changes(now=NOW) == ()


def test_the_command_lists_what_it_found_and_fails(people_of_the_house: Cast) -> None:
    call_command("audit", "reconcile")
    create_in_bulk()
    with pytest.raises(CommandError, match="insert on registry_team: 5 rows"):
        call_command("audit", "reconcile")
    call_command("audit", "reconcile")


def test_the_sealer_reports_first(people_of_the_house: Cast) -> None:
    create_in_bulk()
    seal_audit_log()
    event = AuditEvent.objects.get(action=ACTION)
    assert event.sealed.seq == AuditEvent.objects.count() - 1
    assert seal(now=NOW) is None


def test_governed_are_all_tables_but_the_listed_ones(db: None) -> None:
    """A new model is governed, or written down here with the reason why it is not."""
    ungoverned = {
        "registry.AuditCheckpoint": "the log itself, append-only",
        "registry.AuditEvent": "the log itself, append-only",
        "registry.AuditExport": "a job's progress; asking for it is recorded",
        "registry.AuditKey": "the log itself, append-only",
        "registry.AuditLeaf": "the log itself, append-only",
        "registry.AuditNode": "the log itself, append-only",
        "registry.AuditPayload": "written once; its removal is recorded",
        "registry.AuditPending": "written once; leaves with its seal",
        "registry.AuditPersonal": "written once; its removal is recorded",
        "registry.CanaryTally": "evidence, written after each read",
        "registry.Diagnostic": "evidence, written after each read",
        "registry.Incident": "counts refusals too; opening and closing by a person is recorded",
        "registry.RefusalTally": "counts of refusals, whose records they become",
        "registry.RegistryState": "a number that every recorded action moves",
        "registry.ReplayRun": "a job's progress; asking for it is recorded",
        "registry.ReplayShard": "a job's progress",
        "registry.RetainedSample": "evidence, written after some reads",
        "registry.UnrecordedChange": "the net itself",
        "registry.Usage": "evidence, written after each read",
    }
    models = {model._meta.label for model in apps.get_app_config("registry").get_models()}
    assert models == {*GOVERNED, *ungoverned} - {"auth.User"}, (
        "a model of the registry is neither governed (registry/models/protections.py: GOVERNED)"
        " nor listed in this test with the reason why its changes need no audit record"
    )
