"""Tracing is off by default, and sends to the receiver that the environment names."""

import os
import subprocess
import sys

from tests.otlp import receiver

PROGRAM = """
import django
django.setup()
from config.tracing import start_tracing
from registry.spans import span
from opentelemetry import trace
print(start_tracing())
with span("seamless.request", {"node_id": "ohlcv:x"}):
    pass
provider = trace.get_tracer_provider()
if hasattr(provider, "shutdown"):
    provider.shutdown()
"""


def run(program: str = PROGRAM, **variables: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")} | variables
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_off_by_default() -> None:
    assert run().split() == ["False"]


def test_spans_reach_the_receiver_of_the_environment() -> None:
    with receiver() as (address, received):
        assert run(OTEL_EXPORTER_OTLP_ENDPOINT=address).split() == ["True"]
    ((path, body),) = received
    assert path == "/v1/traces"
    assert b"seamless.request" in body
    assert b"ohlcv:x" in body


def test_a_missing_exporter_is_named_with_the_way_out() -> None:
    hidden = "import sys; sys.modules['opentelemetry.sdk.trace'] = None\n" + PROGRAM
    said = run(hidden, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert "pip install seamless[otel]" in said
