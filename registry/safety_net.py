"""Triggers that notice changes of governed tables which nobody recorded.

    protect(Governed("registry.Subject"), Settling("registry.AuditEvent"))

A change leaves a row in `UnrecordedChange`, an audit record takes away the rows of its own
transaction. On PostgreSQL a trigger does that too, by the transaction's id, with the rights of the
owner, so that the application's role needs none to write there. SQLite tells triggers nothing of
transactions; there `watch_transactions` notes, as each begins (and takes the one write lock), how
far the table reached, and `settle` takes away what came after.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from registry.triggers import Operation, current_schema, trigger_name

_NET = "registry.UnrecordedChange"
_MARK = "_seamless_unrecorded_before"
_OPERATIONS: tuple[Operation, ...] = ("insert", "update", "delete", "truncate")
_COLUMNS = '(at, "table", operation, rows, "transaction", role)'
_TRANSACTION = "pg_current_xact_id()::text::bigint"


@dataclass(frozen=True, slots=True)
class Watch:
    """A trigger after `operation` on `table` that runs the SQL `body` of its database."""

    table: str
    rule: str
    operation: Operation
    body: str

    @property
    def name(self) -> str:
        return trigger_name(
            self.table, self.rule, "\0".join((self.table, self.operation, self.body))
        )

    def create(self, connection: BaseDatabaseWrapper) -> list[str]:
        if connection.vendor == "postgresql":
            return _postgresql(self, current_schema(connection))
        return _sqlite(self)


@dataclass(frozen=True, slots=True)
class Governed:
    """Rows change in a transaction that also appends an audit record, or the change is reported."""

    model: str

    def triggers(self, vendor: str) -> list[Watch]:
        table = apps.get_model(self.model)._meta.db_table
        noted = _note_on_postgresql if vendor == "postgresql" else _note_on_sqlite
        known = [op for op in _OPERATIONS if op != "truncate" or vendor == "postgresql"]
        return [Watch(table, f"watch_{op}", op, noted(table, op)) for op in known]


@dataclass(frozen=True, slots=True)
class Settling:
    """An inserted row explains the governed changes that its transaction made before it."""

    model: str

    def triggers(self, vendor: str) -> list[Watch]:
        if vendor != "postgresql":
            return []
        table = apps.get_model(self.model)._meta.db_table
        body = f'DELETE FROM {_net()} WHERE "transaction" = {_TRANSACTION}'
        return [Watch(table, "settles", "insert", body)]


def settle(connection: BaseDatabaseWrapper) -> None:
    """SQLite: an audit record explains what its transaction changed so far."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {_net()} WHERE id > %s", [getattr(connection, _MARK, 0)])


def watch_transactions(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """connection_created: on SQLite, note where every transaction began."""
    if connection.vendor == "sqlite" and _mark_beginnings not in connection.execute_wrappers:
        connection.execute_wrappers.append(_mark_beginnings)


def install() -> None:
    connection_created.connect(watch_transactions, dispatch_uid="seamless_safety_net")


def _mark_beginnings(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    result = execute(sql, params, many, context)
    if isinstance(sql, str) and sql.startswith("BEGIN"):
        connection = context["connection"]
        setattr(connection, _MARK, _reached(connection))
    return result


def _reached(connection: Any) -> int:
    """The last row's id, read past Django, which would count it as a query of the caller's."""
    raw = connection.connection
    table = apps.get_model(_NET)._meta.db_table
    known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    if raw.execute(known, [table]).fetchone() is None:
        return 0  # it is not migrated yet
    return int(raw.execute(f'SELECT COALESCE(MAX(id), 0) FROM "{table}"').fetchone()[0])


def _net() -> str:
    return f'"{apps.get_model(_NET)._meta.db_table}"'


def _note_on_sqlite(table: str, operation: Operation) -> str:
    return (
        f"INSERT INTO {_net()} {_COLUMNS}"
        f" VALUES (strftime('%Y-%m-%d %H:%M:%f', 'now'), '{table}', '{operation}', 1, NULL, '')"
    )


def _note_on_postgresql(table: str, operation: Operation) -> str:
    """One row a statement. An UPDATE that found no row is no change."""
    note = (
        f"INSERT INTO {_net()} {_COLUMNS} SELECT clock_timestamp(), '{table}', '{operation}',"
        f" {{rows}}, {_TRANSACTION}, session_user"
    )
    if operation == "truncate":
        return note.format(rows="NULL")
    return note.format(rows="count(*)") + " FROM changed HAVING count(*) > 0"


def _sqlite(watch: Watch) -> list[str]:
    return [
        f'CREATE TRIGGER "{watch.name}" AFTER {watch.operation.upper()} ON "{watch.table}"'
        f" FOR EACH ROW BEGIN {watch.body}; END"
    ]


def _postgresql(watch: Watch, schema: str) -> list[str]:
    """Statement triggers: a bulk change costs one row. ENABLE ALWAYS: for replicas too."""
    kind = "OLD" if watch.operation == "delete" else "NEW"
    seen = f" REFERENCING {kind} TABLE AS changed" if "changed" in watch.body else ""
    return [
        f'CREATE FUNCTION "{watch.name}"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER'
        f" SET search_path = {schema}, pg_temp AS $seamless$ BEGIN {watch.body}; RETURN NULL;"
        " END $seamless$",
        f'CREATE TRIGGER "{watch.name}" AFTER {watch.operation.upper()} ON "{watch.table}"{seen}'
        f' FOR EACH STATEMENT EXECUTE FUNCTION "{watch.name}"()',
        f'ALTER TABLE "{watch.table}" ENABLE ALWAYS TRIGGER "{watch.name}"',
    ]
