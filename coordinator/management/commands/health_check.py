"""`manage.py health_check`: whether coordinator, Prometheus and environment are as they should."""

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from coordinator.client import URL_VARIABLE
from coordinator.health_check import (
    HEALTH_PATH,
    coordinator_problems,
    metric_problems,
    missing_variables,
)


class Command(BaseCommand):
    help = "Check the environment, the coordinator's health and the presence of metrics."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        many: dict[str, Any] = {"action": "append", "default": [], "metavar": "NAME"}
        parser.add_argument("--required-env", help="a variable that must be set", **many)
        parser.add_argument(
            "--coordinator-url",
            default=os.environ.get(URL_VARIABLE, ""),
            help=f"default: {URL_VARIABLE}",
        )
        parser.add_argument("--coordinator-health-path", default=HEALTH_PATH)
        parser.add_argument("--prometheus-url", default="")
        parser.add_argument("--prometheus-metric", help="must have a series", **many)
        parser.add_argument("--timeout", type=float, default=5.0, help="seconds for each answer")

    def handle(self, *args: Any, **options: Any) -> None:
        url, prometheus = options["coordinator_url"], options["prometheus_url"]
        metrics, timeout = options["prometheus_metric"], options["timeout"]
        if metrics and not prometheus:
            raise CommandError("--prometheus-metric needs --prometheus-url.")
        problems = missing_variables(options["required_env"], os.environ)
        if url:
            path = options["coordinator_health_path"]
            problems += coordinator_problems(url, path=path, timeout=timeout)
        if prometheus:
            problems += metric_problems(prometheus, metrics, timeout=timeout)
        if problems:
            raise CommandError("\n".join(problems))
        self.stdout.write("ok")
