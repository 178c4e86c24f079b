"""Who may see what: one rule for every list and every name. What one may not see is not there.

A person sees what their teams own, offer or read, whatever their role there; beyond that

- an auditor (of any team) sees everything;
- a reviewer (of any team) sees what reviewers decide about, whoever owns it: subjects with their
  proposals and waivers, bundles with their releases and subscriptions, rollouts with their
  overrides and incidents.

Data is not theirs by that: diagnostics, nodes, consumers and tokens stay with the teams. The system
sees everything; a consumer nothing of governance (what it reads: `registry.services.resolution`).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

from registry.actors import Actor
from registry.errors import Hidden, NotFound
from registry.models import (
    AccessToken,
    Bundle,
    Consumer,
    Diagnostic,
    GateOverride,
    Incident,
    Membership,
    Node,
    Proposal,
    Release,
    RetainedSample,
    Role,
    Rollout,
    SchemaVersion,
    Subject,
    Subscription,
    Usage,
    Waiver,
)

LARGEST_KEY = 2**63 - 1

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Viewer:
    """`teams`: primary keys of the teams in which the person has a role."""

    user: int
    teams: frozenset[int]
    reviews: bool


def visible(actor: Actor, rows: QuerySet[Row]) -> QuerySet[Row]:
    """Those of the rows that the actor may see. KeyError for a model without a rule."""
    rule = _RULES[rows.model]
    viewer = _viewer(actor)
    if viewer is EVERYTHING:
        return rows
    assert isinstance(viewer, Viewer)
    # In a subquery: a rule that joins would multiply the rows.
    return rows.filter(pk__in=rows.model._default_manager.filter(rule(viewer)).values("pk"))


def has_rule(model: type[Model]) -> bool:
    """Without one, whoever may open a listing of the model sees all of it."""
    return model in _RULES


def require_visible(actor: Actor, model: type[Model], names: Collection[Any]) -> None:
    """All of the names (or numbers) exist and may be seen.

    Raises NotFound, and Hidden (which is a NotFound with the same words) for what exists.
    """
    wanted, (field, label) = set(names), _NAMED[model]
    storable = [name for name in wanted if not isinstance(name, int) or name <= LARGEST_KEY]
    held = model._default_manager.filter(**{f"{field}__in": storable})
    seen = set(visible(actor, held).values_list(field, flat=True))
    existing = seen if seen == wanted else set(held.values_list(field, flat=True))
    for name in sorted(wanted - seen):
        refusal = Hidden if name in existing else NotFound
        raise refusal(f"There is no {label} {name!r}.")


def bundles_seen_whole(actor: Actor) -> QuerySet[Bundle]:
    """The bundles whose every subscriber the actor may know: a bundle file names them."""
    hidden = Subscription.objects.exclude(pk__in=visible(actor, Subscription.objects.all()))
    return visible(actor, Bundle.objects.all()).exclude(pk__in=hidden.values("bundle"))


EVERYTHING = object()


def _viewer(actor: Actor) -> object:
    if actor.kind == "system":
        return EVERYTHING
    if actor.kind != "user":
        return Viewer(user=0, teams=frozenset(), reviews=False)
    held = Membership.objects.filter(user_id=int(actor.id), user__is_active=True)
    roles = list(held.values_list("team", "role"))
    if any(role == Role.AUDITOR for _, role in roles):
        return EVERYTHING
    return Viewer(
        user=int(actor.id),
        teams=frozenset(team for team, _ in roles),
        reviews=any(role == Role.REVIEWER for _, role in roles),
    )


# --- the rules -----------------------------------------------------------------------------------


def _subjects(viewer: Viewer) -> Q:
    return (
        Q(owner_team__in=viewer.teams)
        | Q(approval_teams__team__in=viewer.teams)
        | Q(bundles__owner_team__in=viewer.teams)
        | Q(bundles__subscriptions__consumer__owner_team__in=viewer.teams)
        | Q(nodes__grants__consumer__owner_team__in=viewer.teams)
        | _all_if(viewer.reviews)
    )


def _bundles(viewer: Viewer) -> Q:
    return (
        Q(owner_team__in=viewer.teams)
        | Q(subjects__owner_team__in=viewer.teams)
        | Q(subscriptions__consumer__owner_team__in=viewer.teams)
        | _all_if(viewer.reviews)
    )


def _consumers(viewer: Viewer) -> Q:
    return Q(owner_team__in=viewer.teams)


def _tokens(viewer: Viewer) -> Q:
    return Q(consumer__owner_team__in=viewer.teams) | Q(user=viewer.user)


def _between(viewer: Viewer) -> Q:
    """What stands between a consumer and a bundle: both teams see it."""
    return (
        Q(consumer__owner_team__in=viewer.teams)
        | Q(bundle__owner_team__in=viewer.teams)
        | _all_if(viewer.reviews)
    )


def _nodes(viewer: Viewer) -> Q:
    return (
        Q(subject__owner_team__in=viewer.teams)
        | Q(grants__consumer__owner_team__in=viewer.teams)
        | Q(subject__bundles__subscriptions__consumer__owner_team__in=viewer.teams)
    )


def _seen_in_reads(viewer: Viewer) -> Q:
    """What reads have shown: for the team that reads and the one whose data it is."""
    return Q(consumer__owner_team__in=viewer.teams) | Q(node__subject__owner_team__in=viewer.teams)


def _samples(viewer: Viewer) -> Q:
    return Q(node__subject__owner_team__in=viewer.teams)


def _through(field: str, model: type[Model]) -> Callable[[Viewer], Q]:
    """What hangs on another object is seen by whoever sees that."""

    def rule(viewer: Viewer) -> Q:
        seen = model._default_manager.filter(_RULES[model](viewer))
        return Q(**{f"{field}__in": seen.values("pk")})

    return rule


def _all_if(condition: bool) -> Q:
    return Q(pk__isnull=not condition)


_RULES: dict[type[Model], Callable[[Viewer], Q]] = {
    Subject: _subjects,
    SchemaVersion: _through("subject", Subject),
    Proposal: _through("subject", Subject),
    Waiver: _through("proposal", Proposal),
    Bundle: _bundles,
    Release: _through("bundle", Bundle),
    Consumer: _consumers,
    AccessToken: _tokens,
    Subscription: _between,
    Rollout: _between,
    GateOverride: _through("rollout", Rollout),
    Incident: _between,
    Node: _nodes,
    Diagnostic: _seen_in_reads,
    Usage: _seen_in_reads,
    RetainedSample: _samples,
}
# By which field an object is named, and what it is called.
_NAMED: dict[type[Model], tuple[str, str]] = {
    Subject: ("name", "subject"),
    Proposal: ("pk", "proposal"),
    Waiver: ("pk", "waiver"),
    Bundle: ("name", "bundle"),
    Consumer: ("name", "consumer"),
    AccessToken: ("prefix", "token"),
    Rollout: ("pk", "rollout"),
    GateOverride: ("pk", "override"),
    Incident: ("pk", "incident"),
    Node: ("node_id", "node"),
}
