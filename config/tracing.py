"""Where trace spans go: nowhere, unless the environment names an OTLP receiver.

`OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) switches tracing on; the
other variables of OpenTelemetry (`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, headers, timeouts) are
read by its SDK. Called once in every process that does work, after its fork: the exporter's thread
does not survive one.
"""

import os
from functools import cache

from django.core.exceptions import ImproperlyConfigured

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@cache
def start_tracing() -> bool:
    """Send spans to the receiver that the environment names; whether there is one."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return False
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ImproperlyConfigured(
            f"{ENDPOINTS[0]} is set, but {error.name} is not installed: pip install seamless[otel]"
        ) from error
    from opentelemetry import trace

    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "seamless"}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return True
