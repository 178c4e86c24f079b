"""Random people do random things in random order: the promises of governance hold throughout."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any, ClassVar

import pytest
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
    Mode,
    Node,
    Proposal,
    Review,
    Rollout,
    Subject,
)
from registry.services import consumers, gate_policies, nodes, proposals, rollouts
from registry.services.evidence import SchemaFinding, record_check
from registry.services.resolution import resolve
from tests.cast import NOW, SYSTEM, Cast, bundle, consumer, subject, with_property

APPROVALS, READS, HOURS = 2, 2, 1
PEOPLE = st.sampled_from(["olive", "ravi", "sofia", "carl", "stan", "ada"])
PROMOTERS = st.sampled_from(["carl", "carl", "ravi", "stan"])
NUMBER = st.integers(0, 30)
_machines = count()


@dataclass
class Seen:
    """What the model knows of a canary."""

    reads: int = 0
    violations: int = 0


class Governance(RuleBasedStateMachine):
    cast: ClassVar[Cast]

    def __init__(self) -> None:
        super().__init__()
        mark = next(_machines)
        self.now = NOW
        self.name = f"market-{mark}"
        self.seen: dict[int, Seen] = {}
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
                proposal=proposal, content=version.content, decision="approve"
            )
            approvers = set(approvals.values_list("reviewer_id", flat=True))
            assert proposal.author_id not in approvers
            assert len(approvers) >= APPROVALS

    @invariant()
    def one_rollout_per_mode_and_what_was_strict_stays_enforced(self) -> None:
        found = Rollout.objects.filter(consumer__name=self.name)
        for mode in Mode:
            assert found.filter(mode=mode, ended_at=None).count() <= 1
        if found.filter(mode=Mode.STRICT).exists():
            assert found.filter(mode=Mode.STRICT, ended_at=None).exists()

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
                approvals = strict.promoted_from.approvals
                assert approvals.values("approver").distinct().count() >= APPROVALS

    # --- how ------------------------------------------------------------------------------

    @property
    def consumer(self) -> Consumer:
        return Consumer.objects.get(name=self.name)

    def live(self, mode: Mode) -> Rollout | None:
        return Rollout.objects.filter(consumer__name=self.name, mode=mode, ended_at=None).first()

    def is_ready(self, canary: Rollout) -> bool:
        """The gates as the model sees them."""
        seen = self.seen.get(canary.pk, Seen())
        approvers = set(canary.approvals.values_list("approver_id", flat=True))
        age = self.now - canary.started_at
        return (
            seen.reads >= READS
            and not seen.violations
            and age >= timedelta(hours=HOURS)
            and len(approvers) >= APPROVALS
        )

    def about_proposal(
        self, action: str, service: Callable[..., Any], which: int, person: str, **fields: Any
    ) -> None:
        known = Proposal.objects.filter(subject__name=self.name).order_by("-pk")
        if known:
            chosen = known[which % len(known)]
            self.attempt(action, service, person, proposal_id=chosen.pk, **fields)

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
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
