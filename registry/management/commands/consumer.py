"""`manage.py consumer …`: programs that read, what they subscribe to, and their tokens."""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from registry.api.representations import consumer_detail_json, consumer_json, rollout_json
from registry.management.acting import acting_person, refusals_as_command_errors
from registry.management.printing import add_json_option, table, tell
from registry.models import Consumer
from registry.services import consumers, tokens
from registry.services.visibility import require_visible, visible

VERBS = "create|list|show|subscribe|unsubscribe|grant|revoke-grant|switch|token|revoke-token"


class Command(BaseCommand):
    help = "Consumers, their subscriptions, grants and tokens."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar=VERBS)
        listed = verbs.add_parser("list", help="all consumers")
        named = {
            verb: verbs.add_parser(verb, help=text)
            for verb, text in (
                ("create", "a new consumer"),
                ("show", "what it reads, under what"),
                ("subscribe", "let it read a bundle; the release starts as a canary"),
                ("unsubscribe", "it reads the bundle no longer, at once"),
                ("grant", "let it read one node by name, ungoverned"),
                ("revoke-grant", "take such a node back"),
                ("switch", "switch it off, or on again"),
                ("token", "issue a token; it is printed once"),
            )
        }
        for each in named.values():
            each.add_argument("name")
        named["create"].add_argument("--team", required=True, help="the team that owns it")
        named["create"].add_argument("--description", default="")
        for verb in ("subscribe", "unsubscribe"):
            named[verb].add_argument("bundle")
        for verb in ("grant", "revoke-grant"):
            named[verb].add_argument("node")
        named["switch"].add_argument("to", choices=["on", "off"])
        named["token"].add_argument("--scope", action="append", default=[])
        named["token"].add_argument("--days", type=int, default=90)
        named["token"].add_argument("--label", default="")
        revoke = verbs.add_parser("revoke-token", help="refuse a token from now on")
        revoke.add_argument("prefix")
        ending = (named["unsubscribe"], named["revoke-grant"], named["switch"], revoke)
        for each in ending:
            each.add_argument("--reason", required=True)
        add_json_option(listed, revoke, *named.values())

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        verbs: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "list": self._list,
            "create": self._create,
            "show": self._show,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "grant": self._grant,
            "revoke-grant": self._revoke_grant,
            "switch": self._switch,
            "token": self._token,
            "revoke-token": self._revoke_token,
        }
        with refusals_as_command_errors():
            verbs[verb](options)

    def _list(self, options: dict[str, Any]) -> None:
        consumers_seen = visible(acting_person(), Consumer.objects.select_related("owner_team"))
        found = consumers_seen.order_by("name")
        shown = [consumer_json(consumer) for consumer in found]
        rows = [("CONSUMER", "TEAM", "STATE")]
        rows += [(c["name"], c["owner_team"], "on" if c["active"] else "off") for c in shown]
        tell(self.stdout, {"consumers": shown}, *table(rows), as_json=options["json"])

    def _create(self, options: dict[str, Any]) -> None:
        consumer = consumers.create_consumer(
            actor=acting_person(),
            name=options["name"],
            owner_team=options["team"],
            description=options["description"],
            now=timezone.now(),
        )
        tell(
            self.stdout,
            consumer_json(consumer),
            f"Consumer {consumer} is made.",
            as_json=options["json"],
        )

    def _show(self, options: dict[str, Any]) -> None:
        require_visible(acting_person(), Consumer, [options["name"]])
        shown = consumer_detail_json(consumers.consumer_named(options["name"]))
        rows = [("NODE", "STRICT", "CANARY")]
        rows += [
            (
                node["node_id"] if node["governed"] else f"{node['node_id']} (ungoverned)",
                node["strict"] or "-",
                node["canary"] or "-",
            )
            for node in shown["nodes"]
        ]
        head = f"{shown['name']} of {shown['owner_team']}: {', '.join(shown['subscriptions'])}"
        tell(self.stdout, shown, head, *table(rows), as_json=options["json"])

    def _subscribe(self, options: dict[str, Any]) -> None:
        now = timezone.now()
        rollout = consumers.subscribe(
            actor=acting_person(), consumer=options["name"], bundle=options["bundle"], now=now
        )
        facts = {"rollout": None if rollout is None else rollout_json(rollout, now)}
        said = "no release yet" if rollout is None else f"canary rollout {rollout.pk} has begun"
        tell(
            self.stdout,
            facts,
            f"{options['name']} reads {options['bundle']}: {said}.",
            as_json=options["json"],
        )

    def _unsubscribe(self, options: dict[str, Any]) -> None:
        consumers.unsubscribe(
            actor=acting_person(),
            consumer=options["name"],
            bundle=options["bundle"],
            now=timezone.now(),
            reason=options["reason"],
        )
        facts = {"consumer": options["name"], "bundle": options["bundle"], "subscribed": False}
        tell(
            self.stdout,
            facts,
            f"{options['name']} reads {options['bundle']} no more.",
            as_json=options["json"],
        )

    def _grant(self, options: dict[str, Any]) -> None:
        consumers.grant_node(
            actor=acting_person(),
            consumer=options["name"],
            node_id=options["node"],
            now=timezone.now(),
        )
        facts = {"consumer": options["name"], "node": options["node"], "granted": True}
        tell(
            self.stdout,
            facts,
            f"{options['name']} may read {options['node']}.",
            as_json=options["json"],
        )

    def _revoke_grant(self, options: dict[str, Any]) -> None:
        consumers.revoke_grant(
            actor=acting_person(),
            consumer=options["name"],
            node_id=options["node"],
            now=timezone.now(),
            reason=options["reason"],
        )
        facts = {"consumer": options["name"], "node": options["node"], "granted": False}
        tell(
            self.stdout,
            facts,
            f"{options['name']} has {options['node']} no more.",
            as_json=options["json"],
        )

    def _switch(self, options: dict[str, Any]) -> None:
        consumer = consumers.switch_consumer(
            actor=acting_person(),
            consumer=options["name"],
            active=options["to"] == "on",
            now=timezone.now(),
            reason=options["reason"],
        )
        said = f"{consumer} is switched {options['to']}."
        tell(self.stdout, consumer_json(consumer), said, as_json=options["json"])

    def _token(self, options: dict[str, Any]) -> None:
        made = tokens.issue_consumer_token(
            actor=acting_person(),
            consumer=consumers.consumer_named(options["name"]),
            scopes=options["scope"] or ["read"],
            lifetime=timedelta(days=options["days"]),
            label=options["label"],
            now=timezone.now(),
        )
        facts = {"prefix": made.prefix, "token": made.secret}
        tell(self.stdout, facts, made.secret, "It is not shown again.", as_json=options["json"])

    def _revoke_token(self, options: dict[str, Any]) -> None:
        tokens.revoke_token(
            actor=acting_person(),
            prefix=options["prefix"],
            now=timezone.now(),
            reason=options["reason"],
        )
        facts = {"prefix": options["prefix"], "revoked": True}
        tell(
            self.stdout,
            facts,
            f"The token {options['prefix']}… is revoked.",
            as_json=options["json"],
        )
