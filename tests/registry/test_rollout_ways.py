"""The ways of a rollout beside promotion: ramp, override, demotion, incidents, by themselves."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from registry.errors import Conflict, InvalidInput, NotAllowed, NotFound, SeamlessError
from registry.gates import Gate
from registry.models import AuditEvent, Incident, Mode, Node, Rollout
from registry.services import (
    consumers,
    gate_policies,
    gates,
    incidents,
    releases,
    resolution,
    rollouts,
    snapshot,
    usage,
)
from registry.services.evidence import SchemaFinding, record_check
from tests.cast import (
    NOW,
    SYSTEM,
    Cast,
    approved,
    assemble,
    bundle,
    consumer,
    made_strict,
    subject,
    with_property,
)
from tests.databases import CommittedDatabase
from tests.registry.test_rollouts import node, observe, subscribed

VWAP = with_property("vwap", {"type": ["number", "null"]})
HOUR = timedelta(hours=1)


def build(cast: Cast) -> Cast:
    subject(cast)
    bundle(cast)
    approved(cast)
    node(cast)
    consumer(cast)
    return cast


@pytest.fixture
def market(cast: Cast) -> Cast:
    return build(cast)


def first_strict(cast: Cast) -> Rollout:
    canary = subscribed(cast)
    observe(canary)
    return made_strict(cast, canary)


def second_canary(cast: Cast) -> Rollout:
    approved(cast, VWAP)
    canary = Rollout.objects.get(mode="canary", ended_at=None)
    observe(canary)
    return canary


def approve_twice(cast: Cast, canary: Rollout) -> None:
    for person in (cast.ravi, cast.sofia):
        rollouts.approve_promotion(actor=person, rollout_id=canary.pk, now=NOW)


def enforced() -> list[tuple[str, int]]:
    live = Rollout.objects.filter(ended_at=None).order_by("mode")
    return [(rollout.mode, rollout.release.number) for rollout in live]


# --- ramp ----------------------------------------------------------------------------------------


def judges(cast: Cast, windows: int = 200) -> list[tuple[int | None, int | None]]:
    """(strict, canary) release of so many different requests."""
    reader, place = consumers.consumer_named("pricing"), Node.objects.get()
    seen = [resolution.resolve(reader, place, (n, n + 1)) for n in range(windows)]
    return [
        (one.strict.release if one.strict else None, one.canary.release if one.canary else None)
        for one in seen
    ]


def test_a_ramp_is_strict_for_a_share_and_the_rest_stays_under_the_release_before(
    market: Cast,
) -> None:
    first_strict(market)
    canary = second_canary(market)
    approve_twice(market, canary)
    rollouts.ramp_rollout(actor=market.carl, rollout_id=canary.pk, percent=30, now=NOW)
    found = judges(market)
    assert set(found) == {(2, None), (1, 2)}
    assert 35 <= found.count((2, None)) <= 85
    assert found == judges(market)
    rollouts.ramp_rollout(actor=market.carl, rollout_id=canary.pk, percent=0, now=NOW)
    assert set(judges(market)) == {(1, 2)}


def test_a_ramp_needs_what_a_promotion_needs(market: Cast) -> None:
    first_strict(market)
    canary = second_canary(market)
    with pytest.raises(gates.GatesClosed, match="approvals"):
        rollouts.ramp_rollout(actor=market.carl, rollout_id=canary.pk, percent=1, now=NOW)
    with pytest.raises(IntegrityError, match="ramp grows"), transaction.atomic():
        Rollout.objects.filter(pk=canary.pk).update(ramp_percent=1)


@pytest.mark.parametrize("percent", [-1, 100, 1000])
def test_a_ramp_is_a_percentage_below_all(market: Cast, percent: int) -> None:
    canary = subscribed(market)
    with pytest.raises(InvalidInput, match="0 to 99"):
        rollouts.ramp_rollout(actor=market.carl, rollout_id=canary.pk, percent=percent, now=NOW)


def test_a_ramp_with_an_incident_may_shrink_but_not_grow(market: Cast) -> None:
    canary = subscribed(market)
    observe(canary)
    approve_twice(market, canary)
    rollouts.ramp_rollout(actor=market.carl, rollout_id=canary.pk, percent=10, now=NOW)
    incidents.note_refusal(rollout_id=canary.pk, node=Node.objects.get(), reason="refused", now=NOW)
    with pytest.raises(gates.GatesClosed, match="incidents"):
        rollouts.ramp_rollout(actor=market.carl, rollout_id=canary.pk, percent=50, now=NOW)
    rollouts.ramp_rollout(actor=market.carl, rollout_id=canary.pk, percent=5, now=NOW)


# --- override ------------------------------------------------------------------------------------


def asked(cast: Cast, rollout: Rollout, **fields: Any) -> Any:
    given = {"reason": "the feed stops tonight", "expires_at": NOW + HOUR} | fields
    return gates.request_override(actor=cast.ravi, rollout_id=rollout.pk, now=NOW, **given)


def test_two_people_open_the_gates_for_a_while_and_the_log_names_them(market: Cast) -> None:
    canary = subscribed(market)
    override = asked(market, canary)
    with pytest.raises(gates.GatesClosed):
        rollouts.promote_rollout(actor=market.carl, rollout_id=canary.pk, now=NOW)
    with pytest.raises(gates.OwnOverride):
        gates.confirm_override(actor=market.ravi, override_id=override.pk, now=NOW)
    gates.confirm_override(actor=market.sofia, override_id=override.pk, now=NOW)
    with pytest.raises(gates.GatesClosed):  # it has expired
        rollouts.promote_rollout(actor=market.carl, rollout_id=canary.pk, now=NOW + HOUR)
    strict = rollouts.promote_rollout(actor=market.carl, rollout_id=canary.pk, now=NOW)
    after = AuditEvent.objects.filter(action="rollout.promote", outcome="ok").get().after
    assert (strict.mode, after["override"]) == ("strict", override.pk)
    assert after["closed_gates"] == ["reads", "approvals"]


def test_an_override_for_one_rollout_opens_no_other(market: Cast) -> None:
    canary = subscribed(market)
    override = asked(market, canary)
    gates.confirm_override(actor=market.sofia, override_id=override.pk, now=NOW)
    approved(market, VWAP)
    newer = Rollout.objects.get(mode="canary", ended_at=None)
    with pytest.raises(gates.GatesClosed):
        rollouts.promote_rollout(actor=market.carl, rollout_id=newer.pk, now=NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": "  "},
        {"expires_at": NOW},
        {"expires_at": NOW + timedelta(days=8)},
    ],
)
def test_an_override_needs_a_reason_and_an_end(market: Cast, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        asked(market, subscribed(market), **wrong)


def test_an_override_is_not_confirmed_twice_late_or_by_anybody(market: Cast) -> None:
    canary = subscribed(market)
    override = asked(market, canary)
    with pytest.raises(NotAllowed):
        gates.confirm_override(actor=market.carl, override_id=override.pk, now=NOW)
    with pytest.raises(gates.OverrideOver):
        gates.confirm_override(actor=market.sofia, override_id=override.pk, now=NOW + HOUR)
    gates.confirm_override(actor=market.sofia, override_id=override.pk, now=NOW)
    with pytest.raises(gates.OverrideOver):
        gates.confirm_override(actor=market.olive, override_id=override.pk, now=NOW)
    with pytest.raises(IntegrityError, match="stays as it is"), transaction.atomic():
        type(override).objects.update(confirmed_at=NOW + HOUR)


def test_the_database_lets_nobody_confirm_their_own_override_or_skip_the_approvals(
    market: Cast,
) -> None:
    canary = subscribed(market)
    override = asked(market, canary)
    with pytest.raises(IntegrityError), transaction.atomic():
        type(override).objects.update(confirmed_by=override.requested_by, confirmed_at=NOW)
    with pytest.raises(IntegrityError, match="approvals"), transaction.atomic():
        Rollout.objects.create(
            consumer=canary.consumer,
            bundle=canary.bundle,
            release=canary.release,
            mode=Mode.STRICT,
            started_at=NOW,
            promoted_from=canary,
        )


# --- back ----------------------------------------------------------------------------------------


def test_a_demotion_makes_it_a_canary_and_puts_the_release_before_back(market: Cast) -> None:
    first_strict(market)
    second = made_strict(market, second_canary(market))
    canary = rollouts.demote_rollout(
        actor=market.carl, rollout_id=second.pk, now=NOW, reason="too early"
    )
    assert (canary.mode, canary.release.number) == ("canary", 2)
    assert enforced() == [("canary", 2), ("strict", 1)]


def test_a_first_strict_release_is_demoted_to_nothing_strict_and_the_log_says_so(
    market: Cast,
) -> None:
    strict = first_strict(market)
    rollouts.demote_rollout(actor=market.carl, rollout_id=strict.pk, now=NOW, reason="too early")
    assert enforced() == [("canary", 1)]
    assert AuditEvent.objects.filter(action="rollout.demote").get().after["strict"] is None


def test_rolling_back_twice_goes_further_back_never_forward_again(market: Cast) -> None:
    first_strict(market)
    second = made_strict(market, second_canary(market))
    restored = rollouts.roll_back_rollout(
        actor=market.carl, rollout_id=second.pk, now=NOW, reason="vwap is wrong"
    )
    with pytest.raises(rollouts.NothingToRestore, match="Demote"):
        rollouts.roll_back_rollout(
            actor=market.carl, rollout_id=restored.pk, now=NOW, reason="again"
        )
    assert ("strict", 1) in enforced()


# --- incidents -----------------------------------------------------------------------------------


def refused(rollout: Rollout, now: Any = NOW) -> None:
    incidents.note_refusal(
        rollout_id=rollout.pk, node=Node.objects.get(), reason="close is text", now=now
    )


def test_refusals_open_one_incident_that_counts_and_closes_after_24_clean_hours(
    market: Cast,
) -> None:
    strict = first_strict(market)
    refused(strict)
    refused(strict, NOW + HOUR)
    incident = Incident.objects.get()
    assert (incident.count, incident.release.number) == (2, 1)
    assert incidents.close_clean_incidents(now=NOW + 24 * HOUR) == 0
    assert incidents.close_clean_incidents(now=NOW + 25 * HOUR) == 1
    assert incidents.close_clean_incidents(now=NOW + 25 * HOUR) == 0
    refused(strict, NOW + 26 * HOUR)
    assert Incident.objects.count() == 2
    kept = [event.action for event in AuditEvent.objects.filter(object_type="incident")]
    assert kept == ["incident.open", "incident.close", "incident.open"]


def test_an_open_incident_closes_the_gate_until_a_person_closes_it(market: Cast) -> None:
    first_strict(market)
    canary = second_canary(market)
    incident = incidents.open_incident(
        actor=market.carl, consumer="pricing", bundle="market", reason="prices look odd", now=NOW
    )
    with pytest.raises(gates.GatesClosed, match="incidents"):
        made_strict(market, canary)
    with pytest.raises(InvalidInput):
        incidents.close_incident(actor=market.carl, incident_id=incident.pk, reason=" ", now=NOW)
    incidents.close_incident(
        actor=market.carl, incident_id=incident.pk, reason="it was the clock", now=NOW
    )
    assert rollouts.promote_rollout(actor=market.carl, rollout_id=canary.pk, now=NOW)
    with pytest.raises(incidents.IncidentClosed):
        incidents.close_incident(actor=market.carl, incident_id=incident.pk, reason="x", now=NOW)


def test_strangers_neither_open_nor_close_incidents(market: Cast) -> None:
    strict = first_strict(market)
    refused(strict)
    with pytest.raises(NotAllowed):
        incidents.close_incident(
            actor=market.olive, incident_id=Incident.objects.get().pk, reason="x", now=NOW
        )
    with pytest.raises(NotAllowed):
        incidents.open_incident(
            actor=market.stan, consumer="pricing", bundle="market", reason="x", now=NOW
        )
    with pytest.raises(NotFound):
        incidents.open_incident(
            actor=market.carl, consumer="pricing", bundle="other", reason="x", now=NOW
        )


# --- by itself, and by evidence ------------------------------------------------------------------


def test_a_policy_that_promotes_itself_does_so_when_all_gates_are_open(market: Cast) -> None:
    gate_policies.save_gate_policy(
        actor=SYSTEM,
        name="demo",
        observation=HOUR,
        minimum_reads=1,
        promotes_itself=True,
        now=NOW,
    )
    canary = subscribed(market)
    observe(canary)
    approve_twice(market, canary)
    assert rollouts.promote_ready(now=NOW) == []
    [strict] = rollouts.promote_ready(now=NOW + HOUR)
    assert (strict.promoted_from, strict.mode) == (canary, "strict")
    assert AuditEvent.objects.filter(action="rollout.promote").get().actor_name == "promoter"
    assert rollouts.promote_ready(now=NOW + HOUR) == []


def test_a_policy_that_does_not_say_so_waits_for_a_person(market: Cast) -> None:
    canary = subscribed(market)
    observe(canary)
    approve_twice(market, canary)
    assert rollouts.promote_ready(now=NOW + 100 * HOUR) == []


def test_reads_that_nobody_checked_count_as_unchecked_and_close_the_gate(market: Cast) -> None:
    canary = subscribed(market)
    observe(canary)
    seen = resolution.resolve(canary.consumer, Node.objects.get())
    assert seen.canary is not None
    record_check(
        consumer=canary.consumer,
        node=seen.node,
        version=seen.canary,
        mode="canary",
        rows=0,
        findings=[SchemaFinding("", "check_crashed", 1, ())],
        now=NOW,
        unchecked=True,
    )
    found = {gate.name: gate for gate in gates.gates_of(canary, NOW)}
    assert (found["unchecked"].ok, found["unchecked"].observed) == (False, "1 of 2")
    assert found["violations"].ok


def read_strictly(strict: Rollout, node_id: str, now: datetime = NOW) -> None:
    """An answered read that no canary judged."""
    seen = resolution.resolve(strict.consumer, Node.objects.get(node_id=node_id))
    assert seen.strict is not None
    usage.count_read(
        consumer=strict.consumer, node=seen.node, version=seen.strict, columns=None, now=now
    )
    usage.flush_usage()


def nodes_gate(canary: Rollout, now: datetime = NOW) -> Gate:
    (gate,) = [gate for gate in gates.gates_of(canary, now) if gate.name == "nodes"]
    return gate


def test_a_node_that_the_consumer_reads_as_a_rule_must_have_been_seen(market: Cast) -> None:
    strict = first_strict(market)
    node(market, "ohlc:us:2d")
    for node_id in ("ohlc:us:1d", "ohlc:us:2d"):
        read_strictly(strict, node_id)
    approved(market, VWAP)
    canary = Rollout.objects.get(mode="canary", ended_at=None)
    found = nodes_gate(canary)
    assert (found.ok, found.observed) == (False, "0 of 2; not yet ohlc:us:1d, ohlc:us:2d")
    assert nodes_gate(canary, NOW + timedelta(days=31)).ok


def test_nodes_of_other_subjects_and_other_readers_are_not_usual(market: Cast) -> None:
    strict = first_strict(market)
    read_strictly(strict, "ohlc:us:1d")
    consumer(market, "quiet")
    other = consumers.subscribe(actor=market.carl, consumer="quiet", bundle="market", now=NOW)
    assert other is not None
    assert nodes_gate(other).observed == "0 of 0"
    subject(market, "market.trades")
    approved(market, name="market.trades")
    bundle(market, name="trades", members=["market.trades"])
    trades = consumers.subscribe(actor=market.carl, consumer="pricing", bundle="trades", now=NOW)
    assert trades is not None
    assert nodes_gate(trades).observed == "0 of 0"


@pytest.mark.parametrize(
    "wrong",
    [
        {"maximum_violation_rate": "1.5"},
        {"maximum_unchecked_share": "NaN"},
        {"minimum_node_coverage": "all"},
        {"maximum_violation_rate": "0.0000001"},
        {"minimum_rows": -1},
        {"required_approvals": 0},
        {"observation": timedelta(seconds=-1)},
        {"name": "no name"},
    ],
)
def test_a_wrong_gate_policy_is_refused(cast: Cast, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        gate_policies.save_gate_policy(**{"actor": cast.oscar, "name": "x", "now": NOW} | wrong)


# --- bundles and consumers -----------------------------------------------------------------------


def test_a_change_of_members_cuts_a_release_that_starts_as_a_canary(market: Cast) -> None:
    first_strict(market)
    subject(market, "market.trades")
    approved(market, name="market.trades")
    releases.change_bundle(actor=market.olive, name="market", add=["market.trades"], now=NOW)
    assert enforced() == [("canary", 2), ("strict", 1)]
    back = releases.change_bundle(
        actor=market.olive, name="market", remove=["market.trades"], now=NOW
    )
    assert back is not None
    assert back.number == 1  # equal members: the release there is


def test_cutting_on_demand_gives_the_release_there_is(market: Cast) -> None:
    assert releases.cut_release(actor=market.olive, name="market", now=NOW).number == 1
    with pytest.raises(NotAllowed):
        releases.cut_release(actor=market.carl, name="market", now=NOW)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({}, InvalidInput),
        ({"add": ["nowhere"]}, NotFound),
        ({"add": ["market.ohlc"]}, Conflict),
        ({"remove": ["nowhere"]}, NotFound),
        ({"remove": ["market.ohlc"]}, InvalidInput),
        ({"add": ["x"], "remove": ["x"]}, InvalidInput),
        ({"gate_policy": "nowhere"}, NotFound),
    ],
)
def test_a_wrong_change_of_a_bundle_is_refused_and_changes_nothing(
    market: Cast, change: dict[str, Any], error: type[SeamlessError]
) -> None:
    with pytest.raises(error):
        releases.change_bundle(actor=market.olive, name="market", now=NOW, **change)
    assert releases.bundle_facts(releases.bundle_named("market"))["subjects"] == ["market.ohlc"]


def test_a_member_that_a_subscriber_reads_elsewhere_is_refused_here_and_by_the_database(
    market: Cast,
) -> None:
    subscribed(market)
    subject(market, "market.trades")
    bundle(market, "trades", members=["market.trades"])
    consumers.subscribe(actor=market.carl, consumer="pricing", bundle="trades", now=NOW)
    with pytest.raises(releases.SharedSubject, match="through market"):
        releases.change_bundle(actor=market.olive, name="trades", add=["market.ohlc"], now=NOW)
    trades, market_bundle = releases.bundle_named("trades"), releases.bundle_named("market")
    with pytest.raises(IntegrityError, match="share no subject"), transaction.atomic():
        trades.members.create(subject=market_bundle.subjects.get())


def test_who_unsubscribes_reads_no_longer_and_has_no_live_rollout(market: Cast) -> None:
    first_strict(market)
    reader = consumers.consumer_named("pricing")
    assert resolution.readable_node(reader, "ohlc:us:1d")
    consumers.unsubscribe(
        actor=market.carl, consumer="pricing", bundle="market", now=NOW, reason="moved"
    )
    with pytest.raises(NotFound):
        resolution.readable_node(reader, "ohlc:us:1d")
    assert enforced() == []
    with pytest.raises(NotFound):
        consumers.unsubscribe(
            actor=market.carl, consumer="pricing", bundle="market", now=NOW, reason="x"
        )


# --- no moment in which nothing is enforced ----------------------------------------------------


def test_whoever_looks_while_rollouts_come_and_go_always_sees_a_strict_release(
    committed_db: CommittedDatabase,
) -> None:
    """Promotion, demotion and rollback in a row; other connections resolve all the while."""
    market = build(assemble())
    first_strict(market)
    reader, place, over = consumers.consumer_named("pricing"), Node.objects.get(), Event()

    def watch() -> set[int | None]:
        seen: set[int | None] = set()
        try:
            while not over.is_set():
                snapshot._kept.drop()  # every look reads the database
                found = resolution.resolve(reader, place, (0, 1))
                seen.add(found.strict.release if found.strict else None)
        finally:
            connection.close()
        return seen

    with ThreadPoolExecutor(2) as pool:
        watching = [pool.submit(watch) for _ in range(2)]
        try:
            canary = second_canary(market)
            for _ in range(8):
                strict = made_strict(market, canary)
                canary = rollouts.demote_rollout(
                    actor=market.carl, rollout_id=strict.pk, now=NOW, reason="x"
                )
                observe(canary)
            strict = made_strict(market, canary)
            rollouts.roll_back_rollout(actor=market.carl, rollout_id=strict.pk, now=NOW, reason="x")
        finally:
            over.set()
    assert set().union(*(one.result() for one in watching)) <= {1, 2}
