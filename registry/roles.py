"""On PostgreSQL two roles: the owner migrates, the application only gets what it must do.

The owner is the role of DATABASE_OWNER_URL, the application that of DATABASE_URL; without the
former they are one and the same, and only the triggers guard the tables. After each migration the
application's rights are set anew: what is append-only it may read and extend, what stays whole it
may not change, what is immutable it may not delete, and TRUNCATE, triggers and table definitions
are the owner's alone.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections, transaction

from registry.models.unrecorded import UnrecordedChange
from registry.triggers import AppendOnly, Immutable, WriteOnce, declared_protections

_EVERYTHING = "SELECT, INSERT, UPDATE, DELETE"
_RIGHTS: dict[type, str] = {
    AppendOnly: "SELECT, INSERT",
    WriteOnce: "SELECT, INSERT, DELETE",
    Immutable: "SELECT, INSERT, UPDATE",
}


def grant_to_application(sender: Any, using: str, **_: Any) -> None:
    """post_migrate: give the application's role its rights, and nothing else."""
    connection, role = connections[using], settings.SEAMLESS_APPLICATION_ROLE
    if connection.vendor != "postgresql" or not role:
        return
    quote = connection.ops.quote_name
    existing = set(connection.introspection.table_names())
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_schema())")
        schema = cursor.fetchone()[0]
        cursor.execute(f"GRANT USAGE ON SCHEMA {schema} TO {quote(role)}")
        for rights, tables in _tables_by_rights(existing).items():
            names = ", ".join(quote(table) for table in tables)
            cursor.execute(f"REVOKE ALL ON {names} FROM {quote(role)}")
            cursor.execute(f"GRANT {rights} ON {names} TO {quote(role)}")
        for sequence in _sequences(cursor):
            cursor.execute(f"GRANT USAGE ON SEQUENCE {sequence} TO {quote(role)}")


def _tables_by_rights(existing: Iterable[str]) -> dict[str, list[str]]:
    """Our tables that exist, by what the application may do to them."""
    rights = dict.fromkeys(
        (model._meta.db_table for model in apps.get_models(include_auto_created=True)), _EVERYTHING
    )
    rights |= {"django_migrations": "SELECT", UnrecordedChange._meta.db_table: "SELECT, DELETE"}
    for protection in declared_protections():
        if limited := _RIGHTS.get(type(protection)):
            rights[apps.get_model(protection.model)._meta.db_table] = limited
    found: dict[str, list[str]] = defaultdict(list)
    for table in sorted(set(existing) & set(rights)):
        found[rights[table]].append(table)
    return found


def _sequences(cursor: Any) -> list[str]:
    """Those of our own: what the application made itself (tables of bars) is not ours to give."""
    cursor.execute(
        "SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences"
        " WHERE schemaname = current_schema() AND sequenceowner = current_user"
    )
    return [name for (name,) in cursor.fetchall()]
