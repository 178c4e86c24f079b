"""What the database itself refuses: a table of protections, and the triggers made from it.

A models module declares its protections beside its models:

    protect(
        AppendOnly("registry.AuditEvent"),
        Immutable("registry.SchemaVersion", fields=("subject", "number", "content")),
        Refuse("registry.Review", name="reviewer_is_author", message="an author never reviews",
               when="{new.reviewer} = (SELECT {registry.Proposal.author} FROM {registry.Proposal}"
                    " WHERE {registry.Proposal.id} = {new.proposal})"),
    )

`install_triggers` (post_migrate) makes them on SQLite and PostgreSQL, `remove_triggers`
(pre_migrate, only when there is something to migrate) takes them away first: neither database
rebuilds a table while a trigger elsewhere reads it. Every refusal is an `IntegrityError` whose text
begins with `seamless: <table>`.

A trigger's name ends in a digest of its definition, so that one left over from an earlier
declaration counts as missing.

Known limits. A `Refuse` that reads other rows sees what is committed: two transactions at once can
each pass it, and a constraint or a lock must keep them apart. On SQLite, `REPLACE` deletes the rows
it collides with, and fires delete triggers only under `PRAGMA recursive_triggers=ON`; protected
tables refuse a colliding INSERT by themselves, except for a collision in a conditional constraint.
(`bulk_create(ignore_conflicts=True)` is refused by the same trigger.) PostgreSQL's
`session_replication_role=replica` changes nothing: the triggers are ENABLE ALWAYS.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from django.apps import apps
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

Operation = Literal["insert", "update", "delete", "truncate"]

PREFIX = "seamless_"
_IDENTIFIER_LIMIT = 63  # PostgreSQL's
_ALWAYS = "1 = 1"


@dataclass(frozen=True, slots=True)
class Trigger:
    """One refusal: `operation` on `table` raises `message` for a row where `condition` holds."""

    table: str
    rule: str
    operation: Operation
    condition: str
    message: str

    @property
    def name(self) -> str:
        text = "\0".join((self.table, self.operation, self.condition, self.message))
        return trigger_name(self.table, self.rule, text)

    def create(self, connection: BaseDatabaseWrapper) -> list[str]:
        return _SQL[connection.vendor](connection, self)


@dataclass(frozen=True, slots=True)
class AppendOnly:
    """Rows are inserted and read, nothing else."""

    model: str

    def triggers(self, vendor: str) -> list[Trigger]:
        meta = apps.get_model(self.model)._meta
        message = f"{PREFIX[:-1]}: {meta.db_table} is append-only"
        operations: tuple[Operation, ...] = ("update", "delete", "truncate")
        refused = [Trigger(meta.db_table, f"no_{op}", op, _ALWAYS, message) for op in operations]
        return [*refused, _no_replace(self.model, message)]


@dataclass(frozen=True, slots=True)
class WriteOnce:
    """Rows are inserted, read and deleted, but never changed."""

    model: str

    def triggers(self, vendor: str) -> list[Trigger]:
        meta = apps.get_model(self.model)._meta
        message = f"{PREFIX[:-1]}: {meta.db_table} never changes a row"
        operations: tuple[Operation, ...] = ("update", "truncate")
        refused = [Trigger(meta.db_table, f"no_{op}", op, _ALWAYS, message) for op in operations]
        return [*refused, _no_replace(self.model, message)]


@dataclass(frozen=True, slots=True)
class Immutable:
    """Rows are never deleted, and `fields` (and the primary key) keep their first value."""

    model: str
    fields: tuple[str, ...]

    def triggers(self, vendor: str) -> list[Trigger]:
        meta = apps.get_model(self.model)._meta
        columns = [field.column for field in meta.pk_fields]
        columns += [_column(meta.model, name) for name in self.fields]
        changed = " OR ".join(_differs(vendor, f'NEW."{c}"', f'OLD."{c}"') for c in columns)
        kept = f"{PREFIX[:-1]}: {meta.db_table} never changes its {', '.join(columns)}"
        stays = f"{PREFIX[:-1]}: {meta.db_table} is never deleted from"
        return [
            Trigger(meta.db_table, "immutable", "update", changed, kept),
            Trigger(meta.db_table, "no_delete", "delete", _ALWAYS, stays),
            Trigger(meta.db_table, "no_truncate", "truncate", _ALWAYS, stays),
            _no_replace(self.model, stays),
        ]


@dataclass(frozen=True, slots=True)
class Refuse:
    """Whatever would make `when` true is refused.

    `when` is SQL that both databases understand, over the row's `{new.field}` and `{old.field}`,
    other tables `{app.Model}` and their columns `{app.Model.field}`; with an alias,
    `{mine:app.Model}` and `{mine:app.Model.field}`. `name` and `message` are one per rule.
    """

    model: str
    name: str
    when: str
    message: str
    on: tuple[Operation, ...] = ("insert", "update")

    def triggers(self, vendor: str) -> list[Trigger]:
        model = apps.get_model(self.model)
        table, condition = model._meta.db_table, _render(self.when, model)
        message = f"{PREFIX[:-1]}: {table}: {self.message}"
        return [Trigger(table, f"{self.name}_{op}", op, condition, message) for op in self.on]


class MadeTrigger(Protocol):
    """What a protection comes to in one database."""

    @property
    def table(self) -> str: ...

    @property
    def rule(self) -> str: ...

    @property
    def name(self) -> str: ...

    def create(self, connection: BaseDatabaseWrapper) -> list[str]:
        """The statements that make it."""


class Protection(Protocol):
    @property
    def model(self) -> str: ...

    def triggers(self, vendor: str) -> Sequence[MadeTrigger]: ...


_declared: dict[Protection, None] = {}


def trigger_name(table: str, rule: str, definition: str) -> str:
    digest = hashlib.sha256(definition.encode()).hexdigest()[:8]
    return f"{PREFIX}{table}_{rule}"[: _IDENTIFIER_LIMIT - 9] + f"_{digest}"


def declared_protections() -> tuple[Protection, ...]:
    return tuple(_declared)


def protect(*protections: Protection) -> None:
    """Declare protections; called where a models module is imported."""
    _declared.update(dict.fromkeys(protections))


def install_triggers(sender: Any, using: str, **kwargs: Any) -> None:
    """post_migrate: (re)create the triggers of every declaration whose tables exist."""
    create_triggers(connections[using], tuple(_declared))


def remove_triggers(sender: Any, using: str, plan: Sequence[Any], **kwargs: Any) -> None:
    """pre_migrate: take the triggers away while tables change. `install_triggers` ends that."""
    if plan:
        with transaction.atomic(using=using):
            _drop_all(connections[using])


def create_triggers(connection: BaseDatabaseWrapper, protections: Iterable[Protection]) -> None:
    """Make the database hold exactly the triggers of `protections`, in one transaction."""
    with transaction.atomic(using=connection.alias):
        _drop_all(connection)
        with connection.cursor() as cursor:
            for trigger in _expected(connection, protections):
                for statement in trigger.create(connection):
                    cursor.execute(statement)


def missing_triggers(
    connection: BaseDatabaseWrapper, protections: Iterable[Protection] | None = None
) -> list[str]:
    """Names of the triggers that are declared, but absent, outdated or (PostgreSQL) not enabled."""
    declared = tuple(_declared) if protections is None else protections
    existing = set(_query(connection, _EFFECTIVE[connection.vendor]))
    return [t.name for t in _expected(connection, declared) if t.name not in existing]


@register(Tags.database)
def check_triggers(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """A warning, not an error: `migrate` runs this check before it makes the triggers."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        if missing := missing_triggers(connections[alias]):
            message = f"Database {alias!r} lacks protecting triggers: {', '.join(missing)}."
            found.append(Warning(message, hint="Run `manage.py migrate`.", id="registry.W001"))
    return found


