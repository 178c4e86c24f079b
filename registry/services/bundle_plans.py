"""A bundle file against the registry: what differs, what applying it does, and doing exactly that.

A plan is a list of steps, down to the releases that will be cut and the consumers they are offered
to, with a digest over the steps and the state they start from. `apply` makes the plan again inside
its transaction: where the digest is another one, nothing happens.

A release that a consumer rolled back is a difference that stays: the step `rolled_back` says since
when, by whom and why, and does nothing. Only a plan made with `again` offers it anew.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry.actors import Actor
from registry.bundle_files import WantedBundle, WrongBundleFile
from registry.canonical import fingerprint
from registry.errors import Conflict, Hidden, NotFound
from registry.models import Bundle, Consumer, Release, Role, Rollout, SchemaVersion, Subject
from registry.services.access import require_role
from registry.services.actions import audited_action
from registry.services.consumers import add_subscription, consumer_named, end_subscription
from registry.services.gate_policies import gate_policy_named
from registry.services.releases import (
    change_members,
    cut,
    latest_versions,
    locked_bundle,
    release_fingerprint,
    start_bundle,
)
from registry.services.roll_backs import roll_back_of
from registry.services.subjects import subject_named, team_named
from registry.services.visibility import bundles_seen_whole, require_visible


class PlanChanged(Conflict):
    code = "plan_changed"
    title = "Plan changed"


@dataclass(frozen=True, slots=True)
class Step:
    """One difference and what closes it: `action` on `bundle`, with its facts.

    `rolled_back` is closed by nothing.
    """

    action: str
    bundle: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BundlePlan:
    """No steps: file and registry agree."""

    steps: tuple[Step, ...]
    digest: str


def export_bundles(actor: Actor, names: Sequence[str] = ()) -> tuple[WantedBundle, ...]:
    """The bundles that the actor sees whole, as they are; all of them unless some are named."""
    seen = bundles_seen_whole(actor)
    found = seen.select_related("owner_team", "gate_policy").order_by("name")
    bundles = list(found.filter(name__in=names) if names else found)
    if missing := sorted(set(names) - {bundle.name for bundle in bundles}):
        raise NotFound(f"There is no bundle {missing[0]!r}.")
    return tuple(_as_wanted(bundle) for bundle in bundles)


def require_known(actor: Actor, wanted: Sequence[WantedBundle]) -> None:
    """Raises Hidden for a bundle or subject of the file that the actor may not know."""
    names = {bundle.name for bundle in wanted}
    held = Bundle.objects.filter(name__in=names)
    hidden = held.exclude(pk__in=bundles_seen_whole(actor).values("pk")).order_by("name").first()
    if hidden is not None:
        raise Hidden(f"There is no bundle {hidden.name!r} that {actor.name} may plan.")
    subjects = {name for bundle in wanted for name in bundle.subjects}
    require_visible(actor, Subject, subjects)


def plan_bundles(wanted: Sequence[WantedBundle], *, again: bool = False) -> BundlePlan:
    """What differs, as what `apply_bundles` will do. Raises NotFound and WrongBundleFile.

    `again`: a rolled back release is offered anew.
    """
    _refuse_unknown(wanted)
    steps: list[Step] = []
    states: list[Any] = []
    for bundle in wanted:
        held = Bundle.objects.select_related("owner_team", "gate_policy").filter(name=bundle.name)
        existing = held.first()
        states.append(None if existing is None else _state(existing))
        steps += _steps(bundle, existing, again)
    actions: list[Any] = [[step.action, step.bundle, step.facts] for step in steps]
    digest = fingerprint({"before": states, "steps": actions})
    return BundlePlan(tuple(steps), digest)


def apply_bundles(
    *,
    actor: Actor,
    wanted: Sequence[WantedBundle],
    plan: str,
    now: datetime,
    again: bool = False,
) -> BundlePlan:
    """Do what the plan with this digest says, all of it or nothing. Raises PlanChanged."""
    names = sorted(bundle.name for bundle in wanted)
    with audited_action(
        "bundle.apply", actor=actor, object_type="bundle", object_id=", ".join(names), now=now
    ) as entry:
        for name in (
            Bundle.objects.filter(name__in=names).order_by("pk").values_list("name", flat=True)
        ):
            locked_bundle(name)
        made = plan_bundles(wanted, again=again)
        if made.digest != plan:
            raise PlanChanged(
                "The registry has changed since this plan was made; plan again, and look at it.",
                plan=made.digest,
            )
        done = [step for step in made.steps if step.action in _DO]
        for step in done:
            _DO[step.action](actor, step, now)
        entry.after = {
            "plan": made.digest,
            "steps": [f"{step.action} {step.bundle}" for step in done],
        }
    return made


def _as_wanted(bundle: Bundle) -> WantedBundle:
    return WantedBundle(
        name=bundle.name,
        owner_team=bundle.owner_team.name,
        gate_policy=bundle.gate_policy.name,
        subjects=tuple(sorted(bundle.subjects.values_list("name", flat=True))),
        description=bundle.description,
        subscribers=_subscribers(bundle),
    )


def _subscribers(bundle: Bundle) -> tuple[str, ...]:
    return tuple(sorted(bundle.subscriptions.values_list("consumer__name", flat=True)))


def _state(bundle: Bundle) -> dict[str, Any]:
    now = _as_wanted(bundle)
    return {
        "owner_team": now.owner_team,
        "gate_policy": now.gate_policy,
        "description": now.description,
        "subjects": list(now.subjects),
        "subscribers": list(now.subscribers or ()),
        "releases": bundle.releases.count(),
    }


def _refuse_unknown(wanted: Sequence[WantedBundle]) -> None:
    for bundle in wanted:
        team_named(bundle.owner_team)
        gate_policy_named(bundle.gate_policy)
        for subject in bundle.subjects:
            subject_named(subject)
        for consumer in bundle.subscribers or ():
            consumer_named(consumer)


def _steps(wanted: WantedBundle, existing: Bundle | None, again: bool) -> Iterable[Step]:
    """In the order in which they are done."""
    if existing is None:
        held = WantedBundle(wanted.name, wanted.owner_team, wanted.gate_policy, (), "", ())
        facts = {"owner_team": wanted.owner_team, "gate_policy": wanted.gate_policy}
        yield Step("create", wanted.name, facts)
    else:
        held = _as_wanted(existing)
    if wanted.owner_team != held.owner_team:
        raise WrongBundleFile(
            f"bundles.{wanted.name}.owner_team is {held.owner_team}; no file can change that."
        )
    for name in ("gate_policy", "description"):
        before, after = getattr(held, name), getattr(wanted, name)
        if after is not None and after != before:
            yield Step(f"change_{name}", wanted.name, {"before": before, "after": after})
    added = sorted(set(wanted.subjects) - set(held.subjects))
    removed = sorted(set(held.subjects) - set(wanted.subjects))
    if added or removed:
        yield Step("change_members", wanted.name, {"add": added, "remove": removed})
    before, after = set(held.subscribers or ()), set(held.subscribers or ())
    if wanted.subscribers is not None:
        after = set(wanted.subscribers)
    for consumer in sorted(before - after):
        yield Step("unsubscribe", wanted.name, {"consumer": consumer})
    yield from _release(wanted, existing, sorted(before & after), again)
    for consumer in sorted(after - before):
        yield Step("subscribe", wanted.name, {"consumer": consumer})


def _release(
    wanted: WantedBundle, existing: Bundle | None, staying: Sequence[str], again: bool
) -> Iterable[Step]:
    """The release that the members come to, where it is new or not yet offered to everybody."""
    versions = latest_versions(wanted.subjects)
    if not versions:
        return
    members = [(v.subject.name, v.resolved_fingerprint) for v in versions]
    digest = release_fingerprint(wanted.name, members)
    known = existing.releases.filter(fingerprint=digest).first() if existing else None
    number = known.number if known else (existing.releases.count() if existing else 0) + 1
    waiting = _not_offered(existing, digest, staying)
    backed_out = _rolled_back(known, waiting)
    offered = waiting if again else [name for name in waiting if name not in backed_out]
    if known is None or offered:
        facts = _release_facts(number, digest, versions, offered)
        anew = sorted(set(offered) & set(backed_out))
        yield Step("release", wanted.name, facts | ({"again": anew} if anew else {}))
    for name in sorted(set(backed_out) - set(offered)):
        yield Step("rolled_back", wanted.name, backed_out[name])


def _release_facts(
    number: int, digest: str, versions: Sequence[SchemaVersion], offered_to: Sequence[str]
) -> dict[str, Any]:
    return {
        "release": number,
        "fingerprint": digest,
        "members": {version.subject.name: version.number for version in versions},
        "offered_to": list(offered_to),
    }


def _not_offered(existing: Bundle | None, digest: str, staying: Sequence[str]) -> list[str]:
    if existing is None:
        return []
    offered = Rollout.objects.filter(
        bundle=existing, release__fingerprint=digest, ended_at__isnull=True
    )
    return sorted(set(staying) - set(offered.values_list("consumer__name", flat=True)))


def _rolled_back(release: Release | None, waiting: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of those that wait for the release the ones that rolled it back, with the facts."""
    if release is None:
        return {}
    found = {}
    for consumer in Consumer.objects.filter(name__in=waiting):
        if (told := roll_back_of(consumer, release)) is not None:
            found[consumer.name] = {
                "consumer": consumer.name,
                "release": release.number,
                "at": f"{told.at:%Y-%m-%dT%H:%M:%SZ}",
                "by": told.by,
                "reason": told.reason,
            }
    return found


