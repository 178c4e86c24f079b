"""`manage.py node add | change | show | doctor`: governed data sets from the command line."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from provider.examining import Examination, discover_series, examine_node
from provider.quality_rules import documents_of, set_quality_rules
from registry.management.acting import (
    REFUSED,
    USAGE,
    acting_person,
    refusals_as_command_errors,
)
from registry.services import nodes

STORES = "parquet, parquet:DIRECTORY, postgresql:DATABASE/TABLE, or questdb:DATABASE/TABLE"


class Command(BaseCommand):
    help = "Register governed data sets, change them, and see what is wrong with their rows."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(
            dest="verb", required=True, metavar="add|change|rules|show|doctor"
        )
        add = verbs.add_parser("add", help="register a node")
        change = verbs.add_parser("change", help="change a node's series, source, SLA policy …")
        rules = verbs.add_parser("rules", help="print or set the checks of a node's rows together")
        show = verbs.add_parser("show", help="print a node as JSON")
        doctor = verbs.add_parser(
            "doctor", help="look at the newest bars and the live feed and say what to mend"
        )
        for each in (add, change, rules, show, doctor):
            each.add_argument("id", help="the node's id, for instance ohlcv:binance:BTC/USDT:1m")
        add.add_argument("--subject", required=True)
        add.add_argument("--store", required=True, type=_store, help=STORES)
        add.add_argument("--interval", required=True, type=int, help="seconds between bars")
        add.add_argument("--anchor", type=int, default=0, help="a point of the grid, epoch seconds")
        add.add_argument("--key", action="append", default=[], help="a key column, to be sure")
        for each in (add, change):
            each.add_argument("--calendar", help="an exchange calendar such as XNYS")
            each.add_argument(
                "--series",
                action="append",
                type=_series,
                metavar="COLUMN=VALUE[,…][@SINCE]",
                help="an expected series; `add` without any takes those that the store holds",
            )
            each.add_argument("--source", type=_object, help="where backfills fetch from, as JSON")
            each.add_argument(
                "--live", type=_object, help="where the newest bars come from, as JSON"
            )
            each.add_argument("--sla", help="the name of an SLA policy")
            each.add_argument("--description")
        rules.add_argument("--set", type=_list, help="the rules, as a JSON list; [] for none")
        doctor.add_argument("--bars", type=int, default=10_000, help="how many of the newest")
        doctor.add_argument("--json", action="store_true")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        verbs: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "add": self._add,
            "change": self._change,
            "rules": self._rules,
            "show": self._show,
            "doctor": self._doctor,
        }
        with refusals_as_command_errors():
            verbs[verb](options)

    def _add(self, options: dict[str, Any]) -> None:
        actor, now = acting_person(), timezone.now()
        fields = {
            "node_id": options["id"],
            "subject": options["subject"],
            "store": options["store"],
            "interval": options["interval"],
            "anchor": options["anchor"],
        }
        series = options["series"] or discover_series(
            actor=actor,
            node_id=options["id"],
            subject=options["subject"],
            store=options["store"],
            key=options["key"],
        )
        node = nodes.register_node(
            actor=actor,
            now=now,
            series=series,
            source=options["source"] or {},
            live=options["live"] or {},
            calendar=options["calendar"] or "",
            sla=options["sla"] or "",
            description=options["description"] or "",
            **fields,
        )
        self.stdout.write(
            f"Node {node.node_id} of {node.subject}: {len(node.series)} series, "
            f"a bar every {node.interval} s. Now: manage.py node doctor {node.node_id}"
        )

    def _change(self, options: dict[str, Any]) -> None:
        actor = acting_person()
        changes = {
            name: options[name] for name in nodes.CHANGEABLE if options.get(name) is not None
        }
        if not changes:
            raise CommandError("Nothing to change: give an option.", returncode=USAGE)
        nodes.change_node(actor=actor, node_id=options["id"], now=timezone.now(), **changes)
        self.stdout.write(f"Changed {', '.join(sorted(changes))} of {options['id']}.")

    def _rules(self, options: dict[str, Any]) -> None:
        actor, node_id = acting_person(), options["id"]
        if options["set"] is not None:
            set_quality_rules(
                actor=actor, node_id=node_id, rules=options["set"], now=timezone.now()
            )
        rules = documents_of(nodes.node_for(actor=actor, node_id=node_id))
        self.stdout.write(json.dumps(rules, indent=2, ensure_ascii=False))

    def _show(self, options: dict[str, Any]) -> None:
        node = nodes.node_for(actor=acting_person(), node_id=options["id"])
        self.stdout.write(json.dumps(nodes.node_facts(node), indent=2, ensure_ascii=False))

    def _doctor(self, options: dict[str, Any]) -> None:
        if options["bars"] < 1:
            raise CommandError("--bars is at least 1", returncode=USAGE)
        seen = examine_node(
            actor=acting_person(), node_id=options["id"], now=timezone.now(), bars=options["bars"]
        )
        if options["json"]:
            self.stdout.write(json.dumps(seen.to_dict(), indent=2, ensure_ascii=False))
        else:
            self._tell(seen)
        if not seen.healthy:
            raise SystemExit(REFUSED)

    def _tell(self, seen: Examination) -> None:
        span = "" if seen.first is None else f" from {_utc(seen.first)} to {_utc(seen.last)}"
        self.stdout.write(
            f"{seen.node_id}: {seen.rows} rows of {seen.series} series{span}, "
            f"judged by version {seen.version}."
        )
        if seen.coverage is not None:
            self.stdout.write(f"Coverage of the expected bars: {seen.coverage:.2%}")
        if seen.live_newest is not None:
            self.stdout.write(f"Live feed: its newest bar is of {_utc(seen.live_newest)}.")
        for one in seen.advice:
            self.stdout.write(f"\n{one.severity} {one.code}: {one.says}\n  {one.fix}")
        if seen.healthy:
            self.stdout.write("Nothing to mend: a strict read of these bars passes.")


def _utc(seconds: int | None) -> str:
    return "?" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _store(text: str) -> dict[str, Any]:
    kind, _, rest = text.partition(":")
    if kind == "parquet":
        return {"type": kind} if not rest else {"type": kind, "path": rest}
    database, _, table = rest.partition("/")
    if kind in ("postgresql", "questdb") and database and table:
        return {"type": kind, "database": database, "table": table}
    raise argparse.ArgumentTypeError(f"{text!r} is not a store: use {STORES}")


def _series(text: str) -> dict[str, Any]:
    if text.startswith("{"):
        return _object(text)
    named, _, since = text.partition("@")
    pairs: Sequence[tuple[str, str, str]] = [part.partition("=") for part in named.split(",")]
    if not all(column and equals for column, equals, _ in pairs) or not (since or "0").isdecimal():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a series: use COLUMN=VALUE, and @ with epoch seconds for its start, "
            'or JSON where a value is no text: {"key": {"id": 5}, "since": null}'
        )
    key = {column: value for column, _, value in pairs}
    return {"key": key, "since": int(since) if since else None}


def _object(text: str) -> dict[str, Any]:
    found = _json(text)
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError("this is no JSON object")
    return found


def _list(text: str) -> list[Any]:
    found = _json(text)
    if not isinstance(found, list):
        raise argparse.ArgumentTypeError("this is no JSON list")
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"this is not JSON: {error}") from None
