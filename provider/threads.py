"""Work that releases the interpreter's lock, shared among a few threads."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

THREADS = min(4, os.cpu_count() or 1)

Item = TypeVar("Item")
Done = TypeVar("Done")


def in_runs(
    work: Callable[[Sequence[Item]], list[Done]], items: Sequence[Item], *, least: int
) -> list[Done]:
    """What `work` makes of the items, in their order; `least` of them are worth a thread."""
    runs = min(THREADS, len(items) // least)
    if runs < 2:
        return work(items)
    each = -(-len(items) // runs)
    with ThreadPoolExecutor(runs, thread_name_prefix="runs") as threads:
        shares = [items[start : start + each] for start in range(0, len(items), each)]
        return [done for share in threads.map(work, shares) for done in share]
