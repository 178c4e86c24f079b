"""What a read tells metrics and logs."""

from collections.abc import Callable
from typing import Protocol

import structlog

from provider.conformance import ConformanceReport
from provider.metrics import (
    ARTIFACT_BYTES,
    ARTIFACT_MS,
    CACHE_BYTES,
    CACHE_HITS,
    CACHE_MISSES,
    COLLISIONS,
    COVERAGE_RATIO,
    DOMAIN_HOLDS,
    FLAGS,
    LIVE_FAILURES,
    PARTIAL_RETURNS,
    PHASE_MS,
    READ_REPAIR_MS,
    READ_REPAIR_RANGES,
    READ_REPAIR_ROWS,
    READ_REPAIRS,
    SCHEMA_FAILURES,
    SLA_SECONDS,
    SLA_VIOLATIONS,
    STALENESS,
    WARNINGS,
)
from provider.models import Artifact
from provider.requests import ReadRequest, provenance
from provider.sla import OnViolation, PhaseObservation, SeamlessSLAExceeded, SLAPolicy
from provider.verdict import Verdict
from registry.models import Mode, Node

sla_log = structlog.get_logger("seamless.sla")
gate_log = structlog.get_logger("seamless.domain_gate")
conformance_log = structlog.get_logger("seamless.conformance")
schema_log = structlog.get_logger("seamless.schema")


def observe_phase(node: Node) -> Callable[[PhaseObservation], None]:
    """For the clock: every phase goes into the histogram, also a failed one."""

    def observe(seen: PhaseObservation) -> None:
        SLA_SECONDS.labels(node.node_id, seen.phase).observe(seen.elapsed_ms / 1000)
        if (twin := PHASE_MS.get(seen.phase)) is not None:
            twin.labels(node.node_id, str(node.interval)).observe(seen.elapsed_ms)

    return observe


def observe_violation(node: Node, exceeded: SeamlessSLAExceeded, policy: SLAPolicy) -> None:
    SLA_VIOLATIONS.labels(node.node_id, exceeded.phase).inc()
    sla_log.warning(
        "seamless.sla.phase_exceeded",
        node_id=node.node_id,
        interval=node.interval,
        phase=exceeded.phase,
        elapsed_ms=exceeded.elapsed_ms,
        budget_ms=exceeded.budget_ms,
        mode=str(policy.on_violation),
    )


class Answered(Protocol):
    """An answer of either kind: held in memory, or handed on batch by batch."""

    @property
    def request(self) -> ReadRequest: ...

    @property
    def verdict(self) -> Verdict: ...

    @property
    def fingerprint(self) -> str: ...


def observe_answer(answer: Answered, policy: SLAPolicy) -> None:
    """How complete and how fresh the answer is, and that it is less than promised if it is."""
    node, window, verdict = answer.request.node, answer.request.window, answer.verdict
    if answer.request.artifact is None:  # else it says nothing of the node as it is now
        COVERAGE_RATIO.labels(node.node_id, str(node.interval)).set(verdict.coverage)
    if verdict.staleness_seconds is not None:
        STALENESS.labels(node.node_id, str(node.interval)).set(verdict.staleness_seconds)
    if verdict.reason is None or verdict.mode is None:
        return
    if verdict.violation is not None:
        observe_violation(node, verdict.violation, policy)
    held = verdict.mode is OnViolation.HOLD
    counter = DOMAIN_HOLDS if held else PARTIAL_RETURNS
    counter.labels(node.node_id, str(node.interval), verdict.reason.value).inc()
    facts, seen = verdict.to_dict(), provenance(answer.request)
    where = {
        "node_id": node.node_id,
        "interval": node.interval,
        "start": window.start,
        "end": window.end,
        "mode": verdict.mode.value,
        "reason": verdict.reason.value,
        "dataset_fingerprint": answer.fingerprint,
        "as_of": seen["as_of"],
    }
    sla_log.warning(
        "seamless.sla.downgrade",
        coverage_ratio=verdict.coverage,
        staleness_ms=facts["staleness_ms"],
        **where,
        **(facts["sla_violation"] or {}),
    )
    if held:
        gate_log.warning(
            "seamless.domain_gate.downgrade",
            execution_domain=seen["execution_domain"],
            world_id=seen["world_id"],
            **where,
        )


def observe_repair(request: ReadRequest, *, ranges: int, bars: int, seconds: float) -> None:
    """A read that asked for a backfill: for how many ranges, what it brought, how long it took."""
    node, strategy = request.node, request.strategy.value
    labels = (strategy, node.node_id, str(node.interval))
    READ_REPAIRS.labels(*labels).inc()
    READ_REPAIR_RANGES.labels(*labels).inc(ranges)
    READ_REPAIR_ROWS.labels(*labels).inc(bars)
    READ_REPAIR_MS.labels(strategy).observe(seconds * 1000)


def observe_no_live(node: Node, start: int, end: int, reason: str) -> None:
    """A read went without the live rows it had asked for."""
    LIVE_FAILURES.labels(node.node_id, str(node.interval)).inc()
    sla_log.warning(
        "seamless.sla.live_unavailable",
        node_id=node.node_id,
        interval=node.interval,
        start=start,
        end=end,
        reason=reason,
    )


def observe_publication(made: Artifact, seconds: float) -> None:
    """How long it took and how much it wrote; and that equal names stand for equal rows."""
    labels = (made.node.node_id, str(made.node.interval))
    ARTIFACT_MS.labels(*labels).observe(seconds * 1000)
    ARTIFACT_BYTES.labels(*labels).inc(sum(file["bytes"] for file in made.manifest["files"]))
    namesakes = Artifact.objects.filter(
        node=made.node, dataset_fingerprint=made.dataset_fingerprint
    )
    if namesakes.exclude(rows=made.rows).exists():
        COLLISIONS.labels(*labels).inc()


def observe_cache(node: Node, *, hit: bool, resident_bytes: int) -> None:
    (CACHE_HITS if hit else CACHE_MISSES).labels(node.node_id, str(node.interval)).inc()
    CACHE_BYTES.set(resident_bytes)


def observe_report(node: Node, start: int, end: int, report: ConformanceReport) -> None:
    """Count the flags; log those of a report that has any."""
    interval = str(node.interval)
    for flag, count in report.flags.items():
        FLAGS.labels(node.node_id, interval, flag).inc(count)
    if report.warnings:
        WARNINGS.labels(node.node_id, interval).inc(len(report.warnings))
        conformance_log.warning(
            "seamless.conformance.flagged",
            node_id=node.node_id,
            interval=node.interval,
            start=start,
            end=end,
            flags=report.flags,
        )


def observe_schema_failure(
    node: Node, *, subject: str, version: int, mode: Mode, start: int, end: int
) -> None:
    """One checked response that a version refused."""
    SCHEMA_FAILURES.labels(subject, mode.value).inc()
    schema_log.warning(
        "seamless.schema.violated",
        node_id=node.node_id,
        interval=node.interval,
        start=start,
        end=end,
        subject=subject,
        version=version,
        mode=mode.value,
    )
