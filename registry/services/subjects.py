"""Subjects: who owns a line of schemas, and what its next version needs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from registry.actors import Actor
from registry.errors import Conflict, InvalidInput, NotFound
from registry.models import ApprovalTeam, Compatibility, ReplayRule, Role, Subject, Team
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


def locked_subject(subject_id: int) -> Subject:
    """Inside a transaction: what is decided about one subject is decided one by one."""
    return Subject.objects.select_for_update().get(pk=subject_id)


def create_subject(
    *,
    actor: Actor,
    name: str,
    owner_team: str,
    now: datetime,
    reason: str = "",
    **settings: Any,
) -> Subject:
    """A new line of schemas, owned by a team in which the actor is an owner.

    `settings`: some of `CHANGEABLE` but the owner team. Raises InvalidInput, Conflict, NotFound
    and NotAllowed.
    """
    with audited_action(
        "subject.create", actor=actor, object_type="subject", object_id=name, now=now, reason=reason
    ) as entry:
        team = team_named(owner_team)
        require_role(actor, team, Role.OWNER)
        if not is_name(name):
            raise InvalidInput(f"{name!r} is not a subject name: {NAME_RULE}.")
        if Subject.objects.filter(name=name).exists():
            raise Conflict(f"The subject {name!r} exists already.")
        subject = Subject(name=name, owner_team=team)
        teams = _apply(subject, settings)
        subject.save()
        _save_teams(subject, teams)
        entry.after = subject_facts(subject)
    return subject


def change_subject(
    *, actor: Actor, name: str, reason: str, now: datetime, **changes: Any
) -> Subject:
    """Change some of `CHANGEABLE`, with a reason. A new owner team must be one of the actor's.

    Proposals in review are judged by the policy of the moment of their approval.
    """
    with audited_action(
        "subject.change", actor=actor, object_type="subject", object_id=name, now=now, reason=reason
    ) as entry:
        subject = locked_subject(subject_named(name).pk)
        require_role(actor, subject.owner_team, Role.OWNER)
        if not reason.strip():
            raise InvalidInput("A change of a subject needs a reason.")
        if not changes:
            raise InvalidInput(f"Nothing to change; there are {', '.join(CHANGEABLE)}.")
        before = subject_facts(subject)
        if "owner_team" in changes:
            subject.owner_team = team_named(changes.pop("owner_team"))
            require_role(actor, subject.owner_team, Role.OWNER)
        teams = _apply(subject, changes)
        subject.save()
        _save_teams(subject, teams)
        after = subject_facts(subject)
        changed = [key for key in after if after[key] != before[key]]
        entry.before = {key: before[key] for key in changed}
        entry.after = {key: after[key] for key in changed}
    return subject


def subject_facts(subject: Subject) -> dict[str, Any]:
    """All that is settable of a subject, as plain JSON."""
    teams = {rule.team.name: rule.approvals for rule in subject.approval_teams.all()}
    return {
        "owner_team": subject.owner_team.name,
        **{name: getattr(subject, name) for name in _FIELDS},
        "approval_teams": dict(sorted(teams.items())),
    }


_FIELDS = (
    "description",
    "compatibility",
    "required_approvals",
    "replay",
    "tags",
    "contact",
)
CHANGEABLE = ("owner_team", *_FIELDS, "approval_teams")
MOST_APPROVALS, MOST_TAGS, LONGEST_TAG, LONGEST_CONTACT = 10, 20, 50, 200


def _apply(subject: Subject, settings: dict[str, Any]) -> dict[str, int] | None:
    """Set the fields, checked; the teams of the approval policy are returned, checked, if given."""
    if unknown := sorted(set(settings) - set(CHANGEABLE)):
        raise InvalidInput(f"{unknown[0]!r} is no setting of a subject: {', '.join(CHANGEABLE)}.")
    teams = settings.get("approval_teams")
    for name in _FIELDS:
        if name in settings:
            setattr(subject, name, settings[name])
    _check(subject)
    required = teams if teams is not None else _teams_of(subject)
    _check_teams(subject.required_approvals, required)
    return None if teams is None else dict(teams)


def _check(subject: Subject) -> None:
    if subject.compatibility not in Compatibility.values:
        known = ", ".join(Compatibility.values)
        raise InvalidInput(
            f"{subject.compatibility!r} is not a compatibility level; choose of {known}."
        )
    if subject.replay not in ReplayRule.values:
        known = ", ".join(ReplayRule.values)
        raise InvalidInput(f"{subject.replay!r} is not a rule for replays; choose of {known}.")
    needed = subject.required_approvals
    if not isinstance(needed, int) or not 1 <= needed <= MOST_APPROVALS:
        raise InvalidInput(f"required_approvals must be between 1 and {MOST_APPROVALS}.")
    if len(subject.contact) > LONGEST_CONTACT:
        raise InvalidInput(f"A contact has at most {LONGEST_CONTACT} characters.")
    tags = subject.tags
    if not isinstance(tags, list) or len(tags) > MOST_TAGS or len(set(tags)) != len(tags):
        raise InvalidInput(f"tags is a list of at most {MOST_TAGS} different words.")
    for tag in tags:
        if not isinstance(tag, str) or not is_name(tag) or len(tag) > LONGEST_TAG:
            raise InvalidInput(f"{tag!r} is not a tag: at most {LONGEST_TAG} of {NAME_RULE}.")


def _check_teams(required: int, teams: Mapping[str, int]) -> None:
    for name, count in teams.items():
        team_named(name)
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InvalidInput(f"The team {name!r} must approve once or more, not {count!r} times.")
    if sum(teams.values()) > required:
        raise InvalidInput(
            f"The teams' approvals add up to {sum(teams.values())}, and required_approvals is "
            f"{required}: nobody counts twice, so raise it."
        )


def _teams_of(subject: Subject) -> dict[str, int]:
    if subject.pk is None:
        return {}
    return dict(subject.approval_teams.values_list("team__name", "approvals"))


def _save_teams(subject: Subject, teams: dict[str, int] | None) -> None:
    if teams is None:
        return
    subject.approval_teams.all().delete()
    for name, count in sorted(teams.items()):
        ApprovalTeam.objects.create(subject=subject, team=team_named(name), approvals=count)
