"""Teams and subjects."""

from datetime import datetime

from registry.actors import Actor
from registry.errors import Conflict, InvalidInput, NotFound
from registry.models import Compatibility, Role, Subject, Team
from registry.names import NAME_RULE, is_name
from registry.services.access import require_role
from registry.services.actions import audited_action


def team_named(name: str) -> Team:
    try:
        return Team.objects.get(name=name)
    except Team.DoesNotExist:
        raise NotFound(f"There is no team {name!r}.") from None


def subject_named(name: str) -> Subject:
    try:
        return Subject.objects.select_related("owner_team").get(name=name)
    except Subject.DoesNotExist:
        raise NotFound(f"There is no subject {name!r}.") from None


def create_subject(
    *,
    actor: Actor,
    name: str,
    owner_team: str,
    now: datetime,
    description: str = "",
    compatibility: str = Compatibility.BACKWARD,
    required_approvals: int = 1,
) -> Subject:
    """A new line of schemas, owned by a team in which the actor is an owner."""
    with audited_action(
        "subject.create", actor=actor, object_type="subject", object_id=name, now=now
    ) as entry:
        team = team_named(owner_team)
        require_role(actor, team, Role.OWNER)
        _check_subject(name, compatibility, required_approvals)
        subject = Subject.objects.create(
            name=name,
            owner_team=team,
            description=description,
            compatibility=compatibility,
            required_approvals=required_approvals,
        )
        entry.after = {
            "owner_team": team.name,
            "compatibility": compatibility,
            "required_approvals": required_approvals,
        }
    return subject


def _check_subject(name: str, compatibility: str, required_approvals: int) -> None:
    if not is_name(name):
        raise InvalidInput(f"{name!r} is not a subject name: {NAME_RULE}.")
    if compatibility not in Compatibility.values:
        known = ", ".join(Compatibility.values)
        raise InvalidInput(f"{compatibility!r} is not a compatibility level; choose of {known}.")
    if not 1 <= required_approvals <= 10:
        raise InvalidInput("required_approvals must be between 1 and 10.")
    if Subject.objects.filter(name=name).exists():
        raise Conflict(f"The subject {name!r} exists already.")
