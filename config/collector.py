"""The garbage collector of a process that serves.

A full collection visits every object there is: with all modules loaded that takes a tenth of a
second, of whichever request sets it off. What was loaded lives as long as the process, so it need
not be visited.
"""

import gc


def spare_what_is_loaded() -> None:
    """Once all modules are there, before the first request or task (and before a pool forks)."""
    gc.collect()
    gc.freeze()
