"""What is wrong with an installation, and how to mend it: one finding per question asked.

Each room asks about what it owns; `manage.py doctor` prints them all, `/readyz` the quick ones.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Min
from django.utils import timezone

from registry.errors import SeamlessError
from registry.models import AuditPending
from registry.services.audit.key_history import current_key
from registry.services.audit.publishing import refuse_fork
from registry.services.audit.signing import configured_signer, key_file
from registry.triggers import missing_triggers

State = Literal["ok", "warning", "failed"]
SEAL_LAG_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer to one question; `fix` says what to do, empty where nothing is to be done."""

    name: str
    state: State
    detail: str
    fix: str = ""


def asked(name: str, question: Callable[[], Finding]) -> Finding:
    """The answer, or the error that kept it away."""
    try:
        return question()
    except (SeamlessError, DatabaseError, InterfaceError, OSError) as error:
        text = getattr(error, "detail", "") or str(error)
        return Finding(name, "failed", text.strip(), "Mend what this error names, and ask again.")


def database_findings() -> Iterator[Finding]:
    """What every other question presumes: ends at the first that failed."""
    for name, question in (("database", _database), ("migrations", _migrations)):
        finding = asked(name, question)
        yield finding
        if finding.state == "failed":
            return


def registry_findings() -> Iterator[Finding]:
    yield asked("triggers", _triggers)
    yield asked("audit key", _audit_key)
    yield asked("audit seal", audit_seal)
    yield asked("audit checkpoints", _checkpoints)
    yield _secret_key()


def _database() -> Finding:
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError) as error:
        fix = "Start the database, or correct DATABASE_URL."
        return Finding("database", "failed", str(error).strip(), fix)
    return Finding("database", "ok", f"{connection.vendor} answers")


def _migrations() -> Finding:
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        waiting = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:5])
        return Finding(
            "migrations", "failed", f"{len(plan)} not applied: {waiting}", "manage.py migrate"
        )
    return Finding("migrations", "ok", "all applied")


def _triggers() -> Finding:
    missing = missing_triggers(connections[DEFAULT_DB_ALIAS])
    if missing:
        detail = f"{len(missing)} protecting triggers are missing: {', '.join(missing[:5])}"
        return Finding("triggers", "failed", detail, "manage.py migrate")
    return Finding("triggers", "ok", "all protections are in force")


def _audit_key() -> Finding:
    generate = settings.SEAMLESS_AUDIT_KEY_GENERATE and not settings.SEAMLESS_AUDIT_KEY
    if generate and not key_file().exists():  # asking for the signer would make one
        return Finding(
            "audit key",
            "warning",
            f"none yet: the first sealing makes {key_file()}",
            "For production give a key of your own: SEAMLESS_AUDIT_KEY_FILE.",
        )
    held, current = configured_signer().public, current_key()
    if current is not None and held != current:
        return Finding(
            "audit key",
            "failed",
            f"the log is signed with {current}, this process holds {held}",
            "Give it the right key (SEAMLESS_AUDIT_KEY or SEAMLESS_AUDIT_KEY_FILE).",
        )
    if generate:
        return Finding(
            "audit key",
            "warning",
            f"{held} was made on first run and lies beside the data",
            "For production give a key of your own: SEAMLESS_AUDIT_KEY_FILE.",
        )
    return Finding("audit key", "ok", str(held))


def audit_seal() -> Finding:
    """Quick: one query."""
    oldest = AuditPending.objects.aggregate(at=Min("event__at"))["at"]
    lag = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    if lag > SEAL_LAG_SECONDS:
        return Finding(
            "audit seal",
            "warning",
            f"the oldest record has waited {lag:.0f} s for its seal",
            "Start a worker with beat, or run manage.py audit seal and read what it says.",
        )
    return Finding("audit seal", "ok", f"records wait at most {max(lag, 0.0):.1f} s")


def _checkpoints() -> Finding:
    refuse_fork()
    return Finding("audit checkpoints", "ok", "the database continues what was published")


def _secret_key() -> Finding:
    if settings.SEAMLESS_SECRET_KEY_GIVEN:
        return Finding("secret key", "ok", "given by the environment")
    return Finding(
        "secret key",
        "warning",
        "made by this process, so sessions end with it and no two processes share one",
        "Set SEAMLESS_SECRET_KEY, and SEAMLESS_REQUIRE_SECRET_KEY=1.",
    )