def _expected(
    connection: BaseDatabaseWrapper, protections: Iterable[Protection]
) -> list[MadeTrigger]:
    """The triggers this database needs; a table that is not migrated yet needs none."""
    tables = set(connection.introspection.table_names())
    skipped = "no_replace" if connection.vendor == "postgresql" else "no_truncate"
    return [
        trigger
        for protection in protections
        if apps.get_model(protection.model)._meta.db_table in tables
        for trigger in protection.triggers(connection.vendor)
        if trigger.rule != skipped
    ]


def _no_replace(label: str, message: str) -> Trigger:
    """SQLite only: refuse the INSERT that would replace a row instead of colliding with it."""
    meta = apps.get_model(label)._meta
    keys = [tuple(field.name for field in meta.pk_fields)]
    keys += [(field.name,) for field in meta.local_concrete_fields if field.unique]
    keys += [*meta.unique_together, *(c.fields for c in meta.total_unique_constraints)]
    existing = [_row_exists(meta.model, key) for key in dict.fromkeys(keys)]
    return Trigger(meta.db_table, "no_replace", "insert", " OR ".join(existing), message)


def _row_exists(model: type[Model], key: Sequence[str]) -> str:
    table, columns = model._meta.db_table, [_column(model, name) for name in key]
    equal = " AND ".join(f'"{table}"."{column}" = NEW."{column}"' for column in columns)
    return f'EXISTS (SELECT 1 FROM "{table}" WHERE {equal})'


