"""Random people do random things in random order: the promises of governance hold throughout."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any, ClassVar

import pytest
from django.db.models import QuerySet
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from registry.actors import Actor
from registry.canonical import canonicalize
from registry.errors import SeamlessError
from registry.models import (
    AuditEvent,
    Bundle,
    Consumer,
    GateOverride,
    Incident,
    Mode,
    Node,
    Proposal,
    Review,
    Rollout,
    Subject,
    Waiver,
)
from registry.services import (
    consumers,
    gate_policies,
    gates,
    incidents,
    nodes,
    proposals,
    rollouts,
    waivers,
)
from registry.services.evidence import SchemaFinding, record_check
from registry.services.resolution import resolve
from tests.cast import NOW, SYSTEM, Cast, bundle, consumer, subject, with_property

APPROVALS, READS, HOURS = 2, 2, 1
A_DAY = timedelta(days=1)
PEOPLE = st.sampled_from(["olive", "ravi", "sofia", "carl", "stan", "ada"])
PROMOTERS = st.sampled_from(["carl", "carl", "ravi", "stan"])
NUMBER = st.integers(0, 30)
_machines = count()


@dataclass
class Seen:
    """What the model knows of a canary."""

    reads: int = 0
    violations: int = 0


@dataclass
class Override:
    """What the model knows of an override; `people` counts once there are two."""

    rollout: int
    people: list[str]
    until: datetime


class Governance(RuleBasedStateMachine):
    cast: ClassVar[Cast]

    def __init__(self) -> None:
        super().__init__()
        mark = next(_machines)
        self.now = NOW
        self.name = f"market-{mark}"
        self.seen: dict[int, Seen] = {}
        self.overrides: dict[int, Override] = {}
        self.may_be_unenforced = True
        subject(self.cast, self.name, required_approvals=APPROVALS)
        bundle(self.cast, self.name, gate="machine", members=[self.name])
        consumer(self.cast, self.name)
        consumers.subscribe(
            actor=self.cast.carl, consumer=self.name, bundle=self.name, now=self.now
        )
        self.node = nodes.register_node(
            actor=self.cast.olive,
            node_id=self.name,
            subject=self.name,
            interval=86_400,
            series=[{"key": {"symbol": "AAPL"}, "since": None}],
            store={"type": "parquet"},
            source={},
            now=self.now,
        )
        self.propose(column=0, person="olive")
        self.see_through(which=0, people=["ravi", "sofia"])
        assert self.live(Mode.CANARY) is not None

    # --- what people do ---------------------------------------------------------------------

    @rule(column=NUMBER, person=st.sampled_from(["olive", "stan"]))
    def propose(self, column: int, person: str) -> None:
        document = with_property(f"c{column}", {"type": "number"})
        self.attempt(
            "proposal.create",
            proposals.propose_schema,
            person,
            subject=self.name,
            document=canonicalize(document).decode(),
        )

    @rule(which=NUMBER, column=NUMBER, person=st.sampled_from(["olive", "olive", "ravi"]))
    def edit(self, which: int, column: int, person: str) -> None:
        proposal = self.chosen(which)
        if proposal is None:
            return
        before = (proposal.revision, proposal.content_id)
        document = canonicalize(with_property(f"c{column}", {"type": "integer"})).decode()
        done = self.about_proposal(
            "proposal.edit", proposals.edit_proposal, which, person, document=document
        )
        proposal.refresh_from_db()
        changed = proposal.content_id != before[1]
        assert proposal.revision == before[0] + changed
        assert not changed or (done and proposals.approval_standing(proposal).given == 0)

    @rule(which=NUMBER, person=PEOPLE, hours=st.integers(1, 4))
    def waive(self, which: int, person: str, hours: int) -> None:
        self.about_proposal(
            "waiver.request",
            waivers.request_waiver,
            which,
            person,
            rule="compatibility",
            reason="nobody reads it",
            expires_at=self.now + timedelta(hours=hours),
        )

    @rule(which=NUMBER, person=PEOPLE)
    def grant(self, which: int, person: str) -> None:
        asked = Waiver.objects.filter(proposal__subject__name=self.name).order_by("-pk")
        if asked:
            chosen = asked[which % len(asked)]
            self.attempt("waiver.grant", waivers.grant_waiver, person, waiver_id=chosen.pk)

    @rule(column=NUMBER, granted=st.booleans(), late=st.integers(0, 3))
    def see_a_breach_through(self, column: int, granted: bool, late: int) -> None:
        """A proposal that takes a column away, waived for two hours by two people, or by one."""
        self.propose(column=column, person="olive")
        self.waive(which=0, person="ravi", hours=2)
        if granted:
            self.grant(which=0, person="sofia")
        self.wait(late)
        self.see_through(which=0, people=["ravi", "sofia"])

    @rule(which=NUMBER, person=PEOPLE)
    def submit(self, which: int, person: str) -> None:
        self.about_proposal("proposal.submit", proposals.submit_proposal, which, person)

    @rule(which=NUMBER, person=PEOPLE)
    def approve(self, which: int, person: str) -> None:
        self.about_proposal("proposal.approve", proposals.approve_proposal, which, person)

    @rule(which=NUMBER, people=st.permutations(["ravi", "sofia", "olive"]))
    def see_through(self, which: int, people: list[str]) -> None:
        self.submit(which, "olive")
        for person in people:
            self.approve(which, person)

    @rule(which=NUMBER, person=PEOPLE)
    def reject(self, which: int, person: str) -> None:
        self.about_proposal(
            "proposal.reject", proposals.reject_proposal, which, person, comment="no"
        )

    @rule(which=NUMBER, person=PEOPLE)
    def withdraw(self, which: int, person: str) -> None:
        self.about_proposal("proposal.withdraw", proposals.withdraw_proposal, which, person)

    @rule(person=PEOPLE)
    def approve_promotion(self, person: str) -> None:
        self.about_rollout("rollout.approve", rollouts.approve_promotion, Mode.CANARY, person)

    @rule(person=PROMOTERS)
    def promote(self, person: str) -> None:
        canary = self.live(Mode.CANARY)
        ready = canary is not None and self.is_ready(canary)
        promoted = self.about_rollout(
            "rollout.promote", rollouts.promote_rollout, Mode.CANARY, person
        )
        assert not promoted or (ready and person == "carl")
        if promoted:
            self.may_be_unenforced = False

    @rule(person=PROMOTERS, percent=st.sampled_from([0, 1, 50, 99, 100]))
    def ramp(self, person: str, percent: int) -> None:
        canary = self.live(Mode.CANARY)
        before = canary.ramp_percent if canary else 0
        ready = canary is not None and self.is_ready(canary)
        ramped = self.about_rollout(
            "rollout.ramp", rollouts.ramp_rollout, Mode.CANARY, person, percent=percent
        )
        assert not ramped or (person == "carl" and percent < 100)
        assert not ramped or percent <= before or ready

    @rule(person=PEOPLE, hours=st.integers(1, 3))
    def ask_for_an_override(self, person: str, hours: int) -> None:
        until = self.now + timedelta(hours=hours)
        canary = self.live(Mode.CANARY)
        if self.about_rollout(
            "rollout.override.request",
            gates.request_override,
            Mode.CANARY,
            person,
            reason="tonight",
            expires_at=until,
        ):
            assert canary is not None
            asked = GateOverride.objects.latest("pk")
            self.overrides[asked.pk] = Override(canary.pk, [person], until)

    @rule(which=NUMBER, person=PEOPLE)
    def confirm_the_override(self, which: int, person: str) -> None:
        if not self.overrides:
            return
        number = sorted(self.overrides, reverse=True)[which % len(self.overrides)]
        known = self.overrides[number]
        if self.attempt(
            "rollout.override.confirm", gates.confirm_override, person, override_id=number
        ):
            known.people.append(person)
            assert len(set(known.people)) == 2
            assert self.now < known.until

    @rule(people=st.permutations(["ravi", "sofia"]))
    def set_the_gates_aside(self, people: list[str]) -> None:
        self.ask_for_an_override(person=people[0], hours=2)
        self.confirm_the_override(which=0, person=people[1])
        self.promote("carl")

    @rule(person=PROMOTERS)
    def demote(self, person: str) -> None:
        if self.about_rollout(
            "rollout.demote", rollouts.demote_rollout, Mode.STRICT, person, reason="early"
        ):
            said = AuditEvent.objects.filter(action="rollout.demote", outcome="ok").latest("pk")
            self.may_be_unenforced = self.live(Mode.STRICT) is None
            assert ("strict" in said.after and said.after["strict"] is None) is (
                self.may_be_unenforced
            )

    @rule(person=st.sampled_from(["carl", "ravi", "sofia", "stan"]))
    def open_incident(self, person: str) -> None:
        self.attempt(
            "incident.open",
            incidents.open_incident,
            person,
            consumer=self.name,
            bundle=self.name,
            reason="looks odd",
        )

    @rule()
    def refuse_a_read(self) -> None:
        strict = self.live(Mode.STRICT)
        if strict is not None:
            node = Node.objects.get(pk=self.node.pk)
            incidents.note_refusal(rollout_id=strict.pk, node=node, reason="type", now=self.now)
            held = self.open_incidents().filter(opened_by=None)
            assert held.count() == 1

    @rule(which=NUMBER, person=st.sampled_from(["carl", "sofia", "stan"]))
    def close_incident(self, which: int, person: str) -> None:
        known = self.open_incidents().order_by("pk")
        if known:
            chosen = known[which % len(known)]
            self.attempt(
                "incident.close",
                incidents.close_incident,
                person,
                incident_id=chosen.pk,
                reason="it was the clock",
            )

    @rule()
    def a_clean_day(self) -> None:
        """Incidents end by themselves; waivers and overrides have expired."""
        self.wait(24)
        incidents.close_clean_incidents(now=self.now)
        assert not self.open_incidents().exists()

    @rule(people=st.permutations(["ravi", "sofia"]))
    def see_through_the_gates(self, people: list[str]) -> None:
        self.observe(READS, 0)
        self.wait(HOURS)
        for person in people:
            self.approve_promotion(person)
        self.promote("carl")

    @rule(person=PROMOTERS)
    def roll_back(self, person: str) -> None:
        self.about_rollout(
            "rollout.roll_back", rollouts.roll_back_rollout, Mode.STRICT, person, reason="back"
        )

    @rule(reads=st.integers(1, 3), violations=st.sampled_from([0, 0, 0, 1]))
    def observe(self, reads: int, violations: int) -> None:
        canary = self.live(Mode.CANARY)
        if canary is None:
            return
        version = resolve(self.consumer, Node.objects.get(pk=self.node.pk)).canary
        assert version is not None
        seen = self.seen.setdefault(canary.pk, Seen())
        for _ in range(reads):
            findings = [SchemaFinding("close", "type", 1, [])] * violations
            record_check(
                consumer=self.consumer,
                node=self.node,
                version=version,
                mode=Mode.CANARY,
                rows=1,
                findings=findings,
                now=self.now,
            )
            seen.reads, seen.violations = seen.reads + 1, seen.violations + violations

    @rule(hours=st.integers(0, 2))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    # --- what holds throughout --------------------------------------------------------------

    @invariant()
    def numbers_have_no_holes(self) -> None:
        line = Subject.objects.get(name=self.name)
        market = Bundle.objects.get(name=self.name)
        for owned in (line.versions, market.releases):
            numbers = list(owned.order_by("number").values_list("number", flat=True))
            assert numbers == list(range(1, len(numbers) + 1))

    @invariant()
    def nobody_approves_their_own(self) -> None:
        for version in Subject.objects.get(name=self.name).versions.select_related("proposal"):
            proposal = version.proposal
            approvals = Review.objects.filter(
                proposal=proposal, revision=proposal.revision, decision="approve"
            )
            assert {review.content_id for review in approvals} == {version.content_id}
            approvers = set(approvals.values_list("reviewer_id", flat=True))
            assert proposal.author_id not in approvers
            assert len(approvers) >= APPROVALS

    @invariant()
    def a_breach_is_waived_by_two_others_in_time(self) -> None:
        for version in Subject.objects.get(name=self.name).versions.select_related("proposal"):
            proposal = version.proposal
            if proposal.verdict == "compatible":
                continue
            waived = proposal.waivers.filter(
                revision=proposal.revision,
                granted_at__lte=proposal.decided_at,
                expires_at__gt=proposal.decided_at,
            ).values_list("requested_by", "granted_by")
            assert any(len({*two, proposal.author_id}) == 3 for two in waived)

    @invariant()
    def one_rollout_per_mode_and_what_was_strict_stays_enforced(self) -> None:
        """Only the demotion of the first strict release leaves nothing in force, and says so."""
        found = Rollout.objects.filter(consumer__name=self.name)
        for mode in Mode:
            assert found.filter(mode=mode, ended_at=None).count() <= 1
        assert self.may_be_unenforced or self.live(Mode.STRICT) is not None

    @invariant()
    def a_canary_changes_nothing_of_what_blocks(self) -> None:
        """Promise 2 where a read is resolved: the strict judge is the live strict release's, with
        or without a canary, and a ramp gives a request to one of the two, never to none."""
        node = Node.objects.get(pk=self.node.pk)
        strict, canary = self.live(Mode.STRICT), self.live(Mode.CANARY)
        found = resolve(self.consumer, node)
        judges = [one and one.version_id for one in (found.strict, found.canary)]
        if strict is None and canary is None:
            assert (judges[0], found.governed) == (None, False)
            return
        assert judges == [self.version_of(strict), self.version_of(canary)]
        percent = canary.ramp_percent if canary else 0
        for day in range(20):
            window = (day * 86_400, day * 86_400)
            once, again = (resolve(self.consumer, node, window).strict for _ in range(2))
            assert once == again
            judge = once and once.version_id
            allowed = {judges[0]} | ({judges[1]} if percent else set())
            assert judge in allowed

    @invariant()
    def strict_comes_of_an_approved_canary_or_was_strict_before(self) -> None:
        for strict in Rollout.objects.filter(consumer__name=self.name, mode=Mode.STRICT):
            if strict.restores is not None:
                assert (strict.restores.mode, strict.restores.release_id) == (
                    Mode.STRICT,
                    strict.release_id,
                )
            else:
                assert strict.promoted_from is not None
                self.passed_its_gates_or_two_people_set_them_aside(strict.promoted_from)

    def passed_its_gates_or_two_people_set_them_aside(self, canary: Rollout) -> None:
        said = AuditEvent.objects.get(
            action="rollout.promote", object_id=str(canary.pk), outcome="ok"
        )
        if "override" not in said.after:
            assert canary.approvals.values("approver").distinct().count() >= APPROVALS
            return
        override = GateOverride.objects.get(pk=said.after["override"])
        assert override.rollout_id == canary.pk
        assert override.confirmed_by_id not in {None, override.requested_by_id}
        assert override.confirmed_at is not None
        assert override.confirmed_at <= said.at < override.expires_at

    # --- how ------------------------------------------------------------------------------

    @property
    def consumer(self) -> Consumer:
        return Consumer.objects.get(name=self.name)

    def live(self, mode: Mode) -> Rollout | None:
        return Rollout.objects.filter(consumer__name=self.name, mode=mode, ended_at=None).first()

    def open_incidents(self) -> QuerySet[Incident]:
        return Incident.objects.filter(consumer__name=self.name, closed_at=None)

    def version_of(self, rollout: Rollout | None) -> int | None:
        return None if rollout is None else rollout.release.members.get().version_id

    def is_ready(self, canary: Rollout) -> bool:
        """The gates as the model sees them, or an override in force."""
        for override in self.overrides.values():
            two = len(override.people) == 2
            if override.rollout == canary.pk and two and self.now < override.until:
                return True
        seen = self.seen.get(canary.pk, Seen())
        approvers = set(canary.approvals.values_list("approver_id", flat=True))
        age = self.now - canary.started_at
        return (
            seen.reads >= READS
            and not seen.violations
            and age >= timedelta(hours=HOURS)
            and len(approvers) >= APPROVALS
            and not self.open_incidents().filter(last_seen_at__gt=self.now - A_DAY).exists()
        )

    def chosen(self, which: int) -> Proposal | None:
        known = Proposal.objects.filter(subject__name=self.name).order_by("-pk")
        return known[which % len(known)] if known else None

    def about_proposal(
        self, action: str, service: Callable[..., Any], which: int, person: str, **fields: Any
    ) -> bool:
        chosen = self.chosen(which)
        return chosen is not None and self.attempt(
            action, service, person, proposal_id=chosen.pk, **fields
        )

    def about_rollout(
        self, action: str, service: Callable[..., Any], mode: Mode, person: str, **fields: Any
    ) -> bool:
        rollout = self.live(mode)
        return rollout is not None and self.attempt(
            action, service, person, rollout_id=rollout.pk, **fields
        )

    def attempt(self, action: str, service: Callable[..., Any], person: str, **fields: Any) -> bool:
        """Whether it was done; done or refused, the action has exactly one audit record."""
        actor: Actor = getattr(self.cast, person)
        now: datetime = self.now
        records = AuditEvent.objects.filter(action=action)
        before = records.count()
        try:
            service(actor=actor, now=now, **fields)
            done = True
        except SeamlessError:
            done = False
        assert records.count() == before + 1
        assert (records.latest("pk").outcome == "ok") is done
        return done


@pytest.mark.django_db
def test_the_promises_hold_in_any_order_of_events(cast: Cast) -> None:
    gate_policies.save_gate_policy(
        actor=SYSTEM,
        name="machine",
        observation=timedelta(hours=HOURS),
        minimum_reads=READS,
        maximum_violation_rate=0,
        required_approvals=APPROVALS,
        now=NOW,
    )
    Governance.cast = cast
    run_state_machine_as_test(
        Governance,
        settings=settings(
            max_examples=max(15, settings.default.max_examples // 10),  # type: ignore[union-attr]
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
