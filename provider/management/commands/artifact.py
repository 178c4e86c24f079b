"""`manage.py artifact publish | list | show | verify`: windows that stay as they were known."""

import argparse
import json
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from coordinator.instants import read_instant
from provider.artifact_files import ArtifactDamaged
from provider.artifacts import artifact_of, artifacts_of, unlisted, verify_artifact
from provider.publishing import Order, publish_artifact
from provider.viewpoint import moment_text, read_moment
from registry.management.acting import REFUSED, acting_person, refusals_as_command_errors
from registry.services.nodes import node_for

LISTED = 50


class Command(BaseCommand):
    help = "Publish checked windows that never change, look at them, and prove that they are whole."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(
            dest="verb", required=True, metavar="publish|list|show|verify"
        )
        publish = verbs.add_parser("publish", help="check a window of a node and keep it")
        listed = verbs.add_parser("list", help="the newest artefacts of a node")
        show = verbs.add_parser("show", help="print a manifest")
        verify = verbs.add_parser("verify", help="compare every byte with what was published")
        for each in (publish, listed, show, verify):
            each.add_argument("id", help="the node's id, for instance ohlcv:binance:BTC/USDT:1m")
        publish.add_argument("--start", required=True, help="epoch seconds or RFC 3339")
        publish.add_argument("--end", required=True, help="the last bar's time, likewise")
        publish.add_argument("--as-of", help="RFC 3339 with its zone; default: now")
        publish.add_argument("--world", default="", help="whose environment it is for")
        publish.add_argument("--release", default="", help="BUNDLE/NUMBER that it is held to")
        publish.add_argument(
            "--partial-ok", action="store_true", help="note what is missing, instead of refusing"
        )
        listed.add_argument("--limit", type=int, default=LISTED)
        show.add_argument("address", help="sha256:…")
        verify.add_argument("address", nargs="?", help="sha256:…; default: all of the node's")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        verbs: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "publish": self._publish,
            "list": self._list,
            "show": self._show,
            "verify": self._verify,
        }
        with refusals_as_command_errors():
            verbs[verb](options)

    def _publish(self, options: dict[str, Any]) -> None:
        order = Order(
            node_id=options["id"],
            start=read_instant("start", options["start"]),
            end=read_instant("end", options["end"]),
            as_of=read_moment(options["as_of"]) if options["as_of"] else None,
            world=options["world"],
            release=options["release"],
            partial_ok=options["partial_ok"],
        )
        made = publish_artifact(actor=acting_person(), order=order, now=timezone.now())
        self.stdout.write(
            f"Published {made.rows} rows of {options['id']} as of {moment_text(made.as_of)}:\n"
            f"{made.address}"
        )

    def _list(self, options: dict[str, Any]) -> None:
        node = node_for(actor=acting_person(), node_id=options["id"])
        for one in artifacts_of(node, limit=options["limit"]):
            world = f" world={one.world}" if one.world else ""
            self.stdout.write(
                f"{one.address} [{one.range_start}, {one.range_end}] {one.rows} rows "
                f"as of {moment_text(one.as_of)}{world}"
            )

    def _show(self, options: dict[str, Any]) -> None:
        node = node_for(actor=acting_person(), node_id=options["id"])
        found = artifact_of(node, options["address"])
        self.stdout.write(json.dumps(found.manifest, indent=2, ensure_ascii=False, sort_keys=True))

    def _verify(self, options: dict[str, Any]) -> None:
        node = node_for(actor=acting_person(), node_id=options["id"])
        address = options["address"]
        found = [artifact_of(node, address)] if address else artifacts_of(node)
        damaged = 0
        for one in found:
            try:
                verify_artifact(one)
            except ArtifactDamaged as refusal:
                damaged += 1
                self.stdout.write(f"damaged {one.address}: {refusal.detail}")
            else:
                self.stdout.write(f"whole {one.address}")
        for directory in () if address else unlisted(node):
            self.stdout.write(f"unlisted {directory}: nobody reads it, no artefact here is of it")
        if damaged:
            raise SystemExit(REFUSED)
