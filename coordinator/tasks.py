"""What Celery workers do: one service call per task. State lives in the database, ids travel."""

import re
import socket
import time
from typing import Any

import structlog
from billiard.exceptions import WorkerLostError
from celery import Task, shared_task, signals
from django.db import connection

from coordinator import own_rounds  # noqa: F401 - every worker process reconciles by itself
from coordinator.queue import RUN_SHARD
from coordinator.services import reconciling, running
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.failing import fail_lost_holder

TICKET_SECONDS = 1.0  # another shard begins within; short beside the time limits of a task
_WORKER_LOST = re.compile(r"\bWorkerLostError\b")

log = structlog.get_logger("seamless.backfill")


@shared_task(name=RUN_SHARD, bind=True, max_retries=2, default_retry_delay=5, ignore_result=True)
def run_shard(self: Task, **_: Any) -> str:
    """Claim the shard that is next and run it, and so on for a second; then pass the ticket on
    while there is more.

    A ticket that came twice or too late ends in one query.
    """
    holder, began, last = holder_of(str(self.request.id)), time.monotonic(), None
    while last is None or time.monotonic() - began < TICKET_SECONDS:
        claim = claim_shard(holder=holder, now=database_now())
        if claim is None:
            break
        running.run_shard(claim=claim)
        last = claim
    if last is None:
        return "nothing to do"
    reconciling.pass_ticket_on(source=last.source, now=database_now())
    return "done"


@shared_task(ignore_result=True)
def reconcile(**_: Any) -> None:
    """One round of the reconciler, unless a worker's own has just had it."""
    reconciling.reconcile_when_due(now=database_now(), by="beat")


def holder_of(task_id: str) -> str:
    """Names the task, not the process: the parent of a lost child knows the task alone."""
    return f"{socket.gethostname()}:{task_id}"


@signals.task_retry.connect
def _child_lost_and_retried(
    sender: Any = None, request: Any = None, reason: Any = None, **_: Any
) -> None:
    if _is_run_shard(sender) and (
        isinstance(reason, WorkerLostError) or _WORKER_LOST.search(f"{type(reason)} {reason}")
    ):
        _fail_lost(str(request.id), str(reason))


@signals.task_failure.connect
def _child_lost_for_good(
    sender: Any = None,
    task_id: str = "",
    exception: BaseException | None = None,
    **_: Any,
) -> None:
    """Also the hard time limit: there the parent kills the child itself."""
    if _is_run_shard(sender):
        _fail_lost(task_id, f"{type(exception).__name__}: {exception}")


def _is_run_shard(task: Any) -> bool:
    return getattr(task, "name", "") == RUN_SHARD


def _fail_lost(task_id: str, reason: str) -> None:
    """In the worker's parent: its database connection must not be there for the next fork."""
    holder = holder_of(task_id)
    try:
        fail_lost_holder(holder=holder, reason=reason, now=database_now())
    except Exception:  # the lease expires by itself, only later
        log.exception("seamless.backfill.lost_holder_not_recorded", holder=holder)
    finally:
        if not connection.in_atomic_block:
            connection.close()
