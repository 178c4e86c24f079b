"""One governed read from its parameters to what is sent, and what happens behind the answer."""

import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.db import transaction
from django.utils import timezone

from provider.blend import Blended
from provider.canary import after_response
from provider.conformance import (
    ConformancePipelineError,
    ConformanceReport,
    Finding,
    SchemaRefused,
    check_schema,
)
from provider.observing import observe_report, observe_schema_failure
from provider.reports import is_worth_keeping, report_digest, store_report
from provider.requests import ReadAnswer, ReadRequest
from provider.seamless import SeamlessDataProvider
from provider.serialise import Format
from registry.errors import InvalidInput
from registry.models import Consumer, Mode
from registry.services.audit import record
from registry.services.evidence import SchemaFinding, record_check
from registry.services.resolution import BoundVersion
from registry.sunsets import sunset_headers


@dataclass(frozen=True, slots=True)
class Selection:
    """What of the checked rows is sent: it never changes the verdict. None: everything."""

    columns: tuple[str, ...] | None
    symbols: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Served:
    """A body with the headers that say what it is."""

    body: bytes
    content_type: str
    headers: dict[str, str]


def serve(
    consumer: Consumer, request: ReadRequest, selection: Selection, representation: Format
) -> Served:
    """Read, check, select, write; the canary is checked behind the answer, on the same rows."""
    try:
        answer = SeamlessDataProvider().read(request)
    except ConformancePipelineError as refusal:
        _refused(consumer, request, refusal)
        raise
    rows = _selected(answer.rows, selection)
    headers = _headers(answer)
    body = representation.write(rows, _metadata(headers))
    headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()}"'
    _behind_the_answer(consumer, answer)
    headers["Seamless-Canary"] = _canary_header(request)
    return Served(body=body, content_type=representation.content_type, headers=headers)


def _selected(rows: Blended, selection: Selection) -> Blended:
    if selection.symbols is not None:
        rows = rows.only(_series_of(rows, selection.symbols))
    if selection.columns is not None:
        known = {name for part in rows.parts for name in part.table.column_names}
        if unknown := sorted(set(selection.columns) - known):
            raise InvalidInput(
                f"Unknown columns {', '.join(unknown)[:200]}; "
                f"there are {', '.join(sorted(known))}.",
                parameter="columns",
            )
        rows = rows.select(selection.columns)
    return rows


def _series_of(rows: Blended, symbols: tuple[str, ...]) -> list[int]:
    """The series whose (single) key column has one of the values."""
    if len(rows.frame.key) != 1:
        raise InvalidInput("This node has no single key column to select by.", parameter="symbols")
    column = rows.frame.key[0]
    values = [str(key[column]) for key in rows.keys]
    if unknown := sorted(set(symbols) - set(values)):
        raise InvalidInput(f"Unknown symbols {', '.join(unknown)[:200]}.", parameter="symbols")
    return [number for number, value in enumerate(values) if value in symbols]


# --- what the answer says of itself -------------------------------------------------------------


def _headers(answer: ReadAnswer) -> dict[str, str]:
    request = answer.request
    headers = {
        "Seamless-Node": quote(request.node.node_id, safe=":/"),
        "Seamless-Window": f"{request.window.start}/{request.window.end}",
        "Seamless-Coverage": f"{answer.coverage:.6g}",
        "Seamless-Report": report_link(request, answer.report),
    }
    strict = request.resolution.strict
    if strict is not None:
        headers |= {
            "Seamless-Subject": strict.subject,
            "Seamless-Schema-Version": str(strict.number),
            "Seamless-Schema-Fingerprint": strict.fingerprint,
            "Seamless-Release": f"{strict.bundle}/{strict.release}",
            "Seamless-Release-Fingerprint": strict.release_fingerprint,
        }
    return headers | going_away(request)


def going_away(request: ReadRequest) -> dict[str, str]:
    """Whether the version that the answer is held to goes away, and when.

    Of the strict release only, so that a canary shows nowhere.
    """
    strict = request.resolution.strict
    return {} if strict is None else sunset_headers(strict.deprecated_at, strict.sunset_at)


