"""Loaded into the Celery worker with `--include`: says whether it is consuming.

The file named by SEAMLESS_WORKER_READY_FILE holds the worker's process id while it takes tasks from
the broker, and is away otherwise, also while the connection is lost. The `worker_ready` signal
comes only once in a worker's life, and a line in the log only until somebody changes the log.
"""

import os
from pathlib import Path
from typing import Any, ClassVar

from celery import bootsteps

from config.celery import app

FILE = Path(os.environ["SEAMLESS_WORKER_READY_FILE"])


class Announcement(bootsteps.StartStopStep):
    """Started and stopped with every connection to the broker, after the queues are read."""

    requires: ClassVar[set[str]] = {"celery.worker.consumer.tasks:Tasks"}

    def start(self, parent: Any) -> None:
        FILE.write_text(str(os.getpid()))

    def stop(self, parent: Any) -> None:
        FILE.unlink(missing_ok=True)


app.steps["consumer"].add(Announcement)
