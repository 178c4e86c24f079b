"""PostgreSQL's own guard against two active jobs that overlap; SQLite has a trigger instead.

For a migration: `migrations.RunPython(add_job_exclusion, drop_job_exclusion)`.
"""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor

CONSTRAINT = "one_active_backfill_job"

_ADD = f"""
ALTER TABLE coordinator_backfilljob ADD CONSTRAINT {CONSTRAINT} EXCLUDE USING gist (
    node_id WITH =, "interval" WITH =, bound_version_id WITH =,
    int8range(range_start, range_end, '[]') WITH &&
) WHERE (state IN ('pending', 'running', 'paused'))
"""
_DROP = f"ALTER TABLE coordinator_backfilljob DROP CONSTRAINT {CONSTRAINT}"


def add_job_exclusion(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Needs the right to create the extension btree_gist (trusted since PostgreSQL 13)."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
        schema_editor.execute(_ADD)


def drop_job_exclusion(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(_DROP)
