"""Bundles and the releases cut from them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Max

from registry.actors import Actor
from registry.canonical import fingerprint
from registry.errors import Conflict, InvalidInput, NotFound
from registry.models import (
    Bundle,
    BundleMember,
    Release,
    ReleaseMember,
    Role,
    SchemaVersion,
    Subject,
    Subscription,
    VersionState,
)
from registry.names import NAME_RULE, is_name
from registry.services.access import require_role
from registry.services.actions import audited_action
from registry.services.audit import record
from registry.services.gate_policies import gate_policy_named
from registry.services.offers import offer_release
from registry.services.roll_backs import roll_back_of
from registry.services.subjects import subject_named, team_named
from registry.services.visibility import require_visible


class SharedSubject(Conflict):
    code = "shared_subject"
    title = "Two bundles share a subject"


def bundle_named(name: str) -> Bundle:
    try:
        return Bundle.objects.select_related("owner_team", "gate_policy").get(name=name)
    except Bundle.DoesNotExist:
        raise NotFound(f"There is no bundle {name!r}.") from None


def locked_bundle(name: str) -> Bundle:
    """Whoever cuts a bundle's releases or changes who gets them holds its row."""
    bundle_named(name)
    found = Bundle.objects.select_for_update(of=("self",)).select_related(
        "owner_team", "gate_policy"
    )
    return found.get(name=name)


def bundle_facts(bundle: Bundle) -> dict[str, Any]:
    return {
        "owner_team": bundle.owner_team.name,
        "description": bundle.description,
        "gate_policy": bundle.gate_policy.name,
        "subjects": sorted(subject.name for subject in bundle.subjects.all()),
    }


def create_bundle(
    *,
    actor: Actor,
    name: str,
    owner_team: str,
    subjects: Sequence[str],
    gate_policy: str,
    now: datetime,
    description: str = "",
) -> Bundle:
    """A named set of subjects; the first release is cut at once if a member has a version."""
    with audited_action(
        "bundle.create", actor=actor, object_type="bundle", object_id=name, now=now
    ) as entry:
        bundle = start_bundle(
            actor=actor,
            name=name,
            owner_team=owner_team,
            gate_policy=gate_policy,
            description=description,
        )
        require_visible(actor, Subject, subjects)
        for subject in sorted(set(subjects)):
            BundleMember.objects.create(bundle=bundle, subject=subject_named(subject))
        entry.after = bundle_facts(bundle)
        cut(actor=actor, bundle=bundle, now=now)
    return bundle


def start_bundle(
    *, actor: Actor, name: str, owner_team: str, gate_policy: str, description: str
) -> Bundle:
    """Inside the caller's action: a bundle without members."""
    team = team_named(owner_team)
    require_role(actor, team, Role.OWNER)
    if not is_name(name):
        raise InvalidInput(f"{name!r} is not a bundle name: {NAME_RULE}.")
    if Bundle.objects.filter(name=name).exists():
        raise Conflict(f"The bundle {name!r} exists already.")
    return Bundle.objects.create(
        name=name,
        owner_team=team,
        description=description,
        gate_policy=gate_policy_named(gate_policy),
    )


def change_bundle(
    *,
    actor: Actor,
    name: str,
    now: datetime,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    gate_policy: str | None = None,
    description: str | None = None,
) -> Release | None:
    """Change members, gate policy or description; other members make another release.

    What is removed can no longer be read through the bundle, at once.
    """
    with audited_action(
        "bundle.change", actor=actor, object_type="bundle", object_id=name, now=now
    ) as entry:
        bundle = locked_bundle(name)
        require_role(actor, bundle.owner_team, Role.OWNER)
        if not (add or remove) and gate_policy is None and description is None:
            raise InvalidInput("Nothing to change: name members, a gate policy or a description.")
        require_visible(actor, Subject, set(add) - set(remove))
        entry.before = bundle_facts(bundle)
        change_members(bundle, add=add, remove=remove)
        if gate_policy is not None:
            bundle.gate_policy = gate_policy_named(gate_policy)
        if description is not None:
            bundle.description = description
        bundle.save(update_fields=["gate_policy", "description"])
        entry.after = bundle_facts(bundle)
        return cut(actor=actor, bundle=bundle, now=now) if add or remove else None


def change_members(bundle: Bundle, *, add: Sequence[str], remove: Sequence[str]) -> None:
    """Inside the caller's action, the bundle locked."""
    held = set(bundle.subjects.values_list("name", flat=True))
    if both := sorted(set(add) & set(remove)):
        raise InvalidInput(f"{both[0]} is both added and removed.")
    for name in sorted(set(remove)):
        if name not in held:
            raise NotFound(f"{bundle} does not hold the subject {name!r}.")
        bundle.members.filter(subject__name=name).delete()
    for name in sorted(set(add)):
        subject = subject_named(name)
        if name in held:
            raise Conflict(f"{bundle} holds the subject {name} already.")
        _refuse_shared(bundle, subject)
        BundleMember.objects.create(bundle=bundle, subject=subject)
    if held and held <= set(remove) and not add:
        raise InvalidInput(f"{bundle} would hold no subject.")


