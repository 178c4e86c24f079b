"""What the database refuses by itself, on both databases, whoever asks.

Django's own `Group` (an id and a unique name) and `Permission` stand in for governed tables.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.checks import run_checks
from django.core.exceptions import FieldDoesNotExist
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.models.signals import post_migrate, pre_migrate

from registry.triggers import (
    AppendOnly,
    Immutable,
    Protection,
    Refuse,
    WriteOnce,
    check_triggers,
    create_triggers,
    install_triggers,
    missing_triggers,
    remove_triggers,
)
from tests.databases import CommittedDatabase, as_owner

READS_GROUPS = Refuse(
    "auth.Permission",
    name="codename_is_a_group",
    message="no permission is called like a group",
    when="{new.codename} IN (SELECT {registered:auth.Group.name} FROM {registered:auth.Group})",
)


BOUND = [AppendOnly("auth.Group"), Immutable("auth.Group", ()), WriteOnce("auth.Group")]


@pytest.fixture(autouse=True)
def _as_the_owner(request: pytest.FixtureRequest) -> Iterator[None]:
    """Only who owns a table makes its triggers; and they hold for the owner, too."""
    committed = "committed_db" in request.fixturenames
    if not committed and request.node.get_closest_marker("django_db") is None:
        yield
        return
    request.getfixturevalue("committed_db" if committed else "db")
    with as_owner():
        yield


@contextmanager
def refused(message: str) -> Iterator[None]:
    with pytest.raises(IntegrityError, match=re.escape(message)), transaction.atomic():
        yield


def protect_groups(*protections: Protection) -> Group:
    create_triggers(connection, protections)
    return Group.objects.create(name="owners")


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


on_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite's own trap")
on_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="PostgreSQL's own")


@pytest.mark.django_db
def test_rows_of_an_append_only_table_are_inserted_and_read() -> None:
    group = protect_groups(AppendOnly("auth.Group"))
    Group.objects.bulk_create([Group(name="reviewers"), Group(name="auditors")])
    assert Group.objects.filter(id__gte=group.id).count() == 3


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE auth_group SET name = 'others'",
        "UPDATE auth_group SET name = name",
        "DELETE FROM auth_group",
        "DELETE FROM auth_group WHERE name = 'owners'",
    ],
)
def test_an_append_only_table_refuses_every_change(statement: str) -> None:
    protect_groups(AppendOnly("auth.Group"))
    with refused("seamless: auth_group is append-only"):
        execute(statement)
    assert Group.objects.filter(name="owners").exists()


@pytest.mark.django_db
def test_the_orm_cannot_change_an_append_only_table_either() -> None:
    group = protect_groups(AppendOnly("auth.Group"))
    with refused("seamless: auth_group is append-only"):
        Group.objects.filter(id=group.id).update(name="others")
    with refused("seamless: auth_group is append-only"):
        group.delete()
    with refused("seamless: auth_group is append-only"):
        Group.objects.bulk_create(
            [Group(id=group.id, name="others")],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["name"],
        )


@pytest.mark.django_db
@on_sqlite
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
@pytest.mark.parametrize("protection", BOUND)
def test_replace_slips_past_no_kind(protection: Protection, recursive: str) -> None:
    group = protect_groups(protection)
    execute(f"PRAGMA recursive_triggers = {recursive}")
    for values in (f"({group.id}, 'others')", f"({group.id + 100}, 'owners')"):
        with refused("seamless: auth_group"):
            execute(f"REPLACE INTO auth_group (id, name) VALUES {values}")
        with refused("seamless: auth_group"):
            execute(f"INSERT OR REPLACE INTO auth_group (id, name) VALUES {values}")
    execute("PRAGMA recursive_triggers = ON")
    group.refresh_from_db()
    assert group.name == "owners"


@pytest.mark.django_db
@on_postgresql
@pytest.mark.parametrize("protection", BOUND)
def test_truncate_slips_past_no_kind(protection: Protection) -> None:
    protect_groups(protection)
    with refused("seamless: auth_group"):
        execute("TRUNCATE auth_group CASCADE")


@pytest.mark.django_db
def test_rows_written_once_are_deleted_but_never_changed() -> None:
    group = protect_groups(WriteOnce("auth.Group"))
    for statement in ("UPDATE auth_group SET name = ''", "UPDATE auth_group SET name = name"):
        with refused("seamless: auth_group never changes a row"):
            execute(statement)
    assert group.delete()[0] == 1


@pytest.mark.django_db
@on_postgresql
def test_a_replica_session_is_refused_all_the_same() -> None:
    protect_groups(AppendOnly("auth.Group"))
    with refused("seamless: auth_group is append-only"):
        execute("SET LOCAL session_replication_role = replica")
        execute("DELETE FROM auth_group")


@pytest.mark.django_db
def test_immutable_columns_keep_their_value_and_rows_stay() -> None:
    create_triggers(connection, [Immutable("auth.Permission", fields=("codename", "content_type"))])
    permission = Permission.objects.order_by("id").first()
    assert permission is not None
    mine = Permission.objects.filter(id=permission.id)
    assert mine.update(name="renamed", codename=permission.codename) == 1
    message = "seamless: auth_permission never changes its id, codename, content_type_id"
    with refused(message):
        mine.update(codename="other")
    with refused(message):
        mine.update(content_type_id=permission.content_type_id + 1)
    with refused(message):
        mine.update(id=permission.id + 10_000)
    with refused("seamless: auth_permission is never deleted from"):
        mine.delete()


@pytest.mark.django_db
def test_an_immutable_column_notices_null_and_value_apart(settings: object) -> None:
    create_triggers(connection, [Immutable("auth.User", fields=("last_login",))])
    user = apps.get_model("auth.User").objects.create(username="ada", last_login=None)
    user.email = "ada@example.org"
    user.save()
    with refused("seamless: auth_user never changes its id, last_login"):
        execute(f"UPDATE auth_user SET last_login = '2026-01-01 00:00:00+00' WHERE id = {user.id}")


@pytest.mark.django_db
def test_a_condition_over_another_table_is_refused_on_insert_and_update() -> None:
    create_triggers(connection, [READS_GROUPS])
    Group.objects.create(name="owners")
    first = Permission.objects.order_by("id").first()
    assert first is not None
    message = "seamless: auth_permission: no permission is called like a group"
    with refused(message):
        Permission.objects.filter(id=first.id).update(codename="owners")
    with refused(message):
        Permission.objects.create(
            name="x", codename="owners", content_type_id=first.content_type_id
        )
    Permission.objects.create(name="x", codename="others", content_type_id=first.content_type_id)


@pytest.mark.django_db
def test_a_condition_may_be_about_a_deletion() -> None:
    rule = Refuse(
        "auth.Group",
        name="needed",
        on=("delete",),
        when="{old.name} LIKE 'need%'",
        message="a needed group's name says 'need…'",
    )
    protect_groups(rule)
    Group.objects.create(name="needed")
    assert Group.objects.filter(name="owners").delete()[0] == 1
    with refused("seamless: auth_group: a needed group's name says 'need…'"):
        Group.objects.filter(name="needed").delete()


@pytest.mark.django_db
@on_postgresql
def test_a_temporary_table_does_not_stand_in_for_the_one_a_condition_reads() -> None:
    create_triggers(connection, [READS_GROUPS])
    Group.objects.create(name="owners")
    execute("CREATE TEMPORARY TABLE auth_group (id int, name text) ON COMMIT DROP")
    with refused("no permission is called like a group"):
        execute("UPDATE auth_permission SET codename = 'owners'")


@pytest.mark.parametrize("field", ["{new.nickname}", "{auth.Group.nickname}", "{auth.Grup}"])
def test_a_condition_over_an_unknown_name_is_refused_when_it_is_made(field: str) -> None:
    rule = Refuse("auth.Group", name="typo", when=f"{field} = 1", message="typo")
    with pytest.raises((LookupError, FieldDoesNotExist), match=r"nickname|Grup"):
        rule.triggers("sqlite")


@pytest.mark.django_db
def test_every_declared_trigger_is_there_after_migrating() -> None:
    assert missing_triggers(connection) == []
    assert check_triggers(None, databases=["default"]) == []


@pytest.mark.django_db
def test_making_triggers_again_changes_nothing() -> None:
    for _ in range(2):
        install_triggers(sender=None, using="default")
        assert missing_triggers(connection) == []


@pytest.mark.django_db
def test_a_missing_trigger_is_named_by_the_system_check() -> None:
    gone = AppendOnly("registry.AuditEvent").triggers(connection.vendor)[0]
    if connection.vendor == "postgresql":
        execute(f'DROP TRIGGER "{gone.name}" ON "{gone.table}"')
    else:
        execute(f'DROP TRIGGER "{gone.name}"')
    assert missing_triggers(connection) == [gone.name]
    (warning,) = run_checks(tags=["database"], databases=["default"])
    assert (warning.id, gone.name in warning.msg) == ("registry.W001", True)


@pytest.mark.django_db
@on_postgresql
@pytest.mark.parametrize("state", ["DISABLE", "ENABLE", "ENABLE REPLICA"])
def test_a_trigger_that_is_not_always_enabled_counts_as_missing(state: str) -> None:
    trigger = AppendOnly("registry.AuditEvent").triggers("postgresql")[0]
    execute(f'ALTER TABLE "{trigger.table}" {state} TRIGGER "{trigger.name}"')
    assert missing_triggers(connection) == [trigger.name]


@pytest.mark.django_db
def test_a_trigger_of_an_earlier_declaration_counts_as_missing_and_is_replaced() -> None:
    earlier = Refuse("auth.Group", name="x", when="{new.name} = 'a'", message="no a")
    later = Refuse("auth.Group", name="x", when="{new.name} = 'b'", message="no a")
    create_triggers(connection, [earlier])
    assert len(missing_triggers(connection, [later])) == 2
    create_triggers(connection, [later])
    assert missing_triggers(connection, [later]) == []
    Group.objects.create(name="a")
    with refused("no a"):
        Group.objects.create(name="b")


@pytest.mark.parametrize("rule", ["r" * 10, "r" * 100])
def test_names_fit_postgresql_and_differ_where_the_definitions_do(rule: str) -> None:
    names = {
        trigger.name
        for when in ("1 = 1", "1 = 2")
        for trigger in Refuse("auth.Group", rule, when, "m").triggers("postgresql")
    }
    assert len(names) == 4
    assert max(map(len, names)) <= 63


def test_tables_are_rebuilt_by_migrations_although_triggers_read_them(
    committed_db: CommittedDatabase,
) -> None:
    """To alter a table on SQLite, Django rebuilds it: a trigger that reads it would forbid that."""
    create_triggers(connection, [READS_GROUPS, AppendOnly("auth.Group")])
    Group.objects.create(name="owners")
    remove_triggers(sender=None, using="default", plan=["a migration"])
    longer = models.CharField(max_length=300, unique=True)
    longer.set_attributes_from_name("name")
    longer.model = Group
    with connection.schema_editor() as editor:
        editor.alter_field(Group, Group._meta.get_field("name"), longer)
    create_triggers(connection, [READS_GROUPS, AppendOnly("auth.Group")])
    with refused("seamless: auth_group is append-only"):
        Group.objects.all().delete()


def test_migrating_keeps_the_triggers(committed_db: CommittedDatabase) -> None:
    call_command("migrate", verbosity=0)
    assert missing_triggers(connection) == []


@pytest.mark.django_db
def test_triggers_stay_where_there_is_nothing_to_migrate() -> None:
    remove_triggers(sender=None, using="default", plan=[])
    assert missing_triggers(connection) == []


def test_the_registry_makes_the_triggers_whenever_it_is_migrated() -> None:
    registry = apps.get_app_config("registry")
    connected = [signal._live_receivers(registry)[0] for signal in (pre_migrate, post_migrate)]
    assert remove_triggers in connected[0]
    assert install_triggers in connected[1]
