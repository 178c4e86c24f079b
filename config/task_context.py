"""What a task takes along from the request that sent it: its ids and its trace.

The request's ids travel as message headers beside W3C `traceparent`, and are bound again around the
task, so that a worker's log lines, audit records and spans join those of the request.
"""

from contextlib import ExitStack
from typing import Any

import structlog
from celery import signals
from opentelemetry import context, propagate

from config.tracing import start_tracing

CARRIED = ("request_id", "correlation_id")  # as registry.request_context binds them

_open: dict[str, ExitStack] = {}


def connect() -> None:
    """Called once, where the Celery application is made."""
    signals.before_task_publish.connect(_pack)
    signals.task_prerun.connect(_unpack)
    signals.task_postrun.connect(_leave)
    signals.worker_process_init.connect(_start_tracing)


def _pack(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is None:
        return
    bound = structlog.contextvars.get_contextvars()
    for name in CARRIED:
        if bound.get(name):
            headers.setdefault(name, bound[name])
    propagate.inject(headers)


def _unpack(task: Any = None, task_id: str = "", **_: Any) -> None:
    carried = vars(task.request)
    ids = {name: carried[name] for name in CARRIED if carried.get(name)}
    block = ExitStack()
    block.enter_context(structlog.contextvars.bound_contextvars(task_id=task_id, **ids))
    token = context.attach(propagate.extract(_texts(carried)))
    block.callback(context.detach, token)
    _open[task_id] = block


def _leave(task_id: str = "", **_: Any) -> None:
    if block := _open.pop(task_id, None):
        block.close()


def _texts(headers: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if isinstance(value, str)}


def _start_tracing(**_: Any) -> None:
    start_tracing()
