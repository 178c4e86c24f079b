"""What the coordinator can do right now, shown in health, metrics and logs."""

from enum import StrEnum

from django.db import DatabaseError, InterfaceError, connection

from coordinator.leases import live_leases


class Mode(StrEnum):
    FULL = "full"
    """Redis and the database answer: workers run the shards."""

    DEGRADED = "degraded"
    """Redis is away: the requester claims in the database and runs its shards under the fence."""

    LOCAL = "local"
    """The database is away: what storage has can be served, nothing is committed."""


def coordinator_mode() -> Mode:
    """Asks both; costs at most the half second of Redis' timeout, once per cooldown."""
    if not _database_answers():
        return Mode.LOCAL
    return Mode.FULL if live_leases().is_reachable() else Mode.DEGRADED


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError):
        return False
    return True
