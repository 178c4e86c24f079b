"""People, teams and roles: who may decide."""

from datetime import datetime

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from registry.actors import Actor
from registry.errors import Conflict, InvalidInput, NotAllowed, NotFound
from registry.models import Membership, Role, Team
from registry.names import NAME_RULE, is_name
from registry.services.actions import audited_action
from registry.services.subjects import team_named


def person_named(name: str) -> User:
    try:
        return User.objects.get(username=name)
    except User.DoesNotExist:
        raise NotFound(f"There is no person {name!r}.") from None


def create_person(
    *, actor: Actor, username: str, password: str, now: datetime, email: str = ""
) -> User:
    """An account for the admin pages, without roles. Only the system makes people."""
    with audited_action(
        "person.create", actor=actor, object_type="user", object_id=username, now=now
    ):
        _system_only(actor)
        if not is_name(username):
            raise InvalidInput(f"{username!r} is not a user name: {NAME_RULE}.")
        if User.objects.filter(username=username).exists():
            raise Conflict(f"The person {username!r} exists already.")
        try:
            validate_password(password, User(username=username, email=email))
        except ValidationError as error:
            raise InvalidInput(" ".join(error.messages)) from None
        return User.objects.create_user(username, email, password, is_staff=True)


def create_team(*, actor: Actor, name: str, now: datetime, description: str = "") -> Team:
    with audited_action("team.create", actor=actor, object_type="team", object_id=name, now=now):
        _system_only(actor)
        if not is_name(name):
            raise InvalidInput(f"{name!r} is not a team name: {NAME_RULE}.")
        if Team.objects.filter(name=name).exists():
            raise Conflict(f"The team {name!r} exists already.")
        return Team.objects.create(name=name, description=description)


def add_member(*, actor: Actor, team: str, username: str, role: str, now: datetime) -> Membership:
    with audited_action(
        "team.add_member", actor=actor, object_type="team", object_id=team, now=now
    ) as entry:
        _system_only(actor)
        group = team_named(team)
        user = person_named(username)
        if role not in Role.values:
            raise InvalidInput(f"{role!r} is not a role; choose of {', '.join(Role.values)}.")
        if Membership.objects.filter(team=group, user=user, role=role).exists():
            raise Conflict(f"{username} is {role} of {team} already.")
        entry.after = {"user": username, "role": role}
        return Membership.objects.create(team=group, user=user, role=role)


def _system_only(actor: Actor) -> None:
    if actor.kind != "system":
        raise NotAllowed("People and teams are managed from the command line: manage.py people.")
