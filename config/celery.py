"""The Celery application: `celery -A config worker -B`."""

import os
from typing import Any

from celery import Celery, signals
from prometheus_client.multiprocess import mark_process_dead

from config import task_context
from config.collector import spare_what_is_loaded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("seamless")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
task_context.connect()


@signals.worker_init.connect
def _spare_what_is_loaded(**_: Any) -> None:
    spare_what_is_loaded()


@signals.worker_process_shutdown.connect
def _forget_live_gauges(pid: int | None = None, **_: Any) -> None:
    """A pool child ends, by its task limit say: its counters stay, its live gauges do not."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        mark_process_dead(pid or os.getpid())
