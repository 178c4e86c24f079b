"""Ends the processes of a supervisor that died without a chance to do so (kill -9, crash).

The supervisor starts this file as a process in its own session, and writes to its standard input
one line `+PID` for each process group it starts and `-PID` for each one it has seen end. The end of
that input means that the supervisor is gone: every group still on the list gets SIGTERM, and
SIGKILL after the grace. A supervisor that stops in good order has emptied the list before.

The kernel's PR_SET_PDEATHSIG was the other choice. It needs code between fork and exec (unsafe in
a process with threads), follows the thread that forked rather than the process, exists on Linux
only, and never reaches the children of the children, which Celery and granian have.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from typing import TextIO


def read_groups(supervisor: TextIO) -> list[int]:
    """The process groups that are left when the supervisor's end of the pipe closes."""
    groups: list[int] = []
    for line in supervisor:
        number = int(line[1:])
        if line[0] == "+":
            groups.append(number)
        elif number in groups:
            groups.remove(number)
    return groups


def signal_group(group: int, signal_number: int) -> bool:
    """Signal a whole group; whether it still had a process to signal."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal_number)
        return True
    return False


def end_groups(groups: list[int], grace: float) -> None:
    deadline = time.monotonic() + grace
    for group in groups:
        with suppress(ProcessLookupError):
            os.kill(group, signal.SIGTERM)  # its first process, which ends its own children
    left = groups
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [group for group in left if signal_group(group, 0)]
    for group in left:
        signal_group(group, signal.SIGKILL)


if __name__ == "__main__":
    end_groups(read_groups(sys.stdin), grace=float(sys.argv[1]))
