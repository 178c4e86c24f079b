"""Releases, subscriptions and the way from canary to strict and back."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from registry.canonical import fingerprint
from registry.errors import Conflict, NotAllowed, NotFound
from registry.models import AuditEvent, CanaryTally, Node, Rollout
from registry.services import consumers, gates, nodes, releases, resolution, rollouts
from registry.services.evidence import SchemaFinding, record_check
from tests.cast import (
    NOW,
    Cast,
    approved,
    bundle,
    consumer,
    made_strict,
    subject,
    with_property,
)
from tests.databases import as_owner


@pytest.fixture
def market(cast: Cast) -> Cast:
    """Subject, bundle, version 1 (so release 1), one node and the consumer `pricing`."""
    subject(cast)
    bundle(cast)
    approved(cast)
    node(cast)
    consumer(cast)
    return cast


def node(cast: Cast, node_id: str = "ohlc:us:1d") -> Node:
    return nodes.register_node(
        actor=cast.olive,
        node_id=node_id,
        subject="market.ohlc",
        interval=86_400,
        calendar="XNYS",
        series=[{"key": {"symbol": "AAPL"}, "since": None}],
        store={"type": "parquet"},
        source={},
        now=NOW,
    )


def subscribed(cast: Cast) -> Rollout:
    rollout = consumers.subscribe(actor=cast.carl, consumer="pricing", bundle="market", now=NOW)
    assert rollout is not None
    return rollout


def observe(rollout: Rollout, *findings: SchemaFinding) -> None:
    seen = resolution.resolve(rollout.consumer, Node.objects.get())
    assert seen.canary is not None
    record_check(
        consumer=rollout.consumer,
        node=seen.node,
        version=seen.canary,
        mode="canary",
        rows=10,
        findings=findings,
        now=NOW,
    )


def strict(cast: Cast) -> Rollout:
    rollout = subscribed(cast)
    observe(rollout)
    return made_strict(cast, rollout)


def test_the_release_is_cut_by_the_approval_and_named_by_its_members(market: Cast) -> None:
    release = releases.bundle_named("market").releases.get()
    version = release.versions.get()
    assert release.number == 1
    assert release.fingerprint == fingerprint(
        {
            "bundle": "market",
            "members": [{"subject": "market.ohlc", "fingerprint": version.resolved_fingerprint}],
        }
    )


def test_release_fingerprints_do_not_depend_on_the_order_of_the_members() -> None:
    members = [("b", "sha256:2"), ("a", "sha256:1")]
    assert releases.release_fingerprint("x", members) == releases.release_fingerprint(
        "x", members[::-1]
    )


def test_a_release_and_its_members_never_change(market: Cast) -> None:
    release = releases.bundle_named("market").releases.get()
    with as_owner(), pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        type(release).objects.filter(pk=release.pk).update(fingerprint="sha256:0")
    with as_owner(), pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        release.members.all()._raw_delete("default")


def test_a_subscription_starts_the_newest_release_as_a_canary(market: Cast) -> None:
    rollout = subscribed(market)
    assert (rollout.mode, rollout.release.number) == ("canary", 1)


def test_a_new_version_replaces_the_canary_while_strict_goes_on(market: Cast) -> None:
    blocking = strict(market)
    approved(market, with_property("vwap", {"type": ["number", "null"]}))
    live = Rollout.objects.filter(ended_at=None).order_by("mode")
    assert [(r.mode, r.release.number) for r in live] == [("canary", 2), ("strict", 1)]
    assert live[1].pk == blocking.pk


def test_gates_say_what_is_needed_and_what_was_observed(market: Cast) -> None:
    rollout = subscribed(market)
    judged = {gate.name: gate for gate in gates.gates_of(rollout, NOW)}
    assert {name: gate.ok for name, gate in judged.items()} == {
        "observation": True,
        "reads": False,
        "rows": True,
        "violations": True,
        "unchecked": True,
        "nodes": True,
        "incidents": True,
        "approvals": False,
    }
    assert (judged["approvals"].needed, judged["approvals"].observed) == ("2 distinct people", "0")


def test_closed_gates_refuse_the_promotion_and_name_themselves(market: Cast) -> None:
    rollout = subscribed(market)
    with pytest.raises(gates.GatesClosed, match="reads, approvals"):
        rollouts.promote_rollout(actor=market.carl, rollout_id=rollout.pk, now=NOW)
    assert AuditEvent.objects.latest("pk").outcome == "refused"
    assert not Rollout.objects.filter(mode="strict").exists()


def test_one_person_twice_is_not_two_people(market: Cast) -> None:
    rollout = subscribed(market)
    observe(rollout)
    rollouts.approve_promotion(actor=market.ravi, rollout_id=rollout.pk, now=NOW)
    with pytest.raises(rollouts.AlreadyApproved):
        rollouts.approve_promotion(actor=market.ravi, rollout_id=rollout.pk, now=NOW)
    with pytest.raises(gates.GatesClosed, match="approvals"):
        rollouts.promote_rollout(actor=market.carl, rollout_id=rollout.pk, now=NOW)


def test_a_canary_that_saw_violations_stays_a_canary(market: Cast) -> None:
    rollout = subscribed(market)
    observe(rollout, SchemaFinding(column="close", keyword="type", count=3, samples=[]))
    with pytest.raises(gates.GatesClosed, match="violations"):
        made_strict(market, rollout)


def test_the_house_policy_waits_48_hours(market: Cast) -> None:
    bundle(market, name="slow", gate="house")
    consumer(market, "patient")
    rollout = consumers.subscribe(actor=market.carl, consumer="patient", bundle="slow", now=NOW)
    assert rollout is not None
    early, late = NOW + timedelta(hours=47, minutes=59), NOW + timedelta(hours=48)
    assert not gates.gates_of(rollout, early)[0].ok
    assert gates.gates_of(rollout, late)[0].ok
    assert gates.gates_of(rollout, early)[0].opens_at == late


def test_promotion_ends_the_canary_and_enforces_the_same_release(market: Cast) -> None:
    rollout = strict(market)
    assert (rollout.mode, rollout.release.number) == ("strict", 1)
    assert rollout.promoted_from is not None
    rollout.promoted_from.refresh_from_db()
    assert rollout.promoted_from.ended_at == NOW


def test_the_database_refuses_strict_out_of_nowhere_and_two_of_a_kind(market: Cast) -> None:
    rollout = subscribed(market)
    same = {
        "consumer": rollout.consumer,
        "bundle": rollout.bundle,
        "release": rollout.release,
        "started_at": NOW,
    }
    for mode in ("strict", "canary"):
        with pytest.raises(IntegrityError), transaction.atomic():
            Rollout.objects.create(mode=mode, **same)


def test_rollback_puts_the_earlier_strict_release_back_at_once(market: Cast) -> None:
    strict(market)
    approved(market, with_property("vwap", {"type": ["number", "null"]}))
    canary = Rollout.objects.get(mode="canary", ended_at=None)
    observe(canary)
    second = made_strict(market, canary)
    restored = rollouts.roll_back_rollout(
        actor=market.carl, rollout_id=second.pk, now=NOW, reason="vwap breaks our loader"
    )
    assert (restored.mode, restored.release.number) == ("strict", 1)
    assert Rollout.objects.filter(mode="strict", ended_at=None).get() == restored


def test_a_first_strict_release_has_nothing_to_roll_back_to(market: Cast) -> None:
    rollout = strict(market)
    with pytest.raises(rollouts.NothingToRestore):
        rollouts.roll_back_rollout(actor=market.carl, rollout_id=rollout.pk, now=NOW, reason="x")


def test_an_ended_rollout_is_neither_promoted_nor_revived(market: Cast) -> None:
    rollout = strict(market)
    assert rollout.promoted_from_id is not None
    with pytest.raises(rollouts.RolloutEnded):
        rollouts.promote_rollout(actor=market.carl, rollout_id=rollout.promoted_from_id, now=NOW)
    with pytest.raises(IntegrityError, match="stays ended"), transaction.atomic():
        Rollout.objects.filter(pk=rollout.promoted_from_id).update(ended_at=None)


def test_two_bundles_that_share_a_subject_are_refused(market: Cast) -> None:
    subscribed(market)
    bundle(market, name="other")
    with pytest.raises(releases.SharedSubject, match=r"market\.ohlc"):
        consumers.subscribe(actor=market.carl, consumer="pricing", bundle="other", now=NOW)
    with pytest.raises(Conflict, match="already"):
        subscribed(market)


@pytest.mark.parametrize("who", ["olive", "ravi", "stan", "ada"])
def test_only_a_consumer_admin_of_the_team_subscribes(market: Cast, who: str) -> None:
    with pytest.raises(NotAllowed, match="consumer_admin"):
        consumers.subscribe(
            actor=getattr(market, who), consumer="pricing", bundle="market", now=NOW
        )


def test_a_node_is_readable_by_subscription_or_grant_and_otherwise_unknown(market: Cast) -> None:
    pricing = consumers.consumer_named("pricing")
    with pytest.raises(NotFound, match="no node"):
        resolution.readable_node(pricing, "ohlc:us:1d")
    consumers.grant_node(actor=market.olive, consumer="pricing", node_id="ohlc:us:1d", now=NOW)
    assert resolution.readable_node(pricing, "ohlc:us:1d").node_id == "ohlc:us:1d"
    assert [n.node_id for n in resolution.readable_nodes(pricing)] == ["ohlc:us:1d"]


def test_without_a_rollout_a_read_is_an_ungoverned_canary_of_the_newest_version(
    market: Cast,
) -> None:
    pricing = consumers.consumer_named("pricing")
    seen = resolution.resolve(pricing, Node.objects.get())
    assert (seen.governed, seen.strict) == (False, None)
    assert seen.canary is not None
    assert (seen.canary.number, seen.canary.release) == (1, None)


def test_a_strict_rollout_is_what_resolution_names(market: Cast) -> None:
    rollout = strict(market)
    seen = resolution.resolve(rollout.consumer, Node.objects.get())
    assert seen.strict is not None
    assert (seen.strict.release, seen.strict.rollout_id) == (1, rollout.pk)


def test_a_canary_counts_its_reads_rows_and_violations(market: Cast) -> None:
    rollout = subscribed(market)
    observe(rollout)
    finding = SchemaFinding(column="close", keyword="type", count=3, samples=[{"value": "x"}])
    observe(rollout, finding)
    tally = CanaryTally.objects.get()
    assert (tally.reads, tally.rows, tally.violations) == (2, 20, 3)
    diagnostic = rollout.consumer.diagnostics.get()
    assert (diagnostic.count, diagnostic.samples) == (3, [{"value": "x"}])
