"""One governed read from its parameters to what is sent, and what happens behind the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import IO, Any

from django.db import transaction
from django.utils import timezone

from provider.api.encoding import encode
from provider.api.headers import (
    Answered,
    answer_headers,
    canary_header,
    going_away,
    metadata_of,
    report_link,
)
from provider.api.selecting import Page, Selection, question_of, release_of, select
from provider.api.validators import (
    State,
    is_held,
    matches,
    name_of_answer,
    passed_states,
    stays_as_it_is,
)
from provider.blend import Blended
from provider.canary import after_response
from provider.conformance import (
    ConformancePipelineError,
    ConformanceReport,
    Finding,
    SchemaRefused,
    check_schema,
)
from provider.holes import hand_over
from provider.models import RepairRequest
from provider.observing import observe_report, observe_schema_failure, schema_log
from provider.reports import keep_report
from provider.requests import ReadAnswer, ReadRequest
from provider.seamless import SeamlessDataProvider, clock_for
from provider.serialise import Format
from provider.window_cache import Key
from provider.window_keys import state_of
from registry.models import Consumer, Mode
from registry.services.audit.refusing import record_refusal
from registry.services.evidence import CRASHED, SchemaFinding, record_check
from registry.services.incidents import note_refusal
from registry.services.resolution import BoundVersion
from registry.services.samples import is_sample_due, retain_sample
from registry.services.usage import count_read

REASON_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Question:
    """A request for data over HTTP, understood and checked."""

    consumer: Consumer
    request: ReadRequest
    selection: Selection
    page: Page
    representation: Format
    coding: str = ""
    if_none_match: str = ""

    @property
    def release(self) -> str:
        return release_of(self.request)

    @property
    def identity(self) -> str:
        """What a cursor is bound to."""
        return question_of(self.consumer.pk, self.request, self.selection)

    def under(self, state: Key | None) -> State | None:
        """All that decides the bytes of the answer; None where time alone may change them."""
        if state is None:
            return None
        form = (self.representation.name, self.coding, self.page.offset, self.page.limit)
        return (state, self.identity, release_of(self.request), *form)


@dataclass(frozen=True, slots=True)
class Served:
    """A body (a file where it is large) with the headers that say what it is; None: what the caller
    holds is still right.
    """

    body: bytes | IO[bytes] | None
    content_type: str
    headers: dict[str, str]


def serve(question: Question) -> Served:
    """Read, check, select, write; the canary is checked behind the answer, on the same rows."""
    if (unchanged := _unchanged(question)) is not None:
        return unchanged
    began = monotonic()
    answer = read_governed(question.consumer, question.request)
    checked = monotonic()
    selected = select(answer, question.selection, question.page, question.identity)
    headers = answer_headers(answer)
    body = question.representation.write(selected.rows, metadata_of(headers))
    body, coding = encode(body, question.coding)
    if coding:
        headers["Content-Encoding"] = coding
    if selected.next is not None:
        headers["Seamless-Next-Cursor"] = selected.next.sign()
    headers["ETag"] = name_of_answer(body, release_of(question.request))
    state = question.under(answer.state)
    if state is not None and stays_as_it_is(answer):
        passed_states.remember(state, headers["ETag"])
    headers["Server-Timing"] = _timing(read=checked - began, write=monotonic() - checked)
    behind_the_answer(question, answer)
    headers["Seamless-Canary"] = canary_header(question.request)
    held = matches(question.if_none_match, headers["ETag"])
    return Served(None if held else body, question.representation.content_type, headers)


def read_governed(consumer: Consumer, request: ReadRequest) -> ReadAnswer:
    """Read as this consumer; a refusal is written down before it goes on up."""
    try:
        return SeamlessDataProvider().read(request)
    except ConformancePipelineError as refusal:
        refused(consumer, request, refusal)
        raise


def _unchanged(question: Question) -> Served | None:
    """Before a row is loaded: what the caller holds passed its check under the present state.

    A canary has to see the rows, so with one they are read first; the answer is the same.
    """
    request = question.request
    if not question.if_none_match or request.resolution.canary is not None:
        return None
    state = question.under(state_of(request, clock_for(request)))
    etag = None if state is None else passed_states.name_under(state)
    if etag is None or not is_held(question.if_none_match, etag):
        return None
    headers = {"ETag": etag, "Seamless-Canary": canary_header(request), **going_away(request)}
    return Served(None, question.representation.content_type, headers)


def _timing(**seconds: float) -> str:
    return ", ".join(f"{name};dur={value * 1000:.1f}" for name, value in seconds.items())


# --- behind the answer --------------------------------------------------------------------------


def behind_the_answer(question: Question, answer: ReadAnswer) -> None:
    consumer, request = question.consumer, answer.request
    _observe(request, answer.report)
    _count(question)
    canary = request.resolution.canary

    def task() -> None:
        _keep(request, answer)
        if canary is not None:
            check_canary(consumer, request, answer.rows, canary)
        _sample(request, answer.rows)

    if not after_response(task) and canary is not None:
        _unchecked(consumer, request, canary)


def keep_behind(question: Question, answer: Answered) -> None:
    """`behind_the_answer` where the canary saw the rows batch by batch (`mirror`)."""
    _observe(answer.request, answer.report)
    _count(question)
    after_response(lambda: _keep(answer.request, answer))


def _count(question: Question) -> None:
    request = question.request
    count_read(
        consumer=question.consumer,
        node=request.node,
        version=request.judge,
        columns=question.selection.columns,
        now=request.now,
    )


def mirror(consumer: Consumer, request: ReadRequest, rows: Blended) -> None:
    """Have the canary judge a batch, if there is one and it finds a place."""
    canary = request.resolution.canary
    if canary is not None and not after_response(
        lambda: check_canary(consumer, request, rows, canary)
    ):
        _unchecked(consumer, request, canary)


def check_canary(
    consumer: Consumer, request: ReadRequest, rows: Blended, canary: BoundVersion
) -> None:
    """Judge the rows that were sent by the canary's schema, and record it: never more than that."""
    try:
        findings = check_schema(canary.document, rows, references=canary.references)
    except Exception:
        schema_log.exception("schema.canary_failed", node_id=request.node.node_id)
        crashed = SchemaFinding(column="", keyword=CRASHED, count=1, samples=())
        _unchecked(consumer, request, canary, crashed)
        return
    if findings:
        _observe_failure(request, canary, Mode.CANARY)
    _record(consumer, request, canary, Mode.CANARY, rows=rows.rows, findings=findings)


