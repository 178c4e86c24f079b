"""Bundles and the releases cut from them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Max

from registry.actors import Actor
from registry.canonical import fingerprint
from registry.errors import Conflict, InvalidInput, NotFound
from registry.models import (
    Bundle,
    BundleMember,
    GatePolicy,
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
from registry.services.offers import offer_release
from registry.services.subjects import subject_named, team_named


def bundle_named(name: str) -> Bundle:
    try:
        return Bundle.objects.select_related("owner_team", "gate_policy").get(name=name)
    except Bundle.DoesNotExist:
        raise NotFound(f"There is no bundle {name!r}.") from None


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
        team = team_named(owner_team)
        require_role(actor, team, Role.OWNER)
        if not is_name(name):
            raise InvalidInput(f"{name!r} is not a bundle name: {NAME_RULE}.")
        if Bundle.objects.filter(name=name).exists():
            raise Conflict(f"The bundle {name!r} exists already.")
        policy = GatePolicy.objects.filter(name=gate_policy).first()
        if policy is None:
            raise NotFound(f"There is no gate policy {gate_policy!r}.")
        bundle = Bundle.objects.create(
            name=name, owner_team=team, description=description, gate_policy=policy
        )
        for subject in sorted(set(subjects)):
            BundleMember.objects.create(bundle=bundle, subject=subject_named(subject))
        entry.after = {"subjects": sorted(set(subjects)), "gate_policy": policy.name}
        _cut(actor=actor, bundle=bundle, now=now)
    return bundle


def cut_releases_for(*, actor: Actor, subject: Subject, now: datetime) -> list[Release]:
    """Inside the approving transaction: every bundle that holds the subject gets its release."""
    bundles = Bundle.objects.filter(members__subject=subject).order_by("pk")
    cut = [_cut(actor=actor, bundle=bundle, now=now) for bundle in bundles]
    return [release for release in cut if release is not None]


def release_fingerprint(bundle: str, members: Sequence[tuple[str, str]]) -> str:
    """Over the bundle's name and its (subject, resolved fingerprint) pairs, sorted by subject."""
    document: dict[str, Any] = {
        "bundle": bundle,
        "members": [{"subject": name, "fingerprint": value} for name, value in sorted(members)],
    }
    return fingerprint(document)


def _cut(*, actor: Actor, bundle: Bundle, now: datetime) -> Release | None:
    """The release of the members' newest approved versions: an equal one comes back."""
    Bundle.objects.select_for_update().get(pk=bundle.pk)
    versions = _newest_versions(bundle)
    if not versions:
        return None
    digest = release_fingerprint(
        bundle.name, [(v.subject.name, v.resolved_fingerprint) for v in versions]
    )
    release = bundle.releases.filter(fingerprint=digest).first()
    if release is None:
        release = _create(actor, bundle, digest, versions, now)
    for subscription in Subscription.objects.filter(bundle=bundle).select_related("consumer"):
        offer_release(actor=actor, consumer=subscription.consumer, release=release, now=now)
    return release


def _newest_versions(bundle: Bundle) -> list[SchemaVersion]:
    approved = (
        SchemaVersion.objects.filter(
            subject__memberships__bundle=bundle, state=VersionState.APPROVED
        )
        .select_related("subject")
        .order_by("subject__name", "number")
    )
    return list({version.subject_id: version for version in approved}.values())


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
