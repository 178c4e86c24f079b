"""Idle connections to PostgreSQL that are used again, by one thread at a time."""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as postgres

MOST_IDLE = 8


class Connections:
    """Connections to one database. What failed is closed, and a forked child starts anew."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: deque[postgres.Connection] = deque()
        self._process = os.getpid()

    @contextmanager
    def borrowed(self) -> Iterator[postgres.Connection]:
        connection = self._take()
        try:
            yield connection
            connection.rollback()
        except BaseException:
            with suppress(adbc_driver_manager.Error):
                connection.close()
            raise
        self._give_back(connection)

    def _take(self) -> postgres.Connection:
        if self._process != os.getpid():
            # The sockets are the parent's: closing them here would end its sessions.
            self._idle, self._process = deque(), os.getpid()
        while self._idle:
            with suppress(IndexError):  # another thread took the last one
                connection = self._idle.pop()
                if _answers(connection):
                    return connection
        return postgres.connect(self._url)

    def _give_back(self, connection: postgres.Connection) -> None:
        if len(self._idle) < MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.close()


def _answers(connection: postgres.Connection) -> bool:
    """Whether an idle connection still works; after a restart of the server it does not."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchall()
        connection.rollback()
    except adbc_driver_manager.Error:
        with suppress(adbc_driver_manager.Error):
            connection.close()
        return False
    return True


_by_url: dict[str, Connections] = {}


def connections_to(url: str) -> Connections:
    """The process's connections to a database."""
    return _by_url.setdefault(url, Connections(url))