def _sample(request: ReadRequest, rows: Blended) -> None:
    """Keep some of the checked rows now and then, of one part: a sample needs no more."""
    node, judge = request.node, request.judge
    if rows.parts and is_sample_due(node=node, version=judge, now=request.now):
        retain_sample(node=node, version=judge, table=rows.parts[0].table, now=request.now)


def _unchecked(
    consumer: Consumer, request: ReadRequest, canary: BoundVersion, *found: SchemaFinding
) -> None:
    """A mirrored read that nobody judged: shed, or the check crashed."""
    record_check(
        consumer=consumer,
        node=request.node,
        version=canary,
        mode=Mode.CANARY,
        rows=0,
        findings=found,
        now=timezone.now(),
        unchecked=True,
    )


def refused(consumer: Consumer, request: ReadRequest, refusal: ConformancePipelineError) -> None:
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
        if isinstance(refusal, SchemaRefused) and judge.rollout_id is not None:
            note_refusal(
                rollout_id=judge.rollout_id,
                node=request.node,
                reason=f"{refusal.code}: {refusal.detail}"[:REASON_LIMIT],
                now=timezone.now(),
            )
        record_refusal(
            actor=request.actor,
            action="data.read",
            object_type="node",
            object_id=request.node.node_id,
            now=request.now,
            kind=(consumer.name, request.node.node_id, judge.release_fingerprint, refusal.code),
            outcome="refused",
            reason=f"{refusal.code}: {refusal.detail}",
            after={"release": judge.release_fingerprint, "flags": report.flags},
        )


def _keep(request: ReadRequest, answer: Answered) -> None:
    """The report, and the jobs that mend its holes; what storage did not say is no hole."""
    repairs: Sequence[RepairRequest] = ()
    if answer.verdict.violation is None:
        repairs = hand_over(request, answer.report, [job.job_id for job in answer.jobs])
    _store(request, answer.report, repairs)


def _store(
    request: ReadRequest, report: ConformanceReport, repairs: Sequence[RepairRequest] = ()
) -> None:
    keep_report(
        node=request.node,
        version_id=request.judge.version_id,
        report=report,
        request_id=request.actor.request_id,
        now=request.now,
        repairs=repairs,
        published=request.artifact is None,
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
) -> None:
    record_check(
        consumer=consumer,
        node=request.node,
        version=version,
        mode=mode,
        rows=rows,
        findings=[_evidence(finding) for finding in findings],
        now=timezone.now(),
    )


def _evidence(finding: Finding) -> SchemaFinding:
    return SchemaFinding(
        column=finding.column,
        keyword=finding.keyword or finding.flag,
        count=finding.count,
        samples=[sample.to_dict() for sample in finding.samples],
    )
