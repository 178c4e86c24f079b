"""`manage.py people`: the only way to make people and teams, and to give roles."""

import secrets
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry.actors import Actor
from registry.errors import SeamlessError
from registry.models import Role
from registry.services.people import add_member, create_person, create_team, person_named
from registry.services.subjects import team_named
from registry.services.tokens import issue_personal_token

PASSWORD_BYTES = 18  # 24 letters, digits, - and _


class Command(BaseCommand):
    help = "Make teams and people, and give people roles in teams. A password is printed once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="team|add|join|token")
        team = actions.add_parser("team", help="make a team")
        team.add_argument("name")
        team.add_argument("--description", default="")
        add = actions.add_parser("add", help="make a person and print their password")
        add.add_argument("--email", default="")
        join = actions.add_parser("join", help="give a person a further role")
        for each in (add, join):
            each.add_argument("name")
            each.add_argument("--team", required=True)
            each.add_argument("--role", required=True, choices=Role.values)
        token = actions.add_parser("token", help="make a person's access token and print it")
        token.add_argument("name")
        token.add_argument("--scope", action="append", default=[], help="govern without any")
        token.add_argument("--days", type=int, default=90)
        token.add_argument("--label", default="")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        run = {
            "team": self._team,
            "add": self._add,
            "join": self._join,
            "token": self._token,
        }[action]
        try:
            run(options)
        except SeamlessError as refusal:
            raise CommandError(refusal.detail) from None

    def _team(self, options: dict[str, Any]) -> None:
        create_team(
            actor=Actor.system("cli"),
            name=options["name"],
            now=timezone.now(),
            description=options["description"],
        )
        self.stdout.write(f"Team {options['name']} is made.")

    def _add(self, options: dict[str, Any]) -> None:
        team_named(options["team"])  # before there is a person in no team
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        create_person(
            actor=Actor.system("cli"),
            username=options["name"],
            password=password,
            now=timezone.now(),
            email=options["email"],
        )
        self.stdout.write(f"{options['name']} signs in with the password {password}")
        self.stdout.write("It is not stored in clear and not shown again.")
        self._join(options)

    def _join(self, options: dict[str, Any]) -> None:
        add_member(
            actor=Actor.system("cli"),
            team=options["team"],
            username=options["name"],
            role=options["role"],
            now=timezone.now(),
        )
        self.stdout.write(f"{options['name']} is {options['role']} of {options['team']}.")

    def _token(self, options: dict[str, Any]) -> None:
        made = issue_personal_token(
            actor=Actor.system("cli"),
            user=person_named(options["name"]),
            scopes=options["scope"] or ["govern"],
            lifetime=timedelta(days=options["days"]),
            label=options["label"],
            now=timezone.now(),
        )
        self.stdout.write(made.secret)
        self.stdout.write("It is not stored in clear and not shown again.")
