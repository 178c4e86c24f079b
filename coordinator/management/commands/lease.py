"""`manage.py lease …`: the leases of programs without our database, from the shell."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from coordinator.client import (
    URL_VARIABLE,
    CoordinatorUnreachable,
    DistributedBackfillCoordinator,
    Lease,
    LeaseLost,
)
from coordinator.models import ServiceLease
from coordinator.services.service_leases import listed_service_leases


class Command(BaseCommand):
    help = "List leases; give back or complete those whose holder has died."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="what", required=True, metavar="list|recover")
        listing = actions.add_parser("list", help="the leases of this installation")
        listing.add_argument("--state", choices=ServiceLease.State.values, default="")
        recover = actions.add_parser("recover", help="end leases at a coordinator")
        recover.add_argument("leases", nargs="*", metavar="KEY:TOKEN")
        recover.add_argument("--from-file", type=Path, help="one KEY:TOKEN a line, # comments")
        recover.add_argument(
            "--coordinator-url",
            default=os.environ.get(URL_VARIABLE, ""),
            help=f"https://name:token@host; default: {URL_VARIABLE}",
        )
        recover.add_argument("--action", choices=["fail", "complete"], default="fail")
        recover.add_argument("--reason", default="manual_recovery")
        recover.add_argument("--dry-run", action="store_true")

    def handle(self, *args: Any, what: str, **options: Any) -> None:
        {"list": self._list, "recover": self._recover}[what](options)

    def _list(self, options: dict[str, Any]) -> None:
        for lease in listed_service_leases(holder=None, state=options["state"]):
            until = f"{lease.expires_at:%Y-%m-%dT%H:%M:%SZ}"
            self.stdout.write(
                f"{lease.state}\tepoch {lease.epoch}\tuntil {until}\t{lease.holder}\t{lease.key}"
            )

    def _recover(self, options: dict[str, Any]) -> None:
        given = [*options["leases"], *_lines(options["from_file"])]
        if not given:
            raise CommandError("Name a lease as KEY:TOKEN, or --from-file.")
        coordinator = _coordinator(options["coordinator_url"])
        released, errors = 0, []
        for entry in given:
            key, _, token = entry.rpartition(":")  # keys hold colons, tokens do not
            if not key or not token:
                errors.append(f"skipped {key or entry!r}: no token; write KEY:TOKEN")
            elif options["dry_run"]:
                self.stdout.write(f"would {options['action']} {key}")
            elif trouble := _ended(coordinator, key, token, options):
                errors.append(f"skipped {key}: {trouble}")
            else:
                released += 1
        skipped = len(given) - released
        self.stdout.write(f"processed {len(given)}, released {released}, skipped {skipped}")
        if errors:
            raise CommandError("\n".join(errors))


def _ended(
    coordinator: DistributedBackfillCoordinator, key: str, token: str, options: dict[str, Any]
) -> str:
    """End the lease; why that failed, or "": released is only what the server says is."""
    lease = Lease(key=key, lease_until_ms=0, token=token)
    try:
        if options["action"] == "complete":
            coordinator.complete(lease)
        else:
            coordinator.fail(lease, options["reason"])
    except LeaseLost:
        return "the coordinator does not know it as held with this token"
    except CoordinatorUnreachable as error:
        return str(error)
    return ""


def _coordinator(url: str) -> DistributedBackfillCoordinator:
    if not url:
        raise CommandError(f"Give --coordinator-url, or set {URL_VARIABLE}.")
    try:
        return DistributedBackfillCoordinator(url)
    except ValueError as error:
        raise CommandError(str(error)) from None


def _lines(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        lines = file.read_text().splitlines()
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