def cut_release(*, actor: Actor, name: str, now: datetime) -> Release:
    """The release of this moment, cut on demand; if nothing changed, the one there is.

    Offered to every subscriber, also to one that rolled it back.
    """
    with audited_action(
        "bundle.cut", actor=actor, object_type="bundle", object_id=name, now=now
    ) as entry:
        bundle = locked_bundle(name)
        require_role(actor, bundle.owner_team, Role.OWNER)
        release = cut(actor=actor, bundle=bundle, now=now, again=True)
        if release is None:
            raise Conflict(f"No member of {name} has an approved version yet.")
        entry.after = {"release": release.number, "fingerprint": release.fingerprint}
        return release


def cut_releases_for(*, actor: Actor, subjects: Sequence[Subject], now: datetime) -> list[Release]:
    """Inside the approving transaction: every bundle with one of the subjects gets one release."""
    bundles = Bundle.objects.filter(members__subject__in=subjects).distinct().order_by("pk")
    made = [cut(actor=actor, bundle=bundle, now=now) for bundle in bundles]
    return [release for release in made if release is not None]


def release_of(bundle: str, number: int) -> Release:
    found = Release.objects.select_related("bundle").filter(bundle__name=bundle, number=number)
    release = found.first()
    if release is None:
        raise NotFound(f"There is no release {number} of {bundle!r}.")
    return release


def release_fingerprint(bundle: str, members: Sequence[tuple[str, str]]) -> str:
    """Over the bundle's name and its (subject, resolved fingerprint) pairs, sorted by subject."""
    document: dict[str, Any] = {
        "bundle": bundle,
        "members": [{"subject": name, "fingerprint": value} for name, value in sorted(members)],
    }
    return fingerprint(document)


def cut(*, actor: Actor, bundle: Bundle, now: datetime, again: bool = False) -> Release | None:
    """Inside the caller's action: the release of the members' newest approved versions.

    An equal one comes back. Each subscriber is offered it as a canary, but for those that rolled it
    back: to them only with `again`.
    """
    locked_bundle(bundle.name)
    versions = latest_versions(bundle.subjects.values_list("name", flat=True))
    if not versions:
        return None
    digest = _fingerprint_of(bundle, versions)
    release = bundle.releases.filter(fingerprint=digest).first()
    if release is None:
        release = _create(actor, bundle, digest, versions, now)
    subscriptions = Subscription.objects.filter(bundle=bundle).select_related("consumer")
    for subscription in subscriptions.order_by("consumer_id"):
        if not again and roll_back_of(subscription.consumer, release) is not None:
            continue
        offer_release(actor=actor, consumer=subscription.consumer, release=release, now=now)
    return release


def latest_versions(subjects: Iterable[str]) -> list[SchemaVersion]:
    """The newest approved version of each of the subjects that has one, by subject."""
    approved = (
        SchemaVersion.objects.filter(subject__name__in=subjects, state=VersionState.APPROVED)
        .select_related("subject")
        .order_by("subject__name", "number")
    )
    return list({version.subject_id: version for version in approved}.values())


def current_release(bundle: Bundle) -> Release | None:
    """The release that the members come to; members and versions may come back to an older one."""
    versions = latest_versions(bundle.subjects.values_list("name", flat=True))
    digest = _fingerprint_of(bundle, versions)
    return bundle.releases.filter(fingerprint=digest).first()


def _fingerprint_of(bundle: Bundle, versions: Sequence[SchemaVersion]) -> str:
    return release_fingerprint(
        bundle.name, [(v.subject.name, v.resolved_fingerprint) for v in versions]
    )


def _create(
    actor: Actor, bundle: Bundle, digest: str, versions: list[SchemaVersion], now: datetime
) -> Release:
    last = bundle.releases.aggregate(last=Max("number"))["last"] or 0
    release = Release.objects.create(
        bundle=bundle, number=last + 1, fingerprint=digest, created_at=now
    )
    ReleaseMember.objects.bulk_create(
        ReleaseMember(release=release, subject=version.subject, version=version)
        for version in versions
    )
    record(
        actor=actor,
        action="release.cut",
        object_type="release",
        object_id=f"{bundle.name}/{release.number}",
        now=now,
        after={"fingerprint": digest, "members": {v.subject.name: v.number for v in versions}},
    )
    return release


def _refuse_shared(bundle: Bundle, subject: Subject) -> None:
    """A subscriber that reads the subject through another bundle would have two judges for it."""
    subscribers = bundle.subscriptions.values("consumer")
    clash = (
        Subscription.objects.filter(consumer__in=subscribers, bundle__members__subject=subject)
        .select_related("consumer", "bundle")
        .first()
    )
    if clash is not None:
        raise SharedSubject(
            f"{clash.consumer} reads the subject {subject} through {clash.bundle} already; "
            "a subject may come from one bundle only."
        )
