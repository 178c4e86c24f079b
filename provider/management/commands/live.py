"""`manage.py live feed NODE`: store what a live feed has brought, now and from the shell."""

import argparse
import time
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from coordinator.services.local_runs import finish_jobs
from provider.live import LiveUnavailable
from provider.live.feeding import Fed, feed_node
from registry.management.acting import REFUSED, acting_person, refusals_as_command_errors
from registry.services.nodes import node_for


class Command(BaseCommand):
    help = "Store the settled bars that a node's live feed has and its storage lacks."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="feed")
        feed = verbs.add_parser("feed", help="one round, as workers make it every few seconds")
        feed.add_argument("id", help="the node's id")
        feed.add_argument("--wait", type=float, default=60.0, help="seconds until it is stored")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with refusals_as_command_errors():
                node = node_for(actor=acting_person(), node_id=options["id"])
                fed = feed_node(actor=acting_person(), node=node, now=timezone.now())
        except (LiveUnavailable, TimeoutError) as error:
            raise CommandError(
                f"The live feed gave no rows: {error}.", returncode=REFUSED
            ) from None
        if not fed.ranges:
            self.stdout.write(f"Nothing to store up to {_utc(fed.settled)}.")
            return
        self._finish(fed, options["wait"])

    def _finish(self, fed: Fed, seconds: float) -> None:
        ranges = ", ".join(f"{_utc(start)} to {_utc(end)}" for start, end in fed.ranges)
        jobs = " ".join(map(str, fed.job_ids))
        if not finish_jobs(fed.job_ids, time.monotonic() + seconds, fed.ranges):
            raise CommandError(
                f"Jobs {jobs} for {ranges} still run after {seconds:g} s: manage.py backfill show.",
                returncode=REFUSED,
            )
        self.stdout.write(f"Asked for {ranges}; ended: jobs {jobs}.")


def _utc(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
