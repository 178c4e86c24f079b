"""Who may act on what: a role in the team that owns the object."""

from registry.actors import Actor
from registry.errors import NotAllowed
from registry.models import Membership, Role, Team


def require_role(actor: Actor, team: Team, *roles: Role) -> None:
    """Refuse unless the actor holds one of the roles in the team (the system itself may act)."""
    if actor.kind == "system":
        return
    if actor.kind == "user" and _memberships(actor, roles).filter(team=team).exists():
        return
    raise _lacks(actor, f"in team {team.name!r}", roles)


def require_any_team(actor: Actor, *roles: Role) -> None:
    """Refuse unless the actor holds one of the roles in some team."""
    if actor.kind == "system":
        return
    if actor.kind == "user" and _memberships(actor, roles).exists():
        return
    raise _lacks(actor, "in any team", roles)


def require_person(actor: Actor) -> int:
    """The actor's user id; programs and the system itself take no decisions that need a person."""
    if actor.kind != "user":
        raise NotAllowed(f"{actor.name} is not a person; this decision needs one.")
    return int(actor.id)


def _memberships(actor: Actor, roles: tuple[Role, ...]):  # type: ignore[no-untyped-def]
    return Membership.objects.filter(user_id=int(actor.id), user__is_active=True, role__in=roles)


def _lacks(actor: Actor, where: str, roles: tuple[Role, ...]) -> NotAllowed:
    wanted = " or ".join(role.value for role in roles)
    return NotAllowed(f"{actor.name} needs the role {wanted} {where}.")