# --- doing it -----------------------------------------------------------------------------------


def _create(actor: Actor, step: Step, now: datetime) -> None:
    start_bundle(actor=actor, name=step.bundle, description="", **step.facts)


def _change_members(actor: Actor, step: Step, now: datetime) -> None:
    change_members(_own_bundle(actor, step), **step.facts)


def _change_gate_policy(actor: Actor, step: Step, now: datetime) -> None:
    bundle = _own_bundle(actor, step)
    bundle.gate_policy = gate_policy_named(step.facts["after"])
    bundle.save(update_fields=["gate_policy"])


def _change_description(actor: Actor, step: Step, now: datetime) -> None:
    bundle = _own_bundle(actor, step)
    bundle.description = step.facts["after"]
    bundle.save(update_fields=["description"])


def _cut(actor: Actor, step: Step, now: datetime) -> None:
    """The release has to be the one that was planned."""
    again = "again" in step.facts
    release = cut(actor=actor, bundle=_own_bundle(actor, step), now=now, again=again)
    if release is None or release.fingerprint != step.facts["fingerprint"]:
        raise PlanChanged(f"{step.bundle} came to another release than planned; plan again.")


def _subscribe(actor: Actor, step: Step, now: datetime) -> None:
    add_subscription(actor=actor, bundle=step.bundle, now=now, **step.facts)


def _unsubscribe(actor: Actor, step: Step, now: datetime) -> None:
    end_subscription(actor=actor, bundle=step.bundle, now=now, **step.facts)


def _own_bundle(actor: Actor, step: Step) -> Bundle:
    bundle = locked_bundle(step.bundle)
    require_role(actor, bundle.owner_team, Role.OWNER)
    return bundle


_DO = {
    "create": _create,
    "change_members": _change_members,
    "change_gate_policy": _change_gate_policy,
    "change_description": _change_description,
    "release": _cut,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
}
