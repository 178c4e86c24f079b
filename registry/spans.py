"""Trace spans by one name each; without an SDK (`config.tracing`) a span costs about a microsecond.

    with span("seamless.storage", {"sla.phase": "storage_wait"}) as current:
        current.set_attribute("rows", table.num_rows)

Names and attributes are promised to whoever reads the traces (`docs/reference/traces.md`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, Status, StatusCode

from registry.errors import SeamlessError

Attribute = str | bool | int | float

_tracer = trace.get_tracer("seamless")


_FIELD = "traceparent"


def current_traceparent() -> str:
    """The current span as W3C Trace Context writes it (55 characters); "" where there is none."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get(_FIELD, "")


@contextmanager
def span(
    name: str, attributes: Mapping[str, Attribute] | None = None, *, traceparent: str = ""
) -> Iterator[Span]:
    """The current span of the block. A refusal is an outcome (its code), a crash an error.

    `traceparent`: whose child it is, where that is not the current span.
    """
    with _tracer.start_as_current_span(
        name,
        context=propagate.extract({_FIELD: traceparent}) if traceparent else None,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except SeamlessError as refusal:
            current.set_attribute("seamless.refusal", refusal.code)
            raise
        except BaseException as error:
            # The type alone: a message may quote a value that no trace should hold.
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
