"""The end of a schema version: deprecated with a sunset date, retired when nobody is held to it."""

from datetime import datetime

from registry.actors import Actor
from registry.errors import Conflict, InvalidInput, NotFound
from registry.models import Role, Rollout, SchemaVersion, VersionState
from registry.services.access import require_role
from registry.services.actions import audited_action
from registry.services.candidates import latest_version
from registry.services.open_proposals import WrongState
from registry.services.subjects import locked_subject, subject_named


class VersionInUse(Conflict):
    code = "version_in_use"
    title = "Version in use"


def version_numbered(subject: str, number: int) -> SchemaVersion:
    versions = SchemaVersion.objects.select_related("subject__owner_team", "content")
    version = versions.filter(subject__name=subject, number=number).first()
    if version is None:
        raise NotFound(f"There is no version {number} of {subject!r}.")
    return version


def deprecate_version(
    *, actor: Actor, subject: str, number: int, sunset_at: datetime, reason: str, now: datetime
) -> SchemaVersion:
    """Announce that a version goes away; reads under it say so from now on.

    Refused for the version that the subject's nodes are bound to: approve its successor first.
    """
    with audited_action(
        "version.deprecate",
        actor=actor,
        object_type="version",
        object_id=f"{subject}/{number}",
        now=now,
        reason=reason,
    ) as entry:
        version = _locked(actor, subject, number)
        _require(version, VersionState.APPROVED)
        if sunset_at.utcoffset() is None or sunset_at <= now:
            raise InvalidInput("The sunset is in the future, with a time zone.")
        if version == latest_version(version.subject) and version.subject.nodes.exists():
            raise VersionInUse(
                f"Nodes are bound to {version}, the newest approved one; approve its successor "
                "first."
            )
        entry.before = _facts(version)
        version.state, version.deprecated_at = VersionState.DEPRECATED, now
        version.sunset_at = sunset_at
        version.save(update_fields=["state", "deprecated_at", "sunset_at"])
        entry.after = _facts(version)
    return version


def retire_version(
    *, actor: Actor, subject: str, number: int, reason: str, now: datetime
) -> SchemaVersion:
    """End a deprecated version. Refused while a live rollout uses it, or before its sunset."""
    with audited_action(
        "version.retire",
        actor=actor,
        object_type="version",
        object_id=f"{subject}/{number}",
        now=now,
        reason=reason,
    ) as entry:
        version = _locked(actor, subject, number)
        _require(version, VersionState.DEPRECATED)
        if held := live_rollouts_of(version):
            names = ", ".join(str(rollout) for rollout in held[:5])
            raise VersionInUse(
                f"{version} is used by {len(held)} live rollouts: {names}. "
                "Promote or end them first.",
                rollouts=[rollout.pk for rollout in held],
            )
        if version.sunset_at is not None and now < version.sunset_at:
            raise VersionInUse(f"The sunset of {version} is {version.sunset_at:%Y-%m-%d %H:%M}Z.")
        entry.before = _facts(version)
        version.state, version.retired_at = VersionState.RETIRED, now
        version.save(update_fields=["state", "retired_at"])
        entry.after = _facts(version)
    return version


def live_rollouts_of(version: SchemaVersion) -> list[Rollout]:
    live = Rollout.objects.filter(release__members__version=version, ended_at__isnull=True)
    return list(live.select_related("consumer", "release__bundle").order_by("pk"))


def _locked(actor: Actor, subject: str, number: int) -> SchemaVersion:
    line = subject_named(subject)
    require_role(actor, line.owner_team, Role.OWNER)
    locked_subject(line.pk)
    return version_numbered(subject, number)


def _require(version: SchemaVersion, state: VersionState) -> None:
    if version.state != state:
        raise WrongState(f"{version} is {version.state}, not {state}.")


def _facts(version: SchemaVersion) -> dict[str, object]:
    sunset = version.sunset_at
    return {"state": version.state, "sunset_at": sunset.isoformat() if sunset else None}
