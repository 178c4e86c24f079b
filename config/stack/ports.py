"""Ports of the loopback interface; nothing here listens anywhere else."""

import socket

from config.stack.errors import StackError

LOOPBACK = "127.0.0.1"


def find_free_port() -> int:
    """A port that nothing listens on now; the system hands out another one to the next caller."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free_port(port: int) -> None:
    """Raise StackError where something listens on `port` already, or we may not use it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT does not count
        try:
            probe.bind((LOOPBACK, port))
        except PermissionError:
            raise StackError(
                f"This account may not listen on port {port}.",
                "choose one above 1023: `SEAMLESS_PORT=8001 make run`.",
            ) from None
        except (OSError, OverflowError):
            raise StackError(
                f"Port {port} on {LOOPBACK} is busy: another program listens there.",
                f"stop that program, or choose another port: `SEAMLESS_PORT={port + 1} make run`.",
            ) from None
