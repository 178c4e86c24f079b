"""Recovery hooks: a port for whoever wants to be told how attempts, shards and jobs end.

    class Pager:
        def failed(self, event: ShardEvent) -> None: ...      # one attempt lost, tried again
        def recovered(self, event: ShardEvent) -> None: ...   # done after attempts that failed
        def violated(self, event: ShardEvent) -> None: ...    # ended without its rows
        def completed(self, event: JobEvent) -> None: ...     # a job has ended, with its report

    add_recovery_hook(Pager())

Hooks are told after the commit that made it true, whose audit record says the same; what a hook
raises is logged and stops nothing. The first hook is ours: a metric and a log line for each.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal, Protocol

import structlog
from django.db import transaction

from coordinator import counters
from coordinator.lease_state import JobState
from coordinator.models import BackfillJob, BackfillShard

Happening = Literal["failed", "recovered", "violated", "completed"]

log = structlog.get_logger("seamless.backfill")


@dataclass(frozen=True, slots=True)
class ShardEvent:
    """What happened to one shard, under which epoch and at which attempt."""

    shard_id: int
    job_id: int
    node_id: str
    interval: int
    start: int
    end: int
    epoch: int
    attempt: int
    error: str
    request_id: str


@dataclass(frozen=True, slots=True)
class JobEvent:
    """How a job ended; `report` is its certificate, or its violation report."""

    job_id: int
    node_id: str
    interval: int
    start: int
    end: int
    outcome: JobState
    request_id: str
    report: Mapping[str, Any] = field(repr=False)


class RecoveryHook(Protocol):
    def failed(self, event: ShardEvent) -> None: ...

    def recovered(self, event: ShardEvent) -> None: ...

    def violated(self, event: ShardEvent) -> None: ...

    def completed(self, event: JobEvent) -> None: ...


class Witness:
    """Counts and logs what happens: `failed` and `violated` have log lines of their own already."""

    def failed(self, event: ShardEvent) -> None:
        self._count("failed", event)

    def recovered(self, event: ShardEvent) -> None:
        self._count("recovered", event)
        log.info("seamless.backfill.recovered", **asdict(event))

    def violated(self, event: ShardEvent) -> None:
        self._count("violated", event)

    def completed(self, event: JobEvent) -> None:
        self._count("completed", event)
        facts = asdict(event)
        del facts["report"]
        log.info("seamless.backfill.completed", **facts)

    def _count(self, happening: Happening, event: ShardEvent | JobEvent) -> None:
        counters.RECOVERY.labels(happening, event.node_id, str(event.interval)).inc()


_hooks: list[RecoveryHook] = [Witness()]


def add_recovery_hook(hook: RecoveryHook) -> None:
    _hooks.append(hook)


def remove_recovery_hook(hook: RecoveryHook) -> None:
    _hooks.remove(hook)


def tell_hooks(happening: Happening, event: ShardEvent | JobEvent) -> None:
    """Tell every hook once the transaction has committed."""
    transaction.on_commit(partial(_tell, happening, event), robust=True)


def shard_event(shard: BackfillShard, *, error: str = "") -> ShardEvent:
    job = shard.job
    return ShardEvent(
        shard_id=shard.pk,
        job_id=job.pk,
        node_id=job.node.node_id,
        interval=job.interval,
        start=shard.range_start,
        end=shard.range_end,
        epoch=shard.epoch,
        attempt=shard.attempts,
        error=error,
        request_id=job.request_id,
    )


def job_event(job: BackfillJob, outcome: JobState, report: Mapping[str, Any]) -> JobEvent:
    return JobEvent(
        job_id=job.pk,
        node_id=job.node.node_id,
        interval=job.interval,
        start=job.range_start,
        end=job.range_end,
        outcome=outcome,
        request_id=job.request_id,
        report=report,
    )


def _tell(happening: Happening, event: ShardEvent | JobEvent) -> None:
    for hook in _hooks:
        try:
            getattr(hook, happening)(event)
        except Exception:
            log.exception("seamless.backfill.hook_failed", hook=type(hook).__name__)
