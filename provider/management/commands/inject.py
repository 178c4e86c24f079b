"""`manage.py inject sla-violation | flag-spike | stuck-lease NODE`: trouble for an alert drill."""

import argparse
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from prometheus_client import start_http_server, write_to_textfile

from provider.drills import DRILLS, Trouble, rehearse
from provider.sla import SLAPhase
from registry.management.acting import USAGE


class Command(BaseCommand):
    help = (
        "Emit synthetic trouble on a scratch registry, for drills: a text file for node exporter's"
        " textfile collector, or an endpoint of its own. Never the live metrics."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("kind", choices=sorted(DRILLS))
        parser.add_argument("node", help="the node id that the drill names")
        parser.add_argument("--interval", type=_positive, default=60, help="seconds between bars")
        parser.add_argument("--repetitions", type=_positive, default=10)
        parser.add_argument("--phase", choices=[str(phase) for phase in SLAPhase], default="total")
        parser.add_argument("--duration", type=float, default=300.0, help="seconds of each read")
        parser.add_argument("--flag", default="gap", help="the kind of flag")
        parser.add_argument("--ratio", type=float, default=0.25, help="of the stuck backfill")
        parser.add_argument("--write-to", type=Path, help="a file in Prometheus' text format")
        parser.add_argument("--serve", type=_port, metavar="PORT", help="an endpoint on loopback")
        parser.add_argument("--hold", type=float, default=60.0, help="seconds that it serves")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["write_to"] is None and options["serve"] is None:
            raise CommandError("Give --write-to FILE, --serve PORT, or both.", returncode=USAGE)
        trouble = Trouble(
            node_id=options["node"],
            interval=options["interval"],
            repetitions=options["repetitions"],
            phase=options["phase"],
            seconds=options["duration"],
            flag=options["flag"],
            ratio=options["ratio"],
        )
        registry = rehearse(options["kind"], trouble)
        if file := options["write_to"]:
            try:
                write_to_textfile(str(file), registry)
            except OSError as error:
                raise CommandError(f"cannot write {file}: {error.strerror}") from error
            self.stdout.write(f"Wrote {file}.")
        if options["serve"] is not None:
            self._serve(options["serve"], options["hold"], registry)

    def _serve(self, port: int, seconds: float, registry: Any) -> None:
        try:
            server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
        except OSError as error:
            raise CommandError(f"cannot serve on port {port}: {error.strerror}") from error
        address = f"http://127.0.0.1:{server.server_port}/metrics"
        self.stdout.write(f"Serving {address} for {seconds:g} s (Ctrl-C ends it).")
        try:
            time.sleep(seconds)
        except KeyboardInterrupt:
            pass
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number")
    return int(text)
