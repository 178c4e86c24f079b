"""A task's log lines, records and spans join those of the request that sent it."""

from types import SimpleNamespace

import pytest
import structlog
from celery import signals
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331


@pytest.fixture
def current_span():
    context = SpanContext(TRACE, SPAN, is_remote=False, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(context)):
        yield


def sent() -> dict:
    headers: dict = {"id": "task-1"}
    signals.before_task_publish.send(sender="a task", headers=headers)
    return headers


def run(headers: dict) -> tuple[dict, SpanContext]:
    task = SimpleNamespace(request=SimpleNamespace(**headers))
    signals.task_prerun.send(sender="a task", task=task, task_id="task-1")
    try:
        seen = structlog.contextvars.get_contextvars()
        return dict(seen), trace.get_current_span().get_span_context()
    finally:
        signals.task_postrun.send(sender="a task", task=task, task_id="task-1")


def test_the_ids_and_the_trace_travel_with_the_message(current_span: None) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1", correlation_id="c-1", other=1):
        headers = sent()
    assert (headers["request_id"], headers["correlation_id"]) == ("r-1", "c-1")
    assert "other" not in headers
    assert headers["traceparent"] == f"00-{TRACE:032x}-{SPAN:016x}-01"


def test_they_hold_for_the_task_and_end_with_it(current_span: None) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        headers = sent()
    with trace.use_span(trace.INVALID_SPAN):
        bound, span = run(headers)
        assert bound == {"task_id": "task-1", "request_id": "r-1"}
        assert (span.trace_id, span.span_id, span.is_remote) == (TRACE, SPAN, True)
        assert not trace.get_current_span().get_span_context().is_valid
    assert structlog.contextvars.get_contextvars() == {}


def test_a_task_that_nobody_asked_for_has_its_own_id_alone() -> None:
    bound, span = run(sent())
    assert bound == {"task_id": "task-1"}
    assert not span.is_valid


def test_a_task_called_in_place_needs_no_message() -> None:
    headers = {"id": "x", "traceparent": None, "request_id": None}
    assert run(headers)[0] == {"task_id": "task-1"}