def report_link(request: ReadRequest, report: ConformanceReport) -> str:
    """Where the report can be read; a report without findings says all it has to say here."""
    if not is_worth_keeping(report):
        return "clean"
    node = quote(request.node.node_id)
    return f"/api/v1/nodes/{node}/reports/{report_digest(request.node, report)}"


def _canary_header(request: ReadRequest) -> str:
    canary = request.resolution.canary
    if canary is None:
        return "none"
    if not request.resolution.governed:
        return f"ungoverned; {canary.subject}/{canary.number}"
    return f"{canary.bundle}/{canary.release}"


def _metadata(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


# --- behind the answer --------------------------------------------------------------------------


def _behind_the_answer(consumer: Consumer, answer: ReadAnswer) -> None:
    request = answer.request
    _observe(request, answer.report)
    canary = request.resolution.canary

    def task() -> None:
        if is_worth_keeping(answer.report):
            _store(request, answer.report)
        if canary is not None:
            check_canary(consumer, request, answer.rows, canary)

    if not after_response(task) and canary is not None:
        _record(consumer, request, canary, Mode.CANARY, rows=0, findings=(), unchecked=True)


def check_canary(
    consumer: Consumer, request: ReadRequest, rows: Blended, canary: BoundVersion
) -> None:
    """Judge the rows that were sent by the canary's schema, and record it: never more than that."""
    findings = check_schema(canary.document, rows, references=canary.references)
    if findings:
        _observe_failure(request, canary, Mode.CANARY)
    _record(consumer, request, canary, Mode.CANARY, rows=rows.rows, findings=findings)


def _refused(consumer: Consumer, request: ReadRequest, refusal: ConformancePipelineError) -> None:
    """A refusal is written before it is answered: report, diagnostics, audit record."""
    report = refusal.report
    refusal.extra = {
        "flags": report.flags,
        "findings": [finding.to_dict() for finding in report.findings],
        "report": report_link(request, report),
    }
    _observe(request, report)
    judge = request.judge
    _store(request, report)
    if isinstance(refusal, SchemaRefused):
        _observe_failure(request, judge, Mode.STRICT)
        schema = [item for item in report.findings if item.finding_class == "schema"]
        _record(consumer, request, judge, Mode.STRICT, rows=report.rows, findings=schema)
    with transaction.atomic():
        record(
            actor=request.actor,
            action="data.read",
            object_type="node",
            object_id=request.node.node_id,
            now=request.now,
            outcome="refused",
            reason=f"{refusal.code}: {refusal.detail}",
            after={"release": judge.release_fingerprint, "flags": report.flags},
        )


def _store(request: ReadRequest, report: ConformanceReport) -> None:
    store_report(
        node=request.node,
        version_id=request.judge.version_id,
        report=report,
        request_id=request.actor.request_id,
        now=request.now,
    )


def _observe(request: ReadRequest, report: ConformanceReport) -> None:
    observe_report(request.node, request.window.start, request.window.end, report)


def _observe_failure(request: ReadRequest, version: BoundVersion, mode: Mode) -> None:
    observe_schema_failure(
        request.node,
        subject=version.subject,
        version=version.number,
        mode=mode,
        start=request.window.start,
        end=request.window.end,
    )


def _record(
    consumer: Consumer,
    request: ReadRequest,
    version: BoundVersion,
    mode: Mode,
    *,
    rows: int,
    findings: Any,
    unchecked: bool = False,
) -> None:
    record_check(
        consumer=consumer,
        node=request.node,
        version=version,
        mode=mode,
        rows=rows,
        findings=[_evidence(finding) for finding in findings],
        now=timezone.now(),
        unchecked=unchecked,
    )


def _evidence(finding: Finding) -> SchemaFinding:
    return SchemaFinding(
        column=finding.column,
        keyword=finding.keyword or finding.flag,
        count=finding.count,
        samples=[sample.to_dict() for sample in finding.samples],
    )
