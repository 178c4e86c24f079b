"""Imported by the worker of test_worker.py: a handler that hangs once, where the test says so.

The first fetch of the range that starts at 0 writes its process id to the file named in
SEAMLESS_TEST_MARK and waits to be killed; every later one goes on.
"""

import os
import time
from pathlib import Path

from coordinator.coverage import CoverageRange
from coordinator.ports import CancelSignal, set_shard_handler_factory
from tests.coordinator.backfills import TinyHandler


def hang_once(wanted: CoverageRange, cancel: CancelSignal) -> None:
    mark = Path(os.environ["SEAMLESS_TEST_MARK"])
    if wanted.start == 0 and not mark.exists():
        unfinished = mark.with_suffix(".new")
        unfinished.write_text(str(os.getpid()))
        unfinished.rename(mark)
        time.sleep(600)


set_shard_handler_factory(lambda node: TinyHandler(on_fetch=hang_once))
