"""`manage.py doctor`: what is wrong with this installation, and the fix."""

import argparse
import json
from dataclasses import asdict
from itertools import chain
from typing import Any

from django.core.management.base import BaseCommand

from coordinator.health import coordinator_findings
from provider.health import provider_findings
from registry.health import Finding, database_findings, registry_findings

MARKS = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}


class Command(BaseCommand):
    help = "Ask every part of the installation how it is. Exit code 1 where something failed."
    requires_system_checks: list[str] = []  # they would stop it before it can say what is wrong

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="the findings as a JSON list")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(database_findings())
        if findings[-1].state != "failed":
            findings += chain(registry_findings(), coordinator_findings(), provider_findings())
        if options["json"]:
            self.stdout.write(json.dumps([asdict(one) for one in findings], indent=2))
        else:
            self._tell(findings)
        if any(one.state == "failed" for one in findings):
            raise SystemExit(1)

    def _tell(self, findings: list[Finding]) -> None:
        for one in findings:
            self.stdout.write(f"{MARKS[one.state]} {one.name}: {one.detail}")
            if one.fix:
                self.stdout.write(f"        -> {one.fix}")
        count = sum(one.state != "ok" for one in findings)
        self.stdout.write(f"\n{count} to look at." if count else "\nNothing is wrong.")