def _differs(vendor: str, left: str, right: str) -> str:
    operator = "IS NOT" if vendor == "sqlite" else "IS DISTINCT FROM"
    return f"{left} {operator} {right}"


def _column(model: type[Model], name: str) -> str:
    field: Any = model._meta.get_field(name)
    return str(field.column)


_PLACEHOLDER = re.compile(r"\{(?:(\w+):)?(\w+)\.(\w+)(?:\.(\w+))?\}")


def _render(template: str, model: type[Model]) -> str:
    """A `Refuse.when` with its placeholders as quoted names. LookupError for an unknown model."""

    def quoted(match: re.Match[str]) -> str:
        alias, first, second, field = match.groups()
        if first in ("new", "old"):
            return f'{first.upper()}."{_column(model, second)}"'
        other = apps.get_model(first, second)
        table = f'"{other._meta.db_table}"'
        if field:
            return f'{alias or table}."{_column(other, field)}"'
        return f"{table} AS {alias}" if alias else table

    return _PLACEHOLDER.sub(quoted, template)


def _sqlite(connection: BaseDatabaseWrapper, trigger: Trigger) -> list[str]:
    return [
        f'CREATE TRIGGER "{trigger.name}" BEFORE {trigger.operation.upper()}'
        f' ON "{trigger.table}" FOR EACH ROW BEGIN'
        f" SELECT RAISE(ABORT, {_literal(trigger.message)}) WHERE {trigger.condition}; END"
    ]


def _postgresql(connection: BaseDatabaseWrapper, trigger: Trigger) -> list[str]:
    """A function per trigger: a WHEN clause takes no subquery. Its search_path is fixed, since a
    temporary table would otherwise stand in for one that the condition reads."""
    schema = current_schema(connection)
    level = "STATEMENT" if trigger.operation == "truncate" else "ROW"
    returned = "OLD" if trigger.operation == "delete" else "NEW"
    return [
        f'CREATE FUNCTION "{trigger.name}"() RETURNS trigger LANGUAGE plpgsql'
        f" SET search_path = {schema}, pg_temp AS $seamless$ BEGIN"
        f" IF {trigger.condition} THEN RAISE EXCEPTION USING"
        f" ERRCODE = 'integrity_constraint_violation', MESSAGE = {_literal(trigger.message)};"
        f" END IF; RETURN {'NULL' if level == 'STATEMENT' else returned}; END $seamless$",
        f'CREATE TRIGGER "{trigger.name}" BEFORE {trigger.operation.upper()} ON "{trigger.table}"'
        f' FOR EACH {level} EXECUTE FUNCTION "{trigger.name}"()',
        f'ALTER TABLE "{trigger.table}" ENABLE ALWAYS TRIGGER "{trigger.name}"',
    ]


def current_schema(connection: BaseDatabaseWrapper) -> str:
    """PostgreSQL: the quoted name of the schema that holds our tables."""
    (schema,) = _query(connection, "SELECT quote_ident(current_schema())")
    return schema


_SQL = {"sqlite": _sqlite, "postgresql": _postgresql}

_EFFECTIVE = {
    "sqlite": f"""SELECT name FROM sqlite_master
        WHERE type = 'trigger' AND substr(name, 1, {len(PREFIX)}) = '{PREFIX}'""",
    "postgresql": f"""SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = current_schema()::regnamespace
        AND t.tgenabled = 'A' AND left(t.tgname, {len(PREFIX)}) = '{PREFIX}'""",
}

_DROPS = {
    "sqlite": f"""SELECT 'DROP TRIGGER "' || name || '"' FROM sqlite_master
        WHERE type = 'trigger' AND substr(name, 1, {len(PREFIX)}) = '{PREFIX}'""",
    # Dropping the function takes its trigger with it, enabled or not.
    "postgresql": f"""SELECT format('DROP FUNCTION %I() CASCADE', proname) FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace
        AND prorettype = 'trigger'::regtype AND left(proname, {len(PREFIX)}) = '{PREFIX}'""",
}


def _drop_all(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        for statement in _query(connection, _DROPS[connection.vendor]):
            cursor.execute(statement)


def _query(connection: BaseDatabaseWrapper, sql: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [value for (value,) in cursor.fetchall()]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
