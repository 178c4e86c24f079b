"""What spans cost a read: off, on with every span kept, and the span by itself.

    python benchmarks/tracing.py [--reads 300]

One process, one warm window of 25 bars, rounds that take turns; the fastest of each.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from time import perf_counter

ROUNDS = 7


def main(reads: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SEAMLESS_VAR": folder,
            "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
            "SEAMLESS_LOG_LEVEL": "ERROR",
            "SEAMLESS_ALLOWED_HOSTS": "testserver",
            "SEAMLESS_EVIDENCE_SECONDS": "0",  # at once: the gate below counts a read just made
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        _measure(reads)


def _measure(reads: int) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from registry import spans
    from tests.provider.world import bars, build_world

    world = build_world()
    world.write(bars())
    reader = world.reader()

    off, exporter, provider = spans._tracer, InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    on = provider.get_tracer("seamless")

    def read() -> None:
        for _ in range(reads):
            assert reader.data().status_code == 200
        exporter.clear()

    def bare() -> None:
        for _ in range(100_000):
            with spans.span("seamless.storage", {"sla.phase": "storage_wait"}):
                pass
        exporter.clear()

    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, tracer in (("off", off), ("on", on)):
            spans._tracer = tracer
            _keep(best, f"read, tracing {name}", read, reads)
        spans._tracer = off
        _keep(best, "one span, tracing off", bare, 100_000)
    for name, seconds in best.items():
        print(f"{name:<24} {seconds * 1e6:9.1f} us")
    ratio = best["read, tracing on"] / best["read, tracing off"]
    print(f"a read with tracing on takes {ratio:.2f} of one with tracing off")


def _keep(best: dict[str, float], name: str, run: Callable[[], None], times: int) -> None:
    began = perf_counter()
    run()
    best[name] = min(best.get(name, float("inf")), (perf_counter() - began) / times)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--reads", type=int, default=300)
    main(parser.parse_args().reads)
