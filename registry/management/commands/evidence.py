"""`manage.py evidence diagnostics|usage`: what checks found, and what was read.

The acting person is whose token SEAMLESS_TOKEN holds; they see what their teams may.
"""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import QuerySet

from registry.api.representations import diagnostic_json
from registry.management.acting import acting_person, refusals_as_command_errors
from registry.management.printing import add_json_option, table, tell
from registry.models import Diagnostic, Usage
from registry.services.visibility import visible


class Command(BaseCommand):
    help = "Show what checks found and how much was read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="diagnostics|usage")
        found = verbs.add_parser("diagnostics", help="what checks found, the newest first")
        usage = verbs.add_parser("usage", help="reads by day, the newest first")
        for each in (found, usage):
            each.add_argument("--node")
            each.add_argument("--consumer")
            each.add_argument("--limit", type=int, default=50)
            add_json_option(each)

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        with refusals_as_command_errors():
            {"diagnostics": self._diagnostics, "usage": self._usage}[verb](options)

    def _diagnostics(self, options: dict[str, Any]) -> None:
        found = _asked_for(Diagnostic.objects.order_by("-last_seen_at", "pk"), options)
        shown = [diagnostic_json(one) for one in found.select_related("version__subject")]
        rows: list[tuple[Any, ...]] = [("NODE", "CONSUMER", "MODE", "COLUMN", "KEYWORD", "COUNT")]
        rows += [
            (d["node"], d["consumer"], d["mode"], d["column"] or "(row)", d["keyword"], d["count"])
            for d in shown
        ]
        tell(self.stdout, {"diagnostics": shown}, *table(rows), as_json=options["json"])

    def _usage(self, options: dict[str, Any]) -> None:
        found = _asked_for(Usage.objects.order_by("-day", "-pk"), options)
        shown: list[Mapping[str, Any]] = [
            {
                "day": one.day.isoformat(),
                "node": one.node.node_id,
                "consumer": one.consumer.name,
                "release": one.release,
                "reads": one.reads,
            }
            for one in found
        ]
        rows: list[tuple[Any, ...]] = [("DAY", "NODE", "CONSUMER", "RELEASE", "READS")]
        rows += [(u["day"], u["node"], u["consumer"], u["release"], u["reads"]) for u in shown]
        tell(self.stdout, {"usage": shown}, *table(rows), as_json=options["json"])


def _asked_for(rows: QuerySet[Any], options: dict[str, Any]) -> QuerySet[Any]:
    """What the acting person may see of it, as far as it was asked for."""
    seen = visible(acting_person(), rows).select_related("node", "consumer")
    if options["node"]:
        seen = seen.filter(node__node_id=options["node"])
    if options["consumer"]:
        seen = seen.filter(consumer__name=options["consumer"])
    return seen[: max(options["limit"], 1)]
