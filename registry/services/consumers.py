"""Consumers, what they subscribe to, and nodes granted to them by name."""

from datetime import datetime

from registry.actors import Actor
from registry.errors import Conflict, InvalidInput, NotFound
from registry.models import (
    BundleMember,
    Consumer,
    Node,
    NodeGrant,
    Role,
    Rollout,
    Subscription,
)
from registry.names import NAME_RULE, is_name
from registry.services.access import require_role
from registry.services.actions import audited_action
from registry.services.offers import offer_release
from registry.services.releases import SharedSubject, current_release, locked_bundle
from registry.services.subjects import team_named
from registry.services.visibility import require_visible


def consumer_named(name: str) -> Consumer:
    try:
        return Consumer.objects.select_related("owner_team").get(name=name)
    except Consumer.DoesNotExist:
        raise NotFound(f"There is no consumer {name!r}.") from None


def create_consumer(
    *, actor: Actor, name: str, owner_team: str, now: datetime, description: str = ""
) -> Consumer:
    with audited_action(
        "consumer.create", actor=actor, object_type="consumer", object_id=name, now=now
    ) as entry:
        team = team_named(owner_team)
        require_role(actor, team, Role.CONSUMER_ADMIN)
        if not is_name(name):
            raise InvalidInput(f"{name!r} is not a consumer name: {NAME_RULE}.")
        if Consumer.objects.filter(name=name).exists():
            raise Conflict(f"The consumer {name!r} exists already.")
        consumer = Consumer.objects.create(name=name, owner_team=team, description=description)
        entry.after = {"owner_team": team.name}
    return consumer


def subscribe(*, actor: Actor, consumer: str, bundle: str, now: datetime) -> Rollout | None:
    """The consumer reads the bundle from now on; its newest release starts as a canary."""
    with audited_action(
        "consumer.subscribe", actor=actor, object_type="consumer", object_id=consumer, now=now
    ) as entry:
        entry.after = {"bundle": bundle}
        return add_subscription(actor=actor, consumer=consumer, bundle=bundle, now=now)


def add_subscription(*, actor: Actor, consumer: str, bundle: str, now: datetime) -> Rollout | None:
    """Inside the caller's action. The bundle is locked first, as whoever cuts a release does."""
    require_role(actor, consumer_named(consumer).owner_team, Role.CONSUMER_ADMIN)
    target = locked_bundle(bundle)
    reader = _locked(consumer)
    _refuse_shared_subject(reader, target.pk, bundle)
    Subscription.objects.create(consumer=reader, bundle=target, created_at=now)
    release = current_release(target)
    if release is None:
        return None
    return offer_release(actor=actor, consumer=reader, release=release, now=now)


def unsubscribe(*, actor: Actor, consumer: str, bundle: str, now: datetime, reason: str) -> None:
    """The consumer reads the bundle no longer, at once; its rollouts of the bundle end."""
    with audited_action(
        "consumer.unsubscribe",
        actor=actor,
        object_type="consumer",
        object_id=consumer,
        now=now,
        reason=reason,
    ) as entry:
        entry.before = {"bundle": bundle}
        end_subscription(actor=actor, consumer=consumer, bundle=bundle, now=now)


def end_subscription(*, actor: Actor, consumer: str, bundle: str, now: datetime) -> None:
    """Inside the caller's action."""
    require_role(actor, consumer_named(consumer).owner_team, Role.CONSUMER_ADMIN)
    target = locked_bundle(bundle)
    reader = _locked(consumer)
    if not reader.subscriptions.filter(bundle=target).delete()[0]:
        raise NotFound(f"{consumer} does not subscribe to {bundle!r}.")
    reader.rollouts.filter(bundle=target, ended_at__isnull=True).update(ended_at=now)


def revoke_grant(*, actor: Actor, consumer: str, node_id: str, now: datetime, reason: str) -> None:
    """Take back a node that was granted by name."""
    with audited_action(
        "consumer.revoke_grant",
        actor=actor,
        object_type="consumer",
        object_id=consumer,
        now=now,
        reason=reason,
    ) as entry:
        node = _own_node(actor, node_id)
        reader = _locked(consumer)
        if not reader.grants.filter(node=node).delete()[0]:
            raise NotFound(f"{node_id} is not granted to {consumer} by name.")
        entry.before = {"node": node_id}


def switch_consumer(
    *, actor: Actor, consumer: str, active: bool, now: datetime, reason: str
) -> Consumer:
    """Switch a consumer off (its tokens are refused from then on) or on again."""
    with audited_action(
        "consumer.switch",
        actor=actor,
        object_type="consumer",
        object_id=consumer,
        now=now,
        reason=reason,
    ) as entry:
        reader = _locked(consumer)
        require_role(actor, reader.owner_team, Role.CONSUMER_ADMIN)
        if reader.active == active:
            raise Conflict(f"{consumer} is switched {'on' if active else 'off'} already.")
        entry.before, entry.after = {"active": reader.active}, {"active": active}
        reader.active = active
        reader.save(update_fields=["active"])
    return reader


def grant_node(*, actor: Actor, consumer: str, node_id: str, now: datetime) -> NodeGrant:
    """Let a consumer read one node whose subject it does not subscribe to (ungoverned)."""
    with audited_action(
        "consumer.grant", actor=actor, object_type="consumer", object_id=consumer, now=now
    ) as entry:
        node = _own_node(actor, node_id)
        reader = _locked(consumer)
        if reader.grants.filter(node=node).exists():
            raise Conflict(f"{consumer} may read {node_id} already.")
        entry.after = {"node": node_id}
        return NodeGrant.objects.create(consumer=reader, node=node, created_at=now)


def _own_node(actor: Actor, node_id: str) -> Node:
    """Judged before the consumer is looked up: who owns no node learns of no consumer here."""
    require_visible(actor, Node, [node_id])
    node = Node.objects.select_related("subject__owner_team").get(node_id=node_id)
    require_role(actor, node.subject.owner_team, Role.OWNER)
    return node


def _locked(name: str) -> Consumer:
    consumer_named(name)
    return (
        Consumer.objects.select_for_update(of=("self",)).select_related("owner_team").get(name=name)
    )


def _refuse_shared_subject(consumer: Consumer, bundle_id: int, bundle: str) -> None:
    held = BundleMember.objects.filter(bundle__subscriptions__consumer=consumer)
    if held.filter(bundle_id=bundle_id).exists() or (
        consumer.subscriptions.filter(bundle_id=bundle_id).exists()
    ):
        raise Conflict(f"{consumer} subscribes to {bundle} already.")
    wanted = BundleMember.objects.filter(bundle_id=bundle_id).values("subject_id")
    clash = held.filter(subject_id__in=wanted).select_related("subject", "bundle").first()
    if clash is not None:
        raise SharedSubject(
            f"{bundle} holds the subject {clash.subject}, which {consumer} reads through "
            f"{clash.bundle} already; a subject may come from one bundle only."
        )
