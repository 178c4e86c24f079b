"""Transactions that hold a shard's row."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from coordinator.lease_times import LeaseTimes

_LIMITS = """
    SELECT set_config('lock_timeout', '2s', true), set_config('statement_timeout', %s, true),
           set_config('idle_in_transaction_session_timeout', %s, true)
"""


@contextmanager
def limited_transaction(times: LeaseTimes) -> Iterator[None]:
    """A transaction that PostgreSQL ends by itself when its process freezes inside.

    Without it a frozen holder would block its successor for as long as it sleeps. SQLite has no
    such limit: nothing slow may happen inside.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(_LIMITS, [f"{times.statement_ms}ms", f"{times.idle_ms}ms"])
        yield
